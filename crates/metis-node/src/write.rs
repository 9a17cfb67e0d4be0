//! Changes: building blocks, moving the head, development patches.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256};
use metis_chain::chain::{ChainError, HeadChange, NewBlock, NewHeads, StateChange};
use metis_db::CommittedBlock;
use metis_executor::{ExecuteError, Executor};
use metis_state_transition::{
    Account, AccountChange, Block, BlockAttributes, BlockOutcome, BuiltBlock, ChangeSet, Code, RecoveredTransaction,
    SkippedTransaction, StateView,
};

use crate::{Node, NodeError, State, StateError, fork::BlockView, pool::Changed, states::Way};

/// A block that was built and became the newest.
#[derive(Debug)]
pub struct BuiltReport {
    /// The block.
    pub block: Arc<Block>,
    /// Hashes of its transactions, in order.
    pub transaction_hashes: Vec<B256>,
    /// Candidates that were left out, by position, and why.
    pub skipped: Vec<SkippedTransaction>,
    /// Requests to the consensus layer, from Prague on (EIP-7685).
    pub requests: Option<Vec<Bytes>>,
}

/// A block that was built on the newest one and is no part of the chain yet.
pub(crate) struct Draft {
    pub(crate) snapshot: State,
    pub(crate) built: BuiltBlock,
}

impl Node {
    /// Builds the next block from candidates, in order, and makes it the newest.
    ///
    /// # Errors
    /// [`NodeError`], when the attributes break a rule or the log fails.
    pub fn build_from(
        &self,
        attributes: BlockAttributes,
        candidates: &[&RecoveredTransaction],
    ) -> Result<BuiltReport, NodeError> {
        let _writer = self.writing()?;
        self.adopt(self.draft(attributes, candidates)?, candidates)
    }

    /// Builds the next block. For whoever holds the writer's lock.
    pub(crate) fn draft(
        &self,
        mut attributes: BlockAttributes,
        candidates: &[&RecoveredTransaction],
    ) -> Result<Draft, NodeError> {
        let (_, snapshot) = self.latest();
        let spec = self.spec();
        attributes.base_fee_per_gas = attributes.base_fee_per_gas.or(self.control.lock().next_base_fee);
        let head = self.chain.heads().latest;
        let parent = self.chain.header(&head.hash)?.ok_or(NodeError::UnknownBlock)?;
        attributes.ancestors = self.ancestors(&head.hash);
        let built = self.on_state(&snapshot, |snapshot| {
            let attributes = attributes.clone();
            let view = BlockView::new(snapshot, &self.totals.reads, parent.number, attributes.timestamp);
            let built = self.executor.build(view, &spec, &parent, attributes, candidates, &self.machine);
            Ok(built.map_err(ExecuteError::Block)?)
        })?;
        Ok(Draft { snapshot, built })
    }

    /// Makes a draft the newest block. For whoever held the writer's lock since it was made.
    pub(crate) fn adopt(&self, draft: Draft, candidates: &[&RecoveredTransaction]) -> Result<BuiltReport, NodeError> {
        let Draft { snapshot, built: BuiltBlock { block, included, mut outcome, skipped } } = draft;
        let requests = outcome.requests.take();
        let senders = included.iter().map(|index| candidates[*index].sender).collect();
        let transaction_hashes = included.iter().map(|index| *candidates[*index].envelope.tx_hash()).collect();
        self.control.lock().next_base_fee = None;
        let block = Arc::new(block);
        let hash = block.header.hash_slow();
        if self.chain.find_block(&hash).is_some() {
            // It stood on the chain before, and the same inputs gave it again.
            self.move_to(NewHeads { latest: Some(hash), ..NewHeads::default() })?;
        } else {
            self.append(&snapshot, &block, senders, outcome)?;
        }
        Ok(BuiltReport { block, transaction_hashes, skipped, requests })
    }

    /// Gives a block's state to the store, then the block to the log. Readers name states by blocks
    /// of the chain, so they see the new one once its block is in the log; until then the old one is
    /// there as well.
    pub(crate) fn append(
        &self,
        parent: &State,
        block: &Arc<Block>,
        senders: Vec<Address>,
        outcome: BlockOutcome,
    ) -> Result<(), NodeError> {
        let header = &block.header;
        let committed = CommittedBlock {
            number: header.number,
            hash: header.hash_slow(),
            parent_hash: header.parent_hash,
            state_root: header.state_root,
        };
        self.store.commit(parent, committed, &outcome.changes)?;
        let changed: Vec<Address> = outcome.changes.accounts.keys().copied().collect();
        match self.chain.append(new_block(block, senders, outcome)) {
            Ok(StateChange { change, .. }) => self.pool_follows(&change, Changed::These(&changed)),
            Err(error) => {
                self.store.undo(1)?;
                Err(error.into())
            }
        }
    }

