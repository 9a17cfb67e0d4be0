//! A node's store at its opening: found on the disk where it was left, or made again from the log.

use std::{io, path::PathBuf, sync::Arc};

use metis_chain::{chain::Chain, record::StateId};
use metis_db::{Durability, MemoryStore, MetisConfig, MetisStore, StoreError};
use metis_disk::{Disk, FileDisk};
use metis_state_transition::ChangeSet;

use crate::{
    NodeConfig, NodeError, StateStoreKind, states,
    store::{NodeStore, alloc},
};

/// The folder of the state in a data directory.
const STATE_FOLDER: &str = "state";
/// BOUND: damaged folders that are kept for whoever wants to look at them.
const SET_ASIDE_COUNT_MAX: usize = 100;

/// Where a node's files are.
#[derive(Clone, Debug)]
pub struct NodeDisks {
    /// Of the block log.
    pub log: Arc<dyn Disk>,
    /// Of `MetisDB`. `None` where the state is kept in memory.
    pub state: Option<Arc<dyn Disk>>,
    /// The data directory, where it is one of the operating system.
    pub path: Option<PathBuf>,
}

/// What became of the state that was on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateReport {
    /// States that were made again from the log.
    pub replayed_count: usize,
    /// Why what was on the disk could not be used, if so.
    pub problem: Option<StateProblem>,
}

/// Why a state on the disk could not be used. No block is lost: the log has them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateProblem {
    /// Its files are damaged, or of another version.
    Unreadable {
        /// What is wrong with them.
        error: StoreError,
        /// Where they are now.
        moved_to: PathBuf,
    },
    /// The log does not lead to it.
    NotOfThisChain,
}

impl NodeDisks {
    /// The files of a data directory.
    ///
    /// # Errors
    /// [`NodeError::Directory`].
    pub fn of_directory(path: PathBuf, kind: StateStoreKind) -> Result<Self, NodeError> {
        let open = |path: PathBuf| -> Result<Arc<dyn Disk>, NodeError> {
            Ok(Arc::new(FileDisk::new(path).map_err(|error| NodeError::Directory(error.kind()))?))
        };
        let log = open(path.clone())?;
        let state = match kind {
            StateStoreKind::Memory => None,
            StateStoreKind::Metis { .. } => Some(open(path.join(STATE_FOLDER))?),
        };
        Ok(Self { log, state, path: Some(path) })
    }

    /// Moves a damaged state out of the way. Gives an empty folder, and where the damaged one is.
    fn set_state_aside(&self, error: &StoreError) -> Result<(Arc<dyn Disk>, PathBuf), NodeError> {
        // Only a directory can be damaged by others than the store.
        let path = self.path.as_ref().ok_or_else(|| NodeError::Store(error.clone()))?;
        let from = path.join(STATE_FOLDER);
        let free = (0..SET_ASIDE_COUNT_MAX)
            .map(|number| path.join(format!("{STATE_FOLDER}.damaged-{number}")))
            .find(|candidate| !candidate.exists());
        let moved = free.ok_or(io::ErrorKind::AlreadyExists).and_then(|to| {
            std::fs::rename(&from, &to).map_err(|error| error.kind())?;
            Ok(to)
        });
        let to = moved.map_err(NodeError::Directory)?;
        let disk = FileDisk::new(from).map_err(|error| NodeError::Directory(error.kind()))?;
        Ok((Arc::new(disk), to))
    }
}

/// The store of a chain, at the chain's newest state.
///
/// # Errors
/// [`NodeError`].
pub(crate) fn open_store(
    chain: &Chain,
    genesis: &ChangeSet,
    disks: Option<&NodeDisks>,
    config: &NodeConfig,
) -> Result<(NodeStore, StateReport), NodeError> {
    let kept = config.kept_block_count;
    let kept_in_memory = if config.is_archive { usize::MAX } else { kept };
    let mut report = StateReport::default();
    let store = match config.state_store {
        StateStoreKind::Memory => NodeStore::Memory(MemoryStore::new(alloc(genesis), kept_in_memory)),
        StateStoreKind::Metis { secret } => {
            // The log has every block: what a crash takes from the state is made again.
            let metis = MetisConfig::new(secret).keeping(kept).durable(Durability::OnCheckpoint);
            let metis = if config.is_archive { metis.archiving() } else { metis };
            NodeStore::Metis(Box::new(match disks.and_then(|disks| Some((disks, disks.state.clone()?))) {
                None => MetisStore::in_memory(alloc(genesis), metis)?,
                Some((disks, disk)) => {
                    let opened = MetisStore::open(disk, alloc(genesis), metis.clone());
                    opened.or_else(|error| match error {
                        StoreError::Corrupt { .. } | StoreError::RootMismatch { .. } | StoreError::Version { .. } => {
                            let (disk, moved_to) = disks.set_state_aside(&error)?;
                            report.problem = Some(StateProblem::Unreadable { error, moved_to });
                            Ok(MetisStore::open(disk, alloc(genesis), metis)?)
                        }
                        error => Err(NodeError::Store(error)),
                    })?
                }
            }))
        }
    };
    follow_log(&store, chain, &mut report)?;
    Ok((store, report))
}

/// Brings a store to the newest state of the chain, from wherever it is.
fn follow_log(store: &NodeStore, chain: &Chain, report: &mut StateReport) -> Result<(), NodeError> {
    let latest = chain.latest_state();
    let found = find(store, chain)?;
    let path = found.map(|found| chain.state_path(found, latest)).transpose()?;
    match (found, path) {
        (Some(found), Some(path)) if states::ancestor(store, chain, &path).is_ok() => {
            report.replayed_count = path.made.len();
            states::walk(store, chain, found, latest)
        }
        _ => {
            report.problem.get_or_insert(StateProblem::NotOfThisChain);
            report.replayed_count = chain.states(None)?.len();
            store.replace_with(states::rebuilt(store, chain, latest)?);
            Ok(())
        }
    }
}

/// The newest of the store's states that the chain knows; what the store has after it is taken back.
fn find(store: &NodeStore, chain: &Chain) -> Result<Option<StateId>, NodeError> {
    let genesis_hash = chain.identity().genesis_hash;
    // A store does not know the hash of the block that it begins with.
    let hash = |hash| if hash == alloy_primitives::B256::ZERO { genesis_hash } else { hash };
    let states: Vec<_> = store.states().iter().map(|block| (hash(block.hash), block.state_root)).collect();
    for count in (1..=states.len()).rev() {
        if let Some(state) = chain.find_state(&states[..count])? {
            store.undo(states.len() - count)?;
            return Ok(Some(state));
        }
    }
    Ok(None)
}
