//! What a block did, or why it may not be.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use alloy_consensus::{
    Eip658Value, EthereumReceipt, Receipt as FullReceipt, ReceiptEnvelope, ReceiptWithBloom, TxType,
};
use alloy_primitives::{Address, B256, Bloom, Bytes};

use super::BlockRecord;
use crate::{ChangeSet, TransactionError, TransactionFault, ViewError};

/// A receipt and what it leaves out but users ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptDetails {
    /// The committed receipt; before Byzantium `success` is not what is committed.
    pub receipt: EthereumReceipt<TxType>,
    /// Bloom filter over the logs.
    pub bloom: Bloom,
    /// State root after the transaction, which receipts carried before Byzantium (EIP-658).
    pub state_root: Option<B256>,
    /// Gas of this transaction alone.
    pub gas_used: u64,
    /// Wei per gas that the sender paid.
    pub effective_gas_price: u128,
    /// Blob gas of this transaction.
    pub blob_gas_used: u64,
    /// The contract that a creation deployed.
    pub contract_address: Option<Address>,
    /// Why it failed, if it did: "revert" or the slug of the exceptional halt.
    pub failure: Option<&'static str>,
    /// Returned or reverted bytes.
    pub output: Bytes,
}

impl ReceiptDetails {
    /// The receipt as it is committed: before Byzantium with a state root instead of a status
    /// (EIP-658).
    pub fn envelope(&self) -> ReceiptEnvelope {
        let EthereumReceipt { tx_type, success, cumulative_gas_used, ref logs } = self.receipt;
        let status = self.state_root.map_or(Eip658Value::Eip658(success), Eip658Value::PostState);
        let receipt = FullReceipt { status, cumulative_gas_used, logs: logs.clone() };
        ReceiptEnvelope::from_typed(tx_type, ReceiptWithBloom { receipt, logs_bloom: self.bloom })
    }
}

/// Why a block may not be built or is not valid.
#[derive(Debug, thiserror::Error)]
pub enum BlockError<E: core::error::Error> {
    /// A header or body field breaks a rule.
    #[error("{field}: {rule} (expected {expected}, got {actual})")]
    Field {
        /// The field, by the name of `metis.types.Header`.
        field: &'static str,
        /// What the rule says.
        rule: &'static str,
        /// What the rule demands.
        expected: String,
        /// What the block says.
        actual: String,
    },
    /// A transaction may not be in the block.
    #[error("transaction {index}: {error}")]
    Transaction {
        /// Its position.
        index: usize,
        /// The rule it breaks.
        error: Box<TransactionError>,
    },
    /// A contract that the fork requires has no code.
    #[error("system contract {contract} has no code")]
    SystemContractMissing {
        /// Its address.
        contract: Address,
    },
    /// A system call that must succeed failed.
    #[error("system call to {contract} failed")]
    SystemCallFailed {
        /// Its address.
        contract: Address,
    },
    /// A deposit event does not have the one layout it may have (EIP-6110).
    #[error("deposit event with a malformed layout")]
    Deposit,
    /// The world could not be read.
    #[error(transparent)]
    View(ViewError<E>),
    /// A broken invariant of the engine.
    #[error("engine: {0}")]
    Engine(String),
}

impl<E: core::error::Error> BlockError<E> {
    /// The state could not be read.
    pub(super) const fn state(error: E) -> Self {
        Self::View(ViewError::State(error))
    }
}

/// A transaction that is invalid and one that could not be run: the block goes on after the first, not after the second.
pub(super) fn invalid_or_error<E: core::error::Error>(
    fault: TransactionFault<E>,
) -> Result<TransactionError, BlockError<E>> {
    match fault {
        TransactionFault::Invalid(error) => Ok(error),
        TransactionFault::View(error) => Err(BlockError::View(error)),
        TransactionFault::Engine(message) => Err(BlockError::Engine(message)),
    }
}

/// What a block did.
#[derive(Debug)]
pub struct BlockOutcome {
    /// All state changes. Shared: they are written down while the next block is executed on them.
    pub changes: Arc<ChangeSet>,
    /// Receipts in order.
    pub receipts: Vec<ReceiptDetails>,
    /// Gas of all transactions.
    pub gas_used: u64,
    /// Blob gas of all transactions.
    pub blob_gas_used: u64,
    /// Requests to the consensus layer, from Prague on (EIP-7685).
    pub requests: Option<Vec<Bytes>>,
    /// What each step accessed and changed, where that was asked for.
    pub record: Option<Box<BlockRecord>>,
}

impl BlockOutcome {
    /// Union of the receipts' blooms.
    pub fn logs_bloom(&self) -> Bloom {
        let with_logs = self.receipts.iter().filter(|details| !details.receipt.logs.is_empty());
        with_logs.fold(Bloom::ZERO, |all, details| all | details.bloom)
    }
}
