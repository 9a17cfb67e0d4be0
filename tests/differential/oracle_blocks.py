"""
Blocks in the executable specification: built from candidates, or checked as given.

Runs inside `.venv-oracle` only. Since Paris: proof-of-work blocks would need a real ethash seal.
"""

from __future__ import annotations

from typing import Any

from tests.differential.oracle_spec import SpecificationFork, hexed, load_fork, unhex
from tests.differential.oracle_transactions import drop_refused_entry, include

__all__ = ["import_blocks", "run_chain"]

HEADER_NUMBERS = {"difficulty", "number", "gas_limit", "gas_used", "timestamp", "base_fee_per_gas"}
HEADER_NUMBERS_64 = {"blob_gas_used", "excess_blob_gas"}


class Chain:
    """The specification's BlockChain and the fork of its newest block."""

    def __init__(self, request: dict[str, Any]) -> None:
        genesis = request["genesis"]
        self.spec = load_fork(genesis["fork"])
        self.chain_id = int(request["chain_id"], 16)
        state = self.spec.build_state(request["alloc"])
        header = genesis_header(self.spec, state, genesis)
        body = ((), (), ()) if self.spec.has("Shanghai") else ((), ())
        block = self.spec.blocks.Block(header, *body)
        self.chain = self.spec.fork.BlockChain([block], state, self.spec.numeric.U64(self.chain_id))

    @property
    def tip_header(self) -> Any:
        return self.chain.blocks[-1].header

    @property
    def tip_hash(self) -> bytes:
        return bytes(self.spec.hash.keccak256(self.spec.rlp.encode(self.tip_header)))

    def enter(self, fork: str) -> SpecificationFork:
        """Make ``fork`` the rules of the next block."""
        spec = load_fork(fork)
        if spec is not self.spec:
            spec.accept_parent_of(self.spec)
            self.chain = spec.fork.BlockChain(
                self.chain.blocks, spec.adopt_state(self.chain.state), self.chain.chain_id
            )
            self.spec = spec
        return spec


def genesis_header(spec: SpecificationFork, state: Any, fields: dict[str, Any]) -> Any:
    """Header of block 0, as geth makes it from a genesis document."""
    empty_root = spec.trie.EMPTY_TRIE_ROOT
    values: dict[str, Any] = {
        "parent_hash": bytes(32),
        "ommers_hash": spec.fork.EMPTY_OMMER_HASH,
        "coinbase": bytes(20),
        "state_root": spec.state.state_root(state),
        "transactions_root": empty_root,
        "receipt_root": empty_root,
        "bloom": bytes(256),
        "difficulty": 0,
        "number": 0,
        "gas_limit": int(fields["gas_limit"], 16),
        "gas_used": 0,
        "timestamp": int(fields["timestamp_s"], 16),
        "extra_data": b"",
        "prev_randao": bytes(32),
        "nonce": bytes(8),
        "base_fee_per_gas": int(fields["base_fee_per_gas_wei"], 16),
    }
    if spec.has("Shanghai"):
        values["withdrawals_root"] = empty_root
    if spec.has("Cancun"):
        values["blob_gas_used"] = int(fields["blob_gas_used"], 16)
        values["excess_blob_gas"] = int(fields["excess_blob_gas"], 16)
        values["parent_beacon_block_root"] = bytes(32)
    if spec.has("Prague"):
        values["requests_hash"] = spec.requests().compute_requests_hash([])
    return make_header(spec, values)


def make_header(spec: SpecificationFork, values: dict[str, Any]) -> Any:
    """A header of the fork's class from plain integers and bytes."""
    kinds = {
        "parent_hash": spec.hash.Hash32,
        "ommers_hash": spec.hash.Hash32,
        "coinbase": spec.types.Address,
        "bloom": spec.types.Bloom,
        "nonce": spec.bytes.Bytes8,
        "extra_data": spec.bytes.Bytes,
        "timestamp": spec.numeric.U256,
    }
    typed = {}
    for name, value in values.items():
        if name in kinds:
            typed[name] = kinds[name](value)
        elif name in HEADER_NUMBERS_64:
            typed[name] = spec.numeric.U64(int(value))
        elif name in HEADER_NUMBERS:
            typed[name] = spec.numeric.Uint(int(value))
        else:
            typed[name] = spec.bytes.Bytes32(value)
    return spec.blocks.Header(**typed)