    /// Makes a known block the newest (fork choice), and sets the other heads.
    ///
    /// # Errors
    /// [`NodeError`]: an unknown block, a head that is not on the chain, or state that is no longer
    /// kept.
    pub fn set_heads(&self, heads: NewHeads) -> Result<HeadChange, NodeError> {
        let _writer = self.writing()?;
        self.move_to(heads)
    }

    /// The same, for whoever holds the writer's lock.
    pub(crate) fn move_to(&self, heads: NewHeads) -> Result<HeadChange, NodeError> {
        let newest = self.chain.heads().latest.hash;
        let change = match heads.latest.filter(|hash| *hash != newest) {
            Some(hash) => {
                let state = self.chain.state_of(&hash).ok_or(NodeError::UnknownBlock)?;
                let way = Way::find(&self.store, &self.chain, self.chain.latest_state(), state)?;
                self.turn(way, || self.chain.set_heads(heads))?
            }
            None => self.chain.set_heads(heads)?,
        };
        self.pool_follows(&change, Changed::Any)?;
        Ok(change)
    }

    /// Moves the chain, and the store on a way to the same state that was found before.
    pub(crate) fn turn(
        &self,
        way: Way,
        chain: impl FnOnce() -> Result<HeadChange, ChainError>,
    ) -> Result<HeadChange, NodeError> {
        let _agreement = self.agreement.write();
        let change = chain()?;
        // The log says it already: only a new start brings the store to where it says.
        way.go(&self.store).map_err(|error| self.fail(error))?;
        Ok(change)
    }

    /// Makes an older block the newest and forgets all that came after it.
    ///
    /// # Errors
    /// As [`Self::set_heads`].
    pub fn truncate(&self, hash: &B256) -> Result<HeadChange, NodeError> {
        let _writer = self.writing()?;
        let state = self.chain.state_of(hash).ok_or(NodeError::UnknownBlock)?;
        let way = Way::find(&self.store, &self.chain, self.chain.latest_state(), state)?;
        let change = self.turn(way, || self.chain.truncate(state))?;
        self.pool_follows(&change, Changed::Any)?;
        Ok(change)
    }

    /// Changes one account of the newest state without a block. What is `None` stays.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn set_account(
        &self,
        address: Address,
        nonce: Option<u64>,
        balance: Option<U256>,
        code: Option<Bytes>,
    ) -> Result<(), NodeError> {
        self.patch(|view| {
            let mut account = view.account(&address)?.unwrap_or_default();
            let mut changes = ChangeSet::default();
            account.nonce = nonce.unwrap_or(account.nonce);
            account.balance = balance.unwrap_or(account.balance);
            if let Some(code) = code {
                let code = Code::new(code);
                account.code_hash = code.hash();
                changes.codes.insert(account.code_hash, code);
            }
            changes.accounts.insert(address, AccountChange { account: Some(account), ..AccountChange::default() });
            Ok(changes)
        })
    }

    /// Changes one slot of the newest state without a block.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn set_storage(&self, address: Address, slot: U256, value: U256) -> Result<(), NodeError> {
        self.patch(|view| {
            let account: Account = view.account(&address)?.unwrap_or_default();
            let mut changes = ChangeSet::default();
            let storage = [(slot, value)].into();
            changes.accounts.insert(address, AccountChange { account: Some(account), storage_cleared: false, storage });
            Ok(changes)
        })
    }

    pub(crate) fn patch(&self, make: impl FnOnce(&State) -> Result<ChangeSet, StateError>) -> Result<(), NodeError> {
        let _writer = self.writing()?;
        let (_, snapshot) = self.latest();
        let changes = make(&snapshot)?;
        {
            let _agreement = self.agreement.write();
            let root = self.store.patch(&snapshot, &changes)?;
            if let Err(error) = self.chain.patch_state(&changes, root) {
                self.store.undo(1)?;
                return Err(error.into());
            }
        }
        self.pool_refreshes()?;
        Ok(())
    }
}

pub(crate) fn new_block(block: &Arc<Block>, senders: Vec<Address>, outcome: BlockOutcome) -> NewBlock {
    let block = Arc::clone(block);
    NewBlock { block, senders, receipts: outcome.receipts, changes: outcome.changes, parent_state: None }
}
