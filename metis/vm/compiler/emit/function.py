"""
One region → one LLVM function.

A node with one edge into it inherits the values of its predecessor; one with several begins with phis for
the slots that are live. Entries, and jumps between frames, pass a *stub*: it works out where slot 0 is,
checks the bounds of the stack for the whole frame, and loads what the node wants in SSA values.
"""

from __future__ import annotations

from collections.abc import Callable

from metis.vm.compiler.abi import CAUSE_JUMP, CAUSE_OTHER, CAUSE_SECTION_GAS, CAUSE_STACK, STACK_WORDS_MAX, WORD_BYTES
from metis.vm.compiler.decode import Instruction
from metis.vm.compiler.emit import arithmetic, bits, division, memory, stack, storage
from metis.vm.compiler.emit.control import DynamicJump, Edge, end_node, fresh_state
from metis.vm.compiler.emit.environment import ENVIRONMENT
from metis.vm.compiler.emit.machine import Machine, State, Word, constant_word, deoptimised
from metis.vm.compiler.emit.step import leaving_step, step
from metis.vm.compiler.emit.writer import Writer
from metis.vm.compiler.frames import Placed
from metis.vm.compiler.opcodes import Op, OpcodeTable, is_push
from metis.vm.compiler.regions import Region
from metis.vm.compiler.sections import MEMORY_RESERVE, find_sections, section_costs
from metis.vm.compiler.values import UNKNOWN, Fact

__all__ = ["FunctionEmitter"]

_DIVISIONS = frozenset({Op.DIV, Op.SDIV, Op.MOD, Op.SMOD})
_RING = frozenset({Op.ADD, Op.MUL, Op.SUB})
_BINARY_BITS = frozenset({Op.LT, Op.GT, Op.SLT, Op.SGT, Op.EQ, Op.AND, Op.OR, Op.XOR, Op.BYTE})
_SHIFTS = frozenset({Op.SHL, Op.SHR, Op.SAR})


