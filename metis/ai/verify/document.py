"""
The file of a receipt: JSON with the receipt's bytes and what it can be checked with; docs/receipts.md.

Binary values are base64. All of it is hostile: sizes are bounded, and what does not fit is an error with its field.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from metis.ai.receipt.encoding import decode_receipt, encode_receipt
from metis.ai.receipt.fields import Receipt
from metis.types import Hash32, InvalidReceipt

__all__ = ["Opening", "ReceiptFile", "read_receipt_file", "receipt_file_of", "write_receipt_file"]

_FILE_BYTES_MAX: Final = 1 << 30

# Bytes of tensors by the name of an input or output.
Tensors = Mapping[str, bytes]


@dataclasses.dataclass(frozen=True, slots=True)
class Opening:
    """
    One operator of one run, with what shows that the receipt commits to it.

    Attributes
    ----------
    run : which run of the task, from 0. run_root, run_path : its trace, and how that leads to the receipt's.
    point : the tensor that the operator gives. commitment, path : what the trace says of it.
    operands : for each point that it is computed from, its elements and the path of its commitment.
    products : the products on the way to the point, before anything else is done with them, by tensor number; empty
        where they are to be computed. Nothing commits to them: they are checked.
    """

    run: int
    run_root: Hash32
    run_path: tuple[bytes, ...]
    point: int
    commitment: Hash32
    path: tuple[bytes, ...]
    operands: Mapping[int, tuple[bytes, tuple[bytes, ...]]]
    products: Mapping[int, bytes]


@dataclasses.dataclass(frozen=True, slots=True)
class ReceiptFile:
    """
    A receipt with its evidence.

    Attributes
    ----------
    inputs : the inputs' elements of each run, by name; empty where they are not given.
    outputs : the outputs' elements of each run, likewise.
    traces : the commitments that the worker made, of each run; empty where they are not given.
    opening : one operator, or None.
    """

    receipt: Receipt
    inputs: tuple[Tensors, ...] = ()
    outputs: tuple[Tensors, ...] = ()
    traces: tuple[tuple[Hash32, ...], ...] = ()
    opening: Opening | None = None

    def as_object(self) -> dict[str, Any]:
        """The file's JSON."""
        document: dict[str, Any] = {"receipt": "0x" + encode_receipt(self.receipt).hex()}
        for name, runs in (("inputs", self.inputs), ("outputs", self.outputs)):
            if runs:
                document[name] = [{key: _text(value) for key, value in run.items()} for run in runs]
        if self.traces:
            document["traces"] = [[_text(commitment) for commitment in trace] for trace in self.traces]
        if self.opening is not None:
            document["opening"] = _opening_object(self.opening)
        return document


def read_receipt_file(path: Path) -> ReceiptFile:
    """
    Read a receipt's file: JSON, the receipt's bytes alone, or these in hexadecimal.

    Raises
    ------
    InvalidReceipt : the file is none of these; the field says where.
    """
    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            raise InvalidReceipt("file", f"more than {_FILE_BYTES_MAX} bytes")
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidReceipt("file", error.strerror or str(error)) from None
    if raw.lstrip()[:1] == b"{":
        try:
            document = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise InvalidReceipt("file", f"it is no JSON: {error}") from None
        return receipt_file_of(document)
    return ReceiptFile(decode_receipt(_hex(raw.strip().decode("ascii", "replace")) if raw[:2] == b"0x" else raw))


def receipt_file_of(document: Any) -> ReceiptFile:
    """The receipt's file with this JSON; raises :class:`metis.types.InvalidReceipt` as :func:`read_receipt_file`."""
    field = "receipt"
    try:
        receipt = decode_receipt(_hex(document["receipt"]))
        field = "inputs"
        inputs = _runs(document.get("inputs", ()))
        field = "outputs"
        outputs = _runs(document.get("outputs", ()))
        field = "traces"
        traces = tuple(tuple(_hash(value) for value in trace) for trace in document.get("traces", ()))
        field = "opening"
        given = document.get("opening")
        opening = None if given is None else _opening(given)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise InvalidReceipt(field, f"it is not as docs/receipts.md says: {error}") from None
    return ReceiptFile(receipt, inputs, outputs, traces, opening)


def write_receipt_file(file: ReceiptFile, path: Path) -> None:
    """Write a receipt's file; raises :class:`metis.types.InvalidReceipt` where it cannot be written."""
    try:
        path.write_text(json.dumps(file.as_object()), encoding="ascii")
    except OSError as error:
        raise InvalidReceipt("file", error.strerror or str(error)) from None


def _opening_object(opening: Opening) -> dict[str, Any]:
    return {
        "run": opening.run,
        "run_root": _text(opening.run_root),
        "run_path": _texts(opening.run_path),
        "point": opening.point,
        "commitment": _text(opening.commitment),
        "path": _texts(opening.path),
        "operands": [
            {"point": number, "elements": _text(elements), "path": _texts(path)}
            for number, (elements, path) in opening.operands.items()
        ],
        "products": [{"tensor": number, "elements": _text(raw)} for number, raw in opening.products.items()],
    }


def _opening(document: Any) -> Opening:
    operands = {
        _number(operand["point"]): (_raw(operand["elements"]), _hashes(operand["path"]))
        for operand in document["operands"]
    }
    return Opening(
        _number(document["run"]),
        _hash(document["run_root"]),
        _hashes(document["run_path"]),
        _number(document["point"]),
        _hash(document["commitment"]),
        _hashes(document["path"]),
        operands,
        {_number(product["tensor"]): _raw(product["elements"]) for product in document["products"]},
    )


def _runs(document: Any) -> tuple[Tensors, ...]:
    return tuple({str(name): _raw(value) for name, value in run.items()} for run in document)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _texts(values: Sequence[bytes]) -> list[str]:
    return [_text(value) for value in values]


def _raw(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError("a binary value is no text")
    return base64.b64decode(text, validate=True)


def _hash(text: Any) -> Hash32:
    raw = _raw(text)
    if len(raw) != 32:
        raise ValueError(f"a hash of {len(raw)} bytes")
    return Hash32(raw)


def _hashes(texts: Any) -> tuple[bytes, ...]:
    if not isinstance(texts, list):
        raise TypeError("a path is no list")
    return tuple(_hash(text) for text in texts)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 32:
        raise ValueError(f"{value!r} is no number from 0 to 2^32 - 1")
    return value


def _hex(text: Any) -> bytes:
    if not isinstance(text, str) or not text.startswith("0x"):
        raise InvalidReceipt("receipt", "it is not written as 0x and hexadecimal digits")
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise InvalidReceipt("receipt", "it is not written as 0x and hexadecimal digits") from None
