//! Questions about transactions that nobody sent: calls, gas estimates, access lists.

use alloy_consensus::{EthereumTxEnvelope, EthereumTypedTransaction, Transaction as _, TxEip2930, TxEip4844};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256, map::AddressSet};
use metis_state_transition::{
    Accesses, BlockEnvironment, ChainPrecompiles, ChainSpec, ChangeSet, Evm, ExecutionStatus, FrameRunner, Overlay,
    PrecompileMoves, RecoveredTransaction, StateView, TransactionFault, TransactionOutcome, ViewError,
};

/// Gas that a transfer to an account without code takes (Yellow Paper appendix G).
const TRANSFER_GAS: u64 = 21_000;

/// Gas that CALL adds for a callee when it moves value.
const CALL_STIPEND: u64 = 2_300;

/// An estimate within this fraction above the least sufficient gas ends the search (go-ethereum's
/// `estimateGasErrorRatio`): 1.5 %.
const ESTIMATE_TOLERANCE_PER_MILLE: u64 = 15;

/// How often an access list is refined: adding it changes gas, which may change the path taken.
const ACCESS_LIST_ROUNDS_MAX: usize = 16;

/// What a simulation runs on: a state, changes assumed on top of it, and a block to be in.
#[derive(Clone, Debug)]
pub struct Simulation<'a, V> {
    /// State to start from.
    pub view: &'a V,
    /// Changes assumed on top of it (state overrides).
    pub overrides: ChangeSet,
    /// Precompiles that are assumed to be elsewhere.
    pub precompiles: PrecompileMoves,
    /// Rules of the chain.
    pub spec: &'a ChainSpec,
    /// The block it happens in.
    pub environment: BlockEnvironment,
}

/// What a gas estimate found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GasEstimate {
    /// This much gas is enough, and not more than needed by the tolerance.
    Gas(u64),
    /// It fails with all gas there is: what it did then.
    Fails(TransactionOutcome),
    /// The sender can pay for this much gas only, which is not enough.
    AllowanceTooLow {
        /// Gas the sender can pay for, or the cap.
        gas_limit: u64,
    },
}

type Fault<V> = TransactionFault<<V as StateView>::Error>;

