"""Several byte strings as one, so that no two lists of parts look alike."""

Part = str | bytes


def frame(*parts: Part) -> bytes:
    """Each part as its length (4 bytes, big endian) and its bytes; text as UTF-8.

    Injective over lists of parts: ("ab", "c") and ("a", "bc") differ. Authenticated as associated data,
    never stored. A text and its own UTF-8 bytes are the same part.
    """
    framed = bytearray()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        framed += len(raw).to_bytes(4, "big") + raw
    return bytes(framed)
