"""
One fork of the executable specification behind the few verbs that the oracle needs.

Runs inside `.venv-oracle` only. The specification has a package per fork with the same module
names; this file loads them by name, so nothing here has its own idea of a rule.

DEVIATES: two things of the specification are widened, both at fork transitions or for observation.
``vm.gas.Header`` also accepts the previous fork's header class, because the specification otherwise
forgets the parent's blob gas at the first block of a fork that changes the class. The message-call
entry points are wrapped to see status, output and refund, which receipts do not hold.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["FORK_MODULES", "SpecificationFork", "hexed", "load_fork", "unhex"]

# Oldest first. The names are those of metis.engine where it has one.
FORK_MODULES: dict[str, str] = {
    "Frontier": "frontier",
    "Homestead": "homestead",
    "TangerineWhistle": "tangerine_whistle",
    "SpuriousDragon": "spurious_dragon",
    "Byzantium": "byzantium",
    "Petersburg": "constantinople",
    "Istanbul": "istanbul",
    "Berlin": "berlin",
    "London": "london",
    "Paris": "paris",
    "Shanghai": "shanghai",
    "Cancun": "cancun",
    "Prague": "prague",
    "Osaka": "osaka",
    "BPO1": "bpo1",
    "BPO2": "bpo2",
}

REFUND_QUOTIENT_SINCE_LONDON = 5
REFUND_QUOTIENT_BEFORE_LONDON = 2


class SpecificationFork:
    """
    The modules of one fork, and what was seen during the last transaction.

    Attributes
    ----------
    frame : the outermost EVM frame of the last transaction; None when none was entered.
    call_output : the specification's MessageCallOutput of the last transaction.
    created : the address a creation was for, or None for a call.
    """

    def __init__(self, name: str) -> None:
        package = f"ethereum.forks.{FORK_MODULES[name]}"
        self.name = name
        self.order = list(FORK_MODULES).index(name)
        self.fork: Any = import_module(f"{package}.fork")
        self.vm = import_module(f"{package}.vm")
        self.gas: Any = import_module(f"{package}.vm.gas")
        self.interpreter: Any = import_module(f"{package}.vm.interpreter")
        self.exceptions = import_module(f"{package}.vm.exceptions")
        self.state = import_module(f"{package}.state")
        self.trie = import_module(f"{package}.trie")
        self.blocks = import_module(f"{package}.blocks")
        self.bloom = import_module(f"{package}.bloom")
        self.transactions = import_module(f"{package}.transactions")
        self.types = import_module(f"{package}.fork_types")
        self.rlp = import_module("ethereum_rlp.rlp")
        self.numeric = import_module("ethereum_types.numeric")
        self.bytes = import_module("ethereum_types.bytes")
        self.hash = import_module("ethereum.crypto.hash")
        # What a transaction or block can be refused with; anything else is a crash of the specification.
        self.refusals: tuple[type[Exception], ...] = (
            import_module("ethereum.exceptions").EthereumException,
            import_module("ethereum_rlp.exceptions").RLPException,
        )
        self.frame: Any = None
        self.call_output: Any = None
        self.created: bytes | None = None
        self._watch_calls()

    def has(self, fork: str) -> bool:
        """Whether this fork is ``fork`` or later."""
        return self.order >= list(FORK_MODULES).index(fork)

    def _watch_calls(self) -> None:
        original_call = self.fork.process_message_call
        original_message = self.interpreter.process_message

        def process_message_call(message: Any) -> Any:
            self.frame = None
            self.created = bytes(message.current_target) if len(message.target) == 0 else None
            self.call_output = original_call(message)
            return self.call_output

        def process_message(message: Any) -> Any:
            frame = original_message(message)
            if int(message.depth) == 0:
                self.frame = frame
            return frame

        self.fork.process_message_call = process_message_call
        self.interpreter.process_message = process_message

    def accept_parent_of(self, previous: SpecificationFork) -> None:
        """Let excess blob gas be read from the previous fork's header class too."""
        if self.has("Prague") and previous.has("Cancun"):
            self.gas.Header = (self.blocks.Header, previous.blocks.Header)

    def build_state(self, alloc: dict[str, Any]) -> Any:
        """A world state from address → {nonce, balance, code, storage}, all hexadecimal."""
        state = self.state.State()
        for address_hex, account in alloc.items():
            address = self.types.Address(unhex(address_hex))
            self.state.set_account(
                state,
                address,
                self.types.Account(
                    nonce=self.numeric.Uint(int(account["nonce"], 16)),
                    balance=self.numeric.U256(int(account["balance"], 16)),
                    code=unhex(account["code"]),
                ),
            )
            for slot, value in account["storage"].items():
                key = self.bytes.Bytes32(int(slot, 16).to_bytes(32, "big"))
                self.state.set_storage(state, address, key, self.numeric.U256(int(value, 16)))
        return state

    def adopt_state(self, previous: Any) -> Any:
        """A state of another fork in this fork's classes, which its tries insist on."""
        state = self.state.State()
        for address, account in previous._main_trie._data.items():
            adopted = self.types.Account(nonce=account.nonce, balance=account.balance, code=account.code)
            self.state.set_account(state, address, adopted)
        for address, trie in previous._storage_tries.items():
            for key, value in trie._data.items():
                self.state.set_storage(state, address, key, value)
        return state

    def describe_state(self, state: Any) -> dict[str, Any]:
        """Every account of a state: the inverse of ``build_state``."""
        storage = {bytes(address): trie._data for address, trie in state._storage_tries.items()}
        return {
            hexed(address): {
                "nonce": int(account.nonce),
                "balance": int(account.balance),
                "code": hexed(account.code),
                "storage": {
                    hex(int.from_bytes(key, "big")): hex(int(value))
                    for key, value in sorted(storage.get(bytes(address), {}).items())
                },
            }
            for address, account in sorted(state._main_trie._data.items())
        }

    def snapshot(self, state: Any) -> Any:
        """Everything needed to undo what follows."""
        storage = {address: self.trie.copy_trie(trie) for address, trie in state._storage_tries.items()}
        return self.trie.copy_trie(state._main_trie), storage

    def restore(self, state: Any, snapshot: Any) -> None:
        """Undo everything since ``snapshot`` (which is used up by it)."""
        state._main_trie, state._storage_tries = snapshot
        state._snapshots.clear()
        if hasattr(state, "created_accounts"):
            state.created_accounts.clear()

    def environment(self, state: Any, chain_id: int, fields: dict[str, Any]) -> Any:
        """The specification's BlockEnvironment; ``block_hashes`` is a list ending with the parent's."""
        uint, u256 = self.numeric.Uint, self.numeric.U256
        arguments: dict[str, Any] = {
            "chain_id": self.numeric.U64(chain_id),
            "state": state,
            "block_gas_limit": uint(int(fields["gas_limit"], 16)),
            "block_hashes": [self.hash.Hash32(unhex(item)) for item in fields["block_hashes"]],
            "coinbase": self.types.Address(unhex(fields["beneficiary"])),
            "number": uint(int(fields["number"], 16)),
            "time": u256(int(fields["timestamp_s"], 16)),
        }
        if self.has("Paris"):
            arguments["prev_randao"] = self.bytes.Bytes32(unhex(fields["prev_randao"]))
        else:
            arguments["difficulty"] = uint(int(fields["difficulty"], 16))
        if self.has("London"):
            arguments["base_fee_per_gas"] = uint(int(fields["base_fee_per_gas_wei"], 16))
        if self.has("Cancun"):
            arguments["excess_blob_gas"] = self.numeric.U64(int(fields["excess_blob_gas"], 16))
            arguments["parent_beacon_block_root"] = self.hash.Hash32(unhex(fields["parent_beacon_block_root"]))
        return self.vm.BlockEnvironment(**arguments)

    def block_item(self, raw: bytes) -> Any:
        """
        The form in which a block of this fork holds a transaction.

        Raises the specification's errors for bytes that are no transaction of this fork.
        """
        if not self.has("Berlin"):
            return self.rlp.decode_to(self.transactions.Transaction, raw)
        if raw[:1] >= b"\xc0":
            return self.rlp.decode_to(self.transactions.LegacyTransaction, raw)
        return self.bytes.Bytes(raw)

    def decode_transaction(self, raw: bytes) -> Any:
        item = self.block_item(raw)
        return self.transactions.decode_transaction(item) if self.has("Berlin") else item

    def decode_receipt(self, receipt: Any) -> Any:
        return self.blocks.decode_receipt(receipt) if self.has("Berlin") else receipt

    def requests(self) -> Any:
        """The module of EIP-7685 requests; there since Prague."""
        return import_module(f"ethereum.forks.{FORK_MODULES[self.name]}.requests")

    def status(self) -> str:
        """How the outermost frame of the last transaction ended."""
        error = self.call_output.error
        if error is None:
            return "success"
        revert = getattr(self.exceptions, "Revert", None)
        return "revert" if revert is not None and isinstance(error, revert) else "halt"

    def gas_refunded(self, gas_limit: int) -> int:
        """The refund of the last transaction after the cap, before any calldata floor."""
        used = gas_limit - int(self.call_output.gas_left)
        quotient = REFUND_QUOTIENT_SINCE_LONDON if self.has("London") else REFUND_QUOTIENT_BEFORE_LONDON
        return min(used // quotient, int(self.call_output.refund_counter))


_loaded: dict[str, SpecificationFork] = {}


def load_fork(name: str) -> SpecificationFork:
    """The fork's modules, loaded once per process."""
    if name not in _loaded:
        _loaded[name] = SpecificationFork(name)
    return _loaded[name]


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def hexed(value: bytes) -> str:
    return "0x" + bytes(value).hex()
