"""The scanner on presidio-analyzer: it finds, it never protects, and it asks nothing of the network."""

from governance.adapters.presidio.scanner import PresidioScanner

__all__ = ["PresidioScanner"]
