//! Runs the transactions of one block in order and keeps their receipts.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use alloy_consensus::{
    Eip658Value, EthereumReceipt, Header, Receipt as FullReceipt, ReceiptEnvelope, ReceiptWithBloom, Transaction as _,
    TxType,
};
use alloy_eips::{eip4844::DATA_GAS_PER_BLOB, eip4895::Withdrawal};
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};

use super::{BlockEnvironment, system};
use crate::{
    Account, ChangeSet, Evm, ExecutionStatus, Fork, FrameRunner, Overlay, PrecompileSet, RecoveredTransaction, Rules,
    StateCommitment, StateView, TransactionError, TransactionFault, TransactionOutcome, ViewError,
    changes::AccountChange,
    inference::{INFERENCE, earnings},
};

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

/// What a block did.
#[derive(Debug)]
pub struct BlockOutcome {
    /// All state changes.
    pub changes: ChangeSet,
    /// Receipts in order.
    pub receipts: Vec<ReceiptDetails>,
    /// Gas of all transactions.
    pub gas_used: u64,
    /// Blob gas of all transactions.
    pub blob_gas_used: u64,
    /// Requests to the consensus layer, from Prague on (EIP-7685).
    pub requests: Option<Vec<Bytes>>,
}

impl BlockOutcome {
    /// Union of the receipts' blooms.
    pub fn logs_bloom(&self) -> Bloom {
        let with_logs = self.receipts.iter().filter(|details| !details.receipt.logs.is_empty());
        with_logs.fold(Bloom::ZERO, |all, details| all | details.bloom)
    }
}

/// Runs the transactions of one block, sequentially.
///
/// Use: [`Self::begin`], [`Self::execute`] for each transaction, [`Self::finish`].
#[derive(Debug)]
pub struct BlockExecutor<V: StateView, R, P> {
    evm: Evm<Overlay<V>, R, P>,
    rules: Rules,
    environment: BlockEnvironment,
    receipts: Vec<ReceiptDetails>,
    gas_used: u64,
    blob_gas_used: u64,
    macs: u64,
}

impl<V: StateView, R: FrameRunner, P: PrecompileSet> BlockExecutor<V, R, P> {
    /// An executor over the state before the block.
    pub fn new(view: V, rules: Rules, environment: BlockEnvironment, runner: R, precompiles: P) -> Self {
        let evm = Evm::new(Overlay::new(view), &rules, &environment, runner, precompiles);
        Self { evm, rules, environment, receipts: Vec::new(), gas_used: 0, blob_gas_used: 0, macs: 0 }
    }

    /// The machine that runs the transactions, for who watches them or drops checks.
    pub const fn evm_mut(&mut self) -> &mut Evm<Overlay<V>, R, P> {
        &mut self.evm
    }

    /// Makes the calls the protocol makes before the first transaction.
    ///
    /// # Errors
    /// [`BlockError::View`] or [`BlockError::Engine`].
    pub fn begin(
        &mut self,
        parent_hash: B256,
        parent_beacon_block_root: Option<B256>,
    ) -> Result<(), BlockError<V::Error>> {
        if self.rules.fork >= Fork::Prague {
            system::store_parent_hash(&mut self.evm, parent_hash)?;
        }
        if self.rules.fork >= Fork::Cancun
            && let Some(root) = parent_beacon_block_root
        {
            system::store_beacon_root(&mut self.evm, root)?;
        }
        Ok(())
    }

    /// Makes room for the receipts of so many transactions.
    pub(super) fn expect(&mut self, transaction_count: usize) {
        self.receipts.reserve(transaction_count);
    }

    /// Gas that is left for further transactions.
    pub const fn gas_left(&self) -> u64 {
        self.environment.gas_limit - self.gas_used
    }

    /// Receipts so far.
    pub fn receipts(&self) -> &[ReceiptDetails] {
        &self.receipts
    }

    /// Changes so far.
    pub fn changes(&self) -> &ChangeSet {
        self.evm.view().changes()
    }

    /// State under the block.
    pub fn base(&self) -> &V {
        self.evm.view().base()
    }

    /// Runs the next transaction and adds its receipt; gives back the gas that was refunded.
    ///
    /// # Errors
    /// [`TransactionFault`]; the block so far is unchanged by a transaction that fails.
    pub fn execute(&mut self, transaction: &RecoveredTransaction) -> Result<u64, TransactionFault<V::Error>>
    where
        V: StateCommitment,
    {
        let outcome = self.try_execute(transaction)?;
        // EIP-658: until Byzantium a receipt commits to the state after its transaction.
        let state_root = if self.rules.fork < Fork::Byzantium {
            let root = self.base().state_root_after(self.changes());
            Some(root.map_err(|error| TransactionFault::View(ViewError::State(error)))?)
        } else {
            None
        };
        let envelope = &transaction.envelope;
        let receipt = EthereumReceipt {
            tx_type: envelope.tx_type(),
            success: outcome.status == ExecutionStatus::Success,
            cumulative_gas_used: self.gas_used,
            logs: outcome.logs,
        };
        let base_fee = (self.rules.fork >= Fork::London).then_some(self.environment.base_fee_per_gas);
        self.receipts.push(ReceiptDetails {
            bloom: alloy_primitives::logs_bloom(receipt.logs.iter()),
            receipt,
            state_root,
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
        });
        Ok(outcome.gas_refunded)
    }

