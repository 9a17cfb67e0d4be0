//! A block run once more over the state before it, transaction by transaction, each watched or not.

use alloy_primitives::{Address, B256};
use metis_state_transition::{
    Block, BlockEnvironment, BlockExecutor, ChainPrecompiles, ChangeSet, RecoveredTransaction, TransactionOutcome,
};
use metis_vm::{Traced, TracedPlace, Tracer, TracingRunner};

use crate::{BlockId, Node, NodeError, State};

/// A block in the middle of being run again. Each transaction is run once, whoever watches.
pub(crate) struct Replay<'a> {
    executor: BlockExecutor<&'a State, TracingRunner, ChainPrecompiles>,
    block: &'a Block,
    block_hash: B256,
    senders: &'a [Address],
    next: usize,
    size_bytes_max: usize,
}

impl Replay<'_> {
    /// Runs the next transaction, under the eyes of a tracer where one is given; `None` after the last.
    pub(crate) fn step(
        &mut self,
        tracer: Option<&Tracer>,
    ) -> Result<Option<(TransactionOutcome, Option<Traced>)>, NodeError> {
        let index = self.next;
        let Some(envelope) = self.block.body.transactions.get(index) else { return Ok(None) };
        self.next += 1;
        if let Some(tracer) = tracer {
            let place = TracedPlace {
                transaction_hash: Some(*envelope.tx_hash()),
                index: Some(index),
                block_hash: Some(self.block_hash),
            };
            self.executor.evm_mut().runner_mut().watch(tracer, place)?;
        }
        let transaction = RecoveredTransaction { envelope: envelope.clone(), sender: self.senders[index] };
        let outcome = self.executor.try_execute(&transaction)?;
        let traced = self.executor.evm_mut().runner_mut().take();
        if matches!(traced, Some(Traced::TooLarge)) {
            return Err(NodeError::TraceTooLarge { limit: self.size_bytes_max });
        }
        Ok(Some((outcome, traced)))
    }

    /// Runs transactions that nobody watches, until `index` is the next one.
    pub(crate) fn skip_to(&mut self, index: usize) -> Result<(), NodeError> {
        while self.next < index && self.step(None)?.is_some() {}
        Ok(())
    }

    /// Hash of the transaction that comes next.
    pub(crate) fn next_hash(&self) -> Option<B256> {
        self.block.body.transactions.get(self.next).map(|envelope| *envelope.tx_hash())
    }

    /// What has changed since the state before the block.
    pub(crate) fn changes(&self) -> ChangeSet {
        self.executor.changes()
    }

    /// What go-ethereum's tracers wrote.
    pub(crate) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.executor.evm_mut().runner_mut().text
    }
}

impl Node {
    /// Runs `work` with a block that is about to be run again; twice, where the first run meets a gap in a fork's state.
    pub(crate) fn replay<T>(
        &self,
        block: &Block,
        block_hash: B256,
        senders: &[Address],
        size_bytes_max: usize,
        work: impl Fn(&mut Replay<'_>) -> Result<T, NodeError>,
    ) -> Result<T, NodeError> {
        let header = &block.header;
        if header.number == 0 {
            return Err(NodeError::NotTraceable);
        }
        let parent_hash = header.parent_hash;
        let snapshot = match self.find(BlockId::Hash(parent_hash)) {
            Some(parent) => self.snapshot(BlockId::Hash(parent.hash))?,
            None => return Err(NodeError::UnknownParent(parent_hash)),
        };
        let environment = BlockEnvironment::of(header, self.ancestors(&parent_hash));
        let rules = self.spec().rules_at(header.number, header.timestamp);
        self.on_state(&snapshot, |snapshot| {
            let runner = TracingRunner::new(size_bytes_max);
            let (rules, environment) = (rules.clone(), environment.clone());
            let mut executor = BlockExecutor::new(snapshot, rules, environment, runner, ChainPrecompiles::default());
            executor.begin(parent_hash, header.parent_beacon_block_root)?;
            work(&mut Replay { executor, block, block_hash, senders, next: 0, size_bytes_max })
        })
    }
}
