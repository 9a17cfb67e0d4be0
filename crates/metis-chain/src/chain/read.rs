//! Look-ups.

use std::{ops::Deref, sync::Arc};

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256};
use metis_state_transition::RecoveredTransaction;

use super::{
    BlockRef, Chain, ChainError, HeadChange, NodeIndex, StoredBlock,
    index::Digest,
    tree::{Node, Place},
};
use crate::{
    block_log::LogReader,
    record::{BlockView, RecordError, StateId},
};

/// The heads of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// First block.
    pub first: BlockRef,
    /// Newest block.
    pub latest: BlockRef,
    /// Newest state: after the newest block, or after a patch on it.
    pub latest_state: StateId,
    /// Newest block that only a faulty quorum can reorganise.
    pub safe: Option<BlockRef>,
    /// Newest block that nothing reorganises.
    pub finalized: Option<BlockRef>,
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionPlace {
    /// Its block, which is on the chain.
    pub block: BlockRef,
    /// Its position in it.
    pub index: usize,
}

/// The record of a state, as bytes.
pub(super) enum Payload {
    Read(Vec<u8>),
    Kept(Bytes),
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Read(bytes) => bytes,
            Self::Kept(bytes) => bytes,
        }
    }
}

pub(super) fn payload(reader: Option<&LogReader>, node: &Node) -> Result<Payload, ChainError> {
    match (&node.place, reader) {
        (Place::Memory(payload), _) => Ok(Payload::Kept(payload.clone())),
        (Place::Log(location), Some(reader)) => Ok(Payload::Read(reader.read(*location)?)),
        (Place::Log(_) | Place::Forgotten, _) => Err(ChainError::UnknownState { state: node.state }),
    }
}

/// The digest of a block, from its record.
pub(super) fn read_digest(reader: Option<&LogReader>, node: &Node) -> Result<Digest, ChainError> {
    let payload = payload(reader, node)?;
    of_record(node.state, || Digest::of_record(&BlockView::new(&payload)?))
}

/// What `read` reads from the record of a state.
pub(super) fn of_record<T>(state: StateId, read: impl FnOnce() -> Result<T, RecordError>) -> Result<T, ChainError> {
    read().map_err(|error| ChainError::Record { sequence: state.0, error })
}

impl Chain {
    /// The heads, all of one instant.
    pub fn heads(&self) -> Heads {
        let tree = &self.index.read().tree;
        Heads {
            first: tree.block_ref(0),
            latest: tree.block_ref(tree.latest()),
            latest_state: tree.node(tree.latest()).state,
            safe: tree.safe().map(|block| tree.block_ref(block)),
            finalized: tree.finalized().map(|block| tree.block_ref(block)),
        }
    }

    /// The newest state.
    pub fn latest_state(&self) -> StateId {
        let tree = &self.index.read().tree;
        tree.node(tree.latest()).state
    }

    /// The block at a height of the chain.
    pub fn block_at(&self, number: u64) -> Option<BlockRef> {
        let tree = &self.index.read().tree;
        tree.by_number(number).map(|block| tree.block_ref(block))
    }

    /// The block with a hash, on the chain or beside it.
    pub fn find_block(&self, hash: &B256) -> Option<BlockRef> {
        let tree = &self.index.read().tree;
        tree.by_hash(hash).map(|block| tree.block_ref(block))
    }

    /// Whether a block is on the chain.
    pub fn is_canonical(&self, hash: &B256) -> bool {
        let tree = &self.index.read().tree;
        tree.by_hash(hash).is_some_and(|block| tree.is_canonical(block))
    }

    /// Where a transaction of the chain is.
    pub fn find_transaction(&self, hash: &B256) -> Option<TransactionPlace> {
        let index = self.index.read();
        let (block, position) = index.transaction(hash)?;
        Some(TransactionPlace { block: index.tree.block_ref(block), index: position as usize })
    }

    /// The state after a block, without patches.
    pub fn state_of(&self, hash: &B256) -> Option<StateId> {
        let tree = &self.index.read().tree;
        tree.by_hash(hash).map(|block| tree.node(block).state)
    }

    /// The state that a block was executed on: its parent's with the patches on it. `None` for the first block.
    pub fn state_before(&self, hash: &B256) -> Option<StateId> {
        let tree = &self.index.read().tree;
        let block = tree.node(tree.by_hash(hash)?);
        (block.number > tree.first_number()).then(|| tree.node(block.parent).state)
    }

    /// The block that a state is of.
    pub fn block_of_state(&self, state: StateId) -> Option<BlockRef> {
        let tree = &self.index.read().tree;
        tree.by_state(state).map(|node| tree.block_ref(node))
    }

