"""Running the demonstration: everything it does and checks, nothing it prints."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from metis import engine
from metis.cli.demo_story import (
    Contract,
    Step,
    Wallet,
    allowance_block,
    deploy_block,
    load_contract,
    token_balance,
    token_balance_slot,
    token_block,
)
from metis.engine import AccountProof, BlockHandle, BuiltBlock, ChainSpec, MemoryStore, TransactionHandle
from metis.sdk import Chain, Network, Replay, load_recorded_block, replay_block
from metis.types import (
    Address,
    Block,
    BlockEnvironment,
    DecodeError,
    Hash32,
    Header,
    InvalidBlock,
    InvalidTransaction,
    Receipt,
    Transaction,
)

__all__ = ["DemoBlock", "DemoProof", "DemoResult", "Inclusion", "MainnetReplay", "Refusal", "run_demo"]

_T = TypeVar("_T")

_BUILDER = Address(bytes.fromhex("000000000000000000000000000000000000b10c"))
"""Receives the tips."""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """A transaction that is in a block; ``result`` is "success", "revert" or why it halted."""

    step: Step
    transaction: Transaction
    receipt: Receipt
    result: str
    explanation: str

    @property
    def fee_wei(self) -> int:
        """What its gas cost; blob gas comes on top."""
        return self.receipt.gas_used * self.receipt.effective_gas_price_wei


@dataclass(frozen=True, slots=True)
class Refusal:
    """A transaction that could not be in the block, and why."""

    step: Step
    transaction: Transaction
    error: InvalidTransaction


@dataclass(frozen=True, slots=True)
class DemoBlock:
    """A block of the story; times cover decoding with recovery, and building."""

    block: Block
    rlp: bytes
    included: tuple[Inclusion, ...]
    refused: tuple[Refusal, ...]
    decode_ms: float
    build_ms: float


@dataclass(frozen=True, slots=True)
class DemoProof:
    """A token balance, as the contract says it and as the proof shows it."""

    proof: AccountProof
    slot: int
    balance: int
    size_bytes: int
    forgery_refused: bool


@dataclass(frozen=True, slots=True)
class MainnetReplay:
    """The recorded mainnet block, executed; times in milliseconds."""

    path: Path
    replay: Replay
    load_ms: float
    execute_ms: float


@dataclass(frozen=True, slots=True)
class DemoResult:
    """
    Everything that happened.

    Attributes
    ----------
    labels : address → what people call it.
    reexecution_ms : executing and checking all blocks on the second store.
    base_fees_wei : base fee times gas of all blocks; collected_wei is what the chain's recipient of
        base fees holds, None where they are burned.
    mainnet : None where the recorded block is not at ``mainnet_path``.
    problems : what is not as it should be, in words.
    """

    network: Network
    genesis: Header
    genesis_account_count: int
    labels: dict[Address, str]
    blocks: tuple[DemoBlock, ...]
    reexecution_ms: float
    proof: DemoProof
    base_fees_wei: int
    collected_wei: int | None
    mainnet_path: Path
    mainnet: MainnetReplay | None
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything is as it should be."""
        return not self.problems


def run_demo(preset: str, mainnet_path: Path) -> DemoResult:
    """
    Run the whole story.

    Parameters
    ----------
    preset : name of the network.
    mainnet_path : the recorded block; may be absent.

    Raises
    ------
    CompositionError : there is no such preset.
    """
    network = Network.from_preset(preset)
    chain = network.open()
    wallet = Wallet(network.chain.chain_id)
    token, smart_account = load_contract("Token"), load_contract("SmartAccount")
    problems: list[str] = []

    blocks = [_run_block(chain, deploy_block(wallet, token, smart_account), problems)]
    created = [entry.receipt.contract_address for entry in blocks[0].included]
    token_address, code_address = (address for address in created if address is not None)
    blocks.append(_run_block(chain, token_block(wallet, token_address, token, code_address), problems))
    blocks.append(_run_block(chain, allowance_block(wallet, token_address), problems))

    second = network.open()
    _, reexecution_ms = _timed(lambda: _reexecute(second, blocks, problems))
    base_fees_wei = sum(
        (entry.block.header.base_fee_per_gas_wei or 0) * entry.block.header.gas_used for entry in blocks
    )
    labels = {address: f"account {index}" for index, address in enumerate(wallet.addresses)}
    genesis = engine.describe_block(chain.genesis).header
    return DemoResult(
        network=network,
        genesis=genesis,
        genesis_account_count=len(network.genesis()["alloc"]),
        labels=labels | {token_address: token.name, code_address: smart_account.name},
        blocks=tuple(blocks),
        reexecution_ms=reexecution_ms,
        proof=_prove_balance(chain, token, token_address, wallet.addresses[5], problems),
        base_fees_wei=base_fees_wei,
        collected_wei=_collected(network, chain.store, base_fees_wei, problems),
        mainnet_path=mainnet_path,
        mainnet=_replay_mainnet(mainnet_path, problems) if mainnet_path.is_file() else None,
        problems=tuple(problems),
    )


def _timed(work: Callable[[], _T]) -> tuple[_T, float]:
    began_s = time.perf_counter()
    result = work()
    return result, (time.perf_counter() - began_s) * 1_000


def _run_block(chain: Chain, steps: Sequence[Step], problems: list[str]) -> DemoBlock:
    """Decode the steps' bytes, build a block of them, and compare with what the story expects."""
    parent = chain.store.fork()
    handles, decode_ms = _timed(lambda: engine.decode_transactions([step.raw for step in steps]))
    built, build_ms = _timed(lambda: chain.build(handles, beneficiary=_BUILDER))
    result = _describe(chain, parent, steps, handles, built, decode_ms, build_ms)
    problems += [
        f"{entry.step.what}: {entry.result}, expected {entry.step.expected}"
        for entry in result.included
        if entry.result != entry.step.expected
    ]
    problems += [
        f"{entry.step.what}: {entry.error}, expected {entry.step.expected}"
        for entry in result.refused
        if entry.error.reason != entry.step.expected
    ]
    return result


