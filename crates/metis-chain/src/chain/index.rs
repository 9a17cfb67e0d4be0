//! What is found by hash, number, address or topic, kept in step with the tree.
//!
//! Changing it takes two steps, so that it can not be left half-changed: [`Index::plan`] reads all
//! that is needed and may fail; [`Index::perform`] and its fellows change and can not fail.

use alloy_primitives::{Address, B256, map::B256Map};
use metis_state_transition::ReceiptDetails;

use super::{
    ChainError, HeadChange,
    tree::{BlockFacts, Node, NodeIndex, Place, Route, Tree},
};
use crate::{
    logs::{Postings, address_key, topic_key},
    record::{BlockView, RecordError, StateId},
};

/// What the index keeps of a block's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub transaction_hashes: Vec<B256>,
    /// Keys of its logs' addresses and topics, each once.
    keys: Vec<u64>,
    pub log_count: u32,
}

impl Digest {
    fn add_log(&mut self, address: &Address, topics: &[B256]) {
        self.keys.push(address_key(address));
        self.keys.extend(topics.iter().enumerate().map(|(position, topic)| topic_key(position, topic)));
        self.log_count += 1;
    }

    fn finish(mut self) -> Self {
        self.keys.sort_unstable();
        self.keys.dedup();
        self
    }

    pub(super) fn of_receipts(transaction_hashes: Vec<B256>, receipts: &[ReceiptDetails]) -> Self {
        let mut digest = Self { transaction_hashes, ..Self::default() };
        for log in receipts.iter().flat_map(|details| &details.receipt.logs) {
            digest.add_log(&log.address, log.data.topics());
        }
        digest.finish()
    }

    pub(super) fn of_record(view: &BlockView<'_>) -> Result<Self, RecordError> {
        let mut digest = Self { transaction_hashes: view.transaction_hashes()?, ..Self::default() };
        view.visit_logs(|_, address, topics, _| digest.add_log(&address, topics))?;
        Ok(digest.finish())
    }
}

/// A change of the newest state with all that is needed to perform it.
#[derive(Debug)]
pub(super) struct Plan {
    pub to: NodeIndex,
    pub route: Route,
    removed: Vec<Digest>,
    added: Vec<Digest>,
}

/// A block that is about to get a node.
#[derive(Debug)]
pub(super) struct NewNode {
    pub state: StateId,
    pub place: Place,
    pub facts: BlockFacts,
    pub digest: Digest,
}

#[derive(Debug)]
pub(super) struct Index {
    pub tree: Tree,
    /// Transactions of the chain: block and position.
    transactions: B256Map<(NodeIndex, u32)>,
    /// Blocks of the chain, relative to its first, by what their logs name.
    pub postings: Postings,
}

impl Index {
    pub(super) fn new(genesis: NewNode) -> Self {
        let tree = Tree::new(genesis.state, genesis.place, genesis.facts);
        let mut index = Self { tree, transactions: B256Map::default(), postings: Postings::default() };
        index.enter(0, &genesis.digest);
        index
    }

    /// Block and position of a transaction of the chain.
    pub(super) fn transaction(&self, hash: &B256) -> Option<(NodeIndex, u32)> {
        self.transactions.get(hash).copied()
    }

    /// Prepares a change of the newest state; `read` gives the digests of blocks.
    pub(super) fn plan(
        &self,
        to: NodeIndex,
        read: impl Fn(&Node) -> Result<Digest, ChainError>,
    ) -> Result<Plan, ChainError> {
        let route = self.tree.route(to);
        let digests = |blocks: &[NodeIndex]| -> Result<Vec<Digest>, ChainError> {
            blocks.iter().map(|block| read(self.tree.node(*block))).collect()
        };
        let (removed, added) = (digests(&route.removed)?, digests(&route.added)?);
        Ok(Plan { to, route, removed, added })
    }

    /// Changes the newest state.
    pub(super) fn perform(&mut self, plan: &Plan) -> HeadChange {
        for (block, digest) in plan.route.removed.iter().zip(&plan.removed) {
            self.leave(*block, digest);
        }
        let change = self.tree.move_to(plan.to, &plan.route);
        for (block, digest) in plan.route.added.iter().zip(&plan.added) {
            self.enter(*block, digest);
        }
        change
    }

    /// Changes the newest state and forgets what was built on it.
    pub(super) fn truncate(&mut self, plan: &Plan) -> HeadChange {
        let change = self.perform(plan);
        self.tree.forget_descendants(plan.to);
        change
    }

    /// Adds a block on the newest state; it becomes the newest block.
    pub(super) fn extend(&mut self, new: NewNode) -> HeadChange {
        let block = self.tree.push_block(new.state, self.tree.latest(), new.place, new.facts);
        let change = self.tree.move_to(block, &Route { removed: Vec::new(), added: vec![block] });
        self.enter(block, &new.digest);
        change
    }

    /// Adds a block beside the chain.
    pub(super) fn insert(&mut self, parent: NodeIndex, new: NewNode) {
        let block = self.tree.push_block(new.state, parent, new.place, new.facts);
        self.tree.set_beside(block);
    }

    fn enter(&mut self, block: NodeIndex, digest: &Digest) {
        for (position, hash) in digest.transaction_hashes.iter().enumerate() {
            self.transactions.insert(*hash, (block, position as u32));
        }
        let position = self.position(block);
        for key in &digest.keys {
            self.postings.add(*key, position);
        }
    }

    fn leave(&mut self, block: NodeIndex, digest: &Digest) {
        for hash in &digest.transaction_hashes {
            if self.transactions.get(hash).is_some_and(|(of, _)| *of == block) {
                self.transactions.remove(hash);
            }
        }
        let position = self.position(block);
        for key in &digest.keys {
            self.postings.remove_last(*key, position);
        }
    }

    /// A block's number, counted from the first block.
    // BOUND: four thousand million blocks.
    fn position(&self, block: NodeIndex) -> u32 {
        (self.tree.node(block).number - self.tree.first_number()) as u32
    }
}
