//! The node: opening it, and what it is made of.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{Address, B256};
use metis_chain::{
    block_log::{Durability as LogDurability, LogConfig},
    chain::{Chain, ChainConfig, Genesis, Heads},
    mempool::{Mempool, MempoolConfig},
    record::StateId,
};
use metis_db::{GenesisAccount, StoreError};
use metis_executor::ParallelExecutor;
use metis_state_transition::{Account, AccountChange, Ancestors, Block, ChainSpec, ChangeSet, Code, DevelopmentRules};
use metis_vm::VirtualMachine;
use parking_lot::{Mutex, MutexGuard, RwLock};

use crate::{
    NodeDisks, NodeError, State, StateReport, answer::CallHistory, checkpoints::CheckpointTotals, control::Control,
    opening::open_store, pool::pool_head, sidecars::Sidecars, store::NodeStore, totals::Totals,
};

/// When a block is sure to survive a power cut. A killed process loses nothing at any of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Before the call that made it returns.
    #[default]
    EveryBlock,
    /// Within this time, if [`Node::tick`] is called often enough.
    Group {
        /// Least time between two syncs.
        interval_ms: u64,
    },
    /// When the operating system sees fit.
    None,
}

/// What keeps the state of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateStoreKind {
    /// Persistent maps in memory, rebuilt from the log at each start.
    #[default]
    Memory,
    /// `MetisDB`: where the blocks are in a directory, on the disk beside them.
    Metis {
        /// Places of keys in a new database follow from it: nobody who can choose keys may know it.
        secret: [u64; 4],
    },
}

/// How a node is kept.
#[derive(Clone, Debug, Default)]
pub struct NodeConfig {
    /// Directory of the block log; `None` keeps everything in memory.
    pub data_dir: Option<std::path::PathBuf>,
    /// When blocks are durable.
    pub durability: Durability,
    /// What keeps the state.
    pub state_store: StateStoreKind,
    /// States that are kept whole, besides the newest.
    pub kept_block_count: usize,
    /// Whether states before these stay readable too: `MetisDB` keeps on the disk what was before them.
    pub is_archive: bool,
    /// Limits of the mempool.
    pub pool: MempoolConfig,
    /// What is left out of Ethereum's rules.
    pub development: DevelopmentRules,
    /// What runs code, in blocks and in calls.
    pub machine: VirtualMachine,
    /// Threads that run the transactions of a block; 0 is one for each core, 1 runs them in order.
    pub workers: usize,
}

/// One node's hot state.
#[derive(Debug)]
pub struct Node {
    spec: RwLock<Arc<ChainSpec>>,
    pub(crate) machine: VirtualMachine,
    pub(crate) executor: ParallelExecutor,
    pub(crate) chain: Chain,
    pub(crate) store: NodeStore,
    pub(crate) pool: Mutex<Mempool>,
    pub(crate) sidecars: Mutex<Sidecars>,
    pub(crate) totals: Totals,
    /// Held by whoever changes the chain, from reading its head to the last index update.
    writer: Mutex<()>,
    /// Why nothing can be changed any more: the store is not where the chain is.
    failed: OnceLock<StoreError>,
    /// Held for writing while store and chain change in a way that a block's number or hash would
    /// name another state for a moment; readers of both hold it for reading.
    pub(crate) agreement: RwLock<()>,
    /// What calls have cost before.
    pub(crate) call_history: CallHistory,
    /// Ancestors of the block that was asked about last: mostly the next question is about it too.
    pub(crate) recent_ancestors: Mutex<Option<(B256, Ancestors)>>,
    pub(crate) control: Mutex<Control>,
    pub(crate) state_report: StateReport,
    pub(crate) checkpoints: Mutex<CheckpointTotals>,
}

impl Node {
    /// Opens a node, or begins it. What the last checkpoint lacks of the state is made again from the log, every root
    /// checked; where the state on the disk is of no use, all of it is.
    ///
    /// # Errors
    /// [`NodeError`]; the directory is then as it was.
    pub fn open(
        spec: ChainSpec,
        genesis_block: Block,
        alloc: Vec<(Address, GenesisAccount)>,
        config: &NodeConfig,
    ) -> Result<Self, NodeError> {
        let disks =
            config.data_dir.clone().map(|path| NodeDisks::of_directory(path, config.state_store)).transpose()?;
        Self::open_on(disks.as_ref(), spec, genesis_block, alloc, config)
    }

