"""Names of people, places and organisations in free text, through a trained model: the Protocol."""

from typing import Protocol

import pyarrow as pa

from governance.pii.spans import Spans


class Names(Protocol):
    """A model that is loaded once a process. Safe from several threads."""

    def find(self, texts: pa.Array) -> Spans:
        """The names in each text, as Presidio's entities (PERSON, LOCATION, NRP, ORGANIZATION).

        A null or a text without a letter has none. `Spans.unread` are the texts that the model could not read, such as
        ones that are too long: cannot-tell.
        """
        ...
