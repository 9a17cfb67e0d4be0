//! Running one transaction: what it may not do, and what it did.

mod check;
mod error;
mod outcome;

use alloc::collections::{BTreeMap, BTreeSet};

use alloy_consensus::{EthereumTxEnvelope, Transaction as _, TxEip4844, Typed2718};
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_primitives::{Address, B256, Bytes, Signature, U256};
use revm::{
    context::TxEnv,
    context_interface::{
        either::Either,
        result::{EVMError, ExecutionResult, HaltReason},
    },
    state::EvmState,
};

use check::check_signature;
pub use check::check_transaction;
use error::refusal;
pub use error::{TransactionError, TransactionFault};
pub use outcome::{ExecutionStatus, TransactionOutcome, outcome};

use crate::{ChangeSet, Effects, Evm, FrameRunner, PrecompileSet, StateView};

/// A transaction and who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredTransaction {
    /// As encoded in blocks (blob transactions without sidecar).
    pub envelope: EthereumTxEnvelope<TxEip4844>,
    /// Recovered from the signature; not checked again here.
    pub sender: Address,
}

impl RecoveredTransaction {
    /// What stands in place of a signature where the sender is given instead of signed: it makes the
    /// hash differ by sender, and no signature that recovers to the sender is like it.
    pub fn stand_in_signature(sender: Address) -> Signature {
        Signature::new(U256::from_be_slice(sender.as_slice()), U256::ONE, false)
    }

    /// What the sender must have for the transaction to be valid, in wei (Yellow Paper (65), EIP-1559, EIP-4844).
    pub fn cost_max_wei(&self) -> U256 {
        let envelope = &self.envelope;
        let gas = U256::from(envelope.gas_limit()) * U256::from(envelope.max_fee_per_gas());
        let blob_gas = U256::from(envelope.blob_count().unwrap_or(0)) * U256::from(DATA_GAS_PER_BLOB);
        let blobs = blob_gas * U256::from(envelope.max_fee_per_blob_gas().unwrap_or(0));
        envelope.value().saturating_add(gas).saturating_add(blobs)
    }

    /// Whether it carries the stand-in: nobody signed it.
    pub fn is_unsigned(&self) -> bool {
        *self.envelope.signature() == Self::stand_in_signature(self.sender)
    }
}

/// BOUND: accounts that the map of a transaction has room for when the next one gets it.
const REUSED_ACCOUNT_COUNT_MAX: usize = 128;

/// Accounts that were accessed, each with its accessed slots.
pub type Accesses = BTreeMap<Address, BTreeSet<U256>>;

impl<V: StateView, R: FrameRunner, P: PrecompileSet> Evm<V, R, P> {
    /// Runs one transaction and returns what it did and changed. The view is not changed.
    ///
    /// # Errors
    /// [`TransactionFault`]; the state is then as if it had not been tried.
    pub fn execute(
        &mut self,
        transaction: &RecoveredTransaction,
    ) -> Result<(TransactionOutcome, ChangeSet), TransactionFault<V::Error>> {
        let (result, mut state) = self.run_checked(transaction)?;
        let effects = Effects::drain_journal(&mut state);
        self.reuse(state);
        Ok((outcome(result), effects.into()))
    }

