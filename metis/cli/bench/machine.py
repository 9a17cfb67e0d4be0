"""Where numbers are from."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from metis import version
from metis.engine import build_info

__all__ = ["commit", "machine"]


def machine() -> str:
    """Processor, cores, system and Python, in one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{_processor()}, {cores} cores, {platform.system()} {platform.release()}, CPython {platform.python_version()}"
    )


def commit() -> str:
    """Return the checkout's commit where the package runs from one, with "-dirty" behind it; else the version."""
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / ".git").exists():
        return f"metis-stack {version()}, engine {build_info()['version']}"
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607 - git of the developer
        cwd=checkout,
        check=False,
        capture_output=True,
        text=True,
    )
    return found.stdout.strip() or "unknown"


def _processor() -> str:
    """Return the processor's name as Linux gives it, or what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
