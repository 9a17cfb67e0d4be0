//! Call traces in Parity's form (`trace_…`), and internal operations as Otterscan asks for them.

use std::ops::RangeInclusive;

use alloy_primitives::{Address, B256, map::HashSet};
use alloy_rpc_types_trace::{
    filter::{TraceFilter, TraceFilterMatcher, TraceFilterMode},
    parity::{LocalizedTransactionTrace, TraceResultsWithTransactionHash, TraceType},
};
use metis_chain::chain::StoredBlock;
use metis_state_transition::RecoveredTransaction;
use metis_vm::{Traced, TracedPlace, Tracer, TracingRunner};
use serde::Serialize;

use crate::{BlockId, BlockOverrides, Node, NodeError, StateOverride, views};

/// Which call traces are wanted.
#[derive(Clone, Debug, Default)]
pub struct CallTraceFilter {
    /// Senders; empty stands for any.
    pub from: Vec<Address>,
    /// Receivers, created contracts and who gets the rest of a contract that destroys itself; empty stands for any.
    pub to: Vec<Address>,
    /// Whether one of both is enough.
    pub is_union: bool,
    /// How many matches are left out at the start.
    pub skip_count: usize,
    /// Most matches.
    pub count_max: usize,
}

/// A JSON array that grows element by element, up to a size.
pub(crate) struct Array {
    text: Vec<u8>,
    size_bytes_max: usize,
}

impl Array {
    pub(crate) fn new(size_bytes_max: usize) -> Self {
        Self { text: vec![b'['], size_bytes_max }
    }

    pub(crate) fn push(&mut self, element: &impl Serialize) -> Result<(), NodeError> {
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        // UNWRAP: traces have string keys only, and writing to memory does not fail.
        serde_json::to_writer(&mut self.text, element).unwrap();
        if self.text.len() > self.size_bytes_max {
            return Err(NodeError::TraceTooLarge { limit: self.size_bytes_max });
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.text.push(b']');
        self.text
    }
}

impl Node {
    /// All call traces of a block (`trace_block`); `None` where it is not known.
    ///
    /// # Errors
    /// As [`Self::trace_block_json`].
    pub fn call_traces_json(&self, id: BlockId, size_bytes_max: usize) -> Result<Option<Vec<u8>>, NodeError> {
        let Some(stored) = self.stored(id)? else { return Ok(None) };
        let mut array = Array::new(size_bytes_max);
        self.block_call_traces(&stored)?.iter().try_for_each(|trace| array.push(trace))?;
        Ok(Some(array.finish()))
    }

