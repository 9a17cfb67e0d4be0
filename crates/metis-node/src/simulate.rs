//! Calls, gas estimates and access lists on the state after a block.

use std::collections::BTreeMap;

use alloy_consensus::{Header, Transaction};
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, B256, Bytes, U256, map::AddressSet};
use metis_executor::{GasEstimate, Simulation};
use metis_state_transition::{
    Account, AccountChange, BlockEnvironment, ChangeSet, Code, Fork, Overlay, PrecompileMoves, RecoveredTransaction,
    StateView, TransactionOutcome, precompile_addresses,
};
use metis_vm::FrameRunnerFactory;

use crate::{BlockId, Node, NodeError, State, StateError};

/// What a call assumes of an account. What is `None` is as in the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateOverride {
    /// Nonce.
    pub nonce: Option<u64>,
    /// Balance in wei.
    pub balance: Option<U256>,
    /// Code.
    pub code: Option<Bytes>,
    /// All storage: slots not named are zero.
    pub storage: Option<BTreeMap<U256, U256>>,
    /// Some slots; the others stay.
    pub storage_diff: Option<BTreeMap<U256, U256>>,
    /// Where the precompile at this address is found instead.
    pub move_precompile_to: Option<Address>,
}

impl StateOverride {
    /// Whether anything is assumed of the account itself: only then is one that is not there made.
    const fn is_about_account(&self) -> bool {
        self.nonce.is_some()
            || self.balance.is_some()
            || self.code.is_some()
            || self.storage.is_some()
            || self.storage_diff.is_some()
    }
}

/// What a call assumes of its block. What is `None` is as in the block it runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // named as in `BlockEnvironment`
pub struct BlockOverrides {
    pub number: Option<u64>,
    pub timestamp: Option<u64>,
    pub gas_limit: Option<u64>,
    pub beneficiary: Option<Address>,
    pub prev_randao: Option<B256>,
    pub base_fee_per_gas: Option<u64>,
    pub blob_base_fee: Option<u128>,
}

impl BlockOverrides {
    /// Puts what is assumed into an environment, but for the base fee, which depends on the call.
    pub(crate) fn put_into(&self, environment: &mut BlockEnvironment) {
        environment.number = self.number.unwrap_or(environment.number);
        environment.timestamp = self.timestamp.unwrap_or(environment.timestamp);
        environment.gas_limit = self.gas_limit.unwrap_or(environment.gas_limit);
        environment.beneficiary = self.beneficiary.unwrap_or(environment.beneficiary);
        environment.prev_randao = self.prev_randao.unwrap_or(environment.prev_randao);
        environment.assumed_blob_base_fee = self.blob_base_fee.or(environment.assumed_blob_base_fee);
    }
}

