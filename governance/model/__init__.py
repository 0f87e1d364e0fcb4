"""Small types that every part shares: time, secrets, outcomes. No I/O."""
