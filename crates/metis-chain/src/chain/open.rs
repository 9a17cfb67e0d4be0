//! Opens a chain: reads its log once and builds the index from it.

use std::sync::{Arc, atomic::AtomicBool};

use alloy_primitives::keccak256;
use metis_disk::Disk;
use parking_lot::{Mutex, RwLock};

use super::{
    Chain, ChainConfig, ChainError, Genesis,
    hot::HotBlocks,
    index::{Digest, Index, NewNode},
    read::read_digest,
    tree::{BlockFacts, Node, Place},
    write::Writer,
};
use crate::{
    block_log::{BlockLog, ChainIdentity, Frame, LogReader, Recovery},
    record::{BlockView, HeadRecord, Record, RecordError, StateId, encode_block, kind, patch_parent},
};

impl Genesis {
    /// The identity of the chain that begins with it.
    pub fn identity(&self) -> ChainIdentity {
        ChainIdentity { chain_id: self.chain_id, genesis_hash: self.block.header.hash_slow() }
    }

    fn encode(&self) -> Vec<u8> {
        let hash = self.identity().genesis_hash;
        encode_block((StateId::NONE, true), hash, &self.block, &[], &[], &self.changes)
    }
}

impl Chain {
    /// Opens the chain whose log is in the directory, or begins it there.
    ///
    /// Reads the log once: about 1 GB/s, and some microseconds a block.
    ///
    /// # Errors
    /// [`ChainError`]; the directory is then as it was.
    pub fn open(disk: Arc<dyn Disk>, genesis: &Genesis, config: ChainConfig) -> Result<(Self, Recovery), ChainError> {
        Self::open_log(disk, Some(genesis), config)
    }

    /// Opens the chain whose log is in the directory, whatever chain it is.
    ///
    /// # Errors
    /// [`ChainError`]: [`LogError::NotThere`](crate::block_log::LogError::NotThere) when there is none.
    pub fn open_existing(disk: Arc<dyn Disk>, config: ChainConfig) -> Result<(Self, Recovery), ChainError> {
        Self::open_log(disk, None, config)
    }

    /// A chain that is kept in memory and gone with the process. What it forgets, it frees.
    ///
    /// # Errors
    /// [`ChainError`], when the first block is not one.
    pub fn in_memory(genesis: &Genesis, config: ChainConfig) -> Result<Self, ChainError> {
        let payload = genesis.encode();
        let index = first_index(StateId(1), Place::Memory(payload.clone().into()), &payload)?;
        let writer = Writer::Memory { next: StateId(2) };
        Ok(Self::from_parts(config, genesis.identity(), writer, index, None))
    }

    fn open_log(
        disk: Arc<dyn Disk>,
        genesis: Option<&Genesis>,
        config: ChainConfig,
    ) -> Result<(Self, Recovery), ChainError> {
        let mut index = None;
        let identity = genesis.map(Genesis::identity);
        let (log, recovery) = BlockLog::open(disk, identity, config.log, |frame| {
            let sequence = frame.sequence;
            apply(&mut index, frame).map_err(|error| match error {
                ChainError::Log(_) | ChainError::Record { .. } => error,
                problem => ChainError::Contradiction { sequence, problem: Box::new(problem) },
            })
        })?;
        let (identity, reader) = (log.identity(), log.reader());
        let mut writer = Writer::Log(Box::new(log));
        let mut index = match (index, genesis) {
            (Some(index), _) => index,
            // New, or a crash came before the first block was durable.
            (None, Some(genesis)) => {
                let payload = genesis.encode();
                let (state, place) = writer.append(kind::BLOCK, payload.clone())?;
                first_index(state, place, &payload)?
            }
            (None, None) => return Err(ChainError::NoGenesis),
        };
        let found = ChainIdentity { genesis_hash: index.tree.block_ref(0).hash, ..identity };
        if found != identity {
            return Err(ChainError::OtherGenesis { expected: identity, found });
        }
        index.tree.forget_old_branches(config.side_block_window);
        Ok((Self::from_parts(config, identity, writer, index, Some(reader)), recovery))
    }