class FunctionEmitter:
    """Emits one region; :meth:`emit` returns its text."""

    def __init__(
        self, region: Region, table: OpcodeTable, code_size: int, region_of_entry: dict[int, int], targets: list[int]
    ) -> None:
        self.region = region
        self.table = table
        self.region_of_entry = region_of_entry
        self.targets = targets
        self.machine = Machine(Writer(), table, code_size)
        self.sections = find_sections(region.nodes, table)
        self.numbers = {id(item): number for number, item in enumerate(region.nodes)}
        self.by_entry = {item.node.pc: item for item in region.nodes if item.node.is_external}
        self.edges: dict[int, list[Edge]] = {}
        self.stub_edges: dict[int, list[tuple[str, str, str]]] = {}
        self.dynamic_jumps: list[DynamicJump] = []
        self.pending: list[tuple[Placed, State]] = []
        self.headers: list[tuple[int, Placed]] = []

    # Names.

    def label_of(self, item: Placed) -> str:
        """Label of a node's code."""
        return f"n{self.numbers[id(item)]}"

    def stub_of(self, item: Placed) -> str:
        """Label of a node's stub."""
        return f"s{self.numbers[id(item)]}"

    def is_join(self, item: Placed) -> bool:
        """Whether a node begins with phis."""
        return len(item.predecessors) + item.is_entered > 1

    # Edges.

    def follow(self, item: Placed, state: State) -> None:
        """Emit a node later, in the state that its only edge brings."""
        self.pending.append((item, state))

    def edge_to(self, item: Placed) -> None:
        """End the block with an edge to a join."""
        machine = self.machine
        machine.settle()
        words = {slot: machine.at(machine.read(slot), width) for slot, width in self.phi_widths(item).items()}
        edge = Edge(machine.writer.label, machine.state.gas, machine.state.base, words)
        self.edges.setdefault(id(item), []).append(edge)
        machine.writer.line(f"br label %{self.label_of(item)}")

    def cross_to(self, item: Placed) -> None:
        """End the block by going to a node of this region through the stack's memory."""
        machine = self.machine
        machine.write_back()
        machine.settle()
        self.stub_edges.setdefault(id(item), []).append((machine.writer.label, machine.top(), machine.state.gas))
        machine.writer.line(f"br label %{self.stub_of(item)}")

    def cross_to_pc(self, pc: int) -> None:
        """End the block by going to an entry of this or another region through the stack's memory."""
        item = self.by_entry.get(pc)
        if item is not None:
            self.cross_to(item)
            return
        machine = self.machine
        machine.write_back()
        machine.settle()
        self._tail_call(self.region_of_entry[pc], str(pc), machine.top(), machine.state.gas)

    def _tail_call(self, region: int, pc: str, top: str, gas: str) -> None:
        writer = self.machine.writer
        self.machine.store_length(top)
        writer.store_field("gas", gas)
        result = writer.let(f"musttail call i32 @region_{region}(ptr %context, i32 {pc})")
        writer.line(f"ret i32 {result}")

    # Nodes.

    def phi_widths(self, item: Placed) -> dict[int, int]:
        """Slots that begin as phis → their widths."""
        widths: dict[int, int] = {}
        for slot in item.live:
            fact = self.entry_fact(item, slot)
            if fact.constant is None:
                widths[slot] = 1 if fact.bits <= 1 else arithmetic.narrow_width(fact.bits)
        return widths

    @staticmethod
    def entry_fact(item: Placed, slot: int) -> Fact:
        """Return what is known about a slot at a node's start."""
        depth = item.height - slot
        return item.node.entry[-depth] if depth <= len(item.node.entry) else UNKNOWN

    def emit(self) -> list[str]:
        """Return the function's lines."""
        machine, writer = self.machine, self.machine.writer
        header = f"define dso_local i32 @region_{self.region.index}(ptr noalias %context, i32 %pc) #0 {{"
        writer.begin("entry")
        entry_at = len(writer.lines)
        for item in self.region.nodes:
            if item.is_entered or self.is_join(item):
                self._emit_start(item)
                self._emit_pending()
        self._emit_dynamic()
        self._emit_stubs()
        prologue = self._prologue()
        machine.finish()
        self._fill_phis()
        return [header, *writer.hot[:entry_at], *prologue, *writer.hot[entry_at:], *writer.rare, "}"]

    def _emit_pending(self) -> None:
        while self.pending:
            item, state = self.pending.pop()
            self.machine.state = state
            self.machine.writer.begin(self.label_of(item))
            self._emit_body(item)

    def _emit_start(self, item: Placed) -> None:
        """Emit a node that begins with phis, or is reached only through its stub."""
        writer = self.machine.writer
        writer.begin(self.label_of(item))
        name = self.label_of(item)
        self.headers.append((len(writer.lines), item))
        writer.line("")
        state = fresh_state(item.height, f"%{name}.gas", f"%{name}.base")
        widths = self.phi_widths(item)
        for slot in item.live:
            fact = self.entry_fact(item, slot)
            if slot in widths:
                word = Word(f"%{name}.{_slot_name(slot)}", widths[slot], fact)
            else:
                word = constant_word(fact.constant or 0)
            state.stack[slot] = word
            if slot not in item.dirty:
                state.stored[slot] = word
        self.machine.state = state
        self._emit_body(item)

    def _fill_phis(self) -> None:
        writer = self.machine.writer
        for position, item in self.headers:
            edges = self.edges.get(id(item), [])
            name = self.label_of(item)
            lines = [
                _phi(f"%{name}.gas", "i64", [(edge.gas, edge.label) for edge in edges]),
                _phi(f"%{name}.base", "ptr", [(edge.base, edge.label) for edge in edges]),
            ]
            lines += [
                _phi(f"%{name}.{_slot_name(slot)}", f"i{width}", [(edge.words[slot], edge.label) for edge in edges])
                for slot, width in self.phi_widths(item).items()
            ]
            writer.hot[position] = "\n".join(lines)

    def _emit_stubs(self) -> None:
        """Emit the way in through memory, for all nodes that have one."""
        machine, writer = self.machine, self.machine.writer
        writer.lines = writer.hot
        for item in self.region.nodes:
            if not item.is_entered:
                continue
            number = self.numbers[id(item)]
            writer.begin(self.stub_of(item))
            incoming = list(self.stub_edges.get(id(item), []))
            if item.node.is_external:
                incoming.append(("entry", "%entry_top", "%entry_gas"))
                if self.dynamic_jumps and item.node.pc in self.targets:
                    incoming.append(("jump", "%jump_top", "%jump_gas"))
            top, gas = f"%s{number}.top", f"%s{number}.gas"
            writer.line(_phi(top, "ptr", [(edge_top, label) for label, edge_top, _ in incoming]).strip())
            writer.line(_phi(gas, "i64", [(edge_gas, label) for label, _, edge_gas in incoming]).strip())
            self._check_entry(item, top, gas)
            base = writer.let(f"getelementptr inbounds i8, ptr {top}, i64 {-WORD_BYTES * item.height}")
            machine.state = fresh_state(item.height, gas, base)
            self.edge_to(item)

    def _check_entry(self, item: Placed, top: str, gas: str) -> None:
        """
        Leave to tier 0 where what follows could take too much from the stack or put too much on it, or where gas
        does not cover the ways to the next check.
        """
        machine, writer = self.machine, self.machine.writer
        below = (item.height - item.lowest) * WORD_BYTES
        above = (item.highest - item.height) * WORD_BYTES
        room = max(0, STACK_WORDS_MAX * WORD_BYTES - above - below)
        size = writer.let(f"sub i64 {writer.let(f'ptrtoint ptr {top} to i64')}, %stack_address")
        spare = writer.let(f"sub i64 {size}, {below}") if below else size
        is_outside = (
            writer.let(f"icmp ugt i64 {spare}, {room}") if above + below <= STACK_WORDS_MAX * WORD_BYTES else "true"
        )
        status = deoptimised(CAUSE_STACK)
        condition = is_outside
        cover = 0 if id(item) in self.sections.checked else self.sections.head[id(item)]
        if cover:
            is_short = writer.let(f"icmp ult i64 {gas}, {cover + MEMORY_RESERVE}")
            condition = writer.let(f"or i1 {is_outside}, {is_short}")
            status = writer.let(f"select i1 {is_outside}, i32 {status}, i32 {deoptimised(CAUSE_SECTION_GAS)}")
        label = writer.new_label()
        with writer.rarely(label):
            machine.leave(top, gas, str(item.node.pc), status)
        writer.branch_unlikely(condition, label)

    def _emit_dynamic(self) -> None:
        """Emit the switch over the targets of unresolved jumps."""
        jumps = self.dynamic_jumps
        if not jumps:
            return
        machine, writer = self.machine, self.machine.writer
        writer.lines = writer.hot
        writer.begin("jump")
        for name, kind, values in (
            ("%jump_target", "i32", [(jump.target, jump.label) for jump in jumps]),
            ("%jump_pc", "i64", [(jump.pc, jump.label) for jump in jumps]),
            ("%jump_top", "ptr", [(jump.top, jump.label) for jump in jumps]),
            ("%jump_top_before", "ptr", [(jump.top_before, jump.label) for jump in jumps]),
            ("%jump_gas", "i64", [(jump.gas, jump.label) for jump in jumps]),
            ("%jump_gas_before", "i64", [(jump.gas_before, jump.label) for jump in jumps]),
        ):
            writer.line(_phi(name, kind, values).strip())
        cases: list[str] = []
        elsewhere: set[int] = set()
        for pc in self.targets:
            item = self.by_entry.get(pc)
            if item is not None:
                cases.append(f"i32 {pc}, label %{self.stub_of(item)}")
            else:
                region = self.region_of_entry[pc]
                elsewhere.add(region)
                cases.append(f"i32 {pc}, label %to_{region}")
        writer.line(f"switch i32 %jump_target, label %jump_unknown [ {' '.join(cases)} ]")
        writer.lines = writer.rare
        writer.begin("jump_unknown")
        machine.leave("%jump_top_before", "%jump_gas_before", "%jump_pc", deoptimised(CAUSE_JUMP))
        for region in sorted(elsewhere):
            writer.begin(f"to_{region}")
            self._tail_call(region, "%jump_target", "%jump_top", "%jump_gas")

    def _prologue(self) -> list[str]:
        """Return the entry block: the switch over entries."""
        machine, writer = self.machine, self.machine.writer
        lines: list[str] = []
        writer.lines = lines
        for index in range(3):
            writer.line(f"%scratch{index} = alloca i256, align 8")
        stack = writer.load_field("stack", "ptr", constant=True)
        writer.line(f"%stack = bitcast ptr {stack} to ptr")
        writer.line("%stack_address = ptrtoint ptr %stack to i64")
        length = writer.load_field("stack_length")
        writer.line(f"%entry_top = getelementptr inbounds [32 x i8], ptr %stack, i64 {length}")
        writer.line(f"%entry_gas = bitcast i64 {writer.load_field('gas')} to i64")
        cases = " ".join(f"i32 {pc}, label %{self.stub_of(item)}" for pc, item in sorted(self.by_entry.items()))
        writer.line(f"switch i32 %pc, label %no_entry [ {cases} ]")
        writer.lines = writer.rare
        writer.begin("no_entry")
        pc = writer.let("zext i32 %pc to i64")
        machine.leave("%entry_top", "%entry_gas", pc, deoptimised(CAUSE_OTHER))
        return lines

    # Instructions.

    def _emit_body(self, item: Placed) -> None:
        machine, table = self.machine, self.table
        machine.is_ended = False
        instructions = item.instructions()
        costs = section_costs(item, table)
        machine.begin_instruction(instructions[0].pc, 0)
        machine.state.cover = self.sections.head[id(item)]
        if id(item) in self.sections.checked:
            machine.check_cover(machine.state.cover)
        section, last = 0, len(instructions) - 1
        for position, instruction in enumerate(instructions):
            opcode = instruction.opcode
            if table.is_open_coded(opcode):
                machine.begin_instruction(instruction.pc, table.static_gas[opcode])
                self._emit_one(instruction, is_last=position == last)
                if machine.is_ended:
                    return
                continue
            machine.begin_instruction(instruction.pc, 0)
            if table.ends_block(opcode):
                leaving_step(machine, opcode)
                return
            step(machine, opcode)
            section += 1
            # Where the node ends here, the check is about what follows it.
            machine.begin_instruction(instruction.next_pc, 0)
            machine.check_cover(costs[section] + (self.sections.tail[id(item)] if section == len(costs) - 1 else 0))
        end_node(self, item)

    def _emit_one(self, instruction: Instruction, *, is_last: bool) -> None:
        machine, opcode = self.machine, instruction.opcode
        if is_push(opcode):
            stack.push(machine, instruction.immediate or 0)
        elif Op.DUP1 <= opcode <= Op.DUP16:
            stack.duplicate(machine, opcode - Op.DUP1 + 1)
        elif Op.SWAP1 <= opcode <= Op.SWAP16:
            stack.swap(machine, opcode - Op.SWAP1 + 1)
        elif opcode in (Op.JUMP, Op.JUMPI):
            if not is_last:
                stack.pop(machine)
        elif opcode in ENVIRONMENT:
            ENVIRONMENT[opcode](machine)
        elif opcode == Op.SLOAD:
            storage.load(machine, instruction.next_pc)
        else:
            _emit_operation(machine, opcode)