    /// Sum of the difficulties up to a block.
    pub fn total_difficulty(&self, hash: &B256) -> Option<U256> {
        self.node(hash).map(|(_, node)| node.total_difficulty)
    }

    /// Number of transactions in a block.
    pub fn transaction_count(&self, hash: &B256) -> Option<u32> {
        self.node(hash).map(|(_, node)| node.transaction_count)
    }

    /// Numbers and hashes of a block and up to `count - 1` of its ancestors, newest first: what
    /// BLOCKHASH answers from in a child of the block.
    pub fn ancestors(&self, hash: &B256, count: usize) -> Vec<(u64, B256)> {
        let tree = &self.index.read().tree;
        let mut ancestors = Vec::new();
        let mut next = tree.by_hash(hash);
        while let Some(block) = next
            && ancestors.len() < count
        {
            let node = tree.node(block);
            ancestors.push((node.number, node.hash));
            next = (node.number > tree.first_number()).then(|| tree.node(node.parent).block);
        }
        ancestors
    }

    /// A block with everything about it.
    ///
    /// # Errors
    /// [`ChainError`], when its record can not be read.
    pub fn block(&self, hash: &B256) -> Result<Option<Arc<StoredBlock>>, ChainError> {
        self.node(hash).map(|(index, node)| self.stored(index, &node)).transpose()
    }

    /// Transactions of blocks that left the chain and are on it no more, oldest first: what the
    /// pool takes back. Blocks that were forgotten give none.
    ///
    /// # Errors
    /// [`ChainError`], when a record can not be read.
    pub fn transactions_to_reinject(&self, change: &HeadChange) -> Result<Vec<RecoveredTransaction>, ChainError> {
        let mut transactions = Vec::new();
        for block in change.removed.iter().rev() {
            let Some(stored) = self.block(&block.hash)? else { continue };
            for ((envelope, sender), hash) in
                stored.block.body.transactions.iter().zip(&stored.senders).zip(&stored.transaction_hashes)
            {
                if self.find_transaction(hash).is_none() {
                    transactions.push(RecoveredTransaction { envelope: envelope.clone(), sender: *sender });
                }
            }
        }
        Ok(transactions)
    }

    /// A header.
    ///
    /// # Errors
    /// [`ChainError`], when its block's record can not be read.
    pub fn header(&self, hash: &B256) -> Result<Option<Header>, ChainError> {
        let Some((index, node)) = self.node(hash) else { return Ok(None) };
        if let Some(stored) = self.hot.lock().get(index) {
            return Ok(Some(stored.block.header.clone()));
        }
        let payload = payload(self.reader.as_ref(), &node)?;
        of_record(node.state, || BlockView::new(&payload)?.header()).map(Some)
    }

    /// RLP of a header.
    ///
    /// # Errors
    /// [`ChainError`], when its block's record can not be read.
    pub fn raw_header(&self, hash: &B256) -> Result<Option<Vec<u8>>, ChainError> {
        self.raw(hash, |view| view.raw_header())
    }

    /// RLP of a block.
    ///
    /// # Errors
    /// [`ChainError`], when its record can not be read.
    pub fn raw_block(&self, hash: &B256) -> Result<Option<Vec<u8>>, ChainError> {
        self.raw(hash, |view| Ok(view.block))
    }

    fn raw(
        &self,
        hash: &B256,
        part: impl for<'a> FnOnce(&BlockView<'a>) -> Result<&'a [u8], RecordError>,
    ) -> Result<Option<Vec<u8>>, ChainError> {
        let Some((_, node)) = self.node(hash) else { return Ok(None) };
        let payload = payload(self.reader.as_ref(), &node)?;
        of_record(node.state, || Ok(part(&BlockView::new(&payload)?)?.to_vec())).map(Some)
    }

    /// A block's node as it is now. What it says of where the record is stays true.
    fn node(&self, hash: &B256) -> Option<(NodeIndex, Node)> {
        let tree = &self.index.read().tree;
        tree.by_hash(hash).map(|block| (block, tree.node(block).clone()))
    }

    pub(super) fn stored(&self, index: NodeIndex, node: &Node) -> Result<Arc<StoredBlock>, ChainError> {
        if let Some(stored) = self.hot.lock().get(index) {
            return Ok(stored);
        }
        let payload = payload(self.reader.as_ref(), node)?;
        let stored = of_record(node.state, || StoredBlock::of_record(&BlockView::new(&payload)?))?;
        let stored = Arc::new(stored);
        self.hot.lock().put(index, Arc::clone(&stored));
        Ok(stored)
    }
}
