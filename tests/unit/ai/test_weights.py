"""Weights and ids: the hashes worked out with another library, and every kind of tampering."""

from __future__ import annotations

import numpy as np
import pytest

from metis.ai.graph import CHUNK_BYTES, DType, GraphBuilder, Model, Weights, encode_graph, model_id, verify_chunk
from metis.types import Hash32, InvalidGraph, InvalidWeights
from tests.property.oracle import keccak
from tests.unit.ai.small_models import counter


def weighty(size_bytes: int) -> Model:
    """A model with one constant of that size."""
    builder = GraphBuilder()
    values = np.arange(size_bytes, dtype=np.int64) * 7 % 251 - 125
    builder.output("w", builder.constant(DType.INT8, values, -128, 127))
    return builder.model()


def test_weights__of_constants__are_little_endian_and_padded() -> None:
    builder = GraphBuilder()
    builder.constant(DType.INT16, [1, -2])
    builder.output("last", builder.constant(DType.INT64, [-1]))

    raw = builder.model().weights.raw

    assert raw == b"\x01\x00\xfe\xff" + bytes(60) + b"\xff" * 8 + bytes(56)


def test_weights_root__of_three_chunks__is_the_documented_tree() -> None:
    weights = weighty(2 * CHUNK_BYTES + 64).weights
    leaves = [keccak(b"\x00" + weights.raw[begin : begin + CHUNK_BYTES]) for begin in (0, CHUNK_BYTES, 2 * CHUNK_BYTES)]
    top = keccak(b"\x01" + keccak(b"\x01" + leaves[0] + leaves[1]) + leaves[2])

    assert weights.root == keccak(b"metis/ai/weights/v1\x00" + len(weights.raw).to_bytes(8, "little") + top)


def test_weights_root__of_no_constants__commits_to_their_absence() -> None:
    assert Weights(b"").root == keccak(b"metis/ai/weights/v1\x00" + bytes(8) + bytes(32))


@pytest.mark.parametrize("chunk_count", [1, 2, 3, 4, 5, 7, 8])
def test_chunks__with_their_proofs__are_verified_alone(chunk_count: int) -> None:
    weights = weighty((chunk_count - 1) * CHUNK_BYTES + 128).weights
    for index, chunk in enumerate(weights.chunks):
        verify_chunk(weights.root, len(weights.raw), index, chunk, weights.proof(index))


def test_chunk__altered_moved_cut_or_wrongly_proven__is_refused() -> None:
    weights = weighty(3 * CHUNK_BYTES).weights
    chunk, proof, size = weights.chunks[1], weights.proof(1), len(weights.raw)
    for altered in (
        (weights.root, size, 1, bytes([chunk[0] ^ 1]) + chunk[1:], proof),
        (weights.root, size, 0, chunk, proof),
        (weights.root, size, 3, chunk, proof),
        (weights.root, size, -1, chunk, proof),
        (weights.root, size, 1, chunk[:-1], proof),
        (weights.root, size - 64, 1, chunk, proof),
        (weights.root, size, 1, chunk, proof[:-1]),
        (weights.root, size, 1, chunk, [*proof, bytes(32)]),
        (weights.root, size, 1, chunk, proof[::-1]),
        (bytes(32), size, 1, chunk, proof),
    ):
        with pytest.raises(InvalidWeights) as caught:
            verify_chunk(*altered)
        assert caught.value.field == f"chunks[{altered[2]}]"
    with pytest.raises(InvalidWeights, match="there are 3"):
        weights.proof(3)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (bytes(63), "length"),
        (bytes(65), "length"),
        (bytes(4) + b"\x01" + bytes(59), "padding"),
        (b"\x07" + bytes(63), "constants[0]"),
        (b"\xfb" + bytes(63), "constants[0]"),
    ],
)
def test_weights__that_do_not_fit_the_graph__are_refused(raw: bytes, field: str) -> None:
    with pytest.raises(InvalidWeights) as caught:
        Weights(raw).values(counter().graph)
    assert caught.value.field == field


@pytest.mark.parametrize("values", [[], [[[3, -4, 5, 6]]], [[[3.0, -4.0], [5.0, 6.0]]], [[[3, -5], [5, 6]]]])
def test_weights__made_of_other_values__are_refused(values: list[list[list[int]]]) -> None:
    with pytest.raises(InvalidWeights):
        Weights.of(counter().graph, values)


def test_model_id__of_a_graph_with_weights__is_the_documented_hash() -> None:
    model = counter()
    graph_hash = keccak(b"metis/ai/graph/v1\x00" + encode_graph(model.graph))

    assert model.id == keccak(b"metis/ai/model/v1\x00" + graph_hash + model.weights.root + b"\x00")
    tokenizer_hash = Hash32(keccak(b"a tokenizer"))
    of_text = Model(model.graph, model.weights, tokenizer_hash)
    assert of_text.id == keccak(b"metis/ai/model/v1\x00" + graph_hash + model.weights.root + b"\x01" + tokenizer_hash)


def test_model_id__of_the_counter__never_changes() -> None:
    model = counter()

    assert model.weights.root.hex() == "4458e7bf1675f3c381c73ef131b7489f89dbc50b1b0b6eea4b8bde3cb73a4e5b"
    assert model.id.hex() == "1424258c044ca37699d5bdfe5d20e774f93939b83e4e42b5c01fc6d0fd05f096"
    assert (
        Model(model.graph, model.weights, Hash32(bytes(32))).id.hex()
        == "04d72898d0aa1d1d23bb3ff565f9691c5f1704a2c2a6ac5e4601e75cf24886ec"
    )


@pytest.mark.parametrize(("root", "tokenizer"), [(bytes(31), None), (bytes(32), bytes(33))])
def test_model_id__of_hashes_of_another_length__is_refused(root: bytes, tokenizer: bytes | None) -> None:
    with pytest.raises(InvalidGraph):
        model_id(b"", root, tokenizer)
