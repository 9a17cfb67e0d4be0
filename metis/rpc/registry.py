"""
Methods by name: how each is run, and which parameters it takes.

In: handlers with typed parameters. Out: :class:`Method` values for the dispatcher, and lists for
``rpc_modules`` and the docs. Invariant: parameters are checked before a handler sees them.

Four kinds of handler, by what running one costs the event loop:

| kind    | runs                          | for |
|---------|-------------------------------|-----|
| hot     | inline; may go on on a thread | under 20 µs: one engine call that keeps the GIL |
| pool    | on a thread                   | longer engine calls, which free the GIL |
| async   | as a task                     | waiting: receipts, upstream nodes |
| session | inline, with the session first | what belongs to a connection: subscriptions |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeVar

from metis.rpc.errors import InvalidParameter
from metis.rpc.parameters import BadValue, Parser

__all__ = ["REQUIRED", "Kind", "Method", "MethodRegistry", "Parameter", "Shortcut"]

METHOD_NAME = re.compile(r"[a-z][a-zA-Z0-9]*_[a-zA-Z][a-zA-Z0-9_]*")

Handler = TypeVar("Handler", bound=Callable[..., Any])
AsyncHandler = TypeVar("AsyncHandler", bound=Callable[..., Coroutine[Any, Any, Any]])
Shortcut = Callable[[bytes], tuple[bytes, str | list[str]] | None]
"""Answers a whole message that is plain and quick, with the names of its methods; None leaves it to the methods."""


class _Required(Enum):
    """A type of its own, so that None can be a default."""

    REQUIRED = "required"


REQUIRED: Final = _Required.REQUIRED
"""The default of a parameter that must be given."""


class Kind(Enum):
    """How a method is run."""

    HOT = "hot"
    POOL = "pool"
    ASYNC = "async"
    GROUP = "group"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Parameter:
    """
    One positional parameter.

    Attributes
    ----------
    name : as in the method's documentation; errors name it.
    parse : from metis.rpc.parameters.
    default : the value for a missing or null argument, or :data:`REQUIRED`.
    """

    name: str
    parse: Parser[Any]
    default: Any = REQUIRED


@dataclass(frozen=True, slots=True)
class Method:
    """A registered method; ``summary`` is the first line of its handler's docstring, ``parsers`` its parameters'."""

    name: str
    kind: Kind
    handler: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    summary: str
    parsers: tuple[Parser[Any], ...]

    @property
    def namespace(self) -> str:
        """The name up to the first underscore."""
        return self.name.partition("_")[0]

    def arguments(self, params: list[Any]) -> list[Any]:
        """
        Check the parameters of a call and convert them.

        Raises
        ------
        InvalidParameter : too many, a required one missing, or one its parser does not take.
        """
        parsers = self.parsers
        if not params and not parsers:
            return []
        if len(params) == len(parsers) and None not in params:
            # Most calls give every parameter, and give it right. If not, look again, and name the one.
            try:
                return [parse(value) for parse, value in zip(parsers, params, strict=True)]
            except BadValue:
                pass
        parameters = self.parameters
        if len(params) > len(parameters):
            raise InvalidParameter(len(parameters), "", f"too many arguments, want at most {len(parameters)}")
        arguments = []
        position = 0
        for position, value in enumerate(params):
            parameter = parameters[position]
            if value is None:
                if parameter.default is REQUIRED:
                    # A parser may take null (a filter topic); most refuse it as missing.
                    arguments.append(self._parse_null(position, parameter))
                else:
                    arguments.append(parameter.default)
                continue
            try:
                arguments.append(parameter.parse(value))
            except BadValue as problem:
                raise InvalidParameter(position, parameter.name, str(problem)) from None
        for position in range(len(params), len(parameters)):
            parameter = parameters[position]
            if parameter.default is REQUIRED:
                raise InvalidParameter(position, parameter.name, "missing value for required argument")
            arguments.append(parameter.default)
        return arguments

    @staticmethod
    def _parse_null(position: int, parameter: Parameter) -> Any:
        try:
            return parameter.parse(None)
        except BadValue:
            raise InvalidParameter(position, parameter.name, "missing value for required argument") from None


class MethodRegistry:
    """
    The methods that a listener offers.

    Handlers are added with the decorators; each returns its function unchanged:

    >>> from metis.rpc import MethodRegistry, Parameter
    >>> from metis.rpc.parameters import data
    >>> registry = MethodRegistry()
    >>> @registry.hot("web3_size", Parameter("data", data))
    ... def size(data: bytes) -> str:
    ...     "Length of the data, as a quantity."
    ...     return hex(len(data))
    >>> registry.method("web3_size").summary
    'Length of the data, as a quantity.'
    """

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}
        self._later: dict[str, tuple[tuple[str, ...], Callable[[], None]]] = {}
        self.shortcut: Shortcut | None = None
        """Set before a server is made of the registry; asked before the methods are."""
        self.around_pool: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
        """Set before methods are registered: what is put around handlers on a thread, and around what runs code."""

    def __iter__(self) -> Iterator[Method]:
        """All methods, sorted by name."""
        while self._later:
            self._register(next(iter(self._later)))
        return iter(sorted(self._methods.values(), key=lambda method: method.name))

    def __len__(self) -> int:
        return len(self._methods) + len(self._later)

    def __contains__(self, name: str) -> bool:
        return name in self._methods or name in self._later

    @property
    def known(self) -> Mapping[str, Method]:
        """Methods by name, without those that :meth:`later` promised and nobody asked for; shows later changes."""
        return self._methods

    def method(self, name: str) -> Method | None:
        """Return a method, or None where there is no such method."""
        if name in self._later:
            self._register(name)
        return self._methods.get(name)

    def namespaces(self) -> dict[str, str]:
        """Return every namespace with its version, as ``rpc_modules`` answers."""
        return dict.fromkeys(sorted({name.partition("_")[0] for name in (*self._methods, *self._later)}), "1.0")

    def later(self, names: tuple[str, ...], register: Callable[[], None]) -> None:
        """
        Promise methods: ``register`` adds exactly these when one of them is first asked for.

        Raises
        ------
        ValueError : a name is taken.
        """
        for name in names:
            if name in self:
                raise ValueError(f"{name} is registered twice")
            self._later[name] = (names, register)

    def _register(self, name: str) -> None:
        names, register = self._later[name]
        for promised in names:
            del self._later[promised]
        before = len(self._methods)
        register()
        added = list(self._methods)[before:]
        if set(added) != set(names):
            raise ValueError(f"promised were {sorted(names)}, and registered are {sorted(added)}")

    def add(self, name: str, kind: Kind, handler: Callable[..., Any], *parameters: Parameter) -> None:
        """
        Register a handler.

        Raises
        ------
        ValueError : the name is taken or not ``namespace_name``, or a required parameter follows an
            optional one: mistakes of the program, not of a client.
        """
        if not METHOD_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a method name such as eth_chainId")
        if name in self:
            raise ValueError(f"{name} is registered twice")
        optional = [parameter.default is not REQUIRED for parameter in parameters]
        if optional != sorted(optional):
            raise ValueError(f"{name}: a required parameter follows an optional one")
        summary = (handler.__doc__ or "").strip().partition("\n")[0]
        if kind is Kind.POOL:
            handler = self.around(handler)
        parsers = tuple(parameter.parse for parameter in parameters)
        self._methods[name] = Method(name, kind, handler, parameters, summary, parsers)

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Put :attr:`around_pool` around something that runs code outside a handler on a thread."""
        return work if self.around_pool is None else self.around_pool(work)

    def replace(self, name: str, kind: Kind, handler: Callable[..., Any], *parameters: Parameter) -> None:
        """
        Give a method another handler.

        Raises
        ------
        KeyError : there is no such method yet.
        """
        method = self.method(name)
        if method is None:
            raise KeyError(name)
        del self._methods[name]
        self.add(name, kind, handler, *parameters)

    def alias(self, name: str, of: str) -> None:
        """
        Register another name of a method, such as hardhat_mine for anvil_mine.

        Raises
        ------
        KeyError : there is no such method yet.
        """
        method = self.method(of)
        if method is None:
            raise KeyError(of)
        self.add(name, method.kind, method.handler, *method.parameters)

    def include(self, other: MethodRegistry, names: frozenset[str] | None = None) -> None:
        """Add the methods of another registry, or only those in ``names`` (the Engine API needs some of eth)."""
        for name in sorted(names) if names is not None else [method.name for method in other]:
            method = other.method(name)
            if method is not None:
                self.add(name, method.kind, method.handler, *method.parameters)

    def hot(self, name: str, *parameters: Parameter) -> Callable[[Handler], Handler]:
        """Register a handler that takes under 20 µs, or returns :class:`metis.rpc.OnPool` where it would not."""
        return self._decorator(name, Kind.HOT, parameters)

    def pool(self, name: str, *parameters: Parameter) -> Callable[[Handler], Handler]:
        """Register a handler that runs on a pool thread; it must be thread-safe."""
        return self._decorator(name, Kind.POOL, parameters)

    def asynchronous(self, name: str, *parameters: Parameter) -> Callable[[AsyncHandler], AsyncHandler]:
        """Register a coroutine function; it is cancelled when the request runs out of time."""
        return self._decorator(name, Kind.ASYNC, parameters)

    def group(self, name: str, *parameters: Parameter) -> Callable[[AsyncHandler], AsyncHandler]:
        """
        Register a coroutine function for calls that follow each other in a message, all at once.

        It gets the arguments of each and returns as many results; an exception among them is that call's error.
        """
        return self._decorator(name, Kind.GROUP, parameters)

    def session(self, name: str, *parameters: Parameter) -> Callable[[Handler], Handler]:
        """Register an inline handler whose first argument is the :class:`metis.rpc.dispatch.Session`."""
        return self._decorator(name, Kind.SESSION, parameters)

    def _decorator(self, name: str, kind: Kind, parameters: tuple[Parameter, ...]) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.add(name, kind, handler, *parameters)
            return handler

        return register


def register_introspection(registry: MethodRegistry) -> None:
    """Add ``rpc_modules``, by which clients learn the namespaces."""

    @registry.hot("rpc_modules")
    def rpc_modules() -> dict[str, str]:
        """Namespaces that this listener offers, with their versions."""
        return registry.namespaces()
