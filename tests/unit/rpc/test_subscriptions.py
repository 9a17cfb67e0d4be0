"""Subscriptions: who gets what, in which order, encoded once, and never more than they read."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode
from websockets.sync.client import ClientConnection

from metis.rpc import RpcConfig, RpcCounters, RpcLimits, SubscriptionHub
from metis.rpc.ipc import IPC_FRAMING
from metis.rpc.subscriptions import Framing, Subscription
from metis.rpc.websocket import WEBSOCKET_FRAMING
from tests.unit.rpc.raw_client import RawClient, call, result_of
from tests.unit.rpc.running_server import PROMPT_S, AddressSelector, RunningServer, eventually, running_server
from tests.unit.rpc.test_websocket import masked, result, upgrade, websocket

Address = tuple[str, int]
ALICE = "0x" + "aa" * 20
BOB = "0x" + "bb" * 20


class RecordingSubscriber:
    """A subscriber without a socket."""

    def __init__(self, framing: Framing, subscription_count_max: int = 10) -> None:
        self.framing = framing
        self.subscriptions: dict[str, Subscription] = {}
        self.subscription_count_max = subscription_count_max
        self.is_closed = False
        self.frames: list[bytes] = []

    def send_framed(self, frame: bytes) -> None:
        self.frames.append(frame)


class CountingSelector(AddressSelector):
    """Counts how often it is asked."""

    asked: ClassVar[list[Any]] = []

    def accepts(self, event: Any) -> bool:
        self.asked.append(event)
        return super().accepts(event)


def publish(server: RunningServer, topic: str, event: Any, value: Any) -> int:
    return server.run(lambda: server.server.hub.publish(topic, event, json.dumps(value).encode()))


def notification(client: ClientConnection) -> tuple[str, Any]:
    message = json.loads(client.recv(PROMPT_S))
    assert message["method"] == "eth_subscription"
    return message["params"]["subscription"], message["params"]["result"]


def test_events__published_on_a_topic__reach_its_subscribers_in_order(server: RunningServer, address: Address) -> None:
    with websocket(address) as client, websocket(address) as other:
        heads = result(client, "eth_subscribe", "newHeads")
        logs = result(client, "eth_subscribe", "logs", {"address": ALICE})
        other_heads = result(other, "eth_subscribe", "newHeads")
        assert len({heads, logs, other_heads}) == 3
        assert publish(server, "newHeads", None, {"number": "0x1"}) == 2
        assert publish(server, "logs", bytes.fromhex(ALICE[2:]), {"log": 1}) == 1
        assert publish(server, "logs", bytes.fromhex(BOB[2:]), {"log": 2}) == 0
        assert publish(server, "newHeads", None, {"number": "0x2"}) == 2
        assert [notification(client) for _ in range(3)] == [
            (heads, {"number": "0x1"}),
            (logs, {"log": 1}),
            (heads, {"number": "0x2"}),
        ]
        assert [notification(other) for _ in range(2)] == [
            (other_heads, {"number": "0x1"}),
            (other_heads, {"number": "0x2"}),
        ]
        assert result(client, "eth_unsubscribe", other_heads) is False
        assert result(client, "eth_unsubscribe", heads) is True
        assert result(client, "eth_unsubscribe", heads) is False
        assert publish(server, "newHeads", None, {"number": "0x3"}) == 1
    eventually(lambda: server.server.counters.subscriptions_open == 0)
    assert not server.run(lambda: server.server.hub.has_subscribers("newHeads"))


def test_subscribing__over_http__is_not_supported(address: Address) -> None:
    for method, params in (("eth_subscribe", ["newHeads"]), ("eth_unsubscribe", ["0x1"])):
        error = result_of(address, call(method, *params))["error"]
        assert error == {"code": -32601, "message": "notifications not supported"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([], "invalid argument 0 (topic): missing value"),
        (["newTails"], "invalid argument 0 (topic): no 'newTails' subscription, only logs, newHeads"),
        (["logs", {}], "invalid argument 1 (options): missing field 'address'"),
        (["logs", {"address": "0x"}], "invalid argument 1 (options): field 'address'"),
    ],
)
def test_subscribing__to_nonsense__names_the_argument(address: Address, params: list[Any], message: str) -> None:
    with websocket(address) as client:
        client.send(call("eth_subscribe", *params))
        error = json.loads(client.recv(PROMPT_S))["error"]
        assert error["code"] == -32602
        assert error["message"].startswith(message)


def test_event__during_the_batch_that_subscribes__comes_after_its_answer() -> None:
    with running_server() as server, websocket(server.address) as client:
        batch = [json.loads(call("eth_subscribe", "newHeads")), json.loads(call("test_gate", request_id=2))]
        client.send(json.dumps(batch))
        assert server.gate.entered.acquire(timeout=PROMPT_S)
        assert publish(server, "newHeads", None, "during") == 1
        server.gate.opened.set()
        answers = json.loads(client.recv(PROMPT_S))
        assert notification(client) == (answers[0]["result"], "during")
        publish(server, "newHeads", None, "after")
        assert notification(client)[1] == "after"


def test_subscription__ended_in_the_batch_that_made_it__sends_nothing() -> None:
    with running_server() as server, websocket(server.address) as client:
        subscribe = json.loads(call("eth_subscribe", "newHeads"))
        client.send(json.dumps([subscribe, json.loads(call("test_gate", request_id=2))]))
        assert server.gate.entered.acquire(timeout=PROMPT_S)
        publish(server, "newHeads", None, "during")
        hub = server.server.hub
        (subscription,) = server.run(lambda: list(hub._topics["newHeads"][None].values()))
        server.run(lambda: hub.unsubscribe(subscription.subscriber, subscription.id))
        server.gate.opened.set()
        client.recv(PROMPT_S)
        assert result(client, "test_echo", "nothing between") == "nothing between"


def test_subscribing__on_a_connection_that_closed_meanwhile__leaves_nothing() -> None:
    with running_server() as server:
        with websocket(server.address) as client:
            client.send(json.dumps([json.loads(call("test_gate")), json.loads(call("eth_subscribe", "newHeads"))]))
            assert server.gate.entered.acquire(timeout=PROMPT_S)
        eventually(lambda: server.server.counters.connections_open == 0)
        server.gate.opened.set()
        eventually(lambda: server.server.counters.of_method("eth_subscribe").request_count == 1)
        assert server.server.counters.subscriptions_open == 0


def test_subscriptions__over_the_limit__are_refused() -> None:
    limits = RpcLimits(subscriptions_per_connection_max=2)
    with running_server(RpcConfig(port=0, limits=limits)) as server, websocket(server.address) as client:
        first = result(client, "eth_subscribe", "newHeads")
        result(client, "eth_subscribe", "newHeads")
        client.send(call("eth_subscribe", "newHeads"))
        assert json.loads(client.recv(PROMPT_S))["error"]["code"] == -32005
        result(client, "eth_unsubscribe", first)
        assert result(client, "eth_subscribe", "newHeads") != first


def test_subscriber__that_does_not_read__is_disconnected_and_others_go_on() -> None:
    limits = RpcLimits(subscriber_buffer_bytes_max=1_000_000)
    with (
        running_server(RpcConfig(port=0, limits=limits)) as server,
        websocket(server.address) as good,
        RawClient(server.address) as slow,
    ):
        result(good, "eth_subscribe", "newHeads")
        slow.send(upgrade() + masked(Opcode.TEXT, call("eth_subscribe", "newHeads")))
        eventually(lambda: server.server.counters.subscriptions_open == 2)
        for index in range(80):
            publish(server, "newHeads", None, [index, "x" * 500_000])
            assert notification(good)[1][0] == index
        assert server.server.counters.slow_subscriber_count == 1
        assert server.server.counters.subscriptions_open == 1


def test_event__larger_than_a_subscribers_buffer__closes_with_1013() -> None:
    limits = RpcLimits(subscriber_buffer_bytes_max=1_000)
    with running_server(RpcConfig(port=0, limits=limits)) as server, websocket(server.address) as client:
        result(client, "eth_subscribe", "newHeads")
        publish(server, "newHeads", None, "x" * 1_000)
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(PROMPT_S)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1013, "notifications are not read")


def test_publishing__to_many__encodes_once_per_transport() -> None:
    class CountingFraming:
        count = 0

        def frame(self, message: bytes) -> bytes:
            self.count += 1
            return WEBSOCKET_FRAMING.frame(message)

    hub, framing = SubscriptionHub(RpcCounters()), CountingFraming()
    subscribers = [RecordingSubscriber(framing) for _ in range(50)]
    lines = RecordingSubscriber(IPC_FRAMING)
    for subscriber in [*subscribers, lines]:
        hub.subscribe(subscriber, "newHeads").activate()
    assert hub.publish("newHeads", None, b'{"number":"0x1"}') == 51
    assert framing.count == 1
    for subscriber in subscribers:
        (frame,) = subscriber.frames
        (subscription_id,) = subscriber.subscriptions
        length = frame[1] if frame[1] < 126 else int.from_bytes(frame[2:4], "big")
        payload = frame[-length:]
        assert json.loads(payload)["params"] == {"subscription": subscription_id, "result": {"number": "0x1"}}
    assert lines.frames[0].endswith(b"}\n")


def test_selectors__that_are_equal__are_asked_once_per_event() -> None:
    hub = SubscriptionHub(RpcCounters())
    subscribers = [RecordingSubscriber(IPC_FRAMING) for _ in range(3)]
    CountingSelector.asked.clear()
    for subscriber, of in zip(subscribers, (b"a", b"a", b"b"), strict=True):
        hub.subscribe(subscriber, "logs", CountingSelector(of)).activate()
    assert hub.publish("logs", b"a", b"1") == 2
    assert len(CountingSelector.asked) == 2
    assert [len(subscriber.frames) for subscriber in subscribers] == [1, 1, 0]


def test_connection__closed_by_the_client__ends_its_subscriptions(address: Address, server: RunningServer) -> None:
    with websocket(address) as client:
        result(client, "eth_subscribe", "newHeads")
        client.close(1000)
        with pytest.raises(ConnectionClosed):
            client.recv(PROMPT_S)
    eventually(lambda: server.server.counters.subscriptions_open == 0)
    assert publish(server, "newHeads", None, 1) == 0
