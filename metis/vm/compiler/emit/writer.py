"""Lines, names and labels of one LLVM function, with the rare blocks kept behind the hot ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from metis.vm.compiler.abi import CONTEXT

__all__ = ["LIKELY", "UNLIKELY", "Writer"]

UNLIKELY = "!prof !1"
LIKELY = "!prof !2"
"""How a branch is marked: whether its first target is rarely or nearly always taken."""


class Writer:
    """Builds the text of a function."""

    def __init__(self) -> None:
        self.hot: list[str] = []
        self.rare: list[str] = []
        self.lines = self.hot
        self.label = ""
        self._names = 0

    def name(self) -> str:
        """Return a new value name."""
        self._names += 1
        return f"%v{self._names}"

    def new_label(self) -> str:
        """Return a new label."""
        self._names += 1
        return f"b{self._names}"

    def line(self, text: str) -> None:
        """Add an instruction without a result."""
        self.lines.append("  " + text)

    def let(self, text: str) -> str:
        """Add an instruction and return its result's name."""
        self._names += 1
        name = f"%v{self._names}"
        self.lines.append(f"  {name} = {text}")
        return name

    def begin(self, label: str) -> None:
        """Begin a block."""
        self.label = label
        self.lines.append(f"{label}:")

    @contextmanager
    def rarely(self, label: str) -> Iterator[None]:
        """Write a block among the rare ones, then go on where the hot code stopped."""
        lines, before = self.lines, self.label
        self.lines = self.rare
        self.begin(label)
        try:
            yield
        finally:
            self.lines, self.label = lines, before

    def branch_unlikely(self, condition: str, rare: str) -> None:
        """Go to a rare block if a condition holds; else go on in a new block."""
        following = self.new_label()
        self.line(f"br i1 {condition}, label %{rare}, label %{following}, {UNLIKELY}")
        self.begin(following)

    def field(self, name: str) -> str:
        """Return a pointer to a field of the context."""
        return self.let(f"getelementptr inbounds i8, ptr %context, i64 {CONTEXT[name]}")

    def load_field(self, name: str, kind: str = "i64", *, constant: bool = False) -> str:
        """Load a field of the context; ``constant``: it does not change during the call."""
        suffix = ", !invariant.load !0" if constant else ""
        return self.let(f"load {kind}, ptr {self.field(name)}, align 8, !tbaa !3{suffix}")

    def store_field(self, name: str, value: str) -> None:
        """Store a 64-bit field of the context."""
        self.line(f"store i64 {value}, ptr {self.field(name)}, align 8, !tbaa !3")
