//! Blocks that others made, one by one or in a run.
//!
//! ```text
//! recover n + 2 ──▶ execute n + 1 ──▶ roots of n, then store, log, index and pool
//! ```
//!
//! In a run the three work at the same time, each on a block of its own. What a block changed is known when it has been
//! executed, and the next one is executed on that while its roots are still being computed. A root that is wrong ends
//! the run, and whatever was executed on it is forgotten; nobody was told of it, since blocks join the chain in order.

use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        mpsc::{TryRecvError, sync_channel},
    },
    thread,
};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256};
use metis_executor::{Cores, Executor, recover_block};
use metis_state_transition::{
    Ancestors, Block, BlockError, BlockOutcome, ChangeSet, Overlay, RecoveredTransaction, StateCommitment, check_body,
    check_header, check_outcome,
};
use parking_lot::MutexGuard;

use crate::{Node, NodeError, StateError, fork::BlockView, states, write::new_block};

/// Blocks whose signatures are recovered before it is their turn.
const READY_COUNT_MAX: usize = 2;

/// What became of an imported block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It extends the chain and is its newest block.
    Head,
    /// It is kept beside the chain.
    Side,
    /// It was known before.
    Known,
}

/// Why a run of blocks ended early. Those before the one that failed are kept.
#[derive(Debug, thiserror::Error)]
#[error("block {index} of the run: {error}")]
pub struct ImportError {
    /// Position of the block that failed.
    pub index: usize,
    /// What is wrong with it.
    pub error: NodeError,
}

/// Where an imported block goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placement {
    /// On the chain where it extends it, else beside it.
    NewestIfItExtends,
    /// Beside the chain.
    Beside,
}

/// A block, and all that is known of it without any state.
struct Ready {
    block: Arc<Block>,
    hash: B256,
    transactions: Vec<RecoveredTransaction>,
    body: Result<(), BlockError<StateError>>,
}

/// A block that was executed, and whose roots are not known yet.
struct Executed {
    block: Arc<Block>,
    hash: B256,
    senders: Vec<Address>,
    outcome: BlockOutcome,
}

impl Node {
    /// Verifies a block and keeps it: as the newest where it extends the chain, else beside it.
    ///
    /// # Errors
    /// [`NodeError`]; nothing is kept then.
    pub fn import_block(&self, block: &Arc<Block>) -> Result<Imported, NodeError> {
        let ready = self.ready(Arc::clone(block))?;
        let _writer = self.writing()?;
        self.place(ready, Placement::NewestIfItExtends)
    }

    /// Verifies a block and keeps it beside the chain; [`Self::set_heads`] can make it the newest.
    ///
    /// # Errors
    /// As [`Self::import_block`].
    pub fn store_block(&self, block: &Arc<Block>) -> Result<Imported, NodeError> {
        let ready = self.ready(Arc::clone(block))?;
        let _writer = self.writing()?;
        self.place(ready, Placement::Beside)
    }

    /// [`Self::import_block`] for many, in order, with the same result; what can be done at the same time is.
    ///
    /// # Errors
    /// [`ImportError`], of the first block that importing one by one would have refused.
    pub fn import_blocks(
        &self,
        blocks: impl Iterator<Item = Result<Arc<Block>, NodeError>> + Send,
    ) -> Result<Vec<Imported>, ImportError> {
        let mut run = Run { node: self, writer: None, executed: None, imported: Vec::new() };
        let ended = thread::scope(|scope| {
            let (ready, next) = sync_channel(READY_COUNT_MAX);
            scope.spawn(move || {
                for block in blocks {
                    // Nobody takes any more after an error.
                    if ready.send(block.and_then(|block| self.ready(block))).is_err() {
                        return;
                    }
                }
            });
            loop {
                let one = match next.try_recv() {
                    Ok(one) => one,
                    Err(TryRecvError::Disconnected) => return run.settle(),
                    Err(TryRecvError::Empty) => {
                        // There is nothing to do beside it, and others may want to change the chain.
                        run.settle()?;
                        let Ok(one) = next.recv() else { return Ok(()) };
                        one
                    }
                };
                run.take(one)?;
            }
        });
        // All before the one that failed are settled.
        let imported = run.imported;
        ended.map_err(|error| ImportError { index: imported.len(), error })?;
        Ok(imported)
    }

    /// Recovers a block's signatures, and checks what takes no state.
    fn ready(&self, block: Arc<Block>) -> Result<Ready, NodeError> {
        let transactions = recover_block(&block)?;
        let body = check_body(&self.spec(), &block);
        Ok(Ready { hash: block.header.hash_slow(), transactions, body, block })
    }

