"""Reading ONNX files, hostile ones too, into float graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from metis.ai.quantise.float_elementwise import NUMPY_OF_ONNX
from metis.ai.quantise.graph import Array, FloatGraph, FloatInput, FloatNode
from metis.types import InvalidModelFile, UnsupportedModel

__all__ = ["read_onnx"]

_FILE_BYTES_MAX: Final = 1 << 32
_NODES_MAX: Final = 1 << 17
_STRING: Final = 8
_EXTERNAL: Final = 1
_DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})


def read_onnx(path: Path) -> FloatGraph:
    """
    A model in ONNX, from operator set 7 on where its operators have not changed since, from 13 on in any case.

    Local functions are written out where they are called. Weights in files of their own must lie in the model's folder.

    Raises
    ------
    InvalidModelFile : the file cannot be read, or is not a valid model; the field says where.
    UnsupportedModel : a node belongs to a domain that is not known.
    """
    model = _parsed(path)
    _known_domains(model)
    version = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if not 7 <= version <= 64:
        raise InvalidModelFile("opset_import", f"operator set {version}; export with one from 13 on")
    graph = model.graph
    if graph.sparse_initializer:
        raise InvalidModelFile("graph.sparse_initializer", "sparse weights are not supported")
    constants = {tensor.name: _array(tensor, path.parent, "graph.initializer") for tensor in graph.initializer}
    inputs = [_input(value) for value in graph.input if value.name not in constants]
    nodes = [_node(node, place, path.parent) for place, node in enumerate(graph.node)]
    ordered = _ordered([*_without_constants(nodes, constants)], {*constants, *(tensor.name for tensor in inputs)})
    outputs = [value.name for value in graph.output if value.type.tensor_type.elem_type != _STRING]
    made = {*constants, *(tensor.name for tensor in inputs), *(name for node in ordered for name in node.outputs)}
    missing = [name for name in outputs if name not in made]
    if missing or not outputs:
        raise InvalidModelFile("graph.output", f"nothing gives {missing or 'a number'}")
    result = FloatGraph(inputs, constants, ordered, outputs, opset=version)
    result.prune()
    used = {name for node in result.nodes for name in node.inputs} | set(outputs)
    result.inputs = [tensor for tensor in inputs if tensor.name in used]
    return result


def _parsed(path: Path) -> Any:
    import onnx

    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            raise InvalidModelFile(str(path), f"more than {_FILE_BYTES_MAX} bytes")
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidModelFile(str(path), error.strerror or str(error)) from None
    try:
        model = onnx.load_model_from_string(raw)
    except Exception as error:
        # Protobuf's own error, which belongs to a package that only onnx depends on, has no other base.
        if not isinstance(error, ValueError | TypeError | RecursionError) and type(error).__name__ != "DecodeError":
            raise
        raise InvalidModelFile(str(path), f"not an ONNX model: {error}") from None
    if not model.graph.node and not model.graph.output:
        raise InvalidModelFile(str(path), "not an ONNX model: it has no graph")
    if len(model.graph.node) > _NODES_MAX:
        raise InvalidModelFile("graph.node", f"{len(model.graph.node)} nodes; at most {_NODES_MAX} are read")
    if model.functions:
        from onnx import inliner

        try:
            model = inliner.inline_local_functions(model)
        except (ValueError, RuntimeError, TypeError) as error:
            raise InvalidModelFile("functions", str(error)) from None
    return model


def _known_domains(model: Any) -> None:
    for node in model.graph.node:
        if not all(isinstance(text, str) for text in (node.op_type, node.name, node.domain, *node.input, *node.output)):
            raise InvalidModelFile("graph.node", "a name is not UTF-8")
        if node.domain not in _DOMAINS:
            raise UnsupportedModel(f"{node.domain}.{node.op_type}", node.name, "operators of this domain are not known")


def _input(value: Any) -> FloatInput:
    if not value.type.HasField("tensor_type"):
        raise InvalidModelFile(f"graph.input {value.name!r}", "only tensors are supported")
    kind = NUMPY_OF_ONNX.get(value.type.tensor_type.elem_type)
    if kind is None:
        raise InvalidModelFile(f"graph.input {value.name!r}", "its type of element is not supported")
    shape: list[int | str | None] = []
    if not value.type.tensor_type.HasField("shape"):
        raise InvalidModelFile(f"graph.input {value.name!r}", "it has no shape; export the model with one")
    for size in value.type.tensor_type.shape.dim:
        if size.HasField("dim_value") and size.dim_value > 0:
            shape.append(int(size.dim_value))
        else:
            shape.append(size.dim_param or None)
    return FloatInput(value.name, tuple(shape), np.dtype(kind).name)


def _array(tensor: Any, folder: Path, where: str) -> Array:
    """A stored tensor, as float32 where its type has no equal in numpy."""
    import onnx

    field = f"{where} {tensor.name!r}"
    try:
        if tensor.data_location == _EXTERNAL:
            external = onnx.TensorProto()
            external.CopyFrom(tensor)
            external.raw_data = _external_bytes(tensor, folder, field)
            external.data_location = onnx.TensorProto.DEFAULT
            del external.external_data[:]
            tensor = external
        array = onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError, OverflowError, MemoryError, KeyError) as error:
        raise InvalidModelFile(field, str(error) or "its data do not fit its shape") from None
    if array.dtype.kind not in "fiubOUS" or (array.dtype.kind == "f" and array.dtype.itemsize == 2):
        array = array.astype(np.float32)
    return array


def _external_bytes(tensor: Any, folder: Path, field: str) -> bytes:
    entries: Mapping[str, str] = {entry.key: entry.value for entry in tensor.external_data}
    root = folder.resolve()
    try:
        source = (root / entries["location"]).resolve()
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
        if root not in source.parents or not source.is_file():
            raise InvalidModelFile(field, f"{entries['location']!r} is no file in the model's folder")
        size = source.stat().st_size
        length = size - offset if length < 0 else length
        if offset < 0 or offset + length > size:
            raise InvalidModelFile(field, f"{length} bytes at {offset} are beyond the {size} bytes of its file")
        with source.open("rb") as file:
            file.seek(offset)
            return file.read(length)
    except (KeyError, ValueError) as error:
        raise InvalidModelFile(field, f"its place in another file is not valid: {error}") from None
    except OSError as error:
        raise InvalidModelFile(field, error.strerror or str(error)) from None


def _node(node: Any, place: int, folder: Path) -> FloatNode:
    attributes: dict[str, Any] = {}
    for attribute in node.attribute:
        attributes[attribute.name] = _attribute(attribute, node, folder)
    name = node.name or f"{node.op_type}_{place}"
    # A branch reads tensors of the graph around it: they are inputs of the node that holds it.
    branches = [value for value in attributes.values() if isinstance(value, FloatGraph)]
    captured = sorted({name for branch in branches for name in branch.captured()})
    return FloatNode(node.op_type, (*node.input, *captured), tuple(node.output), attributes, name)


def _branch(graph: Any, folder: Path) -> FloatGraph:
    """The graph of a branch of an If; which one is meant is found when constants are folded."""
    constants = {tensor.name: _array(tensor, folder, "branch.initializer") for tensor in graph.initializer}
    nodes = [_node(node, place, folder) for place, node in enumerate(graph.node)]
    return FloatGraph([], constants, list(_without_constants(nodes, constants)), [value.name for value in graph.output])


def _attribute(attribute: Any, node: Any, folder: Path) -> Any:
    import onnx

    if attribute.type == onnx.AttributeProto.GRAPH:
        return _branch(attribute.g, folder)
    if attribute.type == onnx.AttributeProto.GRAPHS:
        return None
    if attribute.type == onnx.AttributeProto.TENSOR:
        return _array(attribute.t, folder, f"attribute {attribute.name} of {node.name or node.op_type}")
    try:
        value = onnx.helper.get_attribute_value(attribute)
    except (ValueError, TypeError) as error:
        raise InvalidModelFile(f"attribute {attribute.name} of {node.name or node.op_type}", str(error)) from None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | tuple) or type(value).__name__.startswith("Repeated"):
        return [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in value]
    return value


def _without_constants(nodes: Iterable[FloatNode], constants: dict[str, Array]) -> Iterable[FloatNode]:
    """The nodes that compute something; what Constant nodes hold is added to the constants."""
    for node in nodes:
        if node.operator != "Constant":
            yield node
            continue
        for key, kind in (
            ("value", None),
            ("value_float", np.float32),
            ("value_floats", np.float32),
            ("value_int", np.int64),
            ("value_ints", np.int64),
        ):
            if key in node.attributes:
                constants[node.outputs[0]] = np.asarray(node.attributes[key], kind)
                break
        else:
            raise node.unsupported("a constant of this kind is not supported")


def _ordered(nodes: list[FloatNode], known: set[str]) -> list[FloatNode]:
    """Nodes after those whose results they read; raises :class:`metis.types.InvalidModelFile` for cycles."""
    made: set[str] = set(known)
    for node in nodes:
        for name in node.outputs:
            if name and name in made:
                raise InvalidModelFile("graph.node", f"{name!r} is made twice")
            made.add(name)
    readers: dict[str, list[int]] = {}
    missing = []
    for place, node in enumerate(nodes):
        unknown = {name for name in node.inputs if name and name not in known}
        missing.append(len(unknown))
        for name in unknown:
            readers.setdefault(name, []).append(place)
    ready = [place for place in range(len(nodes) - 1, -1, -1) if not missing[place]]
    ordered = []
    while ready:
        place = ready.pop()
        ordered.append(place)
        for name in set(nodes[place].outputs):
            for reader in sorted(readers.pop(name, []), reverse=True):
                missing[reader] -= 1
                if not missing[reader]:
                    ready.append(reader)
    if len(ordered) != len(nodes):
        stuck = next(place for place in range(len(nodes)) if missing[place])
        absent = sorted(name for name in nodes[stuck].inputs if name and name not in made)
        problem = f"nothing gives {absent[0]!r}" if absent else "it depends on its own result"
        raise InvalidModelFile(f"graph.node {nodes[stuck].name!r}", problem)
    return [nodes[place] for place in (range(len(nodes)) if ordered == sorted(ordered) else ordered)]
