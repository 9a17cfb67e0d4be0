"""
JSON values one after another in a stream of bytes, with or without white space between.

In: bytes as they come. Out: the bytes of each complete value. Only the outer shape is looked at
(brackets and strings); whether a value is JSON is the parser's business. Invariant: any way of
cutting the stream gives the same values. Cost: one regular-expression match per bracket or string,
outside the values' text; memory is one value.
"""

from __future__ import annotations

import re

from metis.rpc.errors import ErrorCode

__all__ = ["JsonStreamError", "JsonStreamReader"]

DEPTH_MAX = 1_024
SCALAR_SIZE_BYTES_MAX = 64

_NOT_SPACE = re.compile(rb"[^ \t\r\n]")
_BRACKET_OR_QUOTE = re.compile(rb'["{}\[\]]')
_QUOTE_OR_ESCAPE = re.compile(rb'["\\]')
_SCALAR_END = re.compile(rb'[ \t\r\n{}\[\],:"]')
_SCALAR_START = frozenset(b"-0123456789tfn")


class JsonStreamError(Exception):
    """The stream cannot be cut into values any more; ``code`` is for the last answer. Never leaves this package."""

    def __init__(self, code: ErrorCode, problem: str) -> None:
        super().__init__(problem)
        self.code = code


class JsonStreamReader:
    """
    Cuts a stream into values.

        between values → in a container (depth, in a string or not) → between values
                       → in a scalar
    """

    def __init__(self, value_size_bytes_max: int) -> None:
        self._size_max = value_size_bytes_max
        self._buffer = bytearray()
        self._scanned = 0
        self._depth = 0
        self._is_in_string = False

    @property
    def is_mid_value(self) -> bool:
        """Whether the rest of a value is still to come."""
        return bool(self._buffer)

    @property
    def kept_size_bytes(self) -> int:
        """How many bytes wait for the rest of their value."""
        return len(self._buffer)

    def feed(self, data: bytes) -> tuple[list[bytes], JsonStreamError | None]:
        """
        Take bytes; return the values they complete, and why there will be no more, if so.

        After an error the reader must not be fed again.
        """
        self._buffer += data
        values: list[bytes] = []
        try:
            while (end := self._value_end()) is not None:
                values.append(bytes(self._buffer[:end]))
                del self._buffer[:end]
                self._scanned = 0
        except JsonStreamError as problem:
            return values, problem
        return values, None

    def _value_end(self) -> int | None:
        """Scan on; return the end of the first value, or None where it has not come yet."""
        buffer = self._buffer
        if not self._scanned:
            start = _NOT_SPACE.search(buffer)
            if start is None:
                buffer.clear()
                return None
            del buffer[: start.start()]
        if self._depth == 0 and not self._is_in_string and buffer[0] not in b'{["':
            return self._scalar_end()
        end = self._container_end()
        if (len(buffer) if end is None else end) > self._size_max:
            raise JsonStreamError(ErrorCode.LIMIT_EXCEEDED, f"message of more than {self._size_max} bytes")
        return end

    def _scalar_end(self) -> int | None:
        buffer = self._buffer
        if buffer[0] not in _SCALAR_START:
            raise JsonStreamError(ErrorCode.PARSE_ERROR, "parse error: no JSON value begins so")
        end = _SCALAR_END.search(buffer, 0, SCALAR_SIZE_BYTES_MAX)
        if end is not None:
            return end.start()
        if len(buffer) > SCALAR_SIZE_BYTES_MAX:
            raise JsonStreamError(ErrorCode.PARSE_ERROR, "parse error: a word that never ends")
        return None

    def _container_end(self) -> int | None:
        """Follow brackets and strings from where the last scan ended."""
        buffer, position = self._buffer, self._scanned
        while True:
            if self._is_in_string:
                found = _QUOTE_OR_ESCAPE.search(buffer, position)
                if found is None:
                    self._scanned = len(buffer)
                    return None
                if found.group() == b"\\":
                    position = found.end() + 1
                    if position > len(buffer):  # the escaped byte has not come yet
                        self._scanned = found.start()
                        return None
                    continue
                self._is_in_string = False
                position = found.end()
            else:
                found = _BRACKET_OR_QUOTE.search(buffer, position)
                if found is None:
                    self._scanned = len(buffer)
                    return None
                position = found.end()
                mark = found.group()
                if mark == b'"':
                    self._is_in_string = True
                elif mark in b"{[":
                    self._depth += 1
                    if self._depth > DEPTH_MAX:
                        raise JsonStreamError(ErrorCode.PARSE_ERROR, "parse error: nested too deeply")
                else:
                    self._depth -= 1
            if self._depth <= 0 and not self._is_in_string:
                self._depth = 0
                return position
