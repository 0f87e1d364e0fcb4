"""A small model of people's names, trained on sentences that are made here."""