    /// The call traces of a mined transaction (`trace_transaction`); `None` where it is not known.
    ///
    /// # Errors
    /// As [`Self::trace_block_json`].
    pub fn transaction_call_traces_json(
        &self,
        hash: &B256,
        size_bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, NodeError> {
        let Some(Traced::Calls(traces)) = self.watch_transaction(hash, &Tracer::Calls)? else { return Ok(None) };
        let mut array = Array::new(size_bytes_max);
        traces.iter().try_for_each(|trace| array.push(trace))?;
        Ok(Some(array.finish()))
    }

    /// The call traces of a range of blocks that a filter matches (`trace_filter`), oldest first.
    ///
    /// # Errors
    /// As [`Self::trace_block_json`].
    pub fn filtered_call_traces_json(
        &self,
        blocks: RangeInclusive<u64>,
        filter: &CallTraceFilter,
        size_bytes_max: usize,
    ) -> Result<Vec<u8>, NodeError> {
        let matcher = matcher(filter);
        let mut array = Array::new(size_bytes_max);
        let (mut skipped, mut taken) = (0, 0);
        for number in blocks {
            if taken == filter.count_max {
                break;
            }
            let Some(stored) = self.stored(BlockId::Number(number))? else { break };
            for trace in self.block_call_traces(&stored)? {
                if taken == filter.count_max {
                    break;
                }
                if !matcher.matches(&trace.trace) {
                    continue;
                }
                if skipped < filter.skip_count {
                    skipped += 1;
                    continue;
                }
                taken += 1;
                array.push(&trace)?;
            }
        }
        Ok(array.finish())
    }

    /// What the transactions of a block did, in the kinds of trace asked for (`trace_replayBlockTransactions`).
    ///
    /// # Errors
    /// As [`Self::trace_block_json`].
    pub fn replayed_block_json(
        &self,
        id: BlockId,
        types: &HashSet<TraceType>,
        size_bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, NodeError> {
        let Some(stored) = self.stored(id)? else { return Ok(None) };
        if stored.block.body.transactions.is_empty() {
            return Ok(Some(Array::new(size_bytes_max).finish()));
        }
        let tracer = Tracer::Parity(types.clone());
        self.replay(&stored.block, stored.hash, &stored.senders, size_bytes_max, |replay| {
            let mut array = Array::new(size_bytes_max);
            while let Some(transaction_hash) = replay.next_hash() {
                if let Some((_, Some(Traced::Parity(results)))) = replay.step(Some(&tracer))? {
                    array.push(&TraceResultsWithTransactionHash { full_trace: *results, transaction_hash })?;
                }
            }
            Ok(Some(array.finish()))
        })
    }

    /// What a mined transaction did, in the kinds of trace asked for (`trace_replayTransaction`).
    ///
    /// # Errors
    /// As [`Self::trace_block_json`].
    pub fn replayed_transaction_json(
        &self,
        hash: &B256,
        types: &HashSet<TraceType>,
    ) -> Result<Option<Vec<u8>>, NodeError> {
        match self.watch_transaction(hash, &Tracer::Parity(types.clone()))? {
            Some(Traced::Parity(results)) => Ok(Some(views::encode(&results))),
            _ => Ok(None),
        }
    }

    /// What a call does on the state after a block, in the kinds of trace asked for (`trace_call`).
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn replayed_call_json(
        &self,
        call: &RecoveredTransaction,
        id: BlockId,
        overrides: &[(Address, StateOverride)],
        block: &BlockOverrides,
        types: &HashSet<TraceType>,
    ) -> Result<Vec<u8>, NodeError> {
        self.simulate(call, id, None, overrides, block, |simulation| {
            let mut runner = TracingRunner::new(0);
            runner.watch(&Tracer::Parity(types.clone()), TracedPlace::default())?;
            simulation.call(call, &mut runner)?;
            match runner.take() {
                Some(Traced::Parity(results)) => Ok(views::encode(&results)),
                // A call that has an outcome was watched to its end.
                _ => unreachable!("a call without a trace"),
            }
        })
    }

    /// Transfers, creations and self-destructions inside a mined transaction (`ots_getInternalOperations`).
    ///
    /// # Errors
    /// As [`Self::trace_block_json`].
    pub fn internal_operations_json(&self, hash: &B256) -> Result<Option<Vec<u8>>, NodeError> {
        match self.watch_transaction(hash, &Tracer::InternalOperations)? {
            Some(Traced::InternalOperations(operations)) => Ok(Some(views::encode(&operations))),
            _ => Ok(None),
        }
    }

    /// Runs a mined transaction again under the eyes of a tracer; `None` where it is not known.
    fn watch_transaction(&self, hash: &B256, tracer: &Tracer) -> Result<Option<Traced>, NodeError> {
        let Some(place) = self.chain.find_transaction(hash) else { return Ok(None) };
        let Some(stored) = self.chain.block(&place.block.hash)? else { return Ok(None) };
        self.replay(&stored.block, stored.hash, &stored.senders, 0, |replay| {
            replay.skip_to(place.index)?;
            Ok(replay.step(Some(tracer))?.and_then(|(_, traced)| traced))
        })
    }

    fn block_call_traces(&self, stored: &StoredBlock) -> Result<Vec<LocalizedTransactionTrace>, NodeError> {
        if stored.block.body.transactions.is_empty() {
            return Ok(Vec::new());
        }
        self.replay(&stored.block, stored.hash, &stored.senders, 0, |replay| {
            let mut traces = Vec::new();
            while let Some((_, traced)) = replay.step(Some(&Tracer::Calls))? {
                if let Some(Traced::Calls(mut found)) = traced {
                    traces.append(&mut found);
                }
            }
            Ok(traces)
        })
    }
}

fn matcher(filter: &CallTraceFilter) -> TraceFilterMatcher {
    let mode = if filter.is_union { TraceFilterMode::Union } else { TraceFilterMode::Intersection };
    TraceFilter { from_address: filter.from.clone(), to_address: filter.to.clone(), mode, ..TraceFilter::default() }
        .matcher()
}
