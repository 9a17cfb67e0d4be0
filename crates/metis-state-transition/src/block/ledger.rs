//! The books of a block: what its transactions may still use, what they have used, and their receipts.

use alloc::{boxed::Box, vec::Vec};

use alloy_consensus::{EthereumReceipt, Transaction as _};
use alloy_eips::{eip2718::Encodable2718, eip4844::DATA_GAS_PER_BLOB};
use alloy_primitives::B256;

use super::{BlockEnvironment, BlockRecord, LogHashes, ReceiptDetails, header::BLOCK_SIZE_BYTES_MAX};
use crate::{ExecutionStatus, Fork, RecoveredTransaction, Rules, TransactionError, TransactionOutcome};

/// The books of a block. A transaction is admitted, run by whoever, and entered, in the order of the block.
#[derive(Debug)]
pub struct Ledger {
    rules: Rules,
    environment: BlockEnvironment,
    receipts: Vec<ReceiptDetails>,
    gas_used: u64,
    blob_gas_used: u64,
    macs: u64,
    /// Of header and body so far, where the block is being built.
    size_bytes: Option<usize>,
    record: Option<Box<BlockRecord>>,
}

impl Ledger {
    pub(super) const fn new(rules: Rules, environment: BlockEnvironment) -> Self {
        let receipts = Vec::new();
        Self { rules, environment, receipts, gas_used: 0, blob_gas_used: 0, macs: 0, size_bytes: None, record: None }
    }

    /// Makes room for the receipts of so many transactions.
    pub fn expect(&mut self, transaction_count: usize) {
        self.receipts.reserve(transaction_count);
    }

    /// Holds the block to the limit on its size (EIP-7934): `size_bytes` is there besides the transactions.
    pub(super) fn limit_size(&mut self, size_bytes: usize) {
        self.size_bytes = (self.rules.fork >= Fork::Osaka).then_some(size_bytes);
    }

    /// Keeps a record of what follows.
    pub(super) fn keep_record(&mut self) {
        self.record = Some(Box::new(BlockRecord::new()));
    }

    /// What each step accessed and changed, where that is kept: whoever enters a transaction adds it.
    pub fn record_mut(&mut self) -> Option<&mut BlockRecord> {
        self.record.as_deref_mut()
    }

    /// Whether [`Self::record_mut`] is there.
    pub const fn keeps_record(&self) -> bool {
        self.record.is_some()
    }

    /// The rules of the block.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The block that the transactions see.
    pub const fn environment(&self) -> &BlockEnvironment {
        &self.environment
    }

    /// Receipts so far.
    pub fn receipts(&self) -> &[ReceiptDetails] {
        &self.receipts
    }

    /// Gas that is left for further transactions. It never grows.
    pub const fn gas_left(&self) -> u64 {
        self.environment.gas_limit - self.gas_used
    }

    pub(super) const fn gas_used(&self) -> u64 {
        self.gas_used
    }

    pub(super) const fn blob_gas_used(&self) -> u64 {
        self.blob_gas_used
    }

    pub(super) fn into_receipts(self) -> (Vec<ReceiptDetails>, Option<Box<BlockRecord>>) {
        (self.receipts, self.record)
    }

    /// Whether the next transaction may be tried: what the block has left, and nothing about the state.
    ///
    /// # Errors
    /// [`TransactionError`], the limit it does not fit into.
    pub fn admit(&self, transaction: &RecoveredTransaction) -> Result<(), TransactionError> {
        if let Some(size_bytes) = self.size_bytes {
            let candidate = transaction.envelope.network_len();
            if size_bytes + candidate > BLOCK_SIZE_BYTES_MAX {
                return Err(TransactionError::BlockSizeLimit { size_bytes: candidate, max: BLOCK_SIZE_BYTES_MAX });
            }
        }
        let gas_limit = transaction.envelope.gas_limit();
        if gas_limit > self.gas_left() {
            return Err(TransactionError::GasLimitAboveBlock { gas_limit, available: self.gas_left() });
        }
        let blob_gas = blob_gas(transaction);
        // A fork without blobs refuses the type itself, which says more than a count of zero.
        if let Some(blob) = self.rules.blob
            && blob_gas > blob.max_blob_gas_per_block() - self.blob_gas_used
        {
            let count = (self.blob_gas_used + blob_gas) / DATA_GAS_PER_BLOB;
            return Err(TransactionError::TooManyBlobs { count, max: blob.max_blob_count });
        }
        Ok(())
    }

    /// Books what an admitted transaction used: gas, and the multiply-accumulates of its inferences.
    ///
    /// # Errors
    /// [`TransactionError::TooManyMacs`]; then nothing is booked, and the transaction may not be in the block.
    pub fn book(
        &mut self,
        transaction: &RecoveredTransaction,
        gas_used: u64,
        macs: u64,
    ) -> Result<(), TransactionError> {
        self.macs = self.macs_with(macs)?;
        self.gas_used += gas_used;
        self.blob_gas_used += blob_gas(transaction);
        if let Some(size_bytes) = &mut self.size_bytes {
            *size_bytes += transaction.envelope.network_len();
        }
        Ok(())
    }

    /// MACs of the block with those of one more transaction.
    fn macs_with(&self, macs: u64) -> Result<u64, TransactionError> {
        let Some(inference) = &self.rules.inference else {
            return Ok(0);
        };
        // BOUND: a transaction has at most as many as its own limit allows.
        let sum = self.macs.saturating_add(macs);
        if macs > 0 && sum > inference.block_macs_max {
            return Err(TransactionError::TooManyMacs { macs, available: inference.block_macs_max - self.macs });
        }
        Ok(sum)
    }

    /// The receipt of a transaction, but for what came before it in the block. Whoever ran the transaction makes it,
    /// on any thread: its bloom takes longer than all other books.
    pub fn draft(
        rules: &Rules,
        environment: &BlockEnvironment,
        transaction: &RecoveredTransaction,
        outcome: TransactionOutcome,
        hashes: &mut LogHashes,
    ) -> ReceiptDetails {
        let envelope = &transaction.envelope;
        let receipt = EthereumReceipt {
            tx_type: envelope.tx_type(),
            success: outcome.status == ExecutionStatus::Success,
            cumulative_gas_used: outcome.gas_used,
            logs: outcome.logs,
        };
        let base_fee = (rules.fork >= Fork::London).then_some(environment.base_fee_per_gas);
        ReceiptDetails {
            bloom: hashes.bloom(&receipt.logs),
            receipt,
            state_root: None,
            gas_used: outcome.gas_used,
            effective_gas_price: envelope.effective_gas_price(base_fee),
            blob_gas_used: blob_gas(transaction),
            contract_address: outcome.contract_address,
            failure: match outcome.status {
                ExecutionStatus::Success => None,
                ExecutionStatus::Revert => Some("revert"),
                ExecutionStatus::Halt(reason) => Some(reason),
            },
            output: outcome.output,
        }
    }

    /// Files the receipt of the transaction that was booked last. `state_root` is for receipts before Byzantium
    /// (EIP-658).
    pub fn file(&mut self, mut draft: ReceiptDetails, state_root: Option<B256>) {
        draft.receipt.cumulative_gas_used = self.gas_used;
        draft.state_root = state_root;
        self.receipts.push(draft);
    }
}

/// Blob gas that a transaction takes (EIP-4844).
fn blob_gas(transaction: &RecoveredTransaction) -> u64 {
    transaction.envelope.blob_count().unwrap_or(0).saturating_mul(DATA_GAS_PER_BLOB)
}