    fn from_parts(
        config: ChainConfig,
        identity: ChainIdentity,
        writer: Writer,
        index: Index,
        reader: Option<LogReader>,
    ) -> Self {
        Self {
            config,
            keeps_side_blocks: AtomicBool::new(false),
            identity,
            writer: Mutex::new(writer),
            index: RwLock::new(index),
            hot: Mutex::new(HotBlocks::new(config.hot_bytes_max)),
            reader,
        }
    }
}

/// The index of a chain that consists of its first block.
fn first_index(state: StateId, place: Place, payload: &[u8]) -> Result<Index, ChainError> {
    let record = |error| ChainError::Record { sequence: state.0, error };
    let view = BlockView::new(payload).map_err(record)?;
    let (facts, digest) = facts_and_digest(&view, state.0)?;
    if view.parent_state != StateId::NONE {
        return Err(ChainError::NoGenesis);
    }
    Ok(Index::new(NewNode { state, place, facts, digest }))
}

/// Adds a record that is in the log to the index.
fn apply(index: &mut Option<Index>, frame: Frame<'_>) -> Result<(), ChainError> {
    let (state, sequence) = (StateId(frame.sequence), frame.sequence);
    let bad = |error| ChainError::Record { sequence, error };
    let Some(index) = index else {
        if frame.kind != kind::BLOCK {
            return Err(ChainError::NoGenesis);
        }
        *index = Some(first_index(state, Place::Log(frame.location), frame.payload)?);
        return Ok(());
    };
    let digest_of = |node: &Node| read_digest(Some(frame.reader), node);
    match frame.kind {
        kind::BLOCK => {
            let view = BlockView::new(frame.payload).map_err(bad)?;
            let (facts, digest) = facts_and_digest(&view, sequence)?;
            let parent = index.state_below(view.parent_state, facts)?;
            let new = NewNode { state, place: Place::Log(frame.location), facts, digest };
            if view.is_latest {
                let plan = index.plan(parent, digest_of)?;
                index.perform(&plan);
                index.extend(new);
            } else {
                index.insert(parent, new);
            }
        }
        kind::STATE_PATCH => {
            index.check_is_latest(patch_parent(frame.payload).map_err(bad)?)?;
            index.tree.push_patch(state, Place::Log(frame.location));
        }
        kind => match Record::decode(kind, frame.payload).map_err(bad)? {
            Record::Truncate(to) => {
                let plan = index.plan(index.resolve(to)?, digest_of)?;
                index.truncate(&plan);
            }
            Record::Head(HeadRecord { latest, safe, finalized }) => {
                let plan = index.plan(index.resolve(latest)?, digest_of)?;
                let (safe, finalized) = index.check_heads(&plan, safe, finalized)?;
                index.perform(&plan);
                index.tree.set_safe_and_finalized(safe, finalized);
            }
            Record::Block(_) | Record::StatePatch(_) => return Err(bad(RecordError::Kind(kind))),
        },
    }
    Ok(())
}

/// What the tree and the index need to know of a block, from its record.
fn facts_and_digest(view: &BlockView<'_>, sequence: u64) -> Result<(BlockFacts, Digest), ChainError> {
    let bad = |error| ChainError::Record { sequence, error };
    let raw_header = view.raw_header().map_err(bad)?;
    let header = view.header().map_err(bad)?;
    if keccak256(raw_header) != view.hash || header.state_root != view.state_root {
        return Err(ChainError::WrongHash { hash: view.hash });
    }
    let digest = Digest::of_record(view).map_err(bad)?;
    let facts = BlockFacts {
        hash: view.hash,
        parent_hash: header.parent_hash,
        number: header.number,
        timestamp: header.timestamp,
        difficulty: header.difficulty,
        transaction_count: digest.transaction_hashes.len() as u32,
        log_count: digest.log_count,
    };
    Ok((facts, digest))
}
