"""Rows that a gate held back: sealed, with a reason, for a limited time."""
