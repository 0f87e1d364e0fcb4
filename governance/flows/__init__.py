"""Flows move data from a source, through enforcement, to sinks."""
