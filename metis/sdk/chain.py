"""
A network's chain in this process: a store, the rules, and the newest block.

It decides nothing: who orders transactions and when a block is made is the caller's business.
"""

from __future__ import annotations

from collections.abc import Sequence

from metis import engine
from metis.engine import BlockHandle, BuiltBlock, ChainSpec, CodeRegistry, Store, TransactionHandle
from metis.sdk.chain_constants import ChainConstants
from metis.types import BlockAttributes, BlockEnvironment, Receipt, TransactionOutcome, UnsignedTransaction
from metis.types.units import Address, Gas, Hash32, TimestampS, Wei

__all__ = ["Chain"]

# SPEC: Yellow Paper appendix H.2, BLOCKHASH answers for the 256 newest ancestors.
_BLOCK_HASH_COUNT = 256


class Chain:
    """
    A chain that starts at a genesis block and grows by building or importing blocks.

    Not for use by several threads at once: one caller builds or imports at a time. Reading
    ``store`` from other threads is safe at any time.

    Attributes
    ----------
    constants : what was fixed at genesis.
    spec : the rules. store : the state of ``head`` and of the kept blocks before it.
    genesis : block 0. head : the newest block.
    registry : compiled code that blocks and calls use and feed. workers : threads for a block's transactions.
    """

    def __init__(
        self,
        constants: ChainConstants,
        spec: ChainSpec,
        store: Store,
        genesis: BlockHandle,
        registry: CodeRegistry | None = None,
        workers: int = 1,
    ) -> None:
        self.constants = constants
        self.spec = spec
        self.store = store
        self.genesis = genesis
        self.head = genesis
        self.registry = registry
        self.workers = workers
        self._block_hashes: dict[int, Hash32] = {0: Hash32(genesis.hash)}

    def build(
        self,
        transactions: Sequence[TransactionHandle],
        *,
        timestamp_s: TimestampS | None = None,
        beneficiary: Address = Address(bytes(20)),
        prev_randao: Hash32 = Hash32(bytes(32)),
        extra_data: bytes = b"",
    ) -> BuiltBlock:
        """
        Build the next block from candidates, taken in order, and make it the head.

        Parameters
        ----------
        timestamp_s : of the new block; by default one block time after the head's.
        beneficiary : receives the tips.
        prev_randao : what PREVRANDAO answers (EIP-4399).

        Raises
        ------
        InvalidBlock : an attribute breaks a rule; the chain stays as it is.
        """
        if timestamp_s is None:
            timestamp_s = TimestampS(self.head.header_fields()["timestamp_s"] + self.constants.block_time_s)
        attributes = BlockAttributes(
            timestamp_s=timestamp_s,
            beneficiary=beneficiary,
            gas_limit=self.constants.block_gas_limit,
            prev_randao=prev_randao,
            extra_data=extra_data,
        )
        built = engine.build_block(
            self.store, self.spec, self.head, attributes, transactions, registry=self.registry, workers=self.workers
        )
        self._advance(built.block)
        return built

    def import_block(self, block: BlockHandle) -> tuple[Receipt, ...]:
        """
        Check a block that somebody else built on this chain's head, and make it the head.

        Raises
        ------
        InvalidBlock : a consensus rule is broken; the chain stays as it is.
        """
        receipts = engine.import_block(
            self.store, self.spec, self.head, block, registry=self.registry, workers=self.workers
        )
        self._advance(block)
        return receipts

    def call(
        self, to: Address, data: bytes, *, sender: Address = Address(bytes(20)), value_wei: Wei = Wei(0)
    ) -> TransactionOutcome:
        """
        Ask a contract something, in the head block and on its state; nothing is kept, nobody pays.

        Raises
        ------
        InvalidTransaction : ``sender`` does not own ``value_wei``.
        """
        header = self.head.header_fields()
        environment = BlockEnvironment(
            number=header["number"],
            timestamp_s=header["timestamp_s"],
            beneficiary=header["beneficiary"],
            gas_limit=header["gas_limit"],
            prev_randao=header["prev_randao"],
            excess_blob_gas=header["excess_blob_gas"],
            block_hashes=self._block_hashes,
        )
        account = engine.account_state(self.store, sender)
        cap = self.constants.transaction_gas_limit_cap
        transaction = UnsignedTransaction(
            sender=sender,
            nonce=account.nonce if account is not None else 0,
            gas_limit=Gas(min(header["gas_limit"], header["gas_limit"] if cap is None else cap)),
            gas_price_wei=Wei(0),
            to=to,
            value_wei=value_wei,
            data=data,
            chain_id=self.constants.chain_id,
        )
        handle = engine.unsigned_transaction(transaction)
        return engine.execute_transaction(self.store, self.spec, environment, handle, registry=self.registry)

    def _advance(self, block: BlockHandle) -> None:
        self.head = block
        self._block_hashes[block.number] = Hash32(block.hash)
        # The head's own hash is kept too: the next block may ask for it.
        self._block_hashes.pop(block.number - _BLOCK_HASH_COUNT - 1, None)
