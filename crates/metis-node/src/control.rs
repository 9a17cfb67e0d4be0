//! What only nodes for development do: snapshots, going back, empty blocks by the thousand, and
//! values that the next block is to have.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, U256, keccak256};
use metis_chain::{
    chain::{HeadChange, NewBlock, NewHeads},
    mempool::{Mempool, MempoolConfig, NewHead},
    record::StateId,
};
use metis_db::CommittedBlock;
use metis_executor::{ExecuteError, Executor};
use metis_state_transition::{BlockAttributes, ChainSpec};

use crate::{Node, NodeError, states::Way, write::new_block};

/// Names a snapshot; the first is 0.
pub type SnapshotId = u64;

/// So many blocks share one write to the log.
const EMPTY_BLOCKS_PER_WRITE: usize = 1_024;

/// Everything that [`Node::revert`] brings back; the store keeps its states as long as there is one.
#[derive(Debug)]
struct Snapshot {
    state: StateId,
    pool: Mempool,
    next_base_fee: Option<u64>,
    chain_id: u64,
}

/// What is there beside the chain. It ends with the process.
#[derive(Debug, Default)]
pub(crate) struct Control {
    snapshots: BTreeMap<SnapshotId, Snapshot>,
    next_snapshot: SnapshotId,
    /// Base fee of the next block instead of the one of EIP-1559.
    pub next_base_fee: Option<u64>,
}

/// PREVRANDAO of a block on a development chain. Not random: the same transactions give the same chain.
pub fn development_randao(number: u64, parent_hash: B256) -> B256 {
    keccak256([&number.to_be_bytes()[..], parent_hash.as_slice()].concat())
}

