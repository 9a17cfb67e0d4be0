//! The Merkle Patricia tries that commit to the state: one of accounts, and one of storage for each
//! account that has any (Yellow Paper §4.1, appendix D).
//!
//! In: a [`ChangeSet`]. Out: the root after it, and proofs. Nodes lie in a [`Region`] and name each
//! other by ids. A branch holds the hashes of its children, so hashing it again after some of them
//! changed needs no other node. What a version has that the one below it has not is a
//! [`TrieOverlay`] in memory: the region changes only when an overlay is absorbed.
//!
//! Invariant: the root is that of exactly the accounts and slots written, whatever the order, the
//! threads and the instructions; bytes of a region that no trie can have are a
//! [`StoreError::Corrupt`] and nothing worse.

mod absorb;
mod batch;
mod census;
mod encode;
mod grow;
mod layer;
mod layout;
mod node;
mod overlay;
mod path;
mod prove;
mod reader;
mod settle;
mod space;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use alloy_primitives::{Address, B256, U256, keccak256};
use metis_keccak::Lanes;
use metis_state_transition::{Account, ChangeSet, Join};

use self::{
    batch::Batch,
    layer::Pool,
    node::{Link, Value},
    prove::View,
    reader::Reader,
    space::Space,
};
use crate::{AccountProof, Region, StoreError};

pub use census::TrieCensus;
pub use layer::TrieWork;
pub use overlay::TrieOverlay;
pub use prove::TrieContents;

/// Writes that are worth another thread.
const THREAD_WEIGHT_MIN: usize = 128;

/// The tries of one version of the state, in a region.
#[derive(Debug)]
pub struct Tries<R> {
    region: R,
    space: Space,
    /// Names the version, in this process.
    token: u64,
    lanes: Lanes,
    pool: Arc<Pool>,
}