    /// Runs one transaction for whoever will put it in its place among others: like [`Self::execute`], with fees owed
    /// instead of paid where the transaction does not look at their recipient.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub fn execute_to_order(
        &mut self,
        transaction: &RecoveredTransaction,
        keeps_accesses: bool,
    ) -> Result<(TransactionOutcome, Effects), TransactionFault<V::Error>> {
        self.balances.begin();
        let ran = self.run_checked(transaction);
        self.balances.is_on = false;
        let (result, mut state) = ran?;
        let accesses = if keeps_accesses { accesses_of(&state) } else { Accesses::new() };
        let mut effects = Effects { accesses, ..Effects::drain_journal(&mut state) };
        self.reuse(state);
        effects.fees = self.balances.fees;
        effects.has_precompile_read = self.precompiles.has_read();
        effects.balances = core::mem::take(&mut self.balances.seen);
        Ok((outcome(result), effects))
    }

    /// Gives the emptied map of a transaction's accounts to the next one, which need not allocate it. A large one would
    /// cost all that follow: it is walked over as a whole.
    fn reuse(&mut self, emptied: EvmState) {
        if emptied.capacity() <= REUSED_ACCOUNT_COUNT_MAX {
            self.context.journaled_state.inner.state = emptied;
        }
    }

    fn run_checked(
        &mut self,
        transaction: &RecoveredTransaction,
    ) -> Result<(ExecutionResult<HaltReason>, EvmState), TransactionFault<V::Error>> {
        check_signature(transaction, self.fork)?;
        if self.unsigned_may_have_code {
            self.context.cfg.disable_eip3607 = transaction.is_unsigned();
        }
        self.transact(transaction_env(transaction)).map_err(|error| match error {
            EVMError::Transaction(invalid) => {
                refusal(transaction, invalid, &self.context.block, self.context.cfg.chain_id)
                    .map_or_else(TransactionFault::Engine, TransactionFault::Invalid)
            }
            EVMError::Database(error) => TransactionFault::View(error),
            other => TransactionFault::Engine(alloc::format!("{other}")),
        })
    }

    /// Like [`Self::execute`], and also says which accounts and slots were accessed, reverted frames
    /// and the accounts every transaction touches included.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub fn execute_with_accesses(
        &mut self,
        transaction: &RecoveredTransaction,
    ) -> Result<(TransactionOutcome, ChangeSet, Accesses), TransactionFault<V::Error>> {
        let (result, state) = self.run_checked(transaction)?;
        let accesses = accesses_of(&state);
        Ok((outcome(result), ChangeSet::from_journal(state), accesses))
    }

    /// Runs one message call outside any transaction: no fees, no nonce, no intrinsic gas, no cap
    /// on refunds. `gas_used` is what the frame used, `gas_refunded` its refund counter.
    ///
    /// # Errors
    /// [`TransactionFault::View`] or [`TransactionFault::Engine`].
    pub fn message_call(
        &mut self,
        caller: Address,
        contract: Address,
        data: Bytes,
        value: U256,
        gas_limit: u64,
    ) -> Result<(TransactionOutcome, ChangeSet), TransactionFault<V::Error>> {
        match self.protocol_call(caller, contract, data, value, gas_limit) {
            Ok((result, state)) => {
                let (gas_used, gas_refunded) = (result.gas().total_gas_spent(), result.gas().inner_refunded());
                let done = TransactionOutcome { gas_used, gas_refunded, ..outcome(result) };
                Ok((done, ChangeSet::from_journal(state)))
            }
            Err(EVMError::Database(error)) => Err(TransactionFault::View(error)),
            Err(other) => Err(TransactionFault::Engine(alloc::format!("{other}"))),
        }
    }
}

/// What a journal has loaded.
pub(crate) fn accesses_of(state: &EvmState) -> Accesses {
    state.iter().map(|(address, account)| (*address, account.storage.keys().copied().collect())).collect()
}

/// A transaction in revm's terms.
pub fn transaction_env(transaction: &RecoveredTransaction) -> TxEnv {
    let envelope = &transaction.envelope;
    TxEnv {
        tx_type: envelope.ty(),
        caller: transaction.sender,
        gas_limit: envelope.gas_limit(),
        gas_price: envelope.max_fee_per_gas(),
        kind: envelope.kind(),
        value: envelope.value(),
        data: envelope.input().clone(),
        nonce: envelope.nonce(),
        chain_id: envelope.chain_id(),
        access_list: envelope.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: envelope.max_priority_fee_per_gas(),
        blob_hashes: envelope.blob_versioned_hashes().map(<[B256]>::to_vec).unwrap_or_default(),
        max_fee_per_blob_gas: envelope.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list: envelope
            .authorization_list()
            .map(|list| list.iter().cloned().map(Either::Left).collect())
            .unwrap_or_default(),
    }
}