def _emit_operation(machine: Machine, opcode: int) -> None:
    if opcode in _RING:
        arithmetic.ring(machine, opcode)
    elif opcode in _DIVISIONS:
        division.divide(machine, opcode)
    elif opcode in _BINARY_BITS:
        bits.binary(machine, opcode)
    elif opcode in _SHIFTS:
        bits.shift(machine, opcode)
    elif opcode in (Op.ADDMOD, Op.MULMOD):
        division.modular(machine, opcode)
    elif opcode == Op.POP:
        stack.pop(machine)
    elif opcode != Op.JUMPDEST:
        _OTHER[opcode](machine)


_OTHER: dict[int, Callable[[Machine], None]] = {
    Op.EXP: arithmetic.exp,
    Op.SIGNEXTEND: arithmetic.sign_extend,
    Op.ISZERO: bits.is_zero,
    Op.NOT: bits.logical_not,
    Op.CLZ: bits.leading_zeros,
    Op.MLOAD: memory.load,
    Op.MSTORE: memory.store,
    Op.MSTORE8: memory.store_byte,
    Op.MSIZE: memory.size,
    Op.KECCAK256: memory.keccak256,
}


def _slot_name(slot: int) -> str:
    return f"w{slot}" if slot >= 0 else f"a{-slot}"


def _phi(name: str, kind: str, values: list[tuple[str, str]]) -> str:
    if not values:
        # No edge leads here: every way to it always leaves compiled code.
        return f"  {name} = freeze {kind} poison"
    return f"  {name} = phi {kind} " + ", ".join(f"[ {value}, %{label} ]" for value, label in values)
