//! One block in the making: the protocol's calls, the transactions, rewards.

use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use core::mem;

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, U256};

use super::{
    BlockEnvironment, BlockError, BlockOutcome, BlockRecord, BlockState, Ledger, LogHashes, ReceiptDetails, Step,
    record::access_of,
    system::{self, Protocol},
};
use crate::{
    Accesses, Account, ChangeSet, Evm, Fork, FrameRunner, PrecompileSet, RecoveredTransaction, Rules, StateCommitment,
    StateView, TransactionFault, TransactionOutcome, ViewError,
    changes::AccountChange,
    effects::pay_fee,
    inference::{INFERENCE, earnings},
};

/// Runs one block: [`Self::begin`], its transactions, [`Self::finish`].
///
/// [`Self::execute`] runs transactions one after the other. A [`Schedule`](crate::Schedule) may run them elsewhere
/// instead, over [`Self::parts`], and hand over what they changed with [`Self::apply`].
#[derive(Debug)]
pub struct BlockExecutor<V: StateView, R, P> {
    evm: Evm<BlockState<V>, R, P>,
    ledger: Ledger,
    log_hashes: LogHashes,
}

impl<V: StateView, R: FrameRunner, P: PrecompileSet> BlockExecutor<V, R, P> {
    /// An executor over the state before the block.
    pub fn new(view: V, rules: Rules, environment: BlockEnvironment, runner: R, precompiles: P) -> Self {
        let evm = Evm::new(BlockState::new(view), &rules, &environment, runner, precompiles);
        Self { evm, ledger: Ledger::new(rules, environment), log_hashes: LogHashes::default() }
    }

    /// The machine that runs the transactions, for who watches them or drops checks.
    pub const fn evm_mut(&mut self) -> &mut Evm<BlockState<V>, R, P> {
        &mut self.evm
    }

    /// The state so far and the books, for who runs the transactions elsewhere.
    pub fn parts(&mut self) -> (&BlockState<V>, &mut Ledger) {
        (self.evm.view(), &mut self.ledger)
    }

    /// Takes what transactions changed that were run elsewhere and are in the books.
    pub fn apply(&mut self, changes: ChangeSet) {
        self.evm.view_mut().apply(changes);
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
        if self.ledger.rules().fork >= Fork::Prague {
            system::store_parent_hash(&mut self.protocol(), parent_hash)?;
        }
        if self.ledger.rules().fork >= Fork::Cancun
            && let Some(root) = parent_beacon_block_root
        {
            system::store_beacon_root(&mut self.protocol(), root)?;
        }
        Ok(())
    }

    /// What the transactions so far changed, and their receipts.
    pub(super) fn into_parts(self) -> (ChangeSet, Vec<ReceiptDetails>, Option<Box<BlockRecord>>) {
        let (receipts, record) = self.ledger.into_receipts();
        (self.evm.into_view().into_parts().1, receipts, record)
    }

    /// Keeps a record of what each step accesses and changes. Said before the block begins.
    pub fn keep_record(&mut self) {
        self.ledger.keep_record();
    }

    /// The books of the block.
    pub(super) const fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// The rules of the block.
    pub const fn rules(&self) -> &Rules {
        self.ledger.rules()
    }

    /// Receipts so far.
    pub fn receipts(&self) -> &[ReceiptDetails] {
        self.ledger.receipts()
    }

    /// Changes so far.
    pub fn changes(&self) -> ChangeSet {
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
        let state_root = if self.rules().fork < Fork::Byzantium {
            let root = self.base().state_root_after(&self.changes());
            Some(root.map_err(state_fault)?)
        } else {
            None
        };
        let gas_refunded = outcome.gas_refunded;
        let (rules, environment) = (self.ledger.rules(), self.ledger.environment());
        let draft = Ledger::draft(rules, environment, transaction, outcome, &mut self.log_hashes);
        self.ledger.file(draft, state_root);
        Ok(gas_refunded)
    }

    /// Runs the next transaction and keeps its changes, without a receipt.
    ///
    /// # Errors
    /// [`TransactionFault`]; the block so far is unchanged by a transaction that fails.
    pub fn try_execute(
        &mut self,
        transaction: &RecoveredTransaction,
    ) -> Result<TransactionOutcome, TransactionFault<V::Error>> {
        self.ledger.admit(transaction)?;
        if self.ledger.keeps_record() {
            return self.try_execute_recorded(transaction);
        }
        let (outcome, effects) = self.evm.execute_to_order(transaction, false)?;
        self.ledger.book(transaction, outcome.gas_used, self.evm.macs())?;
        self.evm.view_mut().enter(effects).map_err(state_fault)?;
        Ok(outcome)
    }

    fn try_execute_recorded(
        &mut self,
        transaction: &RecoveredTransaction,
    ) -> Result<TransactionOutcome, TransactionFault<V::Error>> {
        let (outcome, mut effects) = self.evm.execute_to_order(transaction, true)?;
        self.ledger.book(transaction, outcome.gas_used, self.evm.macs())?;
        let mut step = Step::of_transaction(transaction, mem::take(&mut effects.accesses), &effects.balances);
        step.gas_used = outcome.gas_used;
        let fees = effects.fees;
        self.enter(&mut step, effects.into())?;
        for (recipient, fee) in fees.into_iter().flatten() {
            step.access(access_of(recipient));
            let before = self.evm.view().account(&recipient).map_err(state_fault)?;
            if let Some((account, storage_cleared)) = pay_fee(before, fee) {
                let change = AccountChange { account, storage_cleared, ..AccountChange::default() };
                self.enter(&mut step, ChangeSet { accounts: [(recipient, change)].into(), ..ChangeSet::default() })?;
            }
        }
        if let Some(record) = self.ledger.record_mut() {
            record.push(step);
        }
        Ok(outcome)
    }

