//! One block in the making: the protocol's calls, the transactions, rewards.

use alloc::{format, vec::Vec};

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, U256};

use super::{BlockEnvironment, BlockError, BlockOutcome, Ledger, ReceiptDetails, system};
use crate::{
    Account, ChangeSet, Evm, Fork, FrameRunner, Overlay, PrecompileSet, RecoveredTransaction, Rules, StateCommitment,
    StateView, TransactionFault, TransactionOutcome, ViewError,
    changes::AccountChange,
    inference::{INFERENCE, earnings},
};

/// Runs one block: [`Self::begin`], its transactions, [`Self::finish`].
///
/// [`Self::execute`] runs transactions one after the other. A [`Schedule`](crate::Schedule) may run them elsewhere
/// instead, over [`Self::parts`], and hand over what they changed with [`Self::apply`].
#[derive(Debug)]
pub struct BlockExecutor<V: StateView, R, P> {
    evm: Evm<Overlay<V>, R, P>,
    ledger: Ledger,
}

impl<V: StateView, R: FrameRunner, P: PrecompileSet> BlockExecutor<V, R, P> {
    /// An executor over the state before the block.
    pub fn new(view: V, rules: Rules, environment: BlockEnvironment, runner: R, precompiles: P) -> Self {
        let evm = Evm::new(Overlay::new(view), &rules, &environment, runner, precompiles);
        Self { evm, ledger: Ledger::new(rules, environment) }
    }

    /// The machine that runs the transactions, for who watches them or drops checks.
    pub const fn evm_mut(&mut self) -> &mut Evm<Overlay<V>, R, P> {
        &mut self.evm
    }

    /// The state so far and the books, for who runs the transactions elsewhere.
    pub fn parts(&mut self) -> (&Overlay<V>, &mut Ledger) {
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
            system::store_parent_hash(&mut self.evm, parent_hash)?;
        }
        if self.ledger.rules().fork >= Fork::Cancun
            && let Some(root) = parent_beacon_block_root
        {
            system::store_beacon_root(&mut self.evm, root)?;
        }
        Ok(())
    }

    /// What the transactions so far changed, and their receipts.
    pub(super) fn into_parts(self) -> (ChangeSet, Vec<ReceiptDetails>) {
        (self.evm.into_view().into_parts().1, self.ledger.into_receipts())
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
        let state_root = if self.rules().fork < Fork::Byzantium {
            let root = self.base().state_root_after(self.changes());
            Some(root.map_err(|error| TransactionFault::View(ViewError::State(error)))?)
        } else {
            None
        };
        let gas_refunded = outcome.gas_refunded;
        let draft = Ledger::draft(self.ledger.rules(), self.ledger.environment(), transaction, outcome);
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
        let (outcome, changes) = self.evm.execute(transaction)?;
        self.ledger.book(transaction, outcome.gas_used, self.evm.macs())?;
        self.evm.view_mut().apply(changes);
        Ok(outcome)
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
        let requests = if self.ledger.rules().fork >= Fork::Prague {
            Some(system::collect_requests(&mut self.evm, self.ledger.rules().deposit_contract, self.ledger.receipts())?)
        } else {
            None
        };
        let (view, changes) = self.evm.into_view().into_parts();
        let outcome = BlockOutcome {
            changes,
            gas_used: self.ledger.gas_used(),
            blob_gas_used: self.ledger.blob_gas_used(),
            receipts: self.ledger.into_receipts(),
            requests,
        };
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
        let overlay = self.evm.view_mut();
        let before = overlay.account(&address).map_err(BlockError::state)?;
        let mut account = before.unwrap_or_default();
        // BOUND: the supply of native token fits 256 bits by many orders of magnitude.
        account.balance = account.balance.saturating_add(amount);
        let account = if account.is_empty() && self.ledger.rules().fork >= Fork::SpuriousDragon {
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
