"""Reading bytecode exactly as the EVM does."""

from __future__ import annotations

from random import Random

import pytest

from metis.vm.compiler.blocks import End, read_program
from metis.vm.compiler.decode import decode, jump_destinations
from metis.vm.compiler.opcodes import opcode_table


def destinations_by_walking(code: bytes) -> set[int]:
    """Yellow Paper §9.4.3, written down as it stands there."""
    found, position = set(), 0
    while position < len(code):
        opcode = code[position]
        if opcode == 0x5B:
            found.add(position)
        position += 1 + (opcode - 0x5F if 0x60 <= opcode <= 0x7F else 0)
    return found


def test_decode__data_behind_a_push__is_not_code() -> None:
    instructions = decode(bytes.fromhex("605b5b"))
    assert [(instruction.pc, instruction.opcode) for instruction in instructions] == [(0, 0x60), (2, 0x5B), (3, 0)]
    assert jump_destinations(instructions) == {2}


def test_decode__a_push_cut_off_by_the_end__has_zeros_for_what_is_missing() -> None:
    first, stop = decode(bytes.fromhex("62aabb"))
    assert first.immediate == 0xAABB00
    assert (stop.pc, stop.opcode) == (4, 0)


@pytest.mark.parametrize("seed", range(20))
def test_jump_destinations__random_bytes__are_the_yellow_papers(seed: int) -> None:
    random = Random(seed)
    code = bytes(random.choice((0x5B, 0x60, 0x61, 0x7F, random.randrange(256))) for _ in range(300))
    assert jump_destinations(decode(code)) == destinations_by_walking(code)


def test_blocks__every_instruction__is_in_exactly_one() -> None:
    code = Random(1).randbytes(500)
    program = read_program(code, opcode_table("Osaka"))
    positions = [instruction.pc for block in program.blocks.values() for instruction in block.instructions]
    assert sorted(positions) == [instruction.pc for instruction in decode(code)]


@pytest.mark.parametrize(
    ("code", "end"),
    [
        ("5f56", End.JUMP),
        ("5f5f57", End.BRANCH),
        ("5f5f5f5f5f5f5ff1", End.CALL),
        ("00", End.HALT),
        ("fe", End.HALT),
        ("0c", End.HALT),
        ("5f5b", End.FALL),
    ],
)
def test_blocks__the_last_opcode__says_how_the_block_ends(code: str, end: End) -> None:
    assert read_program(bytes.fromhex(code), opcode_table("Osaka")).blocks[0].end is end


def test_blocks__an_opcode_that_the_fork_does_not_have__ends_the_frame() -> None:
    assert read_program(b"\x5f\x00", opcode_table("London")).blocks[0].end is End.HALT