impl Node {
    /// Base fee of the next block; 0 before London.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn next_base_fee(&self) -> Result<u64, NodeError> {
        Ok(self.pool_head()?.base_fee_per_gas)
    }

    /// Decides the base fee of the next block; later ones follow from it as always.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn set_next_base_fee(&self, base_fee_per_gas: Option<u64>) -> Result<(), NodeError> {
        self.control.lock().next_base_fee = base_fee_per_gas;
        self.pool_takes_head()
    }

    /// Changes the chain id that transactions must name.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn set_chain_id(&self, chain_id: u64) -> Result<(), NodeError> {
        let _writer = self.writing()?;
        self.set_spec(ChainSpec { chain_id, ..(*self.spec()).clone() });
        self.pool_takes_head()
    }

    /// Least fee cap, in wei per gas, that the pool takes.
    pub fn set_min_gas_price(&self, price: u128) {
        let mut pool = self.pool.lock();
        let config = MempoolConfig { max_fee_min: price, ..*pool.config() };
        pool.set_config(config);
    }

    /// Remembers chain, state and pool as they are. Costs the size of the pool, whatever the chain's.
    ///
    /// # Errors
    /// [`NodeError::Store`], when nothing can be changed any more.
    pub fn take_snapshot(&self) -> Result<SnapshotId, NodeError> {
        let _writer = self.writing()?;
        let (state, _) = self.latest();
        let pool = self.pool.lock().clone();
        let mut control = self.control.lock();
        let id = control.next_snapshot;
        control.next_snapshot += 1;
        let (next_base_fee, chain_id) = (control.next_base_fee, self.spec().chain_id);
        control.snapshots.insert(id, Snapshot { state, pool, next_base_fee, chain_id });
        self.hold_history(&control);
        Ok(id)
    }

    /// What a rollback or a reorganisation leaves, and the way back, must stay until no snapshot can lead there.
    fn hold_history(&self, control: &Control) {
        let is_held = !control.snapshots.is_empty();
        self.chain.keep_side_blocks(is_held);
        self.store.hold(is_held);
    }

    /// Snapshots that can be reverted to, with the number and hash of their blocks.
    pub fn snapshots(&self) -> Vec<(SnapshotId, u64, B256)> {
        let control = self.control.lock();
        let block = |(id, snapshot): (&SnapshotId, &Snapshot)| {
            self.chain.block_of_state(snapshot.state).map(|block| (*id, block.number, block.hash))
        };
        control.snapshots.iter().filter_map(block).collect()
    }

    /// Makes everything as it was at a snapshot, and forgets it and later ones. `None` where there is
    /// no such snapshot.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn revert(&self, id: SnapshotId) -> Result<Option<HeadChange>, NodeError> {
        let _writer = self.writing()?;
        let Some(snapshot) = self.control.lock().snapshots.remove(&id) else { return Ok(None) };
        let way = Way::find_anyhow(&self.store, &self.chain, self.chain.latest_state(), snapshot.state)?;
        let change = self.turn(way, || self.chain.truncate(snapshot.state))?;
        {
            let mut control = self.control.lock();
            control.snapshots.split_off(&id);
            control.next_base_fee = snapshot.next_base_fee;
            self.hold_history(&control);
        }
        self.set_spec(ChainSpec { chain_id: snapshot.chain_id, ..(*self.spec()).clone() });
        *self.pool.lock() = snapshot.pool;
        self.pool_takes_head()?;
        Ok(Some(change))
    }

    /// Forgets one snapshot, and no other.
    pub fn discard(&self, id: SnapshotId) {
        let mut control = self.control.lock();
        control.snapshots.remove(&id);
        self.hold_history(&control);
    }

    /// Takes back the newest blocks, to the state that the first of them was made on. Their
    /// transactions do not return to the pool.
    ///
    /// # Errors
    /// [`NodeError::UnknownBlock`], when the chain has no more blocks than that; or state that is no longer kept.
    pub fn rewind(&self, block_count: u64) -> Result<HeadChange, NodeError> {
        let _writer = self.writing()?;
        let heads = self.chain.heads();
        if block_count == 0 {
            return Ok(HeadChange::default());
        }
        let first = heads.latest.number.checked_sub(block_count - 1).filter(|first| *first > heads.first.number);
        let first = first.and_then(|number| self.chain.block_at(number)).ok_or(NodeError::UnknownBlock)?;
        let state = self.chain.state_before(&first.hash).ok_or(NodeError::UnknownBlock)?;
        self.go_back_to(state)
    }

    /// Makes the chain as it was at its start: the first block, without what was changed since. Empties the pool and
    /// forgets snapshots.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn reset(&self) -> Result<HeadChange, NodeError> {
        let _writer = self.writing()?;
        {
            let mut control = self.control.lock();
            *control = Control::default();
            self.hold_history(&control);
        }
        self.pool.lock().clear();
        let first = self.chain.heads().first.hash;
        let state = self.chain.state_of(&first).ok_or(NodeError::UnknownBlock)?;
        self.go_back_to(state)
    }

    fn go_back_to(&self, state: StateId) -> Result<HeadChange, NodeError> {
        let way = Way::find_anyhow(&self.store, &self.chain, self.chain.latest_state(), state)?;
        let has_snapshots = !self.control.lock().snapshots.is_empty();
        let change =
            self.turn(way, || if has_snapshots { self.chain.move_to(state) } else { self.chain.truncate(state) })?;
        self.pool_takes_head()?;
        Ok(change)
    }

    /// Mines empty blocks, `interval_s` apart, the first as the attributes say. Returns their hashes.
    ///
    /// # Errors
    /// [`NodeError`]; blocks before the one that failed stay, as far as they were written.
    pub fn mine_empty(
        &self,
        attributes: BlockAttributes,
        block_count: u64,
        interval_s: u64,
    ) -> Result<Vec<B256>, NodeError> {
        let _writer = self.writing()?;
        // The newest block stays readable while the store is ahead of it.
        self.store.hold(true);
        let mut ahead = Vec::new();
        let mined = self.mine_ahead(&mut ahead, attributes, block_count, interval_s);
        let undone = self.store.undo(ahead.len());
        self.hold_history(&self.control.lock());
        undone.map_err(|error| self.fail(error))?;
        self.pool_takes_head()?;
        mined
    }

    /// The same; `ahead` has the blocks that the store has and the log has not, none at the end unless something failed.
    fn mine_ahead(
        &self,
        ahead: &mut Vec<NewBlock>,
        mut attributes: BlockAttributes,
        block_count: u64,
        interval_s: u64,
    ) -> Result<Vec<B256>, NodeError> {
        let spec = self.spec();
        let mut hash = self.chain.heads().latest.hash;
        let mut parent = self.chain.header(&hash)?.ok_or(NodeError::UnknownBlock)?;
        let mut hashes = Vec::new();
        attributes.base_fee_per_gas = self.control.lock().next_base_fee.take();
        for index in 0..block_count {
            let snapshot = self.store.latest();
            let built = self.on_state(&snapshot, |snapshot| {
                let built = self.executor.build(snapshot, &spec, &parent, attributes.clone(), &[], &self.machine);
                Ok(built.map_err(ExecuteError::Block)?)
            })?;
            let header = built.block.header.clone();
            let (parent_hash, state_root) = (hash, header.state_root);
            hash = header.hash_slow();
            hashes.push(hash);
            attributes.timestamp = header.timestamp.saturating_add(interval_s.max(1));
            attributes.prev_randao = development_randao(header.number + 1, hash);
            attributes.base_fee_per_gas = None;
            parent = header;
            if self.chain.find_block(&hash).is_some() {
                // It stood on the chain before, and the same inputs gave it again.
                self.append_ahead(ahead)?;
                self.move_to(NewHeads { latest: Some(hash), ..NewHeads::default() })?;
                continue;
            }
            let committed = CommittedBlock { number: parent.number, hash, parent_hash, state_root };
            self.store.commit(&snapshot, committed, &built.outcome.changes)?;
            ahead.push(new_block(&Arc::new(built.block), Vec::new(), built.outcome));
            if ahead.len() == EMPTY_BLOCKS_PER_WRITE || index + 1 == block_count {
                self.append_ahead(ahead)?;
            }
        }
        Ok(hashes)
    }

    /// Writes blocks that the store has.
    fn append_ahead(&self, ahead: &mut Vec<NewBlock>) -> Result<(), NodeError> {
        self.chain.append_all(ahead.clone())?;
        ahead.clear();
        Ok(())
    }

    /// Takes all transactions of a sender out of the pool.
    pub fn drop_sender(&self, sender: &Address) -> usize {
        let mut pool = self.pool.lock();
        let content = pool.content_from(sender);
        let hashes: Vec<B256> = content
            .iter()
            .flat_map(|content| content.ready.iter().chain(&content.queued))
            .map(|entry| entry.hash)
            .collect();
        hashes.iter().filter(|hash| pool.remove(hash).is_some()).count()
    }

    /// Adds to a balance without a block; what does not fit 256 bits is cut off.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn add_balance(&self, address: Address, wei: U256) -> Result<(), NodeError> {
        let balance = self.balance(address, crate::BlockId::Number(self.chain.heads().latest.number))?;
        self.set_account(address, None, Some(balance.saturating_add(wei)), None)
    }

    /// The pool learns what the next block asks, and the accounts as they are.
    fn pool_takes_head(&self) -> Result<(), NodeError> {
        let head = self.pool_head()?;
        let mut pool = self.pool.lock();
        let (_, snapshot) = self.latest();
        pool.on_new_head(NewHead { head, mined: &[], changed: &[], reinjected: Vec::new() }, &snapshot)?;
        pool.refresh_all(&snapshot)?;
        Ok(())
    }
}
