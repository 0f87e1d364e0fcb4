"""Keep Presidio's libraries from the network and from writing a cell's text into a log."""

import logging

import tldextract.tldextract
from tldextract import TLDExtract


def _silent(record: logging.LogRecord) -> bool:
    """Nothing passes: these libraries log the texts they look at (an IBAN that fails, a host that is none)."""
    del record
    return False


def work_offline() -> None:
    """From now on a suffix is looked up in the list that tldextract ships; nothing is fetched and no cache is kept.

    Presidio's recognisers call `tldextract.extract`, which asks for the newest list at its first call.
    """
    tldextract.tldextract.TLD_EXTRACTOR = TLDExtract(suffix_list_urls=(), cache_dir=None, fallback_to_snapshot=True)
    for name in ("presidio-analyzer", "tldextract"):
        logger = logging.getLogger(name)
        logger.filters[:] = [_silent]
