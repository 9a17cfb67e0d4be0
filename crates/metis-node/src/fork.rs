//! A node whose chain goes on from a block of another chain.
//!
//! What the node does not know of that chain's state it asks for: a call, an estimate, a build that
//! meets a gap ends in [`NodeError::MissingState`] with the keys, and nothing has happened. The
//! caller fetches them, gives them to [`Node::supply`], and asks again. No result ever comes from a
//! run that met a gap.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_eips::{eip2935, eip4788};
use alloy_primitives::{Address, B256, U256};
use metis_chain::chain::{Chain, ChainConfig, Genesis};
use metis_db::{CommittedBlock, ForkOrigin, GenesisAccount, MemoryStore, StateKey, StateSnapshot, Supply};
use metis_state_transition::{Account, Block, ChainSpec, ChangeSet, Code, StateCommitment, StateView};

use crate::{
    BlockId, Node, NodeConfig, NodeError, State, StateError, node::alloc_changes, store::NodeStore, totals::ReadCounts,
};

/// The block of another chain that a chain goes on from.
#[derive(Clone, Debug)]
pub struct ForkBlock {
    /// Its header; of its body nothing is needed.
    pub block: Block,
    /// Accounts that are set on top of its state: what they say of nonce, balance and code counts,
    /// their other slots stay.
    pub accounts: Vec<(Address, GenesisAccount)>,
}

/// Why a header of another node cannot be the first of a chain here.
#[derive(Debug, thiserror::Error)]
pub enum HeaderProblem {
    /// It is not a header in the JSON of Ethereum's RPC.
    #[error("not a header: {0}")]
    Json(#[from] serde_json::Error),
    /// Its hash covers something else than its fields.
    #[error("is {claimed}, but the fields hash to {computed}: that chain's headers have fields of their own")]
    Hash {
        /// What the node says.
        claimed: B256,
        /// Hash of the fields.
        computed: B256,
    },
}

impl HeaderProblem {
    /// The field that is wrong.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Json(_) => "payload",
            Self::Hash { .. } => "hash",
        }
    }
}

/// Reads a header, or the header of a block, as Ethereum's RPC writes it.
///
/// # Errors
/// [`HeaderProblem`].
pub fn header_from_json(json: &[u8]) -> Result<Header, HeaderProblem> {
    let header: alloy_rpc_types_eth::Header = serde_json::from_slice(json)?;
    let computed = header.inner.hash_slow();
    if computed != header.hash {
        return Err(HeaderProblem::Hash { claimed: header.hash, computed });
    }
    Ok(header.inner)
}

impl Node {
    /// Begins a chain at a block of another one. It is kept in memory.
    ///
    /// # Errors
    /// [`NodeError::Chain`], when the block is not one.
    pub fn open_fork(spec: ChainSpec, fork: ForkBlock, config: &NodeConfig) -> Result<Self, NodeError> {
        let ForkBlock { block, accounts } = fork;
        let mut changes = alloc_changes(accounts);
        for change in changes.accounts.values_mut() {
            change.storage_cleared = false;
        }
        let header = &block.header;
        let committed = CommittedBlock {
            number: header.number,
            hash: header.hash_slow(),
            parent_hash: header.parent_hash,
            state_root: header.state_root,
        };
        let store = MemoryStore::forked(Arc::new(ForkOrigin::default()), committed, &changes, config.kept_block_count);
        let genesis = Genesis { chain_id: spec.chain_id, block, changes };
        let chain = Chain::in_memory(&genesis, ChainConfig::default())?;
        // In order: what a run asks for, the node fetches, and runs ahead of their turn may ask for what is never needed.
        let config = NodeConfig { workers: 1, ..config.clone() };
        Self::assemble(spec, chain, NodeStore::Memory(store), &config)
    }

    /// Takes parts of the forked chain's state that were fetched. Does nothing where nothing was
    /// forked.
    pub fn supply(&self, supply: Supply) {
        if let Some(origin) = self.store.latest().origin() {
            origin.supply(supply);
        }
    }

    /// Accounts, slots and block hashes that are known of the forked chain; `None` where nothing
    /// was forked.
    pub fn known_of_fork(&self) -> Option<(usize, usize, usize)> {
        self.store.latest().origin().map(|origin| origin.known_counts())
    }

