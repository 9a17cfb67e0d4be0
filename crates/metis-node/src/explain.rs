//! A block executed once more, with a record of what its transactions did to each other.

use metis_executor::{Executor, ParallelExecutor, Recording};
use metis_state_transition::{BlockRecord, RecoveredTransaction};

use crate::{BlockId, Node, NodeError};

impl Node {
    /// Runs a block's transactions once more, on so many threads (0: one for each core), however few they are, and says
    /// what each accessed; `None` where the block is not known.
    ///
    /// # Errors
    /// [`NodeError`]: the block is the first, or the state before it is no longer kept.
    pub fn block_record(&self, id: BlockId, workers: usize) -> Result<Option<Box<BlockRecord>>, NodeError> {
        let Some(stored) = self.stored(id)? else { return Ok(None) };
        let block = &stored.block;
        if block.header.number == 0 {
            return Err(NodeError::NotTraceable);
        }
        let parent_hash = block.header.parent_hash;
        let snapshot = self.snapshot(BlockId::Hash(parent_hash))?;
        let envelopes = block.body.transactions.iter().cloned().zip(&stored.senders);
        let transactions: Vec<RecoveredTransaction> =
            envelopes.map(|(envelope, sender)| RecoveredTransaction { envelope, sender: *sender }).collect();
        let (spec, ancestors) = (self.spec(), self.ancestors(&parent_hash));
        let executor = Recording(ParallelExecutor::new(workers).forced());
        self.on_state(&snapshot, |snapshot| {
            let ancestors = ancestors.clone();
            Ok(executor.execute(snapshot, &spec, block, &transactions, ancestors, &self.machine)?.record)
        })
    }
}
