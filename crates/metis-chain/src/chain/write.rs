//! Changes of the chain: first the log, then the index.

use std::sync::Arc;

use alloy_primitives::B256;
use metis_state_transition::ChangeSet;

use super::{
    Chain, ChainError, HeadChange, NewBlock, NodeIndex, StoredBlock,
    check::check_follows,
    index::{Digest, Index, NewNode, Plan},
    read::read_digest,
    tree::{BlockFacts, Node, Place},
};
use crate::{
    block_log::{BlockLog, LogError, RawRecord},
    record::{HeadRecord, Record, StateId, StateRef, encode_block, encode_patch, kind},
};

/// Where records go.
#[derive(Debug)]
pub(super) enum Writer {
    Log(Box<BlockLog>),
    Memory { next: StateId },
    Closed,
}

impl Writer {
    pub(super) const fn next_state(&self) -> Result<StateId, LogError> {
        match self {
            Self::Log(log) => Ok(StateId(log.next_sequence())),
            Self::Memory { next } => Ok(*next),
            Self::Closed => Err(LogError::Closed),
        }
    }

    pub(super) fn append(&mut self, kind: u8, payload: Vec<u8>) -> Result<(StateId, Place), LogError> {
        let mut places = self.append_all(kind, vec![payload])?;
        // UNWRAP: as many places as payloads.
        Ok(places.pop().unwrap())
    }

    fn append_all(&mut self, kind: u8, payloads: Vec<Vec<u8>>) -> Result<Vec<(StateId, Place)>, LogError> {
        match self {
            Self::Log(log) => {
                let records: Vec<_> = payloads.iter().map(|payload| RawRecord { kind, payload }).collect();
                let appended = log.append(&records)?;
                Ok(appended.into_iter().map(|to| (StateId(to.sequence), Place::Log(to.location))).collect())
            }
            Self::Memory { next } => Ok(payloads
                .into_iter()
                .map(|payload| {
                    let state = *next;
                    *next = StateId(state.0 + 1);
                    (state, Place::Memory(payload.into_boxed_slice().into()))
                })
                .collect()),
            Self::Closed => Err(LogError::Closed),
        }
    }
}

/// The heads to be. What is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewHeads {
    /// Newest block. Its newest state is the newest state where it is the newest block already,
    /// else the state after it.
    pub latest: Option<B256>,
    /// Newest block that only a faulty quorum can reorganise.
    pub safe: Option<B256>,
    /// Newest block that nothing reorganises.
    pub finalized: Option<B256>,
}

/// A state that became the newest, and how the chain changed by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The newest state.
    pub state: StateId,
    /// How the chain changed.
    pub change: HeadChange,
}

/// A block ready to be appended.
struct Prepared {
    payload: Vec<u8>,
    facts: BlockFacts,
    digest: Digest,
    stored: StoredBlock,
}

fn prepare(new: NewBlock, parent_state: StateId, is_latest: bool) -> Result<Prepared, ChainError> {
    let NewBlock { block, senders, receipts, changes, .. } = new;
    let transactions = block.body.transactions.len();
    if senders.len() != transactions || receipts.len() != transactions {
        return Err(ChainError::Counts { transactions, senders: senders.len(), receipts: receipts.len() });
    }
    let hash = block.header.hash_slow();
    let payload = encode_block((parent_state, is_latest), hash, &block, &senders, &receipts, &changes);
    let stored = StoredBlock::new(hash, block, senders, receipts);
    let digest = Digest::of_receipts(stored.transaction_hashes.clone(), &stored.receipts);
    let header = &stored.block.header;
    let facts = BlockFacts {
        hash,
        parent_hash: header.parent_hash,
        number: header.number,
        timestamp: header.timestamp,
        difficulty: header.difficulty,
        transaction_count: transactions as u32,
        log_count: digest.log_count,
    };
    Ok(Prepared { payload, facts, digest, stored })
}