def run_chain(request: dict[str, Any]) -> dict[str, Any]:
    """Build block after block from candidate transactions; stops at a block that cannot be built."""
    chain = Chain(request)
    answer: dict[str, Any] = {
        "genesis_hash": hexed(chain.tip_hash),
        "genesis_state_root": hexed(chain.tip_header.state_root),
        "blocks": [],
    }
    for plan in request["blocks"]:
        spec = chain.enter(plan["fork"])
        try:
            answer["blocks"].append(build(chain, spec, plan))
        except spec.refusals as refusal:
            answer["blocks"].append({"built": False, "refusal": f"{type(refusal).__name__}: {refusal}"})
            break
    return answer


def build(chain: Chain, spec: SpecificationFork, plan: dict[str, Any]) -> dict[str, Any]:
    """
    Choose the includable candidates, run the block with the specification's own body rule, seal it.

    The specification has no builder; what is ours here is the choice and the order of steps, and
    ``import_blocks`` lets the specification's own state_transition judge the result.
    """
    parent = chain.tip_header
    gas_limit = spec.numeric.Uint(int(plan["gas_limit"], 16))
    fields = {**plan, "number": hex(int(parent.number) + 1)}
    fields["base_fee_per_gas_wei"] = hex(
        int(spec.fork.calculate_base_fee_per_gas(gas_limit, parent.gas_limit, parent.gas_used, parent.base_fee_per_gas))
    )
    if spec.has("Cancun"):
        fields["excess_blob_gas"] = hex(int(spec.gas.calculate_excess_blob_gas(parent)))
    fields["block_hashes"] = [hexed(item) for item in spec.fork.get_last_256_block_hashes(chain.chain)]
    state = chain.chain.state
    environment = spec.environment(state, chain.chain_id, fields)

    before = spec.snapshot(state)
    accepted, skipped, outcomes = choose(spec, environment, plan)
    spec.restore(state, before)

    withdrawals = tuple(withdrawal(spec, entry) for entry in plan["withdrawals"])
    body = (withdrawals,) if spec.has("Shanghai") else ()
    items = tuple(spec.block_item(raw) for raw in accepted)
    output = spec.fork.apply_body(environment, items, *body)

    header = make_header(spec, header_values(spec, chain, plan, fields, output))
    spec.fork.validate_header(chain.chain, header)
    ommers: tuple[Any, ...] = ()
    block = spec.blocks.Block(header, items, ommers, *body)
    chain.chain.blocks.append(block)
    return {
        "built": True,
        "rlp": hexed(spec.rlp.encode(block)),
        "hash": hexed(chain.tip_hash),
        "header": describe_header(header),
        "skipped": skipped,
        "receipts": receipts(spec, output),
        "transactions": outcomes,
        "requests": [hexed(item) for item in getattr(output, "requests", [])],
    }


def choose(spec: SpecificationFork, environment: Any, plan: dict[str, Any]) -> tuple[list[bytes], list[Any], list[Any]]:
    """Which candidates may be in the block, in order; the state is changed and must be restored."""
    if spec.has("Cancun"):
        root = environment.parent_beacon_block_root
        spec.fork.process_unchecked_system_transaction(environment, spec.fork.BEACON_ROOTS_ADDRESS, root)
    if spec.has("Prague"):
        parent_hash = environment.block_hashes[-1]
        spec.fork.process_unchecked_system_transaction(environment, spec.fork.HISTORY_STORAGE_ADDRESS, parent_hash)
    output = spec.vm.BlockOutput()
    accepted, skipped, outcomes = [], [], []
    for index, raw in enumerate(unhex(text) for text in plan["transactions"]):
        outcome = include(spec, environment, output, raw, rooted=False)
        if outcome["accepted"]:
            accepted.append(raw)
            outcomes.append(outcome)
        else:
            skipped.append({"index": index, "refusal": outcome["refusal"]})
    drop_refused_entry(spec, output)
    return accepted, skipped, outcomes


