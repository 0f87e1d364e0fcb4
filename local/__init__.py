"""Starts the real services as processes, for the demo and the tests. `governance` never imports this."""
