//! A block executed once more, with a record of what its transactions did to each other.

use std::ops::ControlFlow;

use metis_executor::{Executor, ParallelExecutor};
use metis_state_transition::{
    BlockEnvironment, BlockError, BlockExecutor, BlockRecord, ChainPrecompiles, FrameRunnerFactory,
    RecoveredTransaction, Schedule,
};

use crate::{BlockId, Node, NodeError};

impl Node {
    /// Runs a block's transactions once more, on so many threads (0: one for each core), however few they are, and says
    /// what each accessed; `None` where the block is not known.
    ///
    /// # Errors
    /// [`NodeError`]: the block is the first, or the state before it is no longer kept.
    pub fn block_record(&self, id: BlockId, workers: usize) -> Result<Option<Box<BlockRecord>>, NodeError> {
        let Some(stored) = self.stored(id)? else { return Ok(None) };
        let header = &stored.block.header;
        if header.number == 0 {
            return Err(NodeError::NotTraceable);
        }
        let snapshot = self.snapshot(BlockId::Hash(header.parent_hash))?;
        let environment = BlockEnvironment::of(header, self.ancestors(&header.parent_hash));
        let rules = self.spec().rules_at(header.number, header.timestamp);
        let envelopes = stored.block.body.transactions.iter().cloned().zip(&stored.senders);
        let transactions: Vec<RecoveredTransaction> =
            envelopes.map(|(envelope, sender)| RecoveredTransaction { envelope, sender: *sender }).collect();
        let in_order: Vec<&RecoveredTransaction> = transactions.iter().collect();
        let (machine, body) = (&self.machine, &stored.block.body);
        let executor = ParallelExecutor::new(workers).forced();
        let withdrawals = body.withdrawals.as_ref().map_or(&[][..], |withdrawals| withdrawals.as_slice());
        self.on_state(&snapshot, |snapshot| {
            let (rules, environment) = (rules.clone(), environment.clone());
            let mut block =
                BlockExecutor::new(snapshot, rules, environment, machine.runner(), ChainPrecompiles::default());
            block.keep_record();
            block.begin(header.parent_hash, header.parent_beacon_block_root)?;
            let mut refused = None;
            executor.schedule(machine).run(&mut block, &in_order, |index, ran| match ran {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    refused = Some(BlockError::Transaction { index, error: Box::new(error) });
                    ControlFlow::Break(())
                }
            })?;
            if let Some(error) = refused {
                return Err(error.into());
            }
            let (outcome, _) = block.finish(withdrawals, &body.ommers)?;
            Ok(outcome.record)
        })
    }
}