impl<V: StateView> Simulation<'_, V> {
    fn evm<R: FrameRunner>(&self, runner: R) -> Evm<Overlay<&V>, R, ChainPrecompiles> {
        let rules = self.spec.rules_at(self.environment.number, self.environment.timestamp);
        let view = Overlay::with_changes(self.view, self.overrides.clone());
        let mut evm = Evm::new(view, &rules, &self.environment, runner, ChainPrecompiles::default());
        evm.relax_for_calls();
        if !self.precompiles.removed.is_empty() {
            evm.rearrange_precompiles(self.precompiles.clone());
        }
        evm
    }

    /// Runs a call as `eth_call` does: no nonce, no limits but its own gas. Fees are charged when
    /// the call names a price.
    ///
    /// # Errors
    /// [`TransactionFault`].
    pub fn call(&self, call: &RecoveredTransaction, runner: impl FrameRunner) -> Result<TransactionOutcome, Fault<V>> {
        self.evm(runner).execute(call).map(|(outcome, _)| outcome)
    }

    /// Runs a call as [`Self::call`] does, and assumes what it changed from then on.
    ///
    /// # Errors
    /// [`TransactionFault`].
    pub fn call_and_keep(
        &mut self,
        call: &RecoveredTransaction,
        runner: impl FrameRunner,
    ) -> Result<TransactionOutcome, Fault<V>> {
        let (outcome, changes) = self.evm(runner).execute(call)?;
        self.overrides.merge(changes);
        Ok(outcome)
    }

    /// The least gas limit with which the call succeeds, as go-ethereum searches for it.
    ///
    /// The call's own gas limit is the upper bound of the search.
    ///
    /// # Errors
    /// [`TransactionFault`].
    pub fn estimate_gas<R: FrameRunner>(
        &self,
        call: &RecoveredTransaction,
        runner: impl FnOnce() -> R,
    ) -> Result<GasEstimate, Fault<V>> {
        let mut call = call.clone();
        let Some(mut high) = self.affordable_gas(&call)? else {
            return Ok(GasEstimate::AllowanceTooLow { gas_limit: 0 });
        };
        high = high.min(call.envelope.gas_limit());
        let is_transfer = self.is_transfer(&call)?;

        // One machine for all runs: each leaves it as it was, for nobody keeps the changes.
        let mut evm = self.evm(runner());
        let mut run = |gas_limit: u64| {
            set_gas_limit(&mut call, gas_limit);
            evm.execute(&call).map(|(outcome, _)| outcome)
        };
        // A transfer to an account without code needs just this: no search, and no tolerance.
        if is_transfer
            && high >= TRANSFER_GAS
            && run(TRANSFER_GAS).is_ok_and(|outcome| outcome.status == ExecutionStatus::Success)
        {
            return Ok(GasEstimate::Gas(TRANSFER_GAS));
        }
        let outcome = match run(high) {
            Ok(outcome) => outcome,
            // Gas below the intrinsic cost is "not enough gas", not a malformed call.
            Err(TransactionFault::Invalid(error)) if is_gas_shortage(&error) => {
                return Ok(GasEstimate::AllowanceTooLow { gas_limit: high });
            }
            Err(fault) => return Err(fault),
        };
        if outcome.status != ExecutionStatus::Success {
            return Ok(GasEstimate::Fails(outcome));
        }
        let succeeds = |result: Result<TransactionOutcome, Fault<V>>| match result {
            Ok(outcome) => Ok(outcome.status == ExecutionStatus::Success),
            Err(TransactionFault::Invalid(error)) if is_gas_shortage(&error) => Ok(false),
            Err(fault) => Err(fault),
        };

        let mut low = outcome.gas_used.saturating_sub(1);
        // What it used, its refund, and a stipend that must be there although it is not used, with
        // the 64th that each CALL holds back: mostly enough at once.
        let optimistic = (outcome.gas_used + outcome.gas_refunded + CALL_STIPEND).saturating_mul(64) / 63;
        if optimistic < high {
            if succeeds(run(optimistic))? { high = optimistic } else { low = optimistic }
        }
        // BOUND: the interval halves each time; 64 rounds at most.
        while low + 1 < high {
            if (high - low).saturating_mul(1000) < high.saturating_mul(ESTIMATE_TOLERANCE_PER_MILLE) {
                break;
            }
            // Most calls need far less than the upper bound: look low first.
            let middle = (low + (high - low) / 2).min(low.saturating_mul(2).max(TRANSFER_GAS));
            if succeeds(run(middle))? { high = middle } else { low = middle }
        }
        Ok(GasEstimate::Gas(high))
    }

    fn is_transfer(&self, call: &RecoveredTransaction) -> Result<bool, Fault<V>> {
        let Some(to) = call.envelope.to().filter(|_| call.envelope.input().is_empty()) else { return Ok(false) };
        let view = Overlay::with_changes(self.view, self.overrides.clone());
        let account = view.account(&to).map_err(|error| TransactionFault::View(ViewError::State(error)))?;
        Ok(account.is_none_or(|account| account.code_hash == KECCAK256_EMPTY))
    }

    /// Gas the sender can pay for at the call's price; `None` when the value alone is too much.
    fn affordable_gas(&self, call: &RecoveredTransaction) -> Result<Option<u64>, Fault<V>> {
        let price = call.envelope.max_fee_per_gas();
        if price == 0 {
            return Ok(Some(u64::MAX));
        }
        let view = Overlay::with_changes(self.view, self.overrides.clone());
        let account = view.account(&call.sender).map_err(|error| TransactionFault::View(ViewError::State(error)))?;
        let Some(available) = account.unwrap_or_default().balance.checked_sub(call.envelope.value()) else {
            return Ok(None);
        };
        Ok(Some(u64::try_from(available / U256::from(price)).unwrap_or(u64::MAX)))
    }

    /// The access list that covers everything the call accesses, and what it does with that list.
    ///
    /// Left out, as in go-ethereum: sender, receiver, precompiles and who gets fees, which are warm
    /// anyway or not accessed by the call, unless slots of them are accessed.
    ///
    /// # Errors
    /// [`TransactionFault`].
    pub fn create_access_list<R: FrameRunner>(
        &self,
        call: &RecoveredTransaction,
        mut runner: impl FnMut() -> R,
        precompiles: &AddressSet,
    ) -> Result<(AccessList, TransactionOutcome), Fault<V>> {
        let mut call = call.clone();
        let mut list = call.envelope.access_list().cloned().unwrap_or_default();
        for _ in 0..ACCESS_LIST_ROUNDS_MAX {
            set_access_list(&mut call, list.clone());
            let (outcome, _, accesses) = self.evm(runner()).execute_with_accesses(&call)?;
            let target = call.envelope.to().or(outcome.contract_address);
            let next = access_list(accesses, |address| {
                address == call.sender
                    || Some(address) == target
                    || address == self.environment.beneficiary
                    || Some(address) == self.spec.base_fee_recipient
                    || precompiles.contains(&address)
            });
            if next == list {
                return Ok((list, outcome));
            }
            list = next;
        }
        set_access_list(&mut call, list.clone());
        let (outcome, _, _) = self.evm(runner()).execute_with_accesses(&call)?;
        Ok((list, outcome))
    }
}

