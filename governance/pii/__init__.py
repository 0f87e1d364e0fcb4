"""Finding personal data that nobody declared."""