impl Node {
    /// Runs `work` with the state after a block and a call's assumptions, or with the state after the first
    /// `transaction_count` transactions of the block.
    pub(crate) fn simulate<T>(
        &self,
        call: &RecoveredTransaction,
        id: BlockId,
        transaction_count: Option<usize>,
        overrides: &[(Address, StateOverride)],
        block: &BlockOverrides,
        work: impl Fn(Simulation<'_, State>) -> Result<T, NodeError>,
    ) -> Result<T, NodeError> {
        let found = self.find(id).ok_or(NodeError::UnknownBlock)?;
        let header = self.chain.header(&found.hash)?.ok_or(NodeError::UnknownBlock)?;
        let (snapshot, changes) = match transaction_count {
            None => (self.snapshot(id)?, ChangeSet::default()),
            Some(count) => self.state_within(found.hash, count)?,
        };
        let mut environment = BlockEnvironment::of(&header, self.ancestors(&header.parent_hash));
        // A call runs in its block, after its transactions. Ancestors end with the block's parent.
        block.put_into(&mut environment);
        environment.base_fee_per_gas = match block.base_fee_per_gas {
            Some(assumed) => assumed,
            None => self.base_fee_of_call(&header, call.envelope.max_fee_per_gas()),
        };
        let spec = self.spec();
        let fork = spec.fork_at(environment.number, environment.timestamp);
        let precompiles = precompile_moves(fork, overrides)?;
        self.on_state(&snapshot, |snapshot| {
            let mut changes = changes.clone();
            let assumed = override_changes(&Overlay::with_changes(snapshot, changes.clone()), overrides)?;
            changes.merge(assumed);
            let (precompiles, environment) = (precompiles.clone(), environment.clone());
            work(Simulation { view: snapshot, overrides: changes, precompiles, spec: &spec, environment })
        })
    }

    /// The base fee that a call sees in a block.
    pub(crate) fn base_fee_of_call(&self, header: &Header, fee_cap: u128) -> u64 {
        let base_fee = header.base_fee_per_gas.unwrap_or(0);
        if fee_cap == 0 {
            // As in go-ethereum: a call that names no price sees no base fee.
            0
        } else if fee_cap < u128::from(base_fee) {
            // DEVIATES: go-ethereum refuses this cap. Clients take it from the next block's base fee, the last of
            // eth_feeHistory, and ask for an estimate on this one; whether the next block takes it is what counts.
            base_fee.min(self.spec().next_base_fee(header, header.timestamp + 1).unwrap_or(0))
        } else {
            base_fee
        }
    }

    /// The state before a block, and what its first transactions changed of it.
    pub(crate) fn state_within(&self, block_hash: B256, count: usize) -> Result<(State, ChangeSet), NodeError> {
        let stored = self.stored(BlockId::Hash(block_hash))?.ok_or(NodeError::UnknownBlock)?;
        let changes = self.replay(&stored.block, stored.hash, &stored.senders, 0, |replay| {
            replay.skip_to(count)?;
            Ok(replay.changes())
        })?;
        Ok((self.snapshot(BlockId::Hash(stored.block.header.parent_hash))?, changes))
    }

    /// Runs a call (`eth_call`).
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn call(
        &self,
        call: &RecoveredTransaction,
        id: BlockId,
        overrides: &[(Address, StateOverride)],
        block: &BlockOverrides,
    ) -> Result<TransactionOutcome, NodeError> {
        let outcome = self.simulate(call, id, None, overrides, block, |simulation| {
            Ok(simulation.call(call, self.machine.runner())?)
        })?;
        self.note_call(call, outcome.gas_used);
        Ok(outcome)
    }

    /// Least gas limit with which a call succeeds (`eth_estimateGas`).
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn estimate_gas(
        &self,
        call: &RecoveredTransaction,
        id: BlockId,
        overrides: &[(Address, StateOverride)],
        block: &BlockOverrides,
    ) -> Result<GasEstimate, NodeError> {
        let estimate = self.simulate(call, id, None, overrides, block, |simulation| {
            if simulation.view.is_probe() {
                // One run finds what it asks for; its result is forgotten.
                simulation.call(call, self.machine.runner())?;
                return Ok(GasEstimate::Gas(0));
            }
            Ok(simulation.estimate_gas(call, || self.machine.runner())?)
        })?;
        if let GasEstimate::Gas(gas) = estimate {
            self.note_call(call, gas);
        }
        Ok(estimate)
    }

    fn note_call(&self, call: &RecoveredTransaction, gas_used: u64) {
        if let Some(to) = call.envelope.to() {
            self.call_history.note(to, call.envelope.input(), gas_used);
        }
    }

    /// Access list of a call, and what it does with it (`eth_createAccessList`).
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn create_access_list(
        &self,
        call: &RecoveredTransaction,
        id: BlockId,
        overrides: &[(Address, StateOverride)],
    ) -> Result<(AccessList, TransactionOutcome), NodeError> {
        self.simulate(call, id, None, overrides, &BlockOverrides::default(), |simulation| {
            let fork = self.spec().fork_at(simulation.environment.number, simulation.environment.timestamp);
            let precompiles: AddressSet = precompile_addresses(fork);
            if simulation.view.is_probe() {
                // As for an estimate.
                return Ok((AccessList::default(), simulation.call(call, self.machine.runner())?));
            }
            Ok(simulation.create_access_list(call, || self.machine.runner(), &precompiles)?)
        })
    }
}

/// Precompiles that overrides take away or put elsewhere, as go-ethereum's `StateOverride.Apply` does: whatever is
/// assumed of a precompile's account, it is none any more.
///
/// # Errors
/// [`NodeError::PrecompileMove`].
pub(crate) fn precompile_moves(
    fork: Fork,
    overrides: &[(Address, StateOverride)],
) -> Result<PrecompileMoves, NodeError> {
    let precompiles = precompile_addresses(fork);
    let mut moves = PrecompileMoves::default();
    for (address, assumed) in overrides {
        let refuse = |account: &Address, problem| Err(NodeError::PrecompileMove { account: *account, problem });
        let is_precompile = precompiles.contains(address) && !moves.removed.contains(address);
        if moves.moved.contains_key(address) {
            return refuse(address, "has already been overridden by a precompile");
        }
        if let Some(to) = &assumed.move_precompile_to {
            if !is_precompile {
                return refuse(address, "is not a precompile");
            }
            if overrides.iter().any(|(other, _)| other == to) {
                return refuse(to, "is already overridden");
            }
            moves.moved.insert(*to, *address);
        }
        if is_precompile {
            moves.removed.insert(*address);
        }
    }
    Ok(moves)
}

pub(crate) fn override_changes(
    view: &impl StateView<Error = StateError>,
    overrides: &[(Address, StateOverride)],
) -> Result<ChangeSet, StateError> {
    let mut changes = ChangeSet::default();
    for (address, assumed) in overrides {
        if !assumed.is_about_account() {
            continue;
        }
        let mut account: Account = view.account(address)?.unwrap_or_default();
        account.nonce = assumed.nonce.unwrap_or(account.nonce);
        account.balance = assumed.balance.unwrap_or(account.balance);
        if let Some(code) = &assumed.code {
            let code = Code::new(code.clone());
            account.code_hash = code.hash();
            changes.codes.insert(account.code_hash, code);
        }
        let storage_cleared = assumed.storage.is_some();
        let mut storage = assumed.storage.clone().unwrap_or_default();
        storage.extend(assumed.storage_diff.clone().unwrap_or_default());
        changes.accounts.insert(*address, AccountChange { account: Some(account), storage_cleared, storage });
    }
    Ok(changes)
}
