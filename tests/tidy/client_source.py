"""
The client without asyncio, derived from the one with it: one source, two colours.

After a change of metis/client/async_client.py:

    .venv/bin/python -m tests.tidy.client_source
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCE = CHECKOUT / "metis" / "client" / "async_client.py"
DERIVED = CHECKOUT / "metis" / "client" / "sync_client.py"

# In order: a longer word before one that it contains.
REPLACEMENTS = (
    (r"\basync def\b", "def"),
    (r"\basync (with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bhttpx\.AsyncClient\b", "httpx.Client"),
    (r"\bhttpx\.AsyncBaseTransport\b", "httpx.BaseTransport"),
    (r"\bAsyncClient\b", "Client"),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\baclose\b", "close"),
    (r"\baread\b", "read"),
    (r"\baiter_lines\b", "iter_lines"),
    (
        r'"""The client of a worker\."""',
        '"""The client of a worker without asyncio. Derived from async_client.py: change that one."""',
    ),
)


def derived(text: str) -> str:
    """The source of the client without asyncio."""
    for pattern, replacement in REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    return text


def formatted(text: str) -> str:
    """As ``ruff format`` writes it."""
    ruff = Path(sys.executable).parent / "ruff"
    command = [str(ruff), "format", "--stdin-filename", str(DERIVED), "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=CHECKOUT)
    return done.stdout


def main() -> None:
    """Write metis/client/sync_client.py."""
    DERIVED.write_text(formatted(derived(SOURCE.read_text(encoding="utf-8"))), encoding="utf-8")
    print(DERIVED)


if __name__ == "__main__":
    main()
