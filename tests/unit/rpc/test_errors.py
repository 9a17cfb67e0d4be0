"""One table from failures to codes: complete, and in the words that client libraries look for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from metis.rpc.errors import (
    CODE_OF_SLUG,
    MEANING_OF_CODE,
    PHRASE_OF_REASON,
    PHRASE_OF_REJECTION,
    ErrorCode,
    RpcError,
    error_answer,
)
from metis.rpc.reverts import execution_reverted, revert_reason
from metis.types import (
    DecodeError,
    EngineFault,
    InvalidTransaction,
    LimitExceeded,
    MetisError,
    PoolRejection,
    StateUnavailable,
)

# What ethers 6, viem 2 and web3.py 8 match in the messages of eth_sendRawTransaction and eth_call.
LOOKED_FOR = {
    "nonce-too-low": r"nonce too low",
    "nonce-too-high": r"nonce too high",
    "nonce-is-max": r"nonce has max value",
    "insufficient-funds": r"insufficient funds",
    "cost-overflow": r"insufficient funds",
    "intrinsic-gas-too-low": r"intrinsic gas too low",
    "fee-cap-below-base-fee": r"max fee per gas less than block base fee",
    "priority-fee-above-fee-cap": r"max priority fee per gas higher than max fee per gas",
    "wrong-chain-id": r"invalid chain id",
}
LOOKED_FOR_BY_POOL = {
    "already-known": r"already known",
    "replacement-underpriced": r"replacement transaction underpriced",
    "nonce-gap": r"nonce too high",
    "overdraft": r"insufficient funds",
}


def all_subclasses(cls: type[MetisError]) -> set[type[MetisError]]:
    return {cls}.union(*(all_subclasses(sub) for sub in cls.__subclasses__()))


def test_table__of_slugs__has_every_class_of_the_types() -> None:
    slugs = {cls.slug for cls in all_subclasses(MetisError) if cls.__module__.startswith("metis.types.error")}
    assert set(CODE_OF_SLUG) == slugs


def test_every_code__has_a_meaning() -> None:
    assert set(MEANING_OF_CODE) == set(ErrorCode)


def test_phrases__of_reasons__are_those_the_engine_has(checkout: Path) -> None:
    section = (checkout / "docs" / "errors.md").read_text(encoding="utf-8").split("## Reasons of InvalidTransaction")[1]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)) == set(PHRASE_OF_REASON)


def test_phrases__of_rejections__are_those_the_mempool_and_the_node_have(checkout: Path) -> None:
    rejections = checkout / "crates" / "metis-chain" / "src" / "mempool" / "rejection.rs"
    listed = re.search(r"const SLUGS: [^=]+= \[(.*?)\];", rejections.read_text(encoding="utf-8"), re.DOTALL)
    assert listed is not None
    sidecars = checkout / "crates" / "metis-node" / "src" / "sidecars.rs"
    of_sidecars = re.findall(r'=> "(sidecar-[a-z]+)"', sidecars.read_text(encoding="utf-8"))
    assert {*re.findall(r'"([a-z-]+)"', listed[1]), *of_sidecars} == set(PHRASE_OF_REJECTION)


@pytest.mark.parametrize(("reason", "pattern"), LOOKED_FOR_BY_POOL.items())
def test_refused_transaction__for_a_reason_clients_know__says_it_in_their_words(reason: str, pattern: str) -> None:
    answer = error_answer(PoolRejection(reason, "values"))
    assert (answer.code, answer.message.endswith(": values")) == (-32003, True)
    assert re.match(pattern, answer.message)


@pytest.mark.parametrize(("reason", "pattern"), LOOKED_FOR.items())
def test_rejected_transaction__for_a_reason_clients_know__says_it_in_their_words(reason: str, pattern: str) -> None:
    answer = error_answer(InvalidTransaction(reason, "nonce", "values"))
    assert answer.code == -32003
    assert re.match(pattern, answer.message)
    assert answer.message.endswith(": values")


def test_rejected_transaction__for_an_unknown_reason__says_the_reason() -> None:
    assert error_answer(InvalidTransaction("new-rule", "to", "detail")).message == "new-rule: detail"


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (DecodeError("transaction", "payload", "not RLP"), -32602),
        (StateUnavailable(1, 5, 9), -32001),
        (LimitExceeded("logs", 10, "more than 10 logs"), -32005),
        (EngineFault("broken"), -32603),
        (MetisError("something"), -32000),
        (RpcError(-38010, "own"), -38010),
    ],
)
def test_failure__of_a_known_class__has_its_code_and_message(failure: MetisError, code: int) -> None:
    answer = error_answer(failure)
    assert answer.code == code
    assert str(failure) in answer.message


def test_failure__of_a_subclass_without_entry__has_its_bases_code() -> None:
    class NarrowerDecodeError(DecodeError):
        slug = "narrower"

    assert error_answer(NarrowerDecodeError("hex", "payload", "odd")).code == -32602


def test_failure__that_is_a_bug__tells_only_its_class() -> None:
    answer = error_answer(KeyError("secret detail"))
    assert (answer.code, answer.message) == (-32603, "internal error: KeyError")


def abi_error(text: bytes) -> bytes:
    size_padded = -(-len(text) // 32) * 32
    head = bytes.fromhex("08c379a0") + (32).to_bytes(32, "big") + len(text).to_bytes(32, "big")
    return head + text.ljust(size_padded, b"\0")


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (abi_error(b"user error"), "user error"),
        (abi_error(b""), ""),
        (abi_error("ünïcode".encode()), "ünïcode"),
        (abi_error(b"\xff"), "�"),
        (bytes.fromhex("4e487b71") + (1).to_bytes(32, "big"), "assert(false)"),
        (bytes.fromhex("4e487b71") + (0x99).to_bytes(32, "big"), "unknown panic code: 0x99"),
        (b"", None),
        (b"\x12\x34\x56\x78", None),
        (bytes.fromhex("4e487b71"), None),
        (bytes.fromhex("08c379a0"), None),
        (bytes.fromhex("08c379a0") + b"\xff" * 64, None),
        (abi_error(b"cut off")[:-40], None),
    ],
)
def test_revert_data__of_every_form__gives_its_reason(output: bytes, reason: str | None) -> None:
    assert revert_reason(output) == reason


def test_revert__in_an_answer__has_code_3_reason_and_data() -> None:
    error = execution_reverted(abi_error(b"user error"))
    assert (error.code, error.message) == (3, "execution reverted: user error")
    assert str(error.data).startswith("0x08c379a0")
    assert execution_reverted(b"").message == "execution reverted"
    assert execution_reverted(b"").data == "0x"