impl Chain {
    /// Appends a block, which becomes the newest; where its parent is not the newest block, the
    /// chain is reorganised.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn append(&self, block: NewBlock) -> Result<StateChange, ChainError> {
        self.append_all(vec![block])
    }

    /// Appends blocks that follow each other, with one write and one sync: all or none.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn append_all(&self, blocks: Vec<NewBlock>) -> Result<StateChange, ChainError> {
        let mut writer = self.writer.lock();
        let first_state = writer.next_state()?;
        let mut prepared: Vec<Prepared> = Vec::with_capacity(blocks.len());
        let mut plan = None;
        for block in blocks {
            let parent_state = match prepared.last() {
                None => {
                    let index = self.index.read();
                    let parent = index.parent_of(&block)?;
                    plan = Some(self.plan(&index, parent)?);
                    index.tree.node(parent).state
                }
                Some(before) => {
                    let state = StateId(first_state.0 + prepared.len() as u64 - 1);
                    check_follows(&block.block.header, before.facts.hash, before.facts.number)?;
                    if block.parent_state.is_some_and(|given| given != state) {
                        let block_hash = before.facts.hash;
                        return Err(ChainError::StateOfOtherBlock { state, block_hash });
                    }
                    state
                }
            };
            let ready = prepare(block, parent_state, true)?;
            if self.index.read().tree.by_hash(&ready.facts.hash).is_some() {
                return Err(ChainError::AlreadyKnown { hash: ready.facts.hash });
            }
            prepared.push(ready);
        }
        let Some(plan) = plan else {
            return Ok(StateChange { state: self.latest_state(), change: HeadChange::default() });
        };
        let payloads = prepared.iter_mut().map(|ready| std::mem::take(&mut ready.payload)).collect();
        let places = writer.append_all(kind::BLOCK, payloads)?;

        let mut index = self.index.write();
        let mut change = index.perform(&plan);
        let mut hot = self.hot.lock();
        for (Prepared { facts, digest, stored, .. }, (state, place)) in prepared.into_iter().zip(places) {
            change.added.extend(index.extend(NewNode { state, place, facts, digest }).added);
            hot.put(index.tree.latest(), Arc::new(stored));
        }
        index.tree.forget_old_branches(self.side_block_window());
        Ok(StateChange { state: index.tree.node(index.tree.latest()).state, change })
    }

    /// Keeps a block beside the chain, to be found by hash; [`Self::set_heads`] can make it the
    /// newest.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn insert(&self, block: NewBlock) -> Result<StateId, ChainError> {
        let mut writer = self.writer.lock();
        let (parent, parent_state) = {
            let index = self.index.read();
            let parent = index.parent_of(&block)?;
            (parent, index.tree.node(parent).state)
        };
        let Prepared { payload, facts, digest, .. } = prepare(block, parent_state, false)?;
        if self.index.read().tree.by_hash(&facts.hash).is_some() {
            return Err(ChainError::AlreadyKnown { hash: facts.hash });
        }
        let (state, place) = writer.append(kind::BLOCK, payload)?;
        self.index.write().insert(parent, NewNode { state, place, facts, digest });
        Ok(state)
    }

    /// Changes the newest state without a block. The next block stands on the changed state.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn patch_state(&self, changes: &ChangeSet, state_root: B256) -> Result<StateId, ChainError> {
        let mut writer = self.writer.lock();
        let payload = {
            let index = self.index.read();
            let latest = index.tree.node(index.tree.latest());
            encode_patch(latest.state, latest.hash, state_root, changes)
        };
        let (state, place) = writer.append(kind::STATE_PATCH, payload)?;
        self.index.write().tree.push_patch(state, place);
        Ok(state)
    }

    /// Makes a state the newest and forgets all that was built on it: revert and rollback.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn truncate(&self, to: StateId) -> Result<HeadChange, ChainError> {
        let mut writer = self.writer.lock();
        let (plan, record) = {
            let index = self.index.read();
            let target = index.tree.by_state(to).ok_or(ChainError::UnknownState { state: to })?;
            let block_hash = index.tree.node(target).hash;
            (self.plan(&index, target)?, Record::Truncate(StateRef { state: to, block_hash }))
        };
        writer.append(record.kind(), record.encode())?;
        let change = self.index.write().truncate(&plan);
        self.hot.lock().clear();
        Ok(change)
    }

    /// Makes a state the newest. Blocks that leave the chain stay known.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn move_to(&self, to: StateId) -> Result<HeadChange, ChainError> {
        let mut writer = self.writer.lock();
        let (plan, record, safe, finalized) = {
            let index = self.index.read();
            let tree = &index.tree;
            let target = tree.by_state(to).ok_or(ChainError::UnknownState { state: to })?;
            let plan = self.plan(&index, target)?;
            let (safe, finalized) = index.heads_after(&plan);
            let hash = |head: Option<NodeIndex>| head.map(|block| tree.node(block).hash);
            let latest = StateRef { state: to, block_hash: tree.node(target).hash };
            let record = Record::Head(HeadRecord { latest, safe: hash(safe), finalized: hash(finalized) });
            (plan, record, safe, finalized)
        };
        writer.append(record.kind(), record.encode())?;
        let mut index = self.index.write();
        let change = index.perform(&plan);
        index.tree.set_safe_and_finalized(safe, finalized);
        Ok(change)
    }

    /// Moves the heads; blocks that leave the chain stay known.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn set_heads(&self, heads: NewHeads) -> Result<HeadChange, ChainError> {
        let mut writer = self.writer.lock();
        let (plan, record, safe, finalized) = {
            let index = self.index.read();
            let tree = &index.tree;
            let unchanged = |head: Option<NodeIndex>| head.map(|block| tree.node(block).hash);
            let target = match heads.latest {
                Some(hash) if hash != tree.block_of(tree.latest()).hash => {
                    tree.by_hash(&hash).ok_or(ChainError::UnknownBlock { hash })?
                }
                _ => tree.latest(),
            };
            let plan = self.plan(&index, target)?;
            let kept = index.heads_after(&plan);
            let safe_hash = heads.safe.or(unchanged(kept.0));
            let finalized_hash = heads.finalized.or(unchanged(kept.1));
            let (safe, finalized) = index.check_heads(&plan, safe_hash, finalized_hash)?;
            if target == tree.latest() && (safe, finalized) == (tree.safe(), tree.finalized()) {
                return Ok(HeadChange::default());
            }
            let node = tree.node(target);
            let latest = StateRef { state: node.state, block_hash: node.hash };
            let record = Record::Head(HeadRecord { latest, safe: safe_hash, finalized: finalized_hash });
            (plan, record, safe, finalized)
        };
        writer.append(record.kind(), record.encode())?;
        let mut index = self.index.write();
        let change = index.perform(&plan);
        index.tree.set_safe_and_finalized(safe, finalized);
        index.tree.forget_old_branches(self.side_block_window());
        Ok(change)
    }

    /// Group commit: [`BlockLog::tick`]. Returns whether everything so far is durable.
    ///
    /// # Errors
    /// [`ChainError::Log`].
    pub fn tick(&self, now_ms: u64) -> Result<bool, ChainError> {
        match &mut *self.writer.lock() {
            Writer::Log(log) => Ok(log.tick(now_ms)?),
            Writer::Memory { .. } => Ok(true),
            Writer::Closed => Err(LogError::Closed.into()),
        }
    }

    /// Makes everything so far durable.
    ///
    /// # Errors
    /// [`ChainError::Log`].
    pub fn sync(&self) -> Result<(), ChainError> {
        match &mut *self.writer.lock() {
            Writer::Log(log) => Ok(log.sync()?),
            Writer::Memory { .. } => Ok(()),
            Writer::Closed => Err(LogError::Closed.into()),
        }
    }

    /// Makes everything durable and gives the directory free. Changes are refused from then on.
    ///
    /// # Errors
    /// [`ChainError::Log`]; the directory is free then, too.
    pub fn close(&self) -> Result<(), ChainError> {
        match std::mem::replace(&mut *self.writer.lock(), Writer::Closed) {
            Writer::Log(log) => Ok(log.close()?),
            Writer::Memory { .. } | Writer::Closed => Ok(()),
        }
    }

    fn plan(&self, index: &Index, to: NodeIndex) -> Result<Plan, ChainError> {
        index.plan(to, |node: &Node| {
            if let Some(stored) = self.hot.lock().get(node.block) {
                return Ok(Digest::of_receipts(stored.transaction_hashes.clone(), &stored.receipts));
            }
            read_digest(self.reader.as_ref(), node)
        })
    }
}
