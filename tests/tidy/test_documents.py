"""Prose that can drift is held to the facts: trees, commands and links in every Markdown file."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.tidy.repository import CHECKOUT, documents, fences, files, folders, text_of

SHELL_LANGUAGES = {"bash", "console", "sh", "shell"}


def printed_tree(lines: tuple[str, ...]) -> list[Path]:
    """
    The paths that a ``tree`` fence prints, relative to the checkout.

    A line is a name, indented by two spaces a level, then optionally two spaces and what it is. A
    folder ends in "/"; several names of one kind may share a line, separated by a single space.
    """
    paths: list[Path] = []
    stack: list[Path] = []
    for line in lines:
        if not line.strip():
            continue
        depth, odd = divmod(len(line) - len(line.lstrip(" ")), 2)
        assert not odd, f"indent by two spaces a level: {line!r}"
        del stack[depth:]
        parent = stack[-1] if stack else Path()
        names = re.split(r"\s{2,}", line.strip(), maxsplit=1)[0].split(" ")
        paths += [parent / name for name in names]
        for name in names:
            kind_is_right = (CHECKOUT / parent / name).is_dir() == name.endswith("/")
            assert kind_is_right, f"{parent / name} is not on the disk, or its '/' is wrong"
        stack.append(parent / names[-1])
    return paths


TREES = [
    pytest.param(path, fence.lines, id=f"{path}:{fence.line_number}")
    for path in documents()
    for fence in fences(text_of(path) or "")
    if fence.language == "tree"
]


@pytest.mark.parametrize(("path", "lines"), TREES)
def test_printed_tree__against_the_disk__every_name_exists_and_no_folder_is_missing(
    path: Path, lines: tuple[str, ...]
) -> None:
    printed = printed_tree(lines)
    known = folders() | set(files())
    assert set(printed) <= known, f"{path} prints what is not in the repository: {set(printed) - known}"
    for opened in {child.parent for child in printed}:
        on_disk = {
            folder for folder in folders() if folder.parent == opened and not folder.name.startswith((".", "__"))
        }
        missing = sorted(str(folder) for folder in on_disk - set(printed))
        assert not missing, f"{path} prints {opened}/ without {missing}"


def commands_of(path: Path) -> list[str]:
    """The command lines in a document's shell fences; output lines of a console fence are left out."""
    commands = []
    for fence in fences(text_of(path) or ""):
        if fence.language not in SHELL_LANGUAGES:
            continue
        for line in "\n".join(fence.lines).replace("\\\n", " ").splitlines():
            if fence.language == "console" and not line.startswith("$ "):
                continue
            commands += re.split(r"\s*&&\s*", line.removeprefix("$ ").strip())
    return [command for command in commands if command and not command.startswith("#")]


COMMANDS = sorted({(path, command) for path in documents() for command in commands_of(path)})


@cache
def make_targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z][a-z-]*):", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@cache
def help_of(subcommands: tuple[str, ...]) -> str:
    """What ``metis SUBCOMMANDS --help`` prints."""
    shown = subprocess.run(
        [Path(sys.executable).parent / "metis", *subcommands, "--help"],
        check=False,
        capture_output=True,
        text=True,
        env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
    )
    assert shown.returncode == 0, f"metis {' '.join(subcommands)} --help: {shown.stderr}"
    return shown.stdout


def split_metis_command(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The subcommands and the options of a command line that begins after ``metis``."""
    subcommands: list[str] = []
    for word in words:
        if not re.fullmatch(r"[a-z][a-z-]*", word) or not re.search(
            rf"^\W*{word}\s", help_of(tuple(subcommands)), re.M
        ):
            break
        subcommands.append(word)
    options = [word.split("=")[0] for word in words if word.startswith("--")]
    return tuple(subcommands), options


@pytest.mark.parametrize(("path", "command"), COMMANDS)
def test_printed_command__in_a_document__exists(path: Path, command: str) -> None:
    words = [word for word in shlex.split(command, comments=True) if not re.fullmatch(r"[A-Z_]+=.*", word)]
    match words:
        case ["make", *targets]:
            unknown = {target for target in targets if "=" not in target and not target.startswith("-")}
            assert unknown <= make_targets(), f"{path}: no make target {unknown - make_targets()}"
        case [program, *rest] if Path(program).name == "metis":
            subcommands, options = split_metis_command(rest)
            plain = [word for word in rest if not word.startswith("-")]
            assert subcommands or not plain, f"{path}: metis has no command {plain[0]!r}"
            text = help_of(subcommands)
            assert not [option for option in options if option not in text], f"{path}: {command}"
        case [program, *_] if program.startswith("."):
            inside_environment = program.startswith(".venv/")
            assert inside_environment or (CHECKOUT / program).is_file(), f"{path}: {program} is not there"


TRANSCRIPTS = [
    pytest.param(fence.lines[0].removeprefix("$ "), fence.lines[1:], id=f"{path}:{fence.line_number}")
    for path in documents()
    for fence in fences(text_of(path) or "")
    if fence.language == "console" and len(fence.lines) > 1
]


@pytest.mark.parametrize(("command", "shown"), TRANSCRIPTS)
def test_transcript__in_a_document__is_what_the_command_prints(command: str, shown: tuple[str, ...]) -> None:
    """A line "..." stands for any number of lines that are left out."""
    program, *arguments = shlex.split(command)
    assert program == ".venv/bin/metis"
    printed = subprocess.run(
        [Path(sys.executable).parent / "metis", *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"},
    ).stdout
    position = 0
    for line in shown:
        if line != "...":
            assert f"{line}\n" in printed[position:], f"{command} does not print: {line}"
            position = printed.index(f"{line}\n", position) + len(line)


LINKS = sorted(
    {
        (path, target)
        for path in documents()
        for target in re.findall(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)", text_of(path) or "")
        if not re.match(r"[a-z]+:", target)
    }
)


def anchors_of(path: Path) -> set[str]:
    """The anchors that headings of a Markdown file get."""
    headings = re.findall(r"^#{1,6}\s+(.*?)\s*#*$", (CHECKOUT / path).read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("path", "target"), LINKS)
def test_link__inside_the_repository__leads_somewhere(path: Path, target: str) -> None:
    name, _, anchor = target.partition("#")
    resolved = ((CHECKOUT / path).parent / name).resolve() if name else CHECKOUT / path
    assert resolved.exists(), f"{path} links to {target}"
    if anchor and resolved.suffix == ".md":
        assert anchor in anchors_of(resolved), f"{path} links to {target}: no such heading"


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_front_document__is_there__with_a_title(name: str) -> None:
    assert (CHECKOUT / name).read_text(encoding="utf-8").startswith("# ")
