"""Words of memory and C functions by their address, for compiled loops.

Numba's cache notices a change of a loop's own file only: after a change here, touch `loops.py`.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba.core import cgutils as numba_cgutils
from numba.core import types
from numba.extending import intrinsic

cgutils: Any = numba_cgutils
F = TypeVar("F", bound=Callable[..., object])


def _intrinsic(function: Callable[..., Any]) -> Any:
    """Numba's decorator. A loop calls the result without the typing context."""
    return intrinsic(function)


@_intrinsic
def call(typing_context: Any, address: Any, arguments: Any) -> Any:
    """Call the C function at `address` with a tuple of 64-bit integers (sizes and pointers alike); its int."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        given = cgutils.unpack_tuple(builder, values[1])
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(64)] * len(given))
        return builder.call(builder.inttoptr(values[0], kind.as_pointer()), given)

    return types.int32(address, arguments), build


def _reader(bits: int) -> Any:
    @_intrinsic
    def read(typing_context: Any, address: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            word = ir.IntType(bits)
            loaded = builder.load(builder.inttoptr(values[0], word.as_pointer()), align=1)
            return loaded if bits == 64 else builder.zext(loaded, ir.IntType(64))

        return types.int64(address), build

    return read


def _writer(bits: int) -> Any:
    @_intrinsic
    def write(typing_context: Any, address: Any, number: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            word = ir.IntType(bits)
            short = values[1] if bits == 64 else builder.trunc(values[1], word)
            builder.store(short, builder.inttoptr(values[0], word.as_pointer()), align=1)
            return context.get_dummy_value()

        return types.void(address, number), build

    return write


read8, read16, read32, read64 = _reader(8), _reader(16), _reader(32), _reader(64)
write8, write32, write64 = _writer(8), _writer(32), _writer(64)


@_intrinsic
def swap(typing_context: Any, number: Any) -> Any:
    """The 8 bytes of a word in reverse order."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bswap(values[0])

    return types.int64(number), build


@_intrinsic
def leading_zeros(typing_context: Any, number: Any) -> Any:
    """How many of a word's highest bits are zero."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.ctlz(values[0], cgutils.false_bit)

    return types.int64(number), build


@_intrinsic
def copy(typing_context: Any, target: Any, source: Any, size: Any) -> Any:
    """Copy `size` bytes that don't overlap."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        cgutils.raw_memcpy(builder, builder.inttoptr(values[0], byte), builder.inttoptr(values[1], byte), values[2], 1)
        return context.get_dummy_value()

    return types.void(target, source, size), build


@_intrinsic
def fetch(typing_context: Any, address: Any) -> Any:
    """Ask the cache for a line that will soon be read."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [builder.inttoptr(values[0], byte), flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(address), build


def compiled(function: F) -> F:
    """Compile at the first call, and keep the machine code for the next process where a folder can be written."""
    try:
        return cast("F", numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # no such folder, as in a container whose root is read-only
        return cast("F", numba.njit(nogil=True)(function))
