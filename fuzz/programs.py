"""
Random contracts for the virtual machine: mostly valid, on purpose close to what compilers get wrong.

Stack words that live across branches and loops, internal functions with return addresses on the stack,
jumps whose target is computed, memory that grows in the middle of a straight line, effects just before gas
runs out, calls that come back, creations. A program ends by returning what is on its stack.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

__all__ = ["Program", "random_program", "random_word"]

_UNARY = (0x15, 0x19, 0x1E)
_BINARY = (*range(0x01, 0x08), 0x0A, 0x0B, *range(0x10, 0x15), *range(0x16, 0x19), *range(0x1A, 0x1E))
_TERNARY = (0x08, 0x09)
_VALUES = (0x30, 0x33, 0x34, 0x36, 0x38, 0x3D, 0x58, 0x59, 0x5A, 0x42, 0x43, 0x47, 0x32)
_EDGES = (
    0,
    1,
    2,
    31,
    32,
    33,
    255,
    256,
    (1 << 31) - 1,
    1 << 31,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
    1 << 64,
)

_SLOTS = (0, 0, 1, 2, 128, 1 << 64)
"""Few, so that they are met again; some share their lowest bits."""


def random_word(random: Random) -> int:
    """Return a word that is small, at an edge, negative or anything."""
    kind = random.randrange(6)
    if kind < 2:
        return random.randrange(5)
    if kind == 2:
        return random.choice(_EDGES)
    if kind == 3:
        return (-random.choice(_EDGES)) % (1 << 256)
    if kind == 4:
        return ((1 << random.randrange(257)) + random.randrange(-2, 3)) % (1 << 256)
    return random.getrandbits(random.choice((8, 64, 65, 128, 160, 256)))


@dataclass
class Program:
    """
    Code under construction.

    Attributes
    ----------
    code : bytes so far; label references are two zero bytes to be filled in.
    depth : stack words that this run of the program certainly has.
    """

    random: Random
    callees: tuple[bytes, ...] = ()
    code: bytearray = field(default_factory=bytearray)
    depth: int = 0
    references: list[tuple[int, int]] = field(default_factory=list)
    labels: dict[int, int] = field(default_factory=dict)
    functions: list[tuple[int, int, int]] = field(default_factory=list)
    budget: int = 120

    def op(self, *opcodes: int) -> None:
        """Add opcodes as they are."""
        self.code += bytes(opcodes)

    def push(self, value: int) -> None:
        """Push a word, now and then wider than needed."""
        size = max(1, (value.bit_length() + 7) // 8)
        if self.random.randrange(8) == 0:
            size = self.random.randrange(size, 33)
        self.op(0x5F + size)
        self.code += value.to_bytes(size, "big")
        self.depth += 1

    def new_label(self) -> int:
        """Return a label to be placed later."""
        self.labels[len(self.labels)] = -1
        return len(self.labels) - 1

    def push_label(self, label: int) -> None:
        """Push the position of a label."""
        self.op(0x61)
        self.references.append((len(self.code), label))
        self.code += b"\0\0"
        self.depth += 1

    def place(self, label: int) -> None:
        """Put a JUMPDEST here."""
        self.labels[label] = len(self.code)
        self.op(0x5B)

    def finish(self) -> bytes:
        """Return the code with its labels filled in."""
        for position, label in self.references:
            self.code[position : position + 2] = max(0, self.labels[label]).to_bytes(2, "big")
        return bytes(self.code)

    # Statements.

    def need(self, count: int) -> None:
        """Push until there are enough words."""
        while self.depth < count:
            self.push(random_word(self.random))

    def statement(self, nesting: int) -> None:
        """Add one statement of any kind."""
        self.budget -= 1
        random = self.random
        choices = (
            (30, self.arithmetic),
            (14, self.juggle),
            (14, self.memory),
            (3, self.keccak),
            (6, self.value),
            (6, self.storage),
            (2, self.log),
            (3, self.copy),
            (3, self.call),
            (1, self.create),
            (1, self.strange),
        )
        flow = ((5, self.branch), (4, self.loop), (6, self.function_call), (2, self.computed_jump))
        if nesting < 3 and self.budget > 0 and random.randrange(6) == 0:
            random.choices([action for _, action in flow], [weight for weight, _ in flow])[0](nesting)
        else:
            random.choices([action for _, action in choices], [weight for weight, _ in choices])[0]()

    def block(self, nesting: int, length: int) -> None:
        """Add some statements."""
        for _ in range(length):
            self.statement(nesting)

    def arithmetic(self) -> None:
        """Add an operation on the stack."""
        random = self.random
        kind = random.randrange(12)
        if kind == 0:
            self.need(1)
            self.op(random.choice(_UNARY))
        elif kind == 1:
            self.need(3)
            self.op(random.choice(_TERNARY))
            self.depth -= 2
        else:
            if random.randrange(2):
                self.push(random_word(random))
            self.need(2)
            self.op(random.choice(_BINARY))
            self.depth -= 1

    def juggle(self) -> None:
        """Move words on the stack."""
        random = self.random
        kind = random.randrange(5)
        if kind < 2:
            self.need(1)
            self.op(0x80 + random.randrange(min(16, self.depth)))
            self.depth += 1
        elif kind < 4:
            self.need(2)
            self.op(0x90 + random.randrange(min(16, self.depth - 1)))
        elif self.depth > 3:
            self.op(0x50)
            self.depth -= 1
        else:
            self.push(random_word(random))

    def offset(self) -> None:
        """Push an offset or size that is nearly always small."""
        random = self.random
        kind = random.randrange(40)
        if kind == 0:
            self.push(random_word(random))
        elif kind < 4:
            self.push(random.randrange(3000))
        elif kind < 8:
            self.need(1)
            self.op(0x80)
            self.depth += 1
            self.push(random.choice((0x1F, 0xFF, 0x1FF)))
            self.op(0x16)
            self.depth -= 1
            if random.randrange(2):
                self.push(random.randrange(200))
                self.op(0x01)
                self.depth -= 1
        else:
            self.push(random.choice((0, 0, 1, 31, 32, 64, 100)))

    def memory(self) -> None:
        """Read or write memory."""
        kind = self.random.randrange(3)
        if kind == 0:
            self.offset()
            self.op(0x51)
            return
        self.need(1)
        self.offset()
        self.op(0x52 if kind == 1 else 0x53)
        self.depth -= 2

    def keccak(self) -> None:
        """Hash memory."""
        self.offset()
        self.offset()
        self.op(0x20)
        self.depth -= 1

    def value(self) -> None:
        """Push a value of the environment, or a word of call data."""
        if self.random.randrange(3) == 0:
            self.offset()
            self.op(0x35)
        else:
            self.op(self.random.choice(_VALUES))
            self.depth += 1

    def storage(self) -> None:
        """Read or write storage, permanent or transient."""
        random = self.random
        slot = random.choice(_SLOTS)
        if random.randrange(2):
            self.push(slot)
            self.op(random.choice((0x54, 0x5C)))
        else:
            self.need(1)
            self.push(slot)
            self.op(random.choice((0x55, 0x5D)))
            self.depth -= 2

    def log(self) -> None:
        """Emit a log."""
        count = self.random.randrange(3)
        self.need(count)
        self.offset()
        self.offset()
        self.op(0xA0 + count)
        self.depth -= 2 + count

    def copy(self) -> None:
        """Copy into memory."""
        for _ in range(3):
            self.offset()
        self.op(self.random.choice((0x37, 0x39, 0x5E, 0x3E)))
        self.depth -= 3

    def call(self) -> None:
        """Call somebody: another contract, itself, a precompile, nobody."""
        random = self.random
        kind = random.choice((0xF1, 0xF1, 0xF2, 0xF4, 0xFA))
        for _ in range(4):
            self.push(random.choice((0, 0, 32, 64)))
        if kind in (0xF1, 0xF2):
            self.push(random.choice((0, 0, 0, 1)))
        target = random.randrange(5)
        if target == 0 or not self.callees:
            self.op(0x30)
            self.depth += 1
        elif target == 1:
            self.push(random.choice((2, 4, 0xDEAD)))
        else:
            self.push(int.from_bytes(random.choice(self.callees), "big"))
        if random.randrange(3):
            self.push(random.choice((0, 500, 3000, 20000)))
        else:
            self.op(0x5A)
            self.depth += 1
        self.op(kind)
        self.depth -= 6 if kind in (0xF1, 0xF2) else 5

    def create(self) -> None:
        """Create a contract from memory."""
        kind = self.random.choice((0xF0, 0xF5))
        if kind == 0xF5:
            self.push(self.random.randrange(3))
        self.push(self.random.choice((0, 10, 32)))
        self.push(0)
        self.push(0)
        self.op(kind)
        self.depth -= 3 if kind == 0xF5 else 2

    def strange(self) -> None:
        """Add something that usually fails."""
        kind = self.random.randrange(5)
        if kind == 0:
            self.op(self.random.randrange(256))
        elif kind == 1:
            self.op(self.random.choice((0x50, 0x01, 0x92, 0x85, 0x8F)))
        elif kind == 2:
            self.push(self.random.randrange(400))
            self.op(0x56)
        else:
            self.push(self.random.choice((0, 1)))
            self.push(self.random.randrange(400))
            self.op(0x57)
            self.depth -= 2

    # Control flow.

    def branch(self, nesting: int) -> None:
        """An if, with or without else; both ways leave as many words."""
        self.need(1)
        depth = self.depth - 1
        other, end = self.new_label(), self.new_label()
        self.push_label(other)
        self.op(0x57)
        self.depth = depth
        self.block(nesting + 1, self.random.randrange(4))
        self.level(depth)
        self.push_label(end)
        self.op(0x56)
        self.depth = depth
        self.place(other)
        self.block(nesting + 1, self.random.randrange(4))
        self.level(depth)
        self.place(end)

    def level(self, depth: int) -> None:
        """Bring the stack to a depth."""
        while self.depth > depth:
            self.op(0x50)
            self.depth -= 1
        self.need(depth)

    def loop(self, nesting: int) -> None:
        """Count down from a small number, or until gas runs out."""
        self.push(self.random.randrange(1, 6))
        depth = self.depth
        head, end = self.new_label(), self.new_label()
        self.place(head)
        self.op(0x80, 0x15)
        self.depth += 1
        self.push_label(end)
        self.op(0x57)
        self.depth = depth
        self.push(1)
        self.op(0x90, 0x03)
        self.depth = depth
        self.block(nesting + 1, self.random.randrange(1, 5))
        if self.random.randrange(25):
            self.level(depth)
        self.push_label(head)
        self.op(0x56)
        self.depth = depth
        self.place(end)
        self.op(0x50)
        self.depth -= 1

    def function_call(self, nesting: int) -> None:  # noqa: ARG002 - as all control flow has it
        """Call an internal function: its return address lies below its arguments."""
        random = self.random
        if not self.functions or random.randrange(3) == 0:
            arguments = random.randrange(4)
            self.functions.append((self.new_label(), arguments, random.randrange(3)))
        label, arguments, results = random.choice(self.functions)
        back = self.new_label()
        depth = self.depth
        self.push_label(back)
        for _ in range(arguments):
            self.push(random_word(random))
        self.push_label(label)
        self.op(0x56)
        self.place(back)
        self.depth = depth + results

    def computed_jump(self, nesting: int) -> None:
        """Jump to one of two labels, chosen by arithmetic."""
        first, second, end = self.new_label(), self.new_label(), self.new_label()
        self.need(1)
        self.op(0x80, 0x15)
        self.depth += 1
        self.push_label(first)
        self.push_label(second)
        self.op(0x03, 0x02)
        self.push_label(second)
        self.op(0x03)
        self.depth -= 4
        depth = self.depth
        self.op(0x56)
        self.place(first)
        self.depth = depth
        self.statement(nesting + 1)
        self.level(depth)
        self.push_label(end)
        self.op(0x56)
        self.depth = depth
        self.place(second)
        self.statement(nesting + 1)
        self.level(depth)
        self.place(end)

    def write_functions(self) -> None:
        """Add the bodies of the functions that were called; they may call on, themselves included."""
        done = 0
        while done < len(self.functions):
            label, arguments, results = self.functions[done]
            done += 1
            self.place(label)
            self.depth = arguments
            self.block(2, self.random.randrange(1, 5))
            self.level(results)
            if results:
                self.op(0x8F + results)  # the return address lies below the results
            self.op(0x56)


def random_program(random: Random, callees: tuple[bytes, ...] = ()) -> bytes:
    """Return the code of a random contract that may call ``callees``."""
    program = Program(random, callees, budget=random.choice((10, 30, 80)))
    program.block(0, random.randrange(3, 25))
    ending = random.randrange(10)
    for index in range(min(program.depth, 6)):
        program.push(32 * index)
        program.op(0x52)
        program.depth -= 2
    program.push(192)
    program.push(0)
    program.op((0xF3, 0xF3, 0xF3, 0xF3, 0xF3, 0xF3, 0xFD, 0x00, 0xFF, 0xFE)[ending])
    program.write_functions()
    return program.finish()
