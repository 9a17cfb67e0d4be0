"""``metis vm run``: one call of bytecode, or one case of a state test, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metis.cli.vm_code import from_hex, read_code

if TYPE_CHECKING:
    from metis.types import TransactionOutcome
    from metis.vm import StateCase, StateTest

__all__ = ["run"]

GAS_DEFAULT = 30_000_000
FORK_DEFAULT = "Osaka"


def _quantity(text: str) -> int:
    """A whole number in decimal or 0x-hex; underscores may group digits."""
    try:
        number = int(text, 0)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number (decimal or 0x-hex)") from None
    if number < 0:
        raise typer.BadParameter(f"{text!r} is negative")
    return number


def run(
    target: Annotated[
        str, typer.Argument(help="Bytecode as hex, a .hex file, or a state-test file (.json).", show_default=False)
    ],
    calldata: Annotated[str | None, typer.Option(metavar="HEX", help="Input of the call.", show_default=False)] = None,
    gas: Annotated[
        int | None,
        typer.Option(parser=_quantity, metavar="N", help=f"Gas the call starts with [default: {GAS_DEFAULT:,}]."),
    ] = None,
    value: Annotated[
        int | None, typer.Option(parser=_quantity, metavar="WEI", help="Value sent with the call [default: 0].")
    ] = None,
    fork: Annotated[
        str | None,
        typer.Option(help=f"Rules to run under [default: {FORK_DEFAULT}]; for a file, one that it has results for."),
    ] = None,
    test: Annotated[str | None, typer.Option(help="For a file: which test, if it has several.")] = None,
    index: Annotated[int, typer.Option(min=0, help="For a file: which of the fork's cases.")] = 0,
    gas_cap: Annotated[
        bool, typer.Option(help="For a file: whether EIP-7825's cap on a transaction's gas holds.")
    ] = True,
    trace: Annotated[bool, typer.Option(help="Show every step.")] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="EIP-3155: a JSON line for each step, then one for the result.")
    ] = False,
) -> None:
    """
    Run bytecode, or one case of a state-test file, and show each step.

    Bytecode runs as one message call in an empty world: no transaction cost, no other accounts.
    Exit code 1 when it reverts or halts.

    A case of a file runs as its transaction, on its state and in its block; the state root and the
    logs hash are then compared to the file's. Exit code 1 when they differ. A file that records
    zeros for them records nothing: exit code 1 then means that it reverted or halted.
    """
    from metis.cli.vm_trace import step_printer

    show = step_printer(as_json=as_json) if trace else None
    if target.endswith((".json", ".json.xz")):
        if any(option is not None for option in (calldata, gas, value)):
            raise typer.BadParameter("--calldata, --gas and --value are for bytecode; a file brings its own")
        passed = _run_file(Path(target), fork, test, index, show, gas_cap=gas_cap, as_json=as_json)
    else:
        if test is not None:
            raise typer.BadParameter("--test is for a state-test file")
        code = read_code(target)
        gas_limit = GAS_DEFAULT if gas is None else gas
        passed = _run_code(code, calldata or "", gas_limit, value or 0, fork or FORK_DEFAULT, show, as_json=as_json)
    if not passed:
        raise typer.Exit(1)


def _run_code(
    code: bytes,
    calldata: str,
    gas_limit: int,
    value_wei: int,
    fork: str,
    show: Callable[[bytes], None] | None,
    *,
    as_json: bool,
) -> bool:
    from metis import engine
    from metis.cli.vm_trace import write_outcome
    from metis.types import Gas, Wei

    began_s = time.monotonic()
    outcome = engine.run_code(
        engine.ChainSpec.at_fork(fork),
        code,
        from_hex("calldata", calldata),
        gas_limit=Gas(gas_limit),
        value_wei=Wei(value_wei),
        trace=show,
    )
    write_outcome(outcome, fork, None, time.monotonic() - began_s, as_json=as_json)
    return outcome.status == "success"


def _run_file(
    path: Path,
    fork: str | None,
    test_name: str | None,
    index: int,
    show: Callable[[bytes], None] | None,
    *,
    gas_cap: bool,
    as_json: bool,
) -> bool:
    from metis.cli.vm_trace import write_outcome, write_refusal
    from metis.types import DecodeError, InvalidTransaction
    from metis.vm import execute_case, is_expected, refusal_name

    test, case = _chosen_case(path, test_name, fork, index)
    began_s = time.monotonic()
    try:
        outcome = execute_case(test, case, trace=show, transaction_gas_cap=gas_cap)
    except (InvalidTransaction, DecodeError) as refusal:
        if case.expected_exception is None or not is_expected(case.expected_exception, refusal_name(refusal)):
            raise
        write_refusal(refusal, case.fork, case.expected_exception, as_json=as_json)
        return True
    differences = _differences(case, outcome)
    write_outcome(outcome, case.fork, differences, time.monotonic() - began_s, as_json=as_json)
    return not differences and (any(case.state_root) or outcome.status == "success")


def _differences(case: StateCase, outcome: TransactionOutcome) -> list[str]:
    found = []
    if case.expected_exception is not None:
        found.append(f"should be refused with {case.expected_exception}, but ran")
    for name, expected, actual in (
        ("state root", case.state_root, outcome.state_root),
        ("logs hash", case.logs_hash, outcome.logs_hash),
    ):
        # Workloads that are no tests record zeros.
        if any(expected) and expected != actual:
            found.append(f"{name}: the file has 0x{expected.hex()}, got 0x{actual.hex()}")
    return found


def _chosen_case(path: Path, test_name: str | None, fork: str | None, index: int) -> tuple[StateTest, StateCase]:
    """
    The one case that the options name; what they leave open must be the only one.

    Raises
    ------
    FixtureError : the file cannot be read, or the choice is open or empty; says what there is.
    """
    from metis.types import FixtureError
    from metis.vm import canonical_fork, fixture_files, parse_state_tests, read_fixture

    (file,) = fixture_files([path])
    tests: dict[str, StateTest] = {}
    for test in parse_state_tests(str(path), read_fixture(file)):
        if isinstance(test, FixtureError):
            raise test
        tests[test.name] = test
    chosen = tests[_only(str(path), "", "--test", list(tests), test_name)]
    forks = list(dict.fromkeys(case.fork for case in chosen.cases))
    if fork is not None and fork not in forks:
        # The file may use another of the fork's names.
        fork = next((name for name in forks if canonical_fork(name) == canonical_fork(fork)), fork)
    name = _only(str(path), chosen.name, "--fork", forks, fork)
    cases = [case for case in chosen.cases if case.fork == name]
    if index >= len(cases):
        raise FixtureError(str(path), chosen.name, f"--index {index}: {name} has {len(cases)} cases")
    return chosen, cases[index]


def _only(path: str, test: str, option: str, names: list[str], wanted: str | None) -> str:
    from metis.types import FixtureError

    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return wanted
    problem = f"choose with {option}" if wanted is None else f"{option} {wanted}: not in the file, which has"
    raise FixtureError(path, test, f"{problem}: {', '.join(names) or 'nothing'}")