def _describe(
    chain: Chain,
    parent: MemoryStore,
    steps: Sequence[Step],
    handles: Sequence[TransactionHandle],
    built: BuiltBlock,
    decode_ms: float,
    build_ms: float,
) -> DemoBlock:
    block = engine.describe_block(built.block)
    refused = {entry.index: entry.error for entry in built.skipped}
    indexes = [index for index in range(len(steps)) if index not in refused]
    included = []
    for position, index in enumerate(indexes):
        receipt = built.receipts[position]
        before = [handles[earlier] for earlier in indexes[:position]]
        result, explanation = "success", ""
        if not receipt.success:
            result, explanation = _why_it_failed(chain.spec, parent, block.header, before, handles[index])
        included.append(Inclusion(steps[index], block.transactions[position], receipt, result, explanation))
    return DemoBlock(
        block=block,
        rlp=built.block.rlp,
        included=tuple(included),
        refused=tuple(
            Refusal(steps[index], engine.describe_transaction(handles[index]), error)
            for index, error in refused.items()
        ),
        decode_ms=decode_ms,
        build_ms=build_ms,
    )


def _why_it_failed(
    spec: ChainSpec,
    parent: MemoryStore,
    header: Header,
    before: Sequence[TransactionHandle],
    transaction: TransactionHandle,
) -> tuple[str, str]:
    """
    Run a failed transaction again on a fork of the parent's state, to see what a receipt does not say.

    Returns
    -------
    "revert" or the reason of the halt, and the contract's message if it gave one.
    """
    environment = BlockEnvironment(
        number=header.number,
        timestamp_s=header.timestamp_s,
        beneficiary=header.beneficiary,
        gas_limit=header.gas_limit,
        base_fee_per_gas_wei=header.base_fee_per_gas_wei or BlockEnvironment().base_fee_per_gas_wei,
        prev_randao=header.prev_randao,
        excess_blob_gas=header.excess_blob_gas,
    )
    store = parent.fork()
    engine.execute_transactions(store, spec, environment, before, commit=True)
    outcome = engine.execute_transaction(store, spec, environment, transaction)
    if outcome.status == "revert":
        return "revert", _revert_message(outcome.output)
    return outcome.halt_reason or outcome.status, ""


def _revert_message(output: bytes) -> str:
    """Text of ``Error(string)``, as Solidity and Vyper encode a reason; empty for anything else."""
    if output[:4] != engine.keccak256(b"Error(string)")[:4] or len(output) < 68:
        return ""
    length = int.from_bytes(output[36:68], "big")
    return output[68 : 68 + length].decode(errors="replace")


def _reexecute(second: Chain, blocks: Sequence[DemoBlock], problems: list[str]) -> None:
    """Import the blocks' bytes into a second fresh chain and compare all they commit to."""
    for built in blocks:
        header = built.block.header
        try:
            block: BlockHandle = engine.decode_block(built.rlp)
            receipts = second.import_block(block)
        except (DecodeError, InvalidBlock) as error:
            problems.append(f"re-execution of block {header.number}: {error}")
            return
        checks = {
            "block hash": block.hash == header.hash,
            "state root": second.store.state_root() == header.state_root,
            "receipts": receipts == tuple(entry.receipt for entry in built.included),
        }
        problems += [
            f"re-execution of block {header.number}: another {name}" for name, same in checks.items() if not same
        ]


def _prove_balance(
    chain: Chain, token: Contract, token_address: Address, owner: Address, problems: list[str]
) -> DemoProof:
    """Prove a token balance, check it, and check that a changed one is refused."""
    balance = int.from_bytes(chain.call(token_address, token_balance(owner)).output, "big")
    slot = token_balance_slot(token, owner)
    root = Hash32(chain.store.state_root())
    proof = engine.prove(chain.store, token_address, [slot])
    (storage,) = proof.storage_proofs
    if storage.value != balance:
        problems.append(f"proof: the slot holds {storage.value}, the contract says {balance}")
    try:
        engine.verify_proof(root, proof)
    except DecodeError as error:
        problems.append(f"proof: {error}")
    forgery = replace(proof, storage_proofs=(replace(storage, value=balance + 1),))
    try:
        engine.verify_proof(root, forgery)
        forgery_refused = False
        problems.append("proof: one token more was accepted")
    except DecodeError:
        forgery_refused = True
    size_bytes = sum(map(len, (*proof.nodes, *storage.nodes)))
    return DemoProof(proof, slot, balance, size_bytes, forgery_refused)


def _collected(network: Network, store: MemoryStore, base_fees_wei: int, problems: list[str]) -> int | None:
    recipient = network.fee_policy.base_fee_recipient
    if recipient is None:
        return None
    account = engine.account_state(store, recipient)
    collected_wei = account.balance_wei if account is not None else 0
    if collected_wei != base_fees_wei:
        problems.append(f"base fees: {base_fees_wei} wei were paid, {collected_wei} arrived")
    return collected_wei


def _replay_mainnet(path: Path, problems: list[str]) -> MainnetReplay:
    recorded, load_ms = _timed(lambda: load_recorded_block(path))
    replay, execute_ms = _timed(lambda: replay_block(recorded, fork="Shanghai"))
    problems += [
        f"mainnet block: log {entry.log_index} of transaction {entry.transaction_index} is not as recorded"
        for entry in replay.differences
    ]
    return MainnetReplay(path, replay, load_ms, execute_ms)
