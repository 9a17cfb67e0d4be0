"""How much work the compiler may put into one contract."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """
    Limits and levels.

    Attributes
    ----------
    level : LLVM's optimisation level, 0 to 2.
    instructions_max : instructions above which a contract is refused.
    inlined_instructions_max : instructions, inlined copies included, above which less is inlined.
    inline_sizes : sizes of functions to inline, tried from the first to the last.
    region_size : instructions in one machine function, about.
    code_size_max : bytes of bytecode above which a contract is refused.
    """

    level: int = 2
    instructions_max: int = 9000
    inlined_instructions_max: int = 5000
    inline_sizes: tuple[int, ...] = (40, 20, 8, 0)
    region_size: int = 1500
    code_size_max: int = 49_152