    /// Whether anything of an account is other than at the fork block, after a block. True where nothing was forked.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub fn is_changed(&self, address: Address, id: BlockId) -> Result<bool, NodeError> {
        Ok(self.snapshot(id)?.is_changed(&address))
    }

    /// Hashes that are known of blocks before the fork block.
    pub(crate) fn ancestors_of_fork(&self) -> Vec<(u64, B256)> {
        self.store.latest().origin().map(|origin| origin.block_hashes()).unwrap_or_default()
    }

    /// Runs `work` on a state. Where it meets a gap it is run once more, to the end, with
    /// placeholders: what it does then is forgotten, only what it asked for counts.
    pub(crate) fn on_state<T>(
        &self,
        snapshot: &State,
        work: impl Fn(&State) -> Result<T, NodeError>,
    ) -> Result<T, NodeError> {
        let result = work(snapshot);
        let Err(error) = &result else { return result };
        let (Some(first), Some((probing, probe))) = (error.missing_key(), snapshot.probe()) else { return result };
        let found = work(&probing);
        let mut keys = probe.missed();
        // A probe goes on after all gaps but one: the hash of a block that is older than the fork.
        for key in [Some(first), found.err().and_then(|error| error.missing_key())].into_iter().flatten() {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        if keys.iter().any(|key| matches!(key, StateKey::BlockHash(number) if *number >= self.first_number())) {
            return result;
        }
        Err(NodeError::MissingState(keys))
    }

    fn first_number(&self) -> u64 {
        self.chain.heads().first.number
    }
}

/// Whether the state's root is one that a proof can be made against.
pub(crate) fn check_provable(snapshot: &State) -> Result<(), NodeError> {
    if snapshot.origin().is_none() {
        return Ok(());
    }
    let reason = "its state root commits only to what changed since the fork, the rest is not here";
    Err(NodeError::NoProof { block_number: snapshot.block().number, reason })
}

/// A state that a block is executed on, without the old values of the slots that the block's own
/// system calls overwrite before anything can read them (EIP-2935, EIP-4788). Each block writes
/// others of them: a fork that fetched them would go upstream for every block.
pub(crate) struct BlockView<'a> {
    snapshot: &'a State,
    reads: &'a ReadCounts,
    overwritten: [(Address, &'static [u8], U256); 3],
}

impl<'a> BlockView<'a> {
    /// The view for a block that follows block `parent_number`; what it reads is counted.
    pub(crate) fn new(snapshot: &'a State, reads: &'a ReadCounts, parent_number: u64, timestamp: u64) -> Self {
        const RING: u64 = eip2935::HISTORY_SERVE_WINDOW as u64;
        let beacon = |slot| (eip4788::BEACON_ROOTS_ADDRESS, &eip4788::BEACON_ROOTS_CODE[..], U256::from(slot));
        let history = U256::from(parent_number % RING);
        let history = (eip2935::HISTORY_STORAGE_ADDRESS, &eip2935::HISTORY_STORAGE_CODE[..], history);
        Self { snapshot, reads, overwritten: [history, beacon(timestamp % RING), beacon(timestamp % RING + RING)] }
    }

    /// Whether the slot is overwritten: the contract there must be the one that the EIP gives.
    fn is_overwritten(&self, address: &Address, slot: &U256) -> Result<bool, StateError> {
        let Some((_, code, _)) = self.overwritten.iter().find(|(at, _, own)| at == address && own == slot) else {
            return Ok(false);
        };
        let Some(account) = self.snapshot.account(address)? else { return Ok(false) };
        Ok(self.snapshot.code(&account.code_hash)?.bytes()[..] == **code)
    }
}

impl StateView for BlockView<'_> {
    type Error = StateError;

    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        self.reads.add_account(address);
        self.snapshot.account(address)
    }

    fn code(&self, code_hash: &B256) -> Result<Code, StateError> {
        self.snapshot.code(code_hash)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.reads.add_slot(slot);
        if self.snapshot.origin().is_some() && self.is_overwritten(address, slot)? {
            // Not zero: what is written over it, be it zero, must count as a change.
            return Ok(U256::MAX);
        }
        self.snapshot.storage(address, slot)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        self.snapshot.has_storage(address)
    }

    fn prefetch(&self, address: &Address, slots: &[B256]) {
        self.snapshot.prefetch(address, slots);
    }
}

impl StateCommitment for BlockView<'_> {
    fn state_root_after(&self, changes: &ChangeSet) -> Result<B256, StateError> {
        self.snapshot.state_root_after(changes)
    }
}
