"""
Make a failing case small: drop contracts, cut code, blank instructions, as long as the tiers still differ.

Blanking writes JUMPDEST, which does nothing, so positions and with them jump targets stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from fuzz.vm_case import Case

__all__ = ["minimise"]

JUMPDEST = 0x5B


def minimise(case: Case, still_fails: Callable[[Case], bool]) -> Case:
    """Return a case that fails too and from which no single step takes anything away."""
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for smaller in _steps(case):
            if smaller != case and still_fails(smaller):
                case, is_smaller = smaller, True
                break
    return case


def _steps(case: Case) -> Iterator[Case]:
    for index in range(len(case.callees)):
        yield replace(case, callees=case.callees[:index])
    if case.calldata:
        yield replace(case, calldata=b"")
    for code, put in _codes(case):
        size = len(code)
        while size >= 1:
            yield put(code[: len(code) - size])
            for start in range(0, len(code), size):
                blanked = code[:start] + bytes([JUMPDEST]) * len(code[start : start + size]) + code[start + size :]
                yield put(blanked)
            size //= 2


def _codes(case: Case) -> Iterator[tuple[bytes, Callable[[bytes], Case]]]:
    yield case.code, lambda code: replace(case, code=code)
    for index, callee in enumerate(case.callees):

        def put(code: bytes, index: int = index) -> Case:
            return replace(case, callees=(*case.callees[:index], code, *case.callees[index + 1 :]))

        yield callee, put