    /// Verifies a block on the state of its parent and keeps it. For whoever holds the writer's lock.
    fn place(&self, ready: Ready, placement: Placement) -> Result<Imported, NodeError> {
        let Ready { block, hash, transactions, body } = ready;
        if self.chain.find_block(&hash).is_some() {
            return Ok(Imported::Known);
        }
        let parent_hash = block.header.parent_hash;
        let parent = self.chain.header(&parent_hash)?.ok_or(NodeError::UnknownParent(parent_hash))?;
        let (latest_state, snapshot) = self.latest();
        let extends_head = self.chain.heads().latest.hash == parent_hash;
        let snapshot = if extends_head {
            snapshot
        } else {
            // UNWRAP: the parent's header was found above.
            let state = self.chain.state_of(&parent_hash).unwrap();
            states::beside(&self.store, &self.chain, latest_state, state)?
        };
        let (spec, ancestors) = (self.spec(), self.ancestors(&parent_hash));
        check_header::<StateError>(&spec, &parent, &block.header)?;
        body?;
        let outcome = self.on_state(&snapshot, |snapshot| {
            let view = BlockView::new(snapshot, &self.totals.reads, parent.number, block.header.timestamp);
            let ancestors = ancestors.clone();
            let outcome = self.executor.execute(&view, &spec, &block, &transactions, ancestors, &self.machine)?;
            check_outcome(&view, &block, &outcome, &Cores)?;
            Ok(outcome)
        })?;
        let senders = transactions.iter().map(|transaction| transaction.sender).collect();
        if extends_head && placement == Placement::NewestIfItExtends {
            self.append(&snapshot, &block, senders, outcome)?;
            return Ok(Imported::Head);
        }
        self.chain.insert(new_block(&block, senders, outcome))?;
        Ok(Imported::Side)
    }

    /// Executes a block on the state after its parent; what its header says of the results is not looked at.
    fn execute(
        &self,
        state: impl StateCommitment<Error = StateError> + Sync,
        parent: &Header,
        ready: Ready,
        ancestors: Ancestors,
    ) -> Result<Executed, NodeError> {
        let Ready { block, hash, transactions, body } = ready;
        let spec = self.spec();
        check_header::<StateError>(&spec, parent, &block.header)?;
        body?;
        let outcome = self.executor.execute(state, &spec, &block, &transactions, ancestors, &self.machine)?;
        let senders = transactions.iter().map(|transaction| transaction.sender).collect();
        Ok(Executed { block, hash, senders, outcome })
    }

    /// Checks a block that was executed on the newest one, and makes it the newest.
    fn settle(&self, executed: Executed) -> Result<(), NodeError> {
        let Executed { block, senders, outcome, .. } = executed;
        let (_, snapshot) = self.latest();
        check_outcome(&snapshot, &block, &outcome, &Cores)?;
        self.append(&snapshot, &block, senders, outcome)
    }
}

/// A run of blocks under way.
struct Run<'n> {
    node: &'n Node,
    /// The last block, where it was executed on the newest one and is not settled.
    executed: Option<Executed>,
    /// Held from when a block is executed until it, and all that were executed on it, are settled.
    writer: Option<MutexGuard<'n, ()>>,
    imported: Vec<Imported>,
}

impl Run<'_> {
    /// Takes the next block on: as far as executed where it is to be the newest, else all the way.
    fn take(&mut self, next: Result<Ready, NodeError>) -> Result<(), NodeError> {
        let node = self.node;
        let is_next = |ready: &Ready, parent_hash| {
            ready.block.header.parent_hash == parent_hash && node.chain.find_block(&ready.hash).is_none()
        };
        if let Ok(ready) = &next
            && let Some(executed) = self.executed.take_if(|executed| is_next(ready, executed.hash))
        {
            return self.take_with(executed, next?);
        }
        self.settle()?;
        let ready = next?;
        let writer = node.writing()?;
        let (head, (_, state)) = (node.chain.heads().latest, node.latest());
        // A fork's may have to be executed more than once: what it asks for is known by then.
        if !is_next(&ready, head.hash) || state.origin().is_some() {
            self.imported.push(node.place(ready, Placement::NewestIfItExtends)?);
            return Ok(());
        }
        let parent = node.chain.header(&head.hash)?.ok_or(NodeError::UnknownBlock)?;
        let view = BlockView::new(&state, &node.totals.reads, head.number, ready.block.header.timestamp);
        self.executed = Some(node.execute(view, &parent, ready, node.ancestors(&head.hash))?);
        self.writer = Some(writer);
        Ok(())
    }

    /// Executes a block on one that was executed, while that one is settled.
    fn take_with(&mut self, executed: Executed, next: Ready) -> Result<(), NodeError> {
        let node = self.node;
        let parent = Arc::clone(&executed.block);
        let (_, state) = node.latest();
        let number = parent.header.number;
        let view = BlockView::new(&state, &node.totals.reads, number, next.block.header.timestamp);
        let view: Overlay<BlockView<'_>, Arc<ChangeSet>> =
            Overlay::with_changes(view, Arc::clone(&executed.outcome.changes));
        let ancestors = node.ancestors(&parent.header.parent_hash).with(number, executed.hash);
        let (settled, next) = thread::scope(|scope| {
            let settling = scope.spawn(|| node.settle(executed));
            let next = node.execute(&view, &parent.header, next, ancestors);
            (settling.join().unwrap_or_else(|panic| resume_unwind(panic)), next)
        });
        settled?;
        self.imported.push(Imported::Head);
        self.executed = Some(next?);
        Ok(())
    }

    /// Settles the last block, and lets others change the chain.
    fn settle(&mut self) -> Result<(), NodeError> {
        if let Some(executed) = self.executed.take() {
            self.node.settle(executed)?;
            self.imported.push(Imported::Head);
        }
        self.writer = None;
        Ok(())
    }
}
