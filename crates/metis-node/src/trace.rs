//! `debug_trace…`: go-ethereum's traces of blocks, transactions and calls, written into one buffer.

use alloy_primitives::{Address, B256};
use metis_executor::recover_block;
use metis_state_transition::{Block, RecoveredTransaction};
use metis_vm::{Traced, TracedPlace, Tracer, TracingRunner};

use crate::{BlockId, BlockOverrides, Node, NodeError, StateOverride, replay::Replay};

impl Node {
    /// Traces of all transactions of a block, as JSON; `None` where it is not known.
    ///
    /// # Errors
    /// [`NodeError`]: the options are none, the state before the block is no longer kept, or more than
    /// `size_bytes_max` of text.
    pub fn trace_block_json(
        &self,
        id: BlockId,
        tracer: &Tracer,
        size_bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, NodeError> {
        let Some(stored) = self.stored(id)? else { return Ok(None) };
        self.replay(&stored.block, stored.hash, &stored.senders, size_bytes_max, |replay| trace_all(replay, tracer))
            .map(Some)
    }

    /// Traces of the transactions of a block that is given whole; its parent must be known.
    ///
    /// # Errors
    /// As [`Self::trace_block_json`], and a signature that is wrong.
    pub fn trace_given_block_json(
        &self,
        block: &Block,
        tracer: &Tracer,
        size_bytes_max: usize,
    ) -> Result<Vec<u8>, NodeError> {
        let senders: Vec<Address> = recover_block(block)?.iter().map(|transaction| transaction.sender).collect();
        self.replay(block, block.header.hash_slow(), &senders, size_bytes_max, |replay| trace_all(replay, tracer))
    }

    /// Trace of a mined transaction, as JSON; `None` where it is not known.
    ///
    /// # Errors
    /// As [`Self::trace_block_json`].
    pub fn trace_transaction_json(
        &self,
        hash: &B256,
        tracer: &Tracer,
        size_bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, NodeError> {
        let Some(place) = self.chain.find_transaction(hash) else { return Ok(None) };
        let Some(stored) = self.chain.block(&place.block.hash)? else { return Ok(None) };
        self.replay(&stored.block, stored.hash, &stored.senders, size_bytes_max, |replay| {
            replay.skip_to(place.index)?;
            replay.step(Some(tracer))?;
            Ok(Some(std::mem::take(replay.text())))
        })
    }

    /// Trace of a call on the state after a block, or after its first `transaction_count` transactions.
    ///
    /// # Errors
    /// As [`Self::trace_block_json`] and [`Self::call`].
    #[allow(clippy::too_many_arguments)] // a call and what it assumes, as in `call`
    pub fn trace_call_json(
        &self,
        call: &RecoveredTransaction,
        id: BlockId,
        transaction_count: Option<usize>,
        overrides: &[(Address, StateOverride)],
        block: &BlockOverrides,
        tracer: &Tracer,
        size_bytes_max: usize,
    ) -> Result<Vec<u8>, NodeError> {
        self.simulate(call, id, transaction_count, overrides, block, |simulation| {
            let mut runner = TracingRunner::new(size_bytes_max);
            runner.watch(tracer, TracedPlace::default())?;
            simulation.call(call, &mut runner)?;
            match runner.take() {
                Some(Traced::Text) => Ok(runner.text),
                _ => Err(NodeError::TraceTooLarge { limit: size_bytes_max }),
            }
        })
    }
}

/// `[{"txHash": …, "result": …}, …]`, each transaction run once.
fn trace_all(replay: &mut Replay<'_>, tracer: &Tracer) -> Result<Vec<u8>, NodeError> {
    replay.text().push(b'[');
    let mut comma = "";
    while let Some(hash) = replay.next_hash() {
        replay.text().extend_from_slice(format!(r#"{comma}{{"txHash":"{hash}","result":"#).as_bytes());
        replay.step(Some(tracer))?;
        replay.text().push(b'}');
        comma = ",";
    }
    replay.text().push(b']');
    Ok(std::mem::take(replay.text()))
}
