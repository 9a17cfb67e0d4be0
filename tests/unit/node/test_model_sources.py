"""Models from addresses that anybody may have written: which are followed, and how far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpcore
import pytest

from metis.ai import ModelFile, ModelStore, save
from metis.ai.store.https import HttpsFiles
from metis.engine import Node
from metis.node.config import ModelsConfig
from metis.node.heads import Heads
from metis.node.model_sources import is_allowed, registered_uri
from metis.node.models import ModelService
from metis.rpc.namespaces.happenings import Happenings
from metis.sdk import MODEL_REGISTRY
from metis.sdk.genesis import genesis_document
from metis.types import Hash32, InvalidModelFile, ModelUnavailable
from tests.unit.engine.inference_world import CONSTANTS, FEES, MODEL, OWNER, PEOPLE, SALT, World, call_data

SCHEMES = frozenset({"https", "ipfs"})


@pytest.mark.parametrize(
    "uri",
    [
        "https://models.example/store",
        "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
    ],
)
def test_uri__of_an_allowed_scheme__is_followed(uri: str) -> None:
    assert is_allowed(uri, SCHEMES)
    assert not is_allowed(uri, frozenset())


@pytest.mark.parametrize(
    "uri",
    [
        "http://models.example/store",
        "file:///etc/passwd",
        "/etc/passwd",
        "memory://models",
        "HTTPS://models.example",
        "https://",
        "https://a::file:///etc/passwd",
        "simplecache::https://models.example",
        "https://models.example/a b",
        "https://models.example/\n",
        "",
    ],
)
def test_uri__that_leads_elsewhere__is_not_followed(uri: str) -> None:
    assert not is_allowed(uri, SCHEMES)


def registered(uri: str) -> World:
    """A chain whose registry has this address for the model."""
    from eth_abi.abi import encode

    from metis import engine

    world = World(has_model=False)
    commitment = engine.keccak256(encode(["bytes32", "address", "bytes32"], [MODEL.id, PEOPLE[OWNER], SALT]))
    world.send(OWNER, MODEL_REGISTRY, call_data("commit(bytes32)", commitment))
    data = call_data("register(bytes32,uint256,string,bytes32)", MODEL.id, 0, uri, SALT)
    assert world.send(OWNER, MODEL_REGISTRY, data)["status"] == "0x1"
    return world


@pytest.mark.parametrize("uri", ["", "https://a", "https://models.example/" + "x" * 233])
def test_registered_uri__of_any_length__is_read_from_the_registry(uri: str) -> None:
    assert registered_uri(registered(uri).node, MODEL_REGISTRY, MODEL.id) == uri


def test_registered_uri__of_a_model_nobody_registered__is_none() -> None:
    assert registered_uri(registered("https://a").node, MODEL_REGISTRY, Hash32(bytes(32))) == ""


class _NoHub:
    def has_subscribers(self, _: str) -> bool:
        return False


def service(node: Node, tmp_path: Path, **settings: Any) -> ModelService:
    config = ModelsConfig(stores=(str(tmp_path / "own"),), path=str(tmp_path / "files"), **settings)
    made = ModelService(config, genesis_document(CONSTANTS, FEES))
    made._node = node
    return made


def test_load__model_at_an_allowed_address__is_fetched_and_checked(tmp_path: Path) -> None:
    far = tmp_path / "far"
    ModelStore(far).put(ModelFile.of(MODEL))
    world = registered(f"file://{far}")

    refused = service(world.node, tmp_path)
    with pytest.raises(ModelUnavailable):
        refused.load(MODEL.id)
    allowed = service(world.node, tmp_path, uri_schemes=("file",))
    allowed.load(MODEL.id)

    assert allowed.models.ids() == [MODEL.id]


def test_load__chunk_that_is_missing_and_comes__stops_and_goes_on(tmp_path: Path) -> None:
    far = tmp_path / "far"
    ModelStore(far).put(ModelFile.of(MODEL))
    (chunk,) = (path for path in (far / "objects").rglob("*") if path.is_file() and path.stat().st_size == 64)
    content = chunk.read_bytes()
    chunk.write_bytes(bytes(64))
    models = service(registered(f"file://{far}").node, tmp_path, uri_schemes=("file",))

    with pytest.raises(ModelUnavailable):
        models.load(MODEL.id)
    assert models.models.ids() == []
    chunk.write_bytes(content)
    models.load(MODEL.id)

    assert models.models.ids() == [MODEL.id]


def test_load__more_bytes_than_are_taken__is_refused(tmp_path: Path) -> None:
    far = tmp_path / "far"
    ModelStore(far).put(ModelFile.of(MODEL))
    world = registered(f"file://{far}")

    with pytest.raises(ModelUnavailable):
        service(world.node, tmp_path, uri_schemes=("file",), model_bytes_max=63).load(MODEL.id)
    with pytest.raises(InvalidModelFile, match="at most 63"):
        ModelStore(far).fetch(MODEL.id, tmp_path / "model", weights_bytes_max=63)


def test_load__own_file_that_was_changed__is_fetched_again(tmp_path: Path) -> None:
    ModelStore(tmp_path / "own").put(ModelFile.of(MODEL))
    path = tmp_path / "files" / f"{MODEL.id.hex()}.model"
    path.parent.mkdir()
    save(ModelFile.of(MODEL), path)
    harmed = bytearray(path.read_bytes())
    harmed[-64] ^= 1
    path.write_bytes(harmed)
    models = service(World(has_model=False).node, tmp_path)

    models.load(MODEL.id)

    assert path.read_bytes() != bytes(harmed)


def test_follow__engine_that_fails_once__goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from metis.node import models as module
    from metis.types import EngineFault

    world = registered("")
    ModelStore(tmp_path / "own").put(ModelFile.of(MODEL))
    made = service(world.node, tmp_path)
    asked: list[int] = []

    def scheduled(_: Node, first: int, __: int) -> set[Hash32]:
        asked.append(first)
        if len(asked) == 1:
            raise EngineFault("once")
        return {MODEL.id}

    monkeypatch.setattr(made, "_scheduled", scheduled)
    monkeypatch.setattr(module, "RETRY_INTERVAL_S", 0.01)

    async def follow() -> None:
        made.start(world.node, Heads(world.node, Happenings(), _NoHub()))  # type: ignore[arg-type]
        async with asyncio.timeout(60):
            while not made.models.ids():
                await asyncio.sleep(0.01)
        await made.stop()

    asyncio.run(follow())
    assert asked == [0, 0]


def files(*answers: bytes) -> HttpsFiles:
    """Over connections that answer so."""
    backend = httpcore.MockBackend([*answers])
    return HttpsFiles(is_public_only=False, pool=httpcore.ConnectionPool(network_backend=backend))


def answer(status: str, body: bytes, *headers: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status}".encode(), b"Content-Length: " + str(len(body)).encode(), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_https__file_that_is_there__is_given_up_to_what_is_asked_for() -> None:
    assert files(answer("200 OK", b"abcdef")).cat_file("https://a/x", 0, 4) == b"abcd"
    assert files(answer("206 Partial Content", b"abc")).cat_file("https://a/x", 0, 4) == b"abc"


@pytest.mark.parametrize("status", ["301 Moved", "401 Unauthorized", "500 Error"])
def test_https__any_other_answer__is_an_error_and_not_followed(status: str) -> None:
    with pytest.raises(OSError, match=status[:3]):
        files(answer(status, b"", b"Location: https://127.0.0.1/")).cat_file("https://a/x", 0, 4)


def test_https__file_that_is_not_there__is_missing() -> None:
    with pytest.raises(FileNotFoundError):
        files(answer("404 Not Found", b"")).cat_file("https://a/x", 0, 4)


def test_https__answer_that_is_none__is_an_error() -> None:
    with pytest.raises(OSError, match="https://a/x"):
        files(b"SSH-2.0-x\r\n\r\n").cat_file("https://a/x", 0, 4)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "localhost", "192.168.1.1"])
def test_https__stranger_names_a_private_network__is_not_connected_to(host: str) -> None:
    with pytest.raises(OSError, match="not on the public Internet"):
        HttpsFiles(is_public_only=True).cat_file(f"https://{host}/x", 0, 4)