    /// Keeps changes, and notes them.
    fn enter(&mut self, step: &mut Step, changes: ChangeSet) -> Result<(), TransactionFault<V::Error>> {
        let state = self.evm.view_mut();
        step.add(state, &changes).map_err(state_fault)?;
        state.apply(changes);
        Ok(())
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
        if let Some(record) = self.ledger.record_mut() {
            record.end();
        }
        self.pay_model_owners()?;
        // SPEC: execution-specs apply_body: withdrawals first, then the request system calls.
        self.pay_withdrawals(withdrawals)?;
        self.pay_rewards(ommers)?;
        let requests = if self.ledger.rules().fork >= Fork::Prague {
            let deposits = system::deposits(self.ledger.rules().deposit_contract, self.ledger.receipts())?;
            Some(system::collect_requests(&mut self.protocol(), &deposits)?)
        } else {
            None
        };
        let (view, changes) = self.evm.into_view().into_parts();
        let (gas_used, blob_gas_used) = (self.ledger.gas_used(), self.ledger.blob_gas_used());
        let (receipts, record) = self.ledger.into_receipts();
        let changes = Arc::new(changes);
        let outcome = BlockOutcome { changes, gas_used, blob_gas_used, receipts, requests, record };
        Ok((outcome, view))
    }

    /// What inferences paid lies at [`INFERENCE`] until here: one sum for each owner, so that the transactions of a
    /// block do not depend on each other through an owner's balance.
    fn pay_model_owners(&mut self) -> Result<(), BlockError<V::Error>> {
        if self.ledger.rules().inference.is_none() {
            return Ok(());
        }
        let earned = earnings(self.ledger.receipts().iter().flat_map(|details| &details.receipt.logs));
        if earned.is_empty() {
            return Ok(());
        }
        // BOUND: what is paid for in native token, whose supply fits 256 bits.
        self.debit(INFERENCE, earned.values().fold(U256::ZERO, |sum, amount| sum.saturating_add(*amount)))?;
        for (owner, amount) in earned {
            self.credit(owner, amount)?;
        }
        Ok(())
    }

    /// Takes from a balance outside any transaction what is known to be there.
    fn debit(&mut self, address: Address, amount: U256) -> Result<(), BlockError<V::Error>> {
        let state = self.evm.view();
        let mut account = state.account(&address).map_err(BlockError::state)?.unwrap_or_default();
        let rest = account.balance.checked_sub(amount);
        account.balance =
            rest.ok_or_else(|| BlockError::Engine(format!("{address} paid out more than it was paid")))?;
        self.write(address, AccountChange { account: Some(account), ..AccountChange::default() })
    }

    /// Changes an account outside any transaction.
    fn write(&mut self, address: Address, change: AccountChange) -> Result<(), BlockError<V::Error>> {
        let changes = ChangeSet { accounts: [(address, change)].into(), ..ChangeSet::default() };
        self.protocol().apply(Accesses::new(), changes)
    }

    /// What the protocol's own changes are made with.
    fn protocol(&mut self) -> Protocol<'_, V, R, P> {
        Protocol { evm: &mut self.evm, record: self.ledger.record_mut() }
    }

    fn pay_withdrawals(&mut self, withdrawals: &[Withdrawal]) -> Result<(), BlockError<V::Error>> {
        for withdrawal in withdrawals {
            self.credit(withdrawal.address, withdrawal.amount_wei())?;
        }
        Ok(())
    }

    /// Static rewards of proof-of-work blocks (Yellow Paper §11.3).
    fn pay_rewards(&mut self, ommers: &[Header]) -> Result<(), BlockError<V::Error>> {
        let Some(reward) = self.ledger.rules().block_reward() else {
            return Ok(());
        };
        for ommer in ommers {
            let distance = U256::from(ommer.number + 8 - self.ledger.environment().number);
            self.credit(ommer.beneficiary, reward * distance / U256::from(8))?;
        }
        let inclusion = reward / U256::from(32) * U256::from(ommers.len());
        self.credit(self.ledger.environment().beneficiary, reward + inclusion)
    }

    /// Adds to a balance outside any transaction. Touches the account even for zero (EIP-161).
    fn credit(&mut self, address: Address, amount: U256) -> Result<(), BlockError<V::Error>> {
        let state = self.evm.view();
        let before = state.account(&address).map_err(BlockError::state)?;
        let mut account = before.unwrap_or_default();
        // BOUND: the supply of native token fits 256 bits by many orders of magnitude.
        account.balance = account.balance.saturating_add(amount);
        let account = if account.is_empty() && self.ledger.rules().fork >= Fork::SpuriousDragon {
            if before.is_none() {
                if let Some(record) = self.ledger.record_mut() {
                    record.last_mut().access(access_of(address));
                }
                return Ok(());
            }
            None
        } else {
            Some::<Account>(account)
        };
        let storage_cleared = account.is_none();
        self.write(address, AccountChange { account, storage_cleared, ..AccountChange::default() })
    }
}

fn state_fault<E: core::error::Error>(error: E) -> TransactionFault<E> {
    TransactionFault::View(ViewError::State(error))
}
