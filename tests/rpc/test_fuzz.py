"""Whatever is sent, the node answers by the standard and stays healthy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rpc.running_node import Client, RunningNode

KNOWN_CODES = {3, 4, -32000, -32001, -32002, -32003, -32004, -32005, -32600, -32601, -32602, -32603, -32700}

# eth_sendRawTransactionSync waits as long as it is told to.
LEFT_OUT = frozenset({"eth_sendRawTransactionSync", "eth_subscribe", "eth_unsubscribe"})

QUANTITIES = st.integers(0, 2**70).map(hex)
ADDRESSES = st.sampled_from(
    ["0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266", "0x" + "00" * 20, "0x" + "00" * 19 + "01", "0x" + "ff" * 20]
)
HASHES = st.sampled_from(["0x" + "00" * 32, "0x" + "ab" * 32])
TAGS = st.sampled_from(["latest", "earliest", "pending", "safe", "finalized", "newest", "0x0", "0x1", "0x01", ""])
DATA = st.binary(max_size=80).map(lambda value: f"0x{value.hex()}")
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
)
HEX = QUANTITIES | ADDRESSES | HASHES | TAGS | DATA
FIELDS = st.sampled_from(
    ["from", "to", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "value", "data", "input", "nonce", "type",
     "accessList", "blobVersionedHashes", "authorizationList", "chainId", "address", "topics", "fromBlock", "toBlock",
     "blockHash", "blockNumber", "requireCanonical", "balance", "code", "state", "stateDiff", "number", "time"]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS | HEX,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS | ADDRESSES, inner, max_size=5),
    max_leaves=10,
)
CALLS = st.fixed_dictionaries(
    {}, optional={"from": ADDRESSES, "to": ADDRESSES, "gas": QUANTITIES, "data": DATA, "value": QUANTITIES}
)


@pytest.fixture(scope="module")
def methods(node: RunningNode) -> list[str]:
    """Every public method, from the registry that the node serves."""
    from tests.unit.node.method_names import PUBLIC_METHODS

    assert node.http
    return sorted(PUBLIC_METHODS - LEFT_OUT)


def check_answer(answer: dict[str, Any]) -> None:
    assert answer["jsonrpc"] == "2.0"
    assert ("result" in answer) != ("error" in answer), answer
    if "error" in answer:
        error = answer["error"]
        assert error["code"] in KNOWN_CODES, error
        assert isinstance(error["message"], str)
        assert error["code"] != -32603, f"a bug of the node: {answer}"


def check_health(client: Client) -> None:
    assert client.get("/health")[0] == 200
    assert client.ask("web3_clientVersion").startswith("metis/")


def try_requests(node: RunningNode, methods: list[str], data: Any, count_min: int = 1) -> None:
    client = node.client()
    params = st.lists(VALUES | HEX | CALLS, max_size=5)
    request = st.fixed_dictionaries(
        {"jsonrpc": st.just("2.0"), "id": st.integers(0, 99), "method": st.sampled_from(methods), "params": params}
    )
    batch = data.draw(st.lists(request, min_size=count_min, max_size=20))
    status, body = client.post(json.dumps(batch).encode())
    assert status == 200
    answers = json.loads(body)
    assert [answer["id"] for answer in answers] == [entry["id"] for entry in batch]
    for entry, answer in zip(batch, answers, strict=True):
        try:
            check_answer(answer)
        except AssertionError as problem:
            raise AssertionError(f"{entry}: {problem}") from problem
    check_health(client)
    client.close()


@settings(suppress_health_check=list(HealthCheck))
@given(st.data())
def test_requests__with_any_parameters__get_a_standard_answer(node: RunningNode, methods: list[str], data: Any) -> None:
    try_requests(node, methods, data)


@pytest.mark.long
@pytest.mark.timeout(900)
@settings(suppress_health_check=list(HealthCheck), max_examples=2_000)
@given(st.data())
def test_requests__twenty_thousand_with_any_parameters__get_a_standard_answer(
    node: RunningNode, methods: list[str], data: Any
) -> None:
    try_requests(node, methods, data, count_min=10)


@settings(suppress_health_check=list(HealthCheck))
@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(str.encode)
    | VALUES.map(lambda value: json.dumps(value).encode())
)
def test_bodies__of_any_bytes__get_a_standard_answer(node: RunningNode, body: bytes) -> None:
    client = node.client()
    status, answer = client.post(body)
    if status == 200:
        decoded = json.loads(answer)
        for entry in decoded if isinstance(decoded, list) else [decoded]:
            check_answer(entry)
    else:
        assert (status, answer) == (204, b"") or status == 400
    check_health(client)
    client.close()


@settings(suppress_health_check=list(HealthCheck))
@given(st.data())
def test_raw_transactions__bent_at_any_byte__are_refused_or_taken_by_the_rules(node: RunningNode, data: Any) -> None:
    client = node.client()
    raw = bytearray(
        node.transfer(9, data.draw(st.integers(0, 2**64 - 1)), chain_id=data.draw(st.sampled_from([1, node.chain_id])))
    )
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    size = data.draw(st.just(len(raw)) | st.integers(0, len(raw)))
    check_answer(client.answer("eth_sendRawTransaction", f"0x{bytes(raw[:size]).hex()}"))
    check_health(client)
    client.close()


def test_large_things__over_the_limits__are_refused_and_the_node_goes_on(node: RunningNode) -> None:
    client = node.client()
    many = [{"jsonrpc": "2.0", "id": index, "method": "eth_chainId"} for index in range(1_001)]
    status, body = client.post(json.dumps(many).encode())
    assert status == 200
    assert json.loads(body)[0]["error"]["code"] == -32005
    check_answer(client.answer("eth_sendRawTransaction", "0x02" + "ff" * 200_000))
    check_answer(client.answer("eth_call", {"data": "0x" + "5b" * 200_000}))
    assert client.post(b"[" * 100_000)[0] == 200
    check_health(client)
    client.close()
