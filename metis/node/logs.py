"""Log lines: readable for people, one JSON object a line for programs. What stands in ``extra`` is kept as fields."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, TextIO

import orjson

__all__ = ["JsonFormatter", "TextFormatter", "configure_logging"]

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller gave in ``extra``; bytes become 0x-hex."""
    return {name: _shown(value) for name, value in vars(record).items() if name not in _STANDARD}


def _shown(value: Any) -> Any:
    return f"0x{value.hex()}" if isinstance(value, bytes) else value


def _time_text(record: logging.LogRecord) -> str:
    """UTC with milliseconds (ISO 8601)."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


class JsonFormatter(logging.Formatter):
    """``{"time", "level", "logger", "message", ...fields, "exception"?}``."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        line: dict[str, Any] = {
            "time": _time_text(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class TextFormatter(logging.Formatter):
    """``time LEVEL message  name=value ...``."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line, and a traceback below it where there is one."""
        parts = [f"{_time_text(record)} {record.levelname:<7} {record.getMessage()}"]
        parts.extend(f"{name}={value}" for name, value in _fields(record).items())
        text = "  ".join(parts)
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def configure_logging(form: str, level: str, stream: TextIO | None = None) -> None:
    """
    Send the package's log lines to a stream (stderr by default), and nowhere else.

    Parameters
    ----------
    form : "text" or "json". level : the least level that is written, such as "info".
    """
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger("metis")
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False