def withdrawal(spec: SpecificationFork, entry: list[str]) -> Any:
    index, validator_index, address, amount_gwei = entry
    return spec.blocks.Withdrawal(
        spec.numeric.U64(int(index, 16)),
        spec.numeric.U64(int(validator_index, 16)),
        spec.types.Address(unhex(address)),
        spec.numeric.U256(int(amount_gwei, 16)),
    )


def header_values(
    spec: SpecificationFork, chain: Chain, plan: dict[str, Any], fields: dict[str, Any], output: Any
) -> dict[str, Any]:
    """Everything that the specification's state_transition will compare."""
    values: dict[str, Any] = {
        "parent_hash": chain.tip_hash,
        "ommers_hash": spec.fork.EMPTY_OMMER_HASH,
        "coinbase": unhex(plan["beneficiary"]),
        "state_root": spec.state.state_root(chain.chain.state),
        "transactions_root": spec.trie.root(output.transactions_trie),
        "receipt_root": spec.trie.root(output.receipts_trie),
        "bloom": spec.bloom.logs_bloom(output.block_logs),
        "difficulty": 0,
        "number": int(fields["number"], 16),
        "gas_limit": int(plan["gas_limit"], 16),
        "gas_used": int(output.block_gas_used),
        "timestamp": int(plan["timestamp_s"], 16),
        "extra_data": unhex(plan["extra_data"]),
        "prev_randao": unhex(plan["prev_randao"]),
        "nonce": bytes(8),
        "base_fee_per_gas": int(fields["base_fee_per_gas_wei"], 16),
    }
    if spec.has("Shanghai"):
        values["withdrawals_root"] = spec.trie.root(output.withdrawals_trie)
    if spec.has("Cancun"):
        values["blob_gas_used"] = int(output.blob_gas_used)
        values["excess_blob_gas"] = int(fields["excess_blob_gas"], 16)
        values["parent_beacon_block_root"] = unhex(plan["parent_beacon_block_root"])
    if spec.has("Prague"):
        values["requests_hash"] = spec.requests().compute_requests_hash(output.requests)
    return values


def describe_header(header: Any) -> dict[str, Any]:
    values = {name: getattr(header, name) for name in header.__dataclass_fields__}
    return {name: hexed(value) if isinstance(value, bytes) else hex(int(value)) for name, value in values.items()}


def receipts(spec: SpecificationFork, output: Any) -> list[dict[str, Any]]:
    """The receipts that the receipts root commits to."""
    described = []
    for key in output.receipt_keys:
        receipt = spec.decode_receipt(spec.trie.trie_get(output.receipts_trie, key))
        described.append(
            {
                "success": bool(receipt.succeeded),
                "cumulative_gas_used": int(receipt.cumulative_gas_used),
                "logs_bloom": hexed(receipt.bloom),
                "log_count": len(receipt.logs),
            }
        )
    return described


def import_blocks(request: dict[str, Any]) -> dict[str, Any]:
    """
    Check given blocks: those of ``prefix`` extend the chain, each of ``candidates`` is tried on its end.

    Answers with one ``{"accepted", "error"}`` per block; a refused block leaves no trace.
    """
    chain = Chain(request)
    prefix = [check(chain, entry, keep=True) for entry in request["prefix"]]
    candidates = [check(chain, entry, keep=False) for entry in request["candidates"]]
    return {"prefix": prefix, "candidates": candidates}


def check(chain: Chain, entry: dict[str, str], *, keep: bool) -> dict[str, Any]:
    """Run state_transition on one encoded block."""
    spec = chain.enter(entry["fork"])
    state, blocks = chain.chain.state, list(chain.chain.blocks)
    before = spec.snapshot(state)
    result: dict[str, Any] = {"accepted": True, "error": ""}
    try:
        block = spec.rlp.decode_to(spec.blocks.Block, unhex(entry["rlp"]))
        spec.fork.state_transition(chain.chain, block)
    except spec.refusals as refusal:
        result = {"accepted": False, "error": f"{type(refusal).__name__}: {refusal}"}
    if not keep or not result["accepted"]:
        spec.restore(state, before)
        chain.chain.blocks = blocks
    return result
