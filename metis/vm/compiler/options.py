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
    instructions_max : instructions above which nothing is analysed.
    cost_ms_max : estimated CPU time of LLVM above which a contract is refused.
    inlined_cost_ms_max : the same, above which less is inlined.
    inline_sizes : sizes of functions to inline, from the most to the least.
    region_size : instructions in one machine function, about.
    code_size_max : bytes of bytecode above which a contract is refused.
    """

    level: int = 2
    instructions_max: int = 20_000
    cost_ms_max: float = 5000
    inlined_cost_ms_max: float = 2500
    inline_sizes: tuple[int, ...] = (40, 20, 8, 0)
    region_size: int = 1500
    code_size_max: int = 49_152
