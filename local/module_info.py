"""Make modules that a jar requires optional at run time, by changing the descriptor (`module-info.class`) in the jar.

The class file format is that of the Java Virtual Machine Specification, chapter 4 (4.1, 4.4 and 4.7.25).
"""

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

_DESCRIPTOR = "module-info.class"
_UTF8 = 1
_MODULE = 19
_TAKES_TWO = (5, 6)
_STATIC_PHASE = 0x0040
# What follows the tag of each other kind of constant, in bytes.
_LENGTHS = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}


def make_optional(jar: Path, names: frozenset[str]) -> list[str]:
    """Rewrite the jar so that the named modules needn't be there when it runs; returns those that it did require."""
    changed: list[str] = []
    fresh = jar.with_name(jar.name + ".new")
    with zipfile.ZipFile(jar) as old, zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == _DESCRIPTOR:
                content, changed = relaxed(content, names)
            new.writestr(entry, content)
    fresh.replace(jar)
    return changed


def relaxed(descriptor: bytes, names: frozenset[str]) -> tuple[bytes, list[str]]:
    """The descriptor with `requires static` in place of `requires` for these modules, and which of them it had."""
    content = bytearray(descriptor)
    texts, modules, at = _constants(content)
    # Access flags, this class, super class; then the number of interfaces, fields, methods: a descriptor has none.
    if struct.unpack_from(">3H", content, at + 6) != (0, 0, 0):
        raise ValueError("not the descriptor of a module")
    changed = []
    for name, start in _attributes(content, at + 12, texts):
        if name == "Module":
            # Name, flags, version, number of requirements; a requirement is module, flags, version.
            (count,) = struct.unpack_from(">H", content, start + 6)
            for place in range(start + 8, start + 8 + 6 * count, 6):
                module, flags = struct.unpack_from(">2H", content, place)
                if texts[modules[module]] in names:
                    struct.pack_into(">H", content, place + 2, flags | _STATIC_PHASE)
                    changed.append(texts[modules[module]])
    return bytes(content), changed


def _constants(content: bytearray) -> tuple[dict[int, str], dict[int, int], int]:
    """The texts and the modules (as the index of their name) of the constant pool, and where it ends."""
    (count,) = struct.unpack_from(">H", content, 8)
    texts: dict[int, str] = {}
    modules: dict[int, int] = {}
    at, index = 10, 1
    while index < count:
        tag = content[at]
        if tag == _UTF8:
            (length,) = struct.unpack_from(">H", content, at + 1)
            texts[index] = content[at + 3 : at + 3 + length].decode()
            at += 3 + length
        else:
            if tag == _MODULE:
                (modules[index],) = struct.unpack_from(">H", content, at + 1)
            at += 1 + _LENGTHS[tag]
        index += 2 if tag in _TAKES_TWO else 1
    return texts, modules, at


def _attributes(content: bytearray, at: int, texts: dict[int, str]) -> Iterator[tuple[str, int]]:
    """Each attribute's name, and where its content starts."""
    (count,) = struct.unpack_from(">H", content, at)
    at += 2
    for _ in range(count):
        name, length = struct.unpack_from(">HI", content, at)
        yield texts[name], at + 6
        at += 6 + length
