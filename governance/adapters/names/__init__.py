"""Models that find names in free text."""
