"""
Subscriptions: who gets which event, encoded once for all who get it.

In: events that the node publishes on topics, and the subscriptions of connections. Out: messages
on those connections. Invariant: a subscriber gets the answer to its ``eth_subscribe`` before the
first message, and messages in the order of publishing. Cost: one encoding per event and transport,
one filter evaluation per event and distinct filter, one write per subscriber.
Source: https://geth.ethereum.org/docs/interacting-with-geth/rpc/pubsub
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from typing import Any, Protocol

from metis.rpc.counters import RpcCounters
from metis.rpc.dispatch import Followed, Session
from metis.rpc.errors import ErrorCode, InvalidParameter, RpcError
from metis.rpc.jsonrpc import encode_notification
from metis.rpc.parameters import BadValue, Parser, any_json, string
from metis.rpc.registry import MethodRegistry, Parameter

__all__ = ["Selector", "Subscriber", "Subscription", "SubscriptionHub", "register_subscriptions"]

ID_SIZE_BYTES = 16
# All ids have one length, so that all messages of an event have one length, and one frame header.
ID_PLACEHOLDER = "0x" + "#" * (ID_SIZE_BYTES * 2)


class Selector(Hashable, Protocol):
    """
    A filter on a topic's events, such as an address and topics for logs.

    Equal selectors must accept the same events: subscribers with equal ones share an evaluation.
    """

    def accepts(self, event: Any) -> bool:
        """Whether subscribers with this selector get the event."""


class Framing(Protocol):
    """How a transport delimits messages, given their length."""

    def frame(self, message: bytes) -> bytes:
        """Return the message as it goes over the wire."""


class Subscriber(Protocol):
    """A connection that takes notifications."""

    framing: Framing
    subscriptions: dict[str, Subscription]
    subscription_count_max: int
    is_closed: bool

    def send_framed(self, frame: bytes) -> None:
        """Write a frame, or disconnect the client when it does not read."""


class Subscription:
    """
    One subscription of one connection.

    Until its connection has the answer with the id, messages are held back: ``held`` is a list.
    """

    __slots__ = ("held", "id", "selector", "subscriber", "topic")

    def __init__(self, subscriber: Subscriber, topic: str, selector: Selector | None) -> None:
        self.id = f"0x{os.urandom(ID_SIZE_BYTES).hex()}"
        self.subscriber = subscriber
        self.topic = topic
        self.selector = selector
        self.held: list[bytes] | None = []

    def activate(self) -> None:
        """Send what was held back, and from now on send at once."""
        held, self.held = self.held, None
        if self.id in self.subscriber.subscriptions:
            for frame in held or ():
                self.subscriber.send_framed(frame)


class SubscriptionHub:
    """
    Topics and their subscribers. All methods belong to the event loop's thread.

    The node publishes, typically after a block:

        if hub.has_subscribers("newHeads"):
            hub.publish("newHeads", header, header_json)
    """

    def __init__(self, counters: RpcCounters) -> None:
        self._counters = counters
        # topic → selector → subscriptions, in the order of subscribing.
        self._topics: dict[str, dict[Selector | None, dict[str, Subscription]]] = {}

    def has_subscribers(self, topic: str) -> bool:
        """Whether publishing on the topic would reach anyone; if not, encoding can be skipped."""
        return topic in self._topics

    def subscribe(self, subscriber: Subscriber, topic: str, selector: Selector | None = None) -> Subscription:
        """
        Add a subscription; it sends from :meth:`Subscription.activate` on.

        Raises
        ------
        RpcError : the connection has as many subscriptions as it may have, or closed while the
            batch with the request was running.
        """
        if subscriber.is_closed:
            raise RpcError(ErrorCode.RESOURCE_UNAVAILABLE, "connection is closed")
        if len(subscriber.subscriptions) >= subscriber.subscription_count_max:
            raise RpcError(
                ErrorCode.LIMIT_EXCEEDED, f"too many subscriptions: at most {subscriber.subscription_count_max}"
            )
        subscription = Subscription(subscriber, topic, selector)
        subscriber.subscriptions[subscription.id] = subscription
        self._topics.setdefault(topic, {}).setdefault(selector, {})[subscription.id] = subscription
        self._counters.subscriptions_open += 1
        return subscription

    def unsubscribe(self, subscriber: Subscriber, subscription_id: str) -> bool:
        """End a subscription of this connection; False where it has no such subscription."""
        subscription = subscriber.subscriptions.pop(subscription_id, None)
        if subscription is None:
            return False
        selectors = self._topics[subscription.topic]
        subscriptions = selectors[subscription.selector]
        del subscriptions[subscription_id]
        if not subscriptions:
            del selectors[subscription.selector]
        if not selectors:
            del self._topics[subscription.topic]
        self._counters.subscriptions_open -= 1
        return True

    def drop(self, subscriber: Subscriber) -> None:
        """End all subscriptions of a connection that is gone."""
        for subscription_id in list(subscriber.subscriptions):
            self.unsubscribe(subscriber, subscription_id)

    def publish(self, topic: str, event: Any, event_json: bytes) -> int:
        """
        Send an event to all subscribers whose selector accepts it.

        Parameters
        ----------
        event : what selectors look at. event_json : what subscribers get as ``result``.

        Returns
        -------
        How many subscriptions it went to.
        """
        receivers = [
            subscription
            for selector, subscriptions in self._topics.get(topic, {}).items()
            if selector is None or selector.accepts(event)
            for subscription in subscriptions.values()
        ]
        if not receivers:
            return 0
        message = encode_notification("eth_subscription", ID_PLACEHOLDER, event_json)
        frames: dict[Framing, tuple[bytes, bytes]] = {}
        for subscription in receivers:
            subscriber = subscription.subscriber
            parts = frames.get(subscriber.framing)
            if parts is None:
                head, _, tail = subscriber.framing.frame(message).partition(ID_PLACEHOLDER.encode())
                parts = frames[subscriber.framing] = (head, tail)
            frame = b"%b%b%b" % (parts[0], subscription.id.encode(), parts[1])
            if subscription.held is None:
                subscriber.send_framed(frame)
            else:
                # BOUND: only while the batch with the eth_subscribe runs, at most request_timeout_ms.
                subscription.held.append(frame)
        self._counters.notification_count += len(receivers)
        return len(receivers)


def no_options(value: Any) -> None:
    """Parse the options of topics that have none: only null, or an empty object."""
    if value not in (None, {}):
        raise BadValue("this subscription takes no options")


def register_subscriptions(
    registry: MethodRegistry, hub: SubscriptionHub, topics: Mapping[str, Parser[Selector | None]]
) -> None:
    """
    Add ``eth_subscribe`` and ``eth_unsubscribe``.

    Parameters
    ----------
    topics : name → parser of the second parameter, which gets None when there is none and returns
        a selector, or None for all events. :func:`no_options` is the parser of plain topics.
    """

    @registry.session("eth_subscribe", Parameter("topic", string), Parameter("options", any_json, None))
    def eth_subscribe(session: Session, topic: str, options: Any) -> Followed:
        """Subscribe this connection to a topic; answers the subscription's id."""
        subscriber = _subscriber_of(session)
        parse_options = topics.get(topic)
        if parse_options is None:
            raise InvalidParameter(0, "topic", f"no {topic[:40]!r} subscription, only {', '.join(sorted(topics))}")
        try:
            selector = parse_options(options)
        except BadValue as problem:
            raise InvalidParameter(1, "options", str(problem)) from None
        subscription = hub.subscribe(subscriber, topic, selector)
        return Followed(subscription.id, subscription.activate)

    @registry.session("eth_unsubscribe", Parameter("subscription", string))
    def eth_unsubscribe(session: Session, subscription_id: str) -> bool:
        """End a subscription of this connection; answers whether there was one."""
        return hub.unsubscribe(_subscriber_of(session), subscription_id)


def _subscriber_of(session: Session) -> Subscriber:
    if session.subscriber is None:
        # geth's code and words, by which clients fall back to polling.
        raise RpcError(ErrorCode.METHOD_NOT_FOUND, "notifications not supported")
    return session.subscriber
