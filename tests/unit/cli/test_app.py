"""The root command: its help, what it imports, its version, and how errors are told."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from types import SimpleNamespace

import pytest
import typer

import metis
from metis.cli import main
from metis.cli.account import _AccountGroup
from metis.cli.app import _RootGroup
from metis.cli.failure import report_failure
from metis.cli.lazy import LazyGroup
from metis.cli.vm import _VmGroup
from metis.types import DecodeError, EngineFault, InvalidTransaction
from tests.unit.cli.running import run_here, run_process

GROUPS = {(): _RootGroup, ("account",): _AccountGroup, ("vm",): _VmGroup}
COMMANDS = [
    pytest.param((*path, name), target, line, id=" ".join((*path, name)))
    for path, group in GROUPS.items()
    for name, (target, line) in group.targets.items()
]

# What ``metis --help`` has no business with: each costs time or memory that only some command needs.
NOT_FOR_HELP = ("eth_account", "metis.engine", "metis.types", "metis.vm", "orjson", "rich", "tarfile")

_LIST_IMPORTS = """
import sys
from metis.cli import main
code = main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("arguments", [["--help"], [], ["vm", "--help"]], ids=str)
def test_help__of_a_group__imports_no_command_and_no_engine(arguments: list[str]) -> None:
    ended = run_process(*arguments, python=("-c", _LIST_IMPORTS))
    assert ended.exit_code == 0
    imported = set(ended.err.split())
    assert "metis.cli.app" in imported
    assert not imported & {*NOT_FOR_HELP, "metis.cli.demo.command", "metis.cli.vm_run", "metis.cli.vm_statetest"}


def test_help__of_a_command__does_not_load_the_engine() -> None:
    ended = run_process("vm", "statetest", "--help", python=("-c", _LIST_IMPORTS))
    assert ended.exit_code == 0
    assert not set(ended.err.split()) & set(NOT_FOR_HELP)


@pytest.mark.parametrize(("path", "target", "line"), COMMANDS)
def test_command__listed_in_a_group__explains_itself_and_takes_json(
    path: tuple[str, ...], target: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module, _, attribute = target.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    assert line.endswith(".")
    ended = run_here(capsys, *path, "--help")
    assert ended.exit_code == 0
    if isinstance(found, typer.Typer):
        return
    assert inspect.getdoc(found)
    assert "--json" in ended.out


@pytest.mark.parametrize(("path", "group"), GROUPS.items(), ids=str)
def test_group__help__lists_every_command_with_its_line(
    path: tuple[str, ...], group: type[LazyGroup], capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run_here(capsys, *path, "--help")
    words = " ".join(ended.out.split())
    for name, (_, line) in group.targets.items():
        assert f"{name} {line}" in words


def test_root__help__documents_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    out = run_here(capsys, "--help").out
    assert "Exit codes: 0 done; 1 it ran" in out


def test_root__without_a_command__same_as_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(capsys) == run_here(capsys, "--help")


def test_version__asked_for__printed_plain_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(capsys, "--version").out == f"metis {metis.version()}\n"
    assert run_here(capsys, "--version", "--json").object == {"name": "metis", "version": metis.version()}


@pytest.mark.parametrize(
    "arguments", [["walk"], ["vm", "walk"], ["--wlak"], ["vm", "statetest"], ["vm", "run", "0x00", "--gas", "many"]]
)
def test_usage_error__plain_and_json__exit_2_and_told_once(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = run_here(capsys, *arguments)
    assert plain.exit_code == 2
    assert plain.out == ""
    assert plain.err.startswith("Usage: metis")
    as_json = run_here(capsys, *arguments, "--json")
    assert as_json.exit_code == 2
    assert as_json.err == ""
    assert as_json.object["error"]["slug"] == "usage"
    assert as_json.object["error"]["message"] in plain.err


def test_error__with_attributes__all_of_them_in_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    report_failure(InvalidTransaction("nonce-too-low", "nonce", "nonce 1 is used", index=3), as_json=True)
    printed = capsys.readouterr().out
    assert printed == (
        '{"error":{"slug":"invalid-transaction","message":"transaction 3: nonce 1 is used",'
        '"reason":"nonce-too-low","field":"nonce","detail":"nonce 1 is used","index":3}}\n'
    )


def test_error__of_ours__one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    report_failure(DecodeError("hex", "target", "odd"), as_json=False)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "metis: hex: field 'target': odd\n")


def test_error__fault_of_the_engine__says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    report_failure(EngineFault("stack broken"), as_json=False)
    assert capsys.readouterr().err.splitlines() == [
        "metis: stack broken",
        "This is a bug in Metis; please report it with the command that led to it.",
    ]


def test_error__that_is_none_of_ours__keeps_its_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by accident")

    monkeypatch.setattr("metis.cli.app.app", broken)
    ended = run_here(capsys, "vm", "--json")
    assert ended.exit_code == 2
    assert ended.object == {"error": {"slug": "bug", "message": "ZeroDivisionError: by accident"}}
    assert "Traceback" in ended.err


def test_engine__not_built__told_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    hide = "import sys; sys.modules['metis.engine._native'] = None\n" + _LIST_IMPORTS
    ended = run_process("vm", "run", "0x00", python=("-c", hide))
    assert ended.exit_code == 2
    assert ended.err.startswith("metis: the engine is not built in this environment")


def test_interrupt__by_the_user__exit_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("metis.cli.app.app", interrupted)
    assert main([]) == 130


def test_output__reader_leaves_early__ends_without_a_traceback() -> None:
    # JUMPDEST PUSH0 JUMP: steps without end, far more than a pipe holds.
    command = [sys.executable, "-m", "metis.cli", "vm", "run", "0x5b5f56", "--gas", "1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == ""
    assert running.returncode == 0


def test_lazy_group__of_functions_and_apps__builds_commands_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def greet() -> None:
        """Say hello."""

    monkeypatch.setitem(sys.modules, "greetings", SimpleNamespace(greet=greet))
    monkeypatch.setattr(LazyGroup, "targets", {"greet": ("greetings:greet", "Say hello.")})
    group = LazyGroup(name="group")
    assert group.list_commands(None) == ["greet"]
    assert group.get_command(None, "greet").name == "greet"
    assert group.get_command(None, "absent") is None
