"""A consensus driver: one node builds, another follows, and both change their minds."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import orjson
import pytest
import websockets
from eth_account import Account

from metis.engine import decode_transaction, sign_transaction
from metis.node import NodeConfig, NodeService
from metis.node.accounts import DevelopmentSigner, derive_accounts
from metis.node.config import TEST_MNEMONIC, EngineApiConfig, MiningConfig, RpcSection
from metis.rpc import make_token, read_or_create_secret
from metis.sdk import Network
from metis.sdk.genesis import genesis_accounts
from metis.types import Address, Gas, UnsignedTransaction
from metis.types.units import Wei

ZERO = f"0x{0:064x}"
KEYS = derive_accounts(TEST_MNEMONIC, 2)


class Driver:
    """Speaks to one node's authenticated listener."""

    def __init__(self, service: NodeService, secret: bytes) -> None:
        self.service = service
        self._secret = secret

    async def ask(self, method: str, *params: Any, token: str | None = None) -> Any:
        """Call a method; returns the result, or raises with the error."""
        address = self.service.server.authenticated_address
        assert address is not None
        body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        bearer = make_token(self._secret) if token is None else token
        head = f"POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bearer}\r\nConnection: close\r\n"
        reader, writer = await asyncio.open_connection(*address)
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        response = await reader.read(-1)
        writer.close()
        if b" 401 " in response.partition(b"\r\n")[0]:
            raise PermissionError
        answer = orjson.loads(response.partition(b"\r\n\r\n")[2])
        if "error" in answer:
            raise LookupError(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    def head(self) -> str:
        """Hash of the head."""
        return f"0x{self.service.node.head_hash.hex()}"

    async def choose(self, head: str, attributes: dict[str, Any] | None = None, final: str = ZERO) -> Any:
        """Set the head, and maybe begin to build on it."""
        state = {"headBlockHash": head, "safeBlockHash": final, "finalizedBlockHash": final}
        return await self.ask("engine_forkchoiceUpdatedV3", state, attributes)

    def attributes(self, beneficiary: int) -> dict[str, Any]:
        """Attributes of the next block."""
        return {
            "timestamp": hex(self.service.next_timestamp_s()),
            "prevRandao": ZERO,
            "suggestedFeeRecipient": f"0x{beneficiary:040x}",
            "withdrawals": [],
            "parentBeaconBlockRoot": ZERO,
        }

    async def build(self, head: str, beneficiary: int = 1) -> dict[str, Any]:
        """Have a block built on a block."""
        await self.choose(head)
        chosen = await self.choose(head, self.attributes(beneficiary))
        assert chosen["payloadStatus"]["status"] == "VALID"
        built: dict[str, Any] = await self.ask("engine_getPayloadV5", chosen["payloadId"])
        return built

    async def take(self, built: dict[str, Any]) -> str:
        """Hand a block in; returns the status."""
        status = await self.ask("engine_newPayloadV4", built["executionPayload"], [], ZERO, built["executionRequests"])
        taken: str = status["status"]
        return taken


Scenario = Callable[[Driver, Driver], Coroutine[Any, Any, None]]


def run(scenario: Scenario, folder: Path) -> None:
    """Run a scenario with two nodes of one chain."""
    network = Network.from_preset("ethereum")

    def make(name: str) -> tuple[NodeService, Path]:
        path = folder / f"{name}.hex"
        config = NodeConfig(
            rpc=RpcSection(port=0),
            engine_api=EngineApiConfig(enabled=True, port=0, secret_path=str(path)),
            mining=MiningConfig(mode="manual"),
        )
        accounts = genesis_accounts(network.chain)
        return NodeService(config, network.genesis(), accounts, DevelopmentSigner(KEYS), "metis/0"), path

    async def both() -> None:
        (one, one_path), (two, two_path) = make("one"), make("two")
        await one.start()
        await two.start()
        try:
            await scenario(Driver(one, read_or_create_secret(one_path)), Driver(two, read_or_create_secret(two_path)))
        finally:
            await one.stop()
            await two.stop()

    asyncio.run(both())


def transfer(driver: Driver, nonce: int) -> bytes:
    fields = UnsignedTransaction(
        sender=KEYS[0].address,
        nonce=nonce,
        gas_limit=Gas(21_000),
        gas_price_wei=Wei(10**11),
        to=Address(b"\x55" * 20),
        value_wei=Wei(1),
        chain_id=driver.service.node.spec.chain_id,
    )
    return sign_transaction(fields, KEYS[0].private_key)


def test_blocks__built_by_one_node__are_followed_by_another(tmp_path: Path) -> None:
    async def scenario(one: Driver, two: Driver) -> None:
        genesis = one.head()
        for nonce in range(3):
            await one.service.send_raw(transfer(one, nonce))
            before = one.head()
            built = await one.build(before)
            assert one.head() == before, "building is no decision"
            assert len(built["executionPayload"]["transactions"]) == 1
            assert int(built["blockValue"], 16) > 0
            for driver in (one, two):
                assert await driver.take(built) == "VALID"
                chosen = await driver.choose(built["executionPayload"]["blockHash"], final=genesis)
                assert chosen == {
                    "payloadStatus": {
                        "status": "VALID",
                        "latestValidHash": built["executionPayload"]["blockHash"],
                        "validationError": None,
                    },
                    "payloadId": None,
                }
        assert one.head() == two.head()
        assert two.service.node.head_number == 3
        assert one.service.node.pool_status() == (0, 0)

    run(scenario, tmp_path)


def test_head__moved_to_a_side_block__tells_what_left_and_what_came(tmp_path: Path) -> None:
    async def scenario(one: Driver, two: Driver) -> None:
        genesis = one.head()
        await one.service.send_raw(transfer(one, 0))
        mine = await one.build(genesis)
        yours = await two.build(genesis, beneficiary=2)
        assert await one.take(mine) == "VALID"
        assert await one.take(yours) == "VALID"
        await one.choose(mine["executionPayload"]["blockHash"])
        position = one.service.happenings.heads.end
        await one.choose(yours["executionPayload"]["blockHash"])
        changes = one.service.happenings.heads.since(position)
        assert [(f"0x{change.hash.hex()}", change.is_removed) for change in changes] == [
            (mine["executionPayload"]["blockHash"], True),
            (yours["executionPayload"]["blockHash"], False),
        ]
        # The transaction of the block that left waits for another one.
        assert one.service.node.pool_status() == (1, 0)

    run(scenario, tmp_path)


def test_head__chosen_among_its_ancestors__stays_and_nothing_is_built(tmp_path: Path) -> None:
    async def scenario(one: Driver, two: Driver) -> None:
        chain = [one.head()]
        for _ in range(3):
            built = await one.build(chain[-1])
            assert await one.take(built) == "VALID"
            chain.append(built["executionPayload"]["blockHash"])
            await one.choose(chain[-1], final=chain[1] if len(chain) > 2 else ZERO)
        position = one.service.happenings.heads.end
        for ancestor in chain[:-1]:
            chosen = await one.choose(ancestor, one.attributes(3))
            status = {"status": "VALID", "latestValidHash": ancestor, "validationError": None}
            assert chosen == {"payloadStatus": status, "payloadId": None}
        assert one.head() == chain[-1]
        assert one.service.happenings.heads.end == position, "nobody heard of a reorganisation"
        assert await one.ask("eth_blockNumber") == "0x3"
        # A block beside the chain is no ancestor, however low it is.
        side = await two.build(chain[0], beneficiary=2)
        assert await one.take(side) == "VALID"
        await one.choose(side["executionPayload"]["blockHash"])
        assert one.head() == side["executionPayload"]["blockHash"]
        # And what was an ancestor of the old head is none of the new one.
        await one.choose(chain[2])
        assert one.head() == chain[2]

    run(scenario, tmp_path)


def test_payloads__that_are_wrong__are_refused_by_status(tmp_path: Path) -> None:
    async def scenario(one: Driver, two: Driver) -> None:
        built = await one.build(one.head())
        payload = built["executionPayload"]
        wrong_hash = {**built, "executionPayload": {**payload, "gasLimit": "0x1"}}
        assert await two.take(wrong_hash) == "INVALID"
        orphan = await one.ask("engine_forkchoiceUpdatedV3", dict.fromkeys(
            ("headBlockHash", "safeBlockHash", "finalizedBlockHash"), f"0x{7:064x}"), None)  # fmt: skip
        assert orphan["payloadStatus"]["status"] == "SYNCING"
        assert await one.take(built) == "VALID"
        child = await one.build(payload["blockHash"])
        assert await two.take(child) == "SYNCING"
        assert await two.take(built) == "VALID"
        assert await two.take(child) == "VALID"
        with pytest.raises(LookupError) as caught:
            await one.ask("engine_getPayloadV4", "0x0000000000000000")
        assert caught.value.args[0] == -38001
        with pytest.raises(LookupError) as caught:
            await one.ask("engine_newPayloadV1", payload)
        assert caught.value.args[0] == -32602

    run(scenario, tmp_path)


def test_listener__with_a_wrong_token__refuses(tmp_path: Path) -> None:
    async def scenario(one: Driver, _two: Driver) -> None:
        with pytest.raises(PermissionError):
            await one.ask("engine_exchangeCapabilities", [], token="wrong")  # noqa: S106 - it is none
        names = await one.ask("engine_exchangeCapabilities", [])
        assert {"engine_newPayloadV4", "engine_forkchoiceUpdatedV3", "engine_getPayloadV4"} <= set(names)
        assert (await one.ask("engine_getClientVersionV1", {}))[0]["name"] == "metis"
        assert await one.ask("eth_chainId") == hex(one.service.node.spec.chain_id)

    run(scenario, tmp_path)


def test_payload__that_extends_the_head__moves_it_only_by_forkchoice(tmp_path: Path) -> None:
    async def scenario(one: Driver, two: Driver) -> None:
        built = await one.build(one.head())
        before = two.head()
        assert await two.take(built) == "VALID"
        assert two.head() == before
        await two.choose(built["executionPayload"]["blockHash"])
        assert two.head() == built["executionPayload"]["blockHash"]

    run(scenario, tmp_path)


def test_payload__with_a_withdrawal_request__carries_it(tmp_path: Path) -> None:
    async def scenario(one: Driver, two: Driver) -> None:
        fields = UnsignedTransaction(
            sender=KEYS[0].address,
            nonce=0,
            gas_limit=Gas(1_000_000),
            gas_price_wei=Wei(10**11),
            to=Address(bytes.fromhex("00000961ef480eb55e80d19ad83579a64c007002")),
            # EIP-7002: a validator's public key and an amount, for a fee of 1 wei.
            value_wei=Wei(1),
            data=b"\x11" * 48 + bytes(7) + b"\x05",
            chain_id=one.service.node.spec.chain_id,
        )
        # The contract takes requests from the end of the first block on.
        first = await one.build(one.head())
        for driver in (one, two):
            assert await driver.take(first) == "VALID"
            await driver.choose(first["executionPayload"]["blockHash"])
        await one.service.send_raw(sign_transaction(fields, KEYS[0].private_key))
        built = await one.build(one.head())
        request = bytes([1]) + KEYS[0].address + b"\x11" * 48 + bytes(7) + b"\x05"
        # The amount of a request is little-endian (EIP-7002).
        little = request[:-8] + request[-8:][::-1]
        assert built["executionRequests"] == [f"0x{little.hex()}"]
        assert await two.take(built) == "VALID"
        assert await two.take(built | {"executionRequests": []}) == "INVALID"

    run(scenario, tmp_path)


def test_payload__with_a_blob__brings_the_bundle_and_serves_the_blob(tmp_path: Path) -> None:
    async def scenario(one: Driver, _two: Driver) -> None:
        signed = Account.sign_transaction(
            {
                "type": 3,
                "chainId": one.service.node.spec.chain_id,
                "nonce": 0,
                "gas": 21_000,
                "maxFeePerGas": 10**10,
                "maxPriorityFeePerGas": 10**9,
                "maxFeePerBlobGas": 10**9,
                "to": "0x" + "22" * 20,
                "value": 0,
            },
            KEYS[0].private_key,
            blobs=[bytes(131_072)],
        )
        await one.service.send_raw(bytes(signed.raw_transaction))
        built = await one.build(one.head())
        bundle = built["blobsBundle"]
        assert (len(bundle["blobs"]), len(bundle["commitments"]), len(bundle["proofs"])) == (1, 1, 128)
        [transaction] = built["executionPayload"]["transactions"]
        [versioned] = decode_transaction(bytes.fromhex(transaction[2:])).fields()["blob_versioned_hashes"]
        commitment = bytes.fromhex(bundle["commitments"][0][2:])
        assert bytes(versioned) == b"\x01" + hashlib.sha256(commitment).digest()[1:]
        shown = f"0x{bytes(versioned).hex()}"
        served = await one.ask("engine_getBlobsV2", [shown])
        assert served == [{"blob": bundle["blobs"][0], "proofs": bundle["proofs"]}]
        assert await one.ask("engine_getBlobsV2", [shown, ZERO]) is None
        for method, wanted, code in (
            ("engine_getBlobsV1", [shown], -38005),
            ("engine_getBlobsV2", [ZERO] * 129, -38004),
        ):
            with pytest.raises(LookupError) as caught:
                await one.ask(method, wanted)
            assert caught.value.args[0] == code

    run(scenario, tmp_path)


def test_get_payload__of_another_forks_version__is_refused(tmp_path: Path) -> None:
    async def scenario(one: Driver, _two: Driver) -> None:
        await one.build(one.head())
        chosen = await one.choose(one.head(), one.attributes(7))
        with pytest.raises(LookupError) as caught:
            await one.ask("engine_getPayloadV4", chosen["payloadId"])
        assert caught.value.args[0] == -38005

    run(scenario, tmp_path)


def test_subscribers__of_a_reorganisation__get_new_heads_and_removed_logs(tmp_path: Path) -> None:
    async def scenario(one: Driver, two: Driver) -> None:
        fields = UnsignedTransaction(
            sender=KEYS[0].address,
            nonce=0,
            gas_limit=Gas(200_000),
            gas_price_wei=Wei(10**11),
            # CALLER to memory, LOG1 under topic 7, STOP: the creation emits a log.
            data=bytes.fromhex("33600052600760206000a100"),
            chain_id=one.service.node.spec.chain_id,
        )
        genesis = one.head()
        await one.service.send_raw(sign_transaction(fields, KEYS[0].private_key))
        mine = await one.build(genesis)
        yours = [await two.build(genesis, beneficiary=2)]
        assert await two.take(yours[0]) == "VALID"
        await two.choose(yours[0]["executionPayload"]["blockHash"])
        yours.append(await two.build(two.head(), beneficiary=2))
        address = one.service.server.http_address
        assert address is not None
        async with websockets.connect(f"ws://{address[0]}:{address[1]}") as socket:
            for topic in ("newHeads", "logs"):
                request = {"jsonrpc": "2.0", "id": topic, "method": "eth_subscribe", "params": [topic]}
                await socket.send(orjson.dumps(request).decode())
            names = {}
            for _ in range(2):
                answer = orjson.loads(await asyncio.wait_for(socket.recv(), 20))
                names[answer["result"]] = answer["id"]

            async def next_event() -> tuple[str, Any]:
                event = orjson.loads(await asyncio.wait_for(socket.recv(), 20))["params"]
                return names[event["subscription"]], event["result"]

            assert await one.take(mine) == "VALID"
            await one.choose(mine["executionPayload"]["blockHash"])
            first = [await next_event(), await next_event()]
            assert first[0][1]["hash"] == mine["executionPayload"]["blockHash"]
            log = first[1][1]
            assert (first[1][0], log["removed"], log["blockHash"]) == ("logs", False, first[0][1]["hash"])
            for built in yours:
                assert await one.take(built) == "VALID"
            await one.choose(yours[1]["executionPayload"]["blockHash"])
            events = [await next_event() for _ in range(3)]
            assert events[0] == ("logs", log | {"removed": True})
            heads = [(topic, result["hash"]) for topic, result in events[1:]]
            assert heads == [("newHeads", built["executionPayload"]["blockHash"]) for built in yours]

    run(scenario, tmp_path)
