"""Several stores of one dataset as one sink."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from governance.flows.documents import Codes, Documents, DocumentSink, Taken

_NOT_TAKEN = (Taken.REFUSED, Taken.CONFLICT)


@dataclass(frozen=True)
class EverySink:
    """Writes to each in turn; what one of them won't have, those after it don't get. The first one's answer counts,
    unless a later one refuses the document. A write that broke off between two is made good when it is repeated.
    """

    sinks: Sequence[DocumentSink]

    @property
    def name(self) -> str:
        """See `DocumentSink.name`."""
        return " and ".join(sink.name for sink in self.sinks)

    def prepare(self) -> None:
        """See `DocumentSink.prepare`."""
        for sink in self.sinks:
            sink.prepare()

    def write(self, documents: Documents) -> Codes:
        """See `DocumentSink.write`."""
        first, *others = self.sinks
        taken = first.write(documents)
        for sink in others:
            places = np.flatnonzero(~np.isin(taken, _NOT_TAKEN))
            later = sink.write(documents.take(places.tolist()))
            refused = np.isin(later, _NOT_TAKEN)
            taken[places[refused]] = later[refused]
        return taken

    def close(self) -> None:
        """Let go of all of them."""
        for sink in self.sinks:
            close = getattr(sink, "close", None)
            if close is not None:
                close()
