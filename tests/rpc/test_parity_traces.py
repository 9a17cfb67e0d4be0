"""trace_* over HTTP: each method against another one, and all of them against callTracer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.rpc.running_node import running_node
from tests.rpc.trace_world import RECEIVER, TraceWorld, frames

UNKNOWN = "0x" + "12" * 32
PLACE = ("blockHash", "blockNumber", "transactionHash", "transactionPosition")


@pytest.fixture(scope="module")
def world() -> Iterator[TraceWorld]:
    with running_node() as node:
        made = TraceWorld(node)
        yield made
        made.client.close()


def test_trace_block__of_every_block__is_the_traces_of_its_transactions(world: TraceWorld) -> None:
    ask = world.client.ask
    for height in world.heights:
        hashes = ask("eth_getBlockByNumber", height, False)["transactions"]  # noqa: FBT003 - the method's parameter
        expected = [trace for one in hashes for trace in ask("trace_transaction", one)]
        assert ask("trace_block", height) == expected
    assert ask("trace_block", hex(10**6)) is None
    assert ask("trace_transaction", UNKNOWN) is None


def test_trace_transaction__of_each_kind__is_what_call_tracer_says(world: TraceWorld) -> None:
    for index, one in enumerate(world.hashes):
        traces = world.client.ask("trace_transaction", one)
        tree = world.client.ask("debug_traceTransaction", one, {"tracer": "callTracer"})
        expected = list(frames(tree))
        assert [trace["traceAddress"] for trace in traces] == [path for path, _ in expected]
        for trace, (_, frame) in zip(traces, expected, strict=True):
            assert compared(trace) == framed(frame)
            assert trace["subtraces"] == len(frame.get("calls", ()))
            assert (trace["transactionHash"], trace["transactionPosition"]) == (one, index)
            assert trace["blockNumber"] == world.block


def compared(trace: dict[str, Any]) -> tuple[Any, ...]:
    """What both forms say of a frame."""
    action, result = trace["action"], trace.get("result") or {}
    if trace["type"] == "suicide":
        return ("SELFDESTRUCT", action["address"], action["refundAddress"], action["balance"], "0x", False)
    kind = action["callType"].upper() if trace["type"] == "call" else action.get("creationMethod", "create").upper()
    given = action["input"] if trace["type"] == "call" else action["init"]
    to = action["to"] if trace["type"] == "call" else result.get("address")
    return (kind, action["from"], to, action["value"], given, "error" in trace)


def framed(frame: dict[str, Any]) -> tuple[Any, ...]:
    value = frame.get("value", "0x0")
    return (frame["type"], frame["from"], frame.get("to"), value, frame.get("input", "0x"), "error" in frame)


def test_trace_get__at_each_position__is_the_trace_there(world: TraceWorld) -> None:
    for one in world.hashes:
        for trace in world.client.ask("trace_transaction", one):
            position = [hex(index) for index in trace["traceAddress"]]
            assert world.client.ask("trace_get", one, position) == trace
        assert world.client.ask("trace_get", one, ["0x9"]) is None


@pytest.mark.parametrize("mode", ["union", "intersection"])
def test_trace_filter__by_sender_and_receiver__is_the_matching_traces_of_the_blocks(
    world: TraceWorld, mode: str
) -> None:
    ask = world.client.ask
    every = [trace for height in world.heights for trace in ask("trace_block", height)]
    span = {"fromBlock": "0x1", "toBlock": "latest"}
    assert ask("trace_filter", span) == every
    senders, receivers = [world.relay], [RECEIVER, world.creator]

    def matches(trace: dict[str, Any]) -> bool:
        action = trace["action"]
        sent = action.get("from", action.get("address")) in senders
        named = action.get("to", action.get("refundAddress", (trace.get("result") or {}).get("address")))
        received = named in receivers
        return (sent or received) if mode == "union" else (sent and received)

    expected = [trace for trace in every if matches(trace)]
    assert expected
    wish = span | {"fromAddress": senders, "toAddress": receivers, "mode": mode}
    assert ask("trace_filter", wish) == expected
    assert ask("trace_filter", wish | {"after": 1, "count": 2}) == expected[1:3]
    assert world.client.answer("trace_filter", {"fromBlock": "0x1", "toBlock": hex(10**5)})["error"]


def test_replays__of_a_block__are_those_of_its_transactions_and_hold_its_traces(world: TraceWorld) -> None:
    ask, height, types = world.client.ask, hex(world.block), ["trace", "stateDiff", "vmTrace"]
    replays = ask("trace_replayBlockTransactions", height, types)
    assert [replay.pop("transactionHash") for replay in replays] == world.hashes
    assert replays == [ask("trace_replayTransaction", one, types) for one in world.hashes]
    bare = [{name: value for name, value in trace.items() if name not in PLACE} for trace in ask("trace_block", height)]
    assert [trace for replay in replays for trace in replay["trace"]] == bare
    assert ask("trace_replayTransaction", UNKNOWN, types) is None


def test_state_diffs__of_a_block__lead_from_the_state_before_to_the_state_after(world: TraceWorld) -> None:
    ask, before, after = world.client.ask, hex(world.block - 1), hex(world.block)
    questions = {"balance": "eth_getBalance", "nonce": "eth_getTransactionCount"}
    known: dict[tuple[str, str], Any] = {}
    for replay in ask("trace_replayBlockTransactions", after, ["stateDiff"]):
        for address, change in replay["stateDiff"].items():
            for field, method in questions.items():
                at = known.setdefault((address, field), ask(method, address, before))
                if change[field] == "=":
                    continue
                if "*" in change[field]:
                    assert change[field]["*"]["from"] == at
                    known[address, field] = change[field]["*"]["to"]
                else:
                    known[address, field] = change[field].get("+", "0x0")
    assert len(known) > 8
    for (address, field), value in known.items():
        assert value == ask(questions[field], address, after), (address, field)
