"""
The state of the EVM while a node is emitted, and the ways out of compiled code.

Slots are those of :mod:`metis.vm.compiler.frames`. A slot that is missing from :attr:`Machine.stack` is in
the stack's memory and is loaded when it is read; a slot whose word is not the one in
:attr:`Machine.stored` must be written before anybody else looks at the memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from metis.vm.compiler.abi import CAUSE_DYNAMIC_GAS, CAUSE_SECTION_GAS, STATUS_DEOPTIMISE, STATUS_LEFT, WORD_BYTES
from metis.vm.compiler.emit.writer import Writer
from metis.vm.compiler.opcodes import OpcodeTable
from metis.vm.compiler.sections import MEMORY_RESERVE
from metis.vm.compiler.values import UNKNOWN, Fact, constant_fact

__all__ = ["Machine", "State", "Word", "constant_word", "deoptimised"]


@dataclass(slots=True, eq=False)
class Word:
    """
    A stack word as an LLVM value.

    Attributes
    ----------
    text : the value, or a decimal number.
    width : its bits in LLVM (1, 64, 128 or 256); the word is its zero extension.
    fact : what is known.
    root, offset : the word is ``root`` + ``offset`` without wrapping where ``root``'s bounds were checked.
    """

    text: str
    width: int
    fact: Fact
    root: Word | None = None
    offset: int = 0


def constant_word(value: int) -> Word:
    """Return a known word."""
    return Word(str(value), 256, constant_fact(value))


def deoptimised(cause: int) -> str:
    """Return the status of a deoptimisation."""
    return str(STATUS_DEOPTIMISE | cause << 8)


@dataclass(frozen=True, slots=True)
class _Link:
    """A rare block that stores one word on the way out and goes on to the link before it in a chain."""

    slot: int
    word: Word
    label: str


@dataclass(slots=True)
class State:
    """
    What is known at one point of the emitted code.

    Attributes
    ----------
    stack : slot → word, where it is in an SSA value.
    stored : slot → the word that the stack's memory holds there, where known.
    height : of the stack.
    gas : LLVM value: gas left before what ``spent`` says.
    spent : static gas used since, not yet subtracted.
    cover : static gas that the last check covers from here on.
    base : LLVM value: the address of slot 0.
    checked : a word used as an address of memory → the size behind it that is known to be active.
    active : size of memory known to be active.
    chain : links that the last deoptimisation here went through, deepest slot first; the next one shares what
        has not changed.
    """

    stack: dict[int, Word]
    stored: dict[int, Word]
    height: int
    gas: str
    base: str
    spent: int = 0
    cover: int = 0
    checked: dict[Word, int] = field(default_factory=dict)
    active: int = 0
    chain: tuple[_Link, ...] = ()

    def copy(self) -> State:
        """Return an independent copy, for the other side of a branch."""
        return replace(self, stack=dict(self.stack), stored=dict(self.stored), checked=dict(self.checked))


class Machine:
    """Emits on a state; families of opcodes are functions that take one."""

    def __init__(self, writer: Writer, table: OpcodeTable, code_size: int) -> None:
        self.writer = writer
        self.table = table
        self.code_size = code_size
        self.state = State({}, {}, 0, "0", "%stack")
        self.pc = 0
        self.static_gas = 0
        """Of the current instruction; part of ``spent`` already."""
        self.dynamic_gas = ""
        """LLVM value: charged for the current instruction beyond that."""
        self.is_ended = False
        """Nothing can follow: the code here always leaves."""
        self.links: list[str] = []
        self.has_left = False

    # The stack.

    def peek(self, depth: int = 0) -> Word:
        """Return the word ``depth`` below the top."""
        return self.read(self.state.height - 1 - depth)

    def read(self, slot: int) -> Word:
        """Return a slot's word, loading it if it is only in memory."""
        word = self.state.stack.get(slot)
        if word is None:
            word = Word(self.load_slot(slot), 256, UNKNOWN)
            self.state.stack[slot] = self.state.stored[slot] = word
        return word

    def load_slot(self, slot: int) -> str:
        """Load a slot from the stack's memory."""
        return self.writer.let(f"load i256, ptr {self.slot_address(slot)}, align 8, !tbaa !4")

    def slot_address(self, slot: int) -> str:
        """Address of a slot."""
        return self.writer.let(f"getelementptr inbounds i8, ptr {self.state.base}, i64 {WORD_BYTES * slot}")

    def drop(self, count: int) -> None:
        """Take words off the stack."""
        state = self.state
        for slot in range(state.height - count, state.height):
            state.stack.pop(slot, None)
            state.stored.pop(slot, None)
        state.height -= count

    def push(self, word: Word) -> None:
        """Put a word on the stack."""
        state = self.state
        state.stack[state.height] = word
        state.stored.pop(state.height, None)
        state.height += 1

    def rewrite(self, count: int, word: Word) -> None:
        """Take words off and put one on: the effect of most opcodes."""
        self.drop(count)
        self.push(word)

    # Widths.

    def at(self, word: Word, width: int) -> str:
        """Return a word's value with ``width`` bits; narrower than the word only cuts bits off."""
        if word.fact.constant is not None:
            return str(word.fact.constant & ((1 << width) - 1))
        if word.width == width:
            return word.text
        if word.width < width:
            return self.writer.let(f"zext i{word.width} {word.text} to i{width}")
        return self.writer.let(f"trunc i{word.width} {word.text} to i{width}")

    def wide(self, word: Word) -> str:
        """Return a word's value with 256 bits."""
        return self.at(word, 256)

    # Leaving.

    def write_back(self) -> None:
        """Store every word of the stack whose memory is stale."""
        state = self.state
        for slot, word in state.stack.items():
            if state.stored.get(slot) is not word:
                self.store_slot(slot, word)
                state.stored[slot] = word

    def store_slot(self, slot: int, word: Word) -> None:
        """Store one word to the stack's memory."""
        self.writer.line(f"store i256 {self.wide(word)}, ptr {self.slot_address(slot)}, align 8, !tbaa !4")

    def top(self) -> str:
        """Address behind the top word."""
        return self.slot_address(self.state.height)

    def store_length(self, top: str | None = None) -> None:
        """Tell the context how many words are on the stack."""
        writer = self.writer
        if top is None:
            base = writer.let(f"ptrtoint ptr {self.state.base} to i64")
            size = writer.let(f"sub i64 {base}, %stack_address")
            words = writer.let(f"ashr exact i64 {size}, 5")
            writer.store_field("stack_length", writer.let(f"add i64 {words}, {self.state.height}"))
            return
        end = writer.let(f"ptrtoint ptr {top} to i64")
        size = writer.let(f"sub i64 {end}, %stack_address")
        writer.store_field("stack_length", writer.let(f"lshr exact i64 {size}, 5"))

    def gas_now(self) -> str:
        """Gas as tier 0 has it behind the current instruction's static gas."""
        return self._gas_less(self.state.spent)

    def gas_before(self) -> str:
        """Gas as tier 0 has it before the current instruction."""
        gas = self._gas_less(self.state.spent - self.static_gas)
        return self.writer.let(f"add i64 {gas}, {self.dynamic_gas}") if self.dynamic_gas else gas

    def begin_instruction(self, pc: int, static_gas: int) -> None:
        """Go to an instruction whose static gas is spent from here on."""
        self.pc, self.static_gas, self.dynamic_gas = pc, static_gas, ""
        self.state.spent += static_gas
        self.state.cover -= static_gas

    def _gas_less(self, spent: int) -> str:
        return self.writer.let(f"sub i64 {self.state.gas}, {spent}") if spent else self.state.gas

    def settle(self) -> None:
        """Subtract what was spent, for a place where ways with different pasts meet."""
        self.state.gas = self._gas_less(self.state.spent)
        self.state.spent = 0

    def deoptimise(self, cause: int) -> None:
        """Leave to tier 0 before the current instruction; ends the block."""
        state = self.state
        stale = sorted(slot for slot, word in state.stack.items() if state.stored.get(slot) is not word)
        shared = 0
        for link, slot in zip(state.chain, stale, strict=False):
            if link.slot != slot or link.word is not state.stack[slot]:
                break
            shared += 1
        state.chain = state.chain[:shared]
        for slot in stale[shared:]:
            self._add_link(slot, state.stack[slot])
        behind = state.chain[-1].label if state.chain else "deoptimise"
        self.leave(self.top(), self.gas_before(), str(self.pc), deoptimised(cause), behind)

    def _add_link(self, slot: int, word: Word) -> None:
        writer, state = self.writer, self.state
        label = writer.new_label()
        lines, writer.lines = writer.lines, self.links
        self.links.append(f"{label}:")
        self.store_slot(slot, word)
        writer.line(f"br label %{state.chain[-1].label if state.chain else 'deoptimise'}")
        writer.lines = lines
        state.chain = (*state.chain, _Link(slot, word, label))

    def leave(self, top: str, gas: str, pc: str, status: str, behind: str = "deoptimise") -> None:
        """
        Leave to tier 0 by a block that stores what is stale; ends the block.

        The address behind the stack, and position and status in one, go through fields of the context; the last
        block turns them into what the engine wants.
        """
        writer = self.writer
        writer.line(f"store ptr {top}, ptr {writer.field('stack_length')}, align 8, !tbaa !3")
        writer.store_field("gas", gas)
        if pc.isdigit() and status.isdigit():
            both = str(int(status) << 32 | int(pc))
        else:
            high = writer.let(f"shl i64 {status if status.isdigit() else writer.let(f'zext i32 {status} to i64')}, 32")
            both = writer.let(f"or i64 {high}, {pc}")
        writer.store_field("pc", both)
        writer.line(f"br label %{behind}")

    def deoptimise_if(self, condition: str, cause: int) -> None:
        """Leave to tier 0 before the current instruction if a condition holds. Its operands must still be there."""
        label = self.writer.new_label()
        with self.writer.rarely(label):
            self.deoptimise(cause)
        self.writer.branch_unlikely(condition, label)

    def deoptimise_always(self, cause: int) -> None:
        """Leave to tier 0 here; what follows in the node is not reached."""
        self.deoptimise(cause)
        self.is_ended = True

    def charge(self, amount: str) -> None:
        """Charge dynamic gas, deoptimising where less than the covered static gas would remain."""
        state, writer = self.state, self.writer
        needed = writer.let(f"add i64 {amount}, {state.spent + state.cover + MEMORY_RESERVE}")
        self.deoptimise_if(writer.let(f"icmp ult i64 {state.gas}, {needed}"), CAUSE_DYNAMIC_GAS)
        state.gas = writer.let(f"sub i64 {state.gas}, {amount}")
        self.dynamic_gas = amount

    def check_cover(self, cover: int) -> None:
        """Check that gas covers all ways from here to the next check."""
        state = self.state
        state.cover = cover
        if cover:
            condition = self.writer.let(f"icmp ult i64 {state.gas}, {state.spent + cover + MEMORY_RESERVE}")
            self.deoptimise_if(condition, CAUSE_SECTION_GAS)

    def finish(self) -> None:
        """Write the blocks that all ways out share."""
        writer = self.writer
        writer.lines = writer.rare
        writer.lines += self.links
        writer.begin("deoptimise")
        size = writer.let(f"sub i64 {writer.load_field('stack_length')}, %stack_address")
        writer.store_field("stack_length", writer.let(f"lshr exact i64 {size}, 5"))
        both = writer.load_field("pc")
        writer.store_field("pc", writer.let(f"and i64 {both}, {(1 << 32) - 1}"))
        status = writer.let(f"lshr i64 {both}, 32")
        writer.line(f"ret i32 {writer.let(f'trunc i64 {status} to i32')}")
        if self.has_left:
            writer.begin("left")
            writer.line(f"ret i32 {STATUS_LEFT}")