/// A name that no other version of any tries in this process has.
fn next_token() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // ORDER: only that no two are alike matters.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl<R: Region> Tries<R> {
    /// Empty tries, in an empty region.
    ///
    /// # Errors
    /// [`StoreError::Memory`].
    pub fn create(mut region: R) -> Result<Self, StoreError> {
        let space = Space::new();
        space.reserve(&mut region, 0)?;
        space.write(&mut region);
        Ok(Self::with(region, space))
    }

    /// The tries that a region holds.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], when its header cannot be one.
    pub fn open(region: R) -> Result<Self, StoreError> {
        let space = Space::read(region.bytes())?;
        Ok(Self::with(region, space))
    }

    fn with(region: R, space: Space) -> Self {
        Self { region, space, token: next_token(), lanes: Lanes::best(), pool: Arc::default() }
    }

    /// Hashes with other instructions than the fastest. The results are the same.
    pub const fn set_lanes(&mut self, lanes: Lanes) {
        self.lanes = lanes;
    }

    /// State root.
    pub const fn root(&self) -> B256 {
        self.space.root_hash
    }

    /// Accounts in the trie.
    pub const fn account_count(&self) -> u64 {
        self.space.account_count
    }

    /// Bytes of the region in use, those of freed nodes among them.
    pub const fn used_bytes(&self) -> usize {
        self.space.used_bytes()
    }

    /// The region; what it holds must not change other than by [`Self::absorb`].
    pub const fn region(&self) -> &R {
        &self.region
    }

    /// The region, to be put to disk; as [`Self::region`].
    pub const fn region_mut(&mut self) -> &mut R {
        &mut self.region
    }

    /// What the tries would be after changes to this version. Nothing changes.
    ///
    /// `threads` is how many of `join`'s threads there are to be used.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn after(
        &self,
        changes: &ChangeSet,
        join: &(impl Join + Sync),
        threads: usize,
    ) -> Result<TrieOverlay, StoreError> {
        let below = overlay::Base {
            layers: &[],
            token: self.token,
            root: Link::stored(self.space.root),
            root_hash: self.root(),
        };
        self.extend(below, changes, join, threads)
    }

    /// What the tries would be after changes to the version of an overlay.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], or [`StoreError::StaleOverlay`] where the overlay's version is neither
    /// this one nor on top of it.
    pub fn after_overlay(
        &self,
        overlay: &TrieOverlay,
        changes: &ChangeSet,
        join: &(impl Join + Sync),
        threads: usize,
    ) -> Result<TrieOverlay, StoreError> {
        overlay.position(self.token)?;
        self.extend(overlay.base(), changes, join, threads)
    }

    /// Makes the version of an overlay this one. Only this overlay, what it stands on and what stands
    /// on it remain of use.
    ///
    /// # Errors
    /// [`StoreError::StaleOverlay`], or [`StoreError::Memory`]; nothing has changed then, or only the
    /// lower ones of several versions are taken over.
    pub fn absorb(&mut self, overlay: &TrieOverlay) -> Result<(), StoreError> {
        for count in overlay.position(self.token)? + 1..=overlay.layers().len() {
            let layers = &overlay.layers()[..count];
            absorb::absorb(&mut self.region, &mut self.space, layers)?;
            self.token = layers[count - 1].token;
        }
        Ok(())
    }

    /// An account and its storage root.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn account(&self, address: &Address) -> Result<Option<(Account, B256)>, StoreError> {
        let found = self.view().account(&keccak256(address))?;
        Ok(found.map(|(account, storage)| (account, storage.root_hash)))
    }

    /// EIP-1186 proof of an account and some of its slots, or of their absence.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn prove(&self, address: Address, slots: &[U256]) -> Result<AccountProof, StoreError> {
        self.view().prove(address, slots)
    }

    /// The same in the version of an overlay.
    ///
    /// # Errors
    /// [`StoreError::StaleOverlay`], or [`StoreError::Corrupt`].
    pub fn prove_in(
        &self,
        overlay: &TrieOverlay,
        address: Address,
        slots: &[U256],
    ) -> Result<AccountProof, StoreError> {
        overlay.position(self.token)?;
        let base = overlay.base();
        let reader = Reader { region: self.region.bytes(), layers: base.layers };
        View { reader, root: base.root, root_hash: base.root_hash }.prove(address, slots)
    }

    /// Every account with its storage root, by hashed address.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], or what `see` answers.
    pub fn for_each_account(
        &self,
        mut see: impl FnMut(B256, &Account, B256) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.view().for_each(|leaf| match &leaf.value {
            Value::Account { account, storage_root, .. } => see(leaf.key, account, *storage_root),
            Value::Slot(_) => Err(layout::corrupt(0, "a slot among the accounts")),
        })
    }

    /// Every slot of an account that is not zero, by hashed slot.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], or what `see` answers.
    pub fn for_each_slot(
        &self,
        address: &Address,
        mut see: impl FnMut(B256, U256) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Some((_, storage)) = self.view().account(&keccak256(address))? else { return Ok(()) };
        storage.for_each(|leaf| match leaf.value {
            Value::Slot(value) => see(leaf.key, value),
            Value::Account { .. } => Err(layout::corrupt(0, "an account among the slots")),
        })
    }

    /// Makes every hash again and compares, and checks that every key leads to its leaf. Walks all.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], naming what does not hold.
    pub fn check(&self) -> Result<TrieContents, StoreError> {
        let contents = self.view().check(self.lanes)?;
        if contents.account_count == self.space.account_count {
            return Ok(contents);
        }
        Err(layout::corrupt(56, "a number of accounts that is not that of the leaves"))
    }

    fn view(&self) -> View<'_> {
        let reader = Reader { region: self.region.bytes(), layers: &[] };
        View { reader, root: Link::stored(self.space.root), root_hash: self.space.root_hash }
    }

    fn extend(
        &self,
        base: overlay::Base<'_>,
        changes: &ChangeSet,
        join: &(impl Join + Sync),
        threads: usize,
    ) -> Result<TrieOverlay, StoreError> {
        let batch = Batch::new(changes, self.lanes);
        let threads = threads.min(batch.total_weight() as usize / THREAD_WEIGHT_MIN).max(1);
        overlay::extend(self, base, &batch, join, threads)
    }
}