fn access_list(accesses: Accesses, is_warm_anyway: impl Fn(Address) -> bool) -> AccessList {
    let items = accesses
        .into_iter()
        .filter(|(address, slots)| !slots.is_empty() || !is_warm_anyway(*address))
        .map(|(address, slots)| AccessListItem { address, storage_keys: slots.into_iter().map(B256::from).collect() });
    AccessList(items.collect())
}

const fn is_gas_shortage(error: &metis_state_transition::TransactionError) -> bool {
    use metis_state_transition::TransactionError as E;
    matches!(error, E::IntrinsicGasTooLow { .. } | E::GasBelowFloor { .. })
}

type Typed = EthereumTypedTransaction<TxEip4844>;

/// The call with another gas limit.
fn set_gas_limit(call: &mut RecoveredTransaction, gas_limit: u64) {
    edit(call, |typed| match typed {
        Typed::Legacy(fields) => fields.gas_limit = gas_limit,
        Typed::Eip2930(fields) => fields.gas_limit = gas_limit,
        Typed::Eip1559(fields) => fields.gas_limit = gas_limit,
        Typed::Eip4844(fields) => fields.gas_limit = gas_limit,
        Typed::Eip7702(fields) => fields.gas_limit = gas_limit,
    });
}

/// The call with another access list; a legacy call becomes an EIP-2930 one.
fn set_access_list(call: &mut RecoveredTransaction, list: AccessList) {
    edit(call, |typed| match typed {
        Typed::Legacy(fields) => {
            *typed = Typed::Eip2930(TxEip2930 {
                chain_id: fields.chain_id.unwrap_or_default(),
                nonce: fields.nonce,
                gas_price: fields.gas_price,
                gas_limit: fields.gas_limit,
                to: fields.to,
                value: fields.value,
                access_list: list,
                input: core::mem::take(&mut fields.input),
            });
        }
        Typed::Eip2930(fields) => fields.access_list = list,
        Typed::Eip1559(fields) => fields.access_list = list,
        Typed::Eip4844(fields) => fields.access_list = list,
        Typed::Eip7702(fields) => fields.access_list = list,
    });
}

/// Changes a call's fields. Its signature is a stand-in, so nothing is signed anew.
fn edit(call: &mut RecoveredTransaction, change: impl FnOnce(&mut Typed)) {
    let signature = *call.envelope.signature();
    let mut typed = call.envelope.clone().into_typed_transaction();
    change(&mut typed);
    call.envelope = EthereumTxEnvelope::new_unhashed(typed, signature);
}
