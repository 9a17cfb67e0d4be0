//! Messages one after the other, each on what the last one left, and forgotten together; and the state between the
//! transactions of a block.

use alloy_consensus::Transaction;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, map::HashSet};
use alloy_rpc_types_trace::parity::TraceType;
use metis_state_transition::{Account, Overlay, RecoveredTransaction, StateView, TransactionOutcome};
use metis_vm::{FrameRunnerFactory, Traced, TracedPlace, Tracer, TracingRunner};

use crate::{BlockId, BlockOverrides, Node, NodeError, StateOverride, parity::Array};

/// Messages of one block, and what is assumed of it on top of what earlier ones assumed.
#[derive(Clone, Debug)]
pub struct MessageBundle {
    /// What is assumed of the block.
    pub block: BlockOverrides,
    /// The messages, in order.
    pub messages: Vec<RecoveredTransaction>,
}

impl Node {
    /// Runs bundles of messages (`eth_callMany`) on the state after a block, or after its first `transaction_count`
    /// transactions. Each runs as [`Self::call`] would run it.
    ///
    /// # Errors
    /// As [`Self::call`]; a message that may not run ends all of them.
    pub fn call_many(
        &self,
        bundles: &[MessageBundle],
        id: BlockId,
        transaction_count: Option<usize>,
        overrides: &[(Address, StateOverride)],
    ) -> Result<Vec<Vec<TransactionOutcome>>, NodeError> {
        let Some(first) = bundles.iter().find_map(|bundle| bundle.messages.first()) else {
            return Ok(bundles.iter().map(|_| Vec::new()).collect());
        };
        let found = self.find(id).ok_or(NodeError::UnknownBlock)?;
        let header = self.chain.header(&found.hash)?.ok_or(NodeError::UnknownBlock)?;
        self.simulate(first, id, transaction_count, overrides, &BlockOverrides::default(), |mut simulation| {
            let mut base_fee = None;
            let mut run = |bundle: &MessageBundle| {
                bundle.block.put_into(&mut simulation.environment);
                base_fee = bundle.block.base_fee_per_gas.or(base_fee);
                let mut outcomes = Vec::with_capacity(bundle.messages.len());
                for message in &bundle.messages {
                    let of_message = || self.base_fee_of_call(&header, message.envelope.max_fee_per_gas());
                    simulation.environment.base_fee_per_gas = base_fee.unwrap_or_else(of_message);
                    outcomes.push(simulation.call_and_keep(message, self.machine.runner())?);
                }
                Ok(outcomes)
            };
            bundles.iter().map(&mut run).collect()
        })
    }

    /// What messages do one after the other on the state after a block, each in the kinds of trace asked for
    /// (`trace_callMany`).
    ///
    /// # Errors
    /// As [`Self::call_many`], and [`NodeError::TraceTooLarge`].
    pub fn replayed_calls_json(
        &self,
        calls: &[(RecoveredTransaction, HashSet<TraceType>)],
        id: BlockId,
        size_bytes_max: usize,
    ) -> Result<Vec<u8>, NodeError> {
        let Some((first, _)) = calls.first() else { return Ok(b"[]".to_vec()) };
        let found = self.find(id).ok_or(NodeError::UnknownBlock)?;
        let header = self.chain.header(&found.hash)?.ok_or(NodeError::UnknownBlock)?;
        self.simulate(first, id, None, &[], &BlockOverrides::default(), |mut simulation| {
            let mut array = Array::new(size_bytes_max);
            for (call, types) in calls {
                let base_fee = self.base_fee_of_call(&header, call.envelope.max_fee_per_gas());
                simulation.environment.base_fee_per_gas = base_fee;
                let mut runner = TracingRunner::new(0);
                runner.watch(&Tracer::Parity(types.clone()), TracedPlace::default())?;
                simulation.call_and_keep(call, &mut runner)?;
                if let Some(Traced::Parity(results)) = runner.take() {
                    array.push(&results)?;
                }
            }
            Ok(array.finish())
        })
    }

    /// An account with its code, as the first `transaction_count` transactions of a block left it; `None` where it does
    /// not exist then.
    ///
    /// # Errors
    /// As [`Self::trace_block_json`].
    pub fn account_within(
        &self,
        id: BlockId,
        transaction_count: usize,
        address: &Address,
    ) -> Result<Option<(Account, Bytes)>, NodeError> {
        let found = self.find(id).ok_or(NodeError::UnknownBlock)?;
        let (snapshot, changes) = self.state_within(found.hash, transaction_count)?;
        self.on_state(&snapshot, |snapshot| {
            let view = Overlay::with_changes(snapshot, changes.clone());
            let Some(account) = view.account(address)? else { return Ok(None) };
            let code = view.code(&account.code_hash)?.bytes();
            Ok(Some((account, code)))
        })
    }

    /// The code with this hash, where an account had it when it was last looked at; `None` where no such code is here.
    ///
    /// # Errors
    /// [`NodeError::StateUnavailable`] never happens for the newest state.
    pub fn code_of_hash(&self, code_hash: &B256) -> Result<Option<Bytes>, NodeError> {
        let snapshot = self.snapshot(BlockId::Hash(self.heads().latest.hash))?;
        self.on_state(&snapshot, |snapshot| {
            let code = snapshot.code(code_hash)?.bytes();
            Ok((!code.is_empty() || *code_hash == KECCAK256_EMPTY).then_some(code))
        })
    }
}