    /// The same, on disks that are given.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(
        disks: Option<&NodeDisks>,
        spec: ChainSpec,
        genesis_block: Block,
        alloc: Vec<(Address, GenesisAccount)>,
        config: &NodeConfig,
    ) -> Result<Self, NodeError> {
        let genesis = Genesis { chain_id: spec.chain_id, block: genesis_block, changes: alloc_changes(alloc) };
        let chain_config = ChainConfig { log: log_config(config.durability), ..ChainConfig::default() };
        let chain = match disks {
            None => Chain::in_memory(&genesis, chain_config)?,
            Some(disks) => Chain::open(Arc::clone(&disks.log), &genesis, chain_config)?.0,
        };
        let (store, report) = open_store(&chain, &genesis.changes, disks, config)?;
        Ok(Self { state_report: report, ..Self::assemble(spec, chain, store, config)? })
    }

    /// A node of a chain and the state after its newest block.
    pub(crate) fn assemble(
        spec: ChainSpec,
        chain: Chain,
        store: NodeStore,
        config: &NodeConfig,
    ) -> Result<Self, NodeError> {
        let spec = ChainSpec { development: config.development, ..spec };
        let head = pool_head(&spec, &chain, None)?;
        let pool = Mutex::new(Mempool::new(config.pool, head));
        Ok(Self {
            spec: RwLock::new(Arc::new(spec)),
            machine: config.machine.clone(),
            executor: ParallelExecutor::new(config.workers),
            chain,
            store,
            pool,
            sidecars: Mutex::default(),
            totals: Totals::default(),
            writer: Mutex::new(()),
            failed: OnceLock::new(),
            agreement: RwLock::new(()),
            call_history: CallHistory::default(),
            recent_ancestors: Mutex::new(None),
            control: Mutex::default(),
            state_report: StateReport::default(),
            checkpoints: Mutex::default(),
        })
    }

    /// For whoever is to change the chain, from reading its head to the last index update.
    ///
    /// # Errors
    /// [`NodeError::Store`], when the store is not where the chain is: a new start brings it there.
    pub(crate) fn writing(&self) -> Result<MutexGuard<'_, ()>, NodeError> {
        let writer = self.writer.lock();
        self.failed.get().map_or(Ok(writer), |error| Err(error.clone().into()))
    }

    /// Why nothing can be changed any more, if so.
    pub(crate) fn failure(&self) -> Option<&StoreError> {
        self.failed.get()
    }

    /// Nothing can be changed any more.
    pub(crate) fn fail(&self, error: StoreError) -> NodeError {
        self.failed.get_or_init(|| error).clone().into()
    }

    /// Rules of the chain.
    pub fn spec(&self) -> Arc<ChainSpec> {
        Arc::clone(&self.spec.read())
    }

    /// Changes the rules of the chain from now on. They are not kept: a restart takes the genesis document's.
    pub(crate) fn set_spec(&self, spec: ChainSpec) {
        *self.spec.write() = Arc::new(spec);
    }

    /// Newest, safe and finalized blocks, all of one instant.
    pub fn heads(&self) -> Heads {
        self.chain.heads()
    }

    /// Newest state and its block.
    pub(crate) fn latest(&self) -> (StateId, State) {
        let _agreement = self.agreement.read();
        (self.chain.latest_state(), self.store.latest())
    }

    /// First block whose state is kept.
    pub fn oldest_state_number(&self) -> u64 {
        self.store.oldest_block_number()
    }

    /// Group commit: makes blocks durable whose time has come. `now_ms` is the caller's clock.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn tick(&self, now_ms: u64) -> Result<bool, NodeError> {
        Ok(self.chain.tick(now_ms)?)
    }

    /// Makes everything durable now.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn sync(&self) -> Result<(), NodeError> {
        Ok(self.chain.sync()?)
    }

    /// Makes everything durable and gives the directory free, when the change in progress is done.
    /// Later changes are refused. A start then has nothing to make again.
    ///
    /// # Errors
    /// [`NodeError::Chain`] or [`NodeError::Store`]; the directory is free then, too. No block is lost by the latter.
    pub fn close(&self) -> Result<(), NodeError> {
        let _writer = self.writer.lock();
        let saved = if self.failure().is_some() { Ok(()) } else { self.store.checkpoint(&|| 0).map(|_| ()) };
        self.store.close();
        self.chain.close()?;
        Ok(saved?)
    }

    /// Hash of block 0.
    pub fn genesis_hash(&self) -> B256 {
        self.chain.identity().genesis_hash
    }
}

fn log_config(durability: Durability) -> LogConfig {
    let durability = match durability {
        Durability::EveryBlock => LogDurability::EveryAppend,
        Durability::Group { interval_ms } => LogDurability::Group { interval_ms },
        Durability::None => LogDurability::None,
    };
    LogConfig { durability, ..LogConfig::default() }
}

/// The accounts a chain begins with, as changes to nothing.
pub(crate) fn alloc_changes(alloc: Vec<(Address, GenesisAccount)>) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for (address, genesis) in alloc {
        let code = Code::new(genesis.code);
        let code_hash = code.hash();
        let account = Account { nonce: genesis.nonce, balance: genesis.balance, code_hash };
        if code_hash != Account::default().code_hash {
            changes.codes.insert(code_hash, code);
        }
        let storage = genesis.storage.into_iter().filter(|(_, value)| !value.is_zero()).collect();
        let change = AccountChange { account: Some(account), storage_cleared: true, storage };
        changes.accounts.insert(address, change);
    }
    changes
}