    /// Runs the next transaction and keeps its changes, without a receipt.
    ///
    /// # Errors
    /// [`TransactionFault`]; the block so far is unchanged by a transaction that fails.
    pub fn try_execute(
        &mut self,
        transaction: &RecoveredTransaction,
    ) -> Result<TransactionOutcome, TransactionFault<V::Error>> {
        let gas_limit = transaction.envelope.gas_limit();
        if gas_limit > self.gas_left() {
            return Err(TransactionError::GasLimitAboveBlock { gas_limit, available: self.gas_left() }.into());
        }
        let blob_gas = blob_gas(transaction);
        // A fork without blobs refuses the type itself, which says more than a count of zero.
        if let Some(blob) = self.rules.blob
            && blob_gas > blob.max_blob_gas_per_block() - self.blob_gas_used
        {
            return Err(TransactionError::TooManyBlobs {
                count: (self.blob_gas_used + blob_gas) / DATA_GAS_PER_BLOB,
                max: blob.max_blob_count,
            }
            .into());
        }
        let (outcome, changes) = self.evm.execute(transaction)?;
        self.macs = self.macs_with(self.evm.macs())?;
        self.evm.view_mut().apply(changes);
        self.gas_used += outcome.gas_used;
        self.blob_gas_used += blob_gas;
        Ok(outcome)
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

    /// Pays model owners, withdrawals or rewards, collects requests, and ends the block; gives back the view
    /// under it, unchanged.
    ///
    /// # Errors
    /// [`BlockError`], when a required system contract is missing or fails.
    pub fn finish(
        mut self,
        withdrawals: &[Withdrawal],
        ommers: &[Header],
    ) -> Result<(BlockOutcome, V), BlockError<V::Error>> {
        self.pay_model_owners()?;
        // SPEC: execution-specs apply_body: withdrawals first, then the request system calls.
        self.pay_withdrawals(withdrawals)?;
        self.pay_rewards(ommers)?;
        let requests = if self.rules.fork >= Fork::Prague {
            Some(system::collect_requests(&mut self.evm, self.rules.deposit_contract, &self.receipts)?)
        } else {
            None
        };
        let (view, changes) = self.evm.into_view().into_parts();
        let outcome = BlockOutcome {
            changes,
            receipts: self.receipts,
            gas_used: self.gas_used,
            blob_gas_used: self.blob_gas_used,
            requests,
        };
        Ok((outcome, view))
    }

    /// What inferences paid lies at [`INFERENCE`] until here: one sum for each owner, so that the transactions of a
    /// block do not depend on each other through an owner's balance.
    fn pay_model_owners(&mut self) -> Result<(), BlockError<V::Error>> {
        if self.rules.inference.is_none() {
            return Ok(());
        }
        let earned = earnings(self.receipts.iter().flat_map(|details| &details.receipt.logs));
        for (owner, amount) in earned {
            self.debit(INFERENCE, amount)?;
            self.credit(owner, amount)?;
        }
        Ok(())
    }

    /// Takes from a balance outside any transaction what is known to be there.
    fn debit(&mut self, address: Address, amount: U256) -> Result<(), BlockError<V::Error>> {
        let overlay = self.evm.view_mut();
        let mut account = overlay.account(&address).map_err(BlockError::state)?.unwrap_or_default();
        let rest = account.balance.checked_sub(amount);
        account.balance =
            rest.ok_or_else(|| BlockError::Engine(format!("{address} paid out more than it was paid")))?;
        let mut changes = ChangeSet::default();
        changes.accounts.insert(address, AccountChange { account: Some(account), ..AccountChange::default() });
        overlay.apply(changes);
        Ok(())
    }

    fn pay_withdrawals(&mut self, withdrawals: &[Withdrawal]) -> Result<(), BlockError<V::Error>> {
        for withdrawal in withdrawals {
            self.credit(withdrawal.address, withdrawal.amount_wei())?;
        }
        Ok(())
    }

    /// Static rewards of proof-of-work blocks (Yellow Paper §11.3).
    fn pay_rewards(&mut self, ommers: &[Header]) -> Result<(), BlockError<V::Error>> {
        let Some(reward) = self.rules.block_reward() else {
            return Ok(());
        };
        for ommer in ommers {
            let distance = U256::from(ommer.number + 8 - self.environment.number);
            self.credit(ommer.beneficiary, reward * distance / U256::from(8))?;
        }
        let inclusion = reward / U256::from(32) * U256::from(ommers.len());
        self.credit(self.environment.beneficiary, reward + inclusion)
    }

    /// Adds to a balance outside any transaction. Touches the account even for zero (EIP-161).
    fn credit(&mut self, address: Address, amount: U256) -> Result<(), BlockError<V::Error>> {
        let overlay = self.evm.view_mut();
        let before = overlay.account(&address).map_err(BlockError::state)?;
        let mut account = before.unwrap_or_default();
        // BOUND: the supply of native token fits 256 bits by many orders of magnitude.
        account.balance = account.balance.saturating_add(amount);
        let account = if account.is_empty() && self.rules.fork >= Fork::SpuriousDragon {
            if before.is_none() {
                return Ok(());
            }
            None
        } else {
            Some::<Account>(account)
        };
        let mut changes = ChangeSet::default();
        let storage_cleared = account.is_none();
        changes.accounts.insert(address, AccountChange { account, storage_cleared, ..AccountChange::default() });
        overlay.apply(changes);
        Ok(())
    }
}

/// Blob gas that a transaction takes (EIP-4844).
fn blob_gas(transaction: &RecoveredTransaction) -> u64 {
    transaction.envelope.blob_count().unwrap_or(0).saturating_mul(DATA_GAS_PER_BLOB)
}
