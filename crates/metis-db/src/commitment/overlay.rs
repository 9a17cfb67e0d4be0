//! A version over another one, in memory.

use std::sync::{Arc, OnceLock};

use alloy_primitives::B256;
use alloy_trie::EMPTY_ROOT_HASH;
use metis_state_transition::Join;

use super::{
    Tries,
    batch::Batch,
    layer::{Layer, Parent, TrieWork},
    next_token,
    node::Link,
    reader::Reader,
    walk::{Builder, Item, Outcome, Start},
};
use crate::{Region, StoreError};

/// BOUND: versions over each other.
const LAYER_COUNT_MAX: usize = 4_096;

/// Parts of a level for each share, so that it can be shared out evenly.
const ITEMS_PER_SHARE: usize = 8;
/// BOUND: shares of one change; each has a few vectors of its own.
const SHARE_COUNT_MAX: usize = 4_096;
/// Writes of a share at most, within that bound: what they make and what they read of the region then stays in a
/// core's own cache from the way down to the way up.
const SHARE_WEIGHT_MAX: usize = 1_024;

/// The tries after changes to those of a region, or to another overlay. Cheap to clone.
///
/// It is read together with the region that it stands on, for as long as the region holds that
/// version or one of the overlay's own.
#[derive(Clone, Debug)]
pub struct TrieOverlay {
    /// The region's version below the first layer.
    token: u64,
    layers: Vec<Arc<Layer>>,
}

/// What an overlay is made over.
#[derive(Clone, Copy)]
pub(super) struct Base<'a> {
    pub(super) token: u64,
    pub(super) layers: &'a [Arc<Layer>],
    pub(super) root: Link,
    pub(super) root_hash: B256,
}

impl TrieOverlay {
    /// State root.
    pub fn root(&self) -> B256 {
        self.top().root_hash
    }

    /// What it took to hash the top version.
    pub fn work(&self) -> TrieWork {
        let parts = self.top().parts.iter().map(|part| part.work);
        parts.fold(TrieWork::default(), |sum, work| TrieWork {
            node_count: sum.node_count + work.node_count,
            permutation_count: sum.permutation_count + work.permutation_count,
        })
    }

    fn top(&self) -> &Layer {
        // UNWRAP: made with one layer at least.
        self.layers.last().unwrap()
    }

    pub(super) fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    pub(super) fn base(&self) -> Base<'_> {
        let top = self.top();
        Base { token: self.token, layers: &self.layers, root: top.root, root_hash: top.root_hash }
    }

    /// How many of the layers the region's version, named by its token, has taken over.
    ///
    /// # Errors
    /// [`StoreError::StaleOverlay`], where it is none of this overlay's.
    pub(super) fn position(&self, token: u64) -> Result<usize, StoreError> {
        if token == self.token {
            return Ok(0);
        }
        let position = self.layers.iter().rposition(|layer| layer.token == token);
        position.map(|position| position + 1).ok_or(StoreError::StaleOverlay)
    }
}

/// Makes a layer over `base`.
pub(super) fn extend<R: Region>(
    tries: &Tries<R>,
    base: Base<'_>,
    batch: &Batch,
    join: &(impl Join + Sync),
    thread_count: usize,
) -> Result<TrieOverlay, StoreError> {
    if base.layers.len() >= LAYER_COUNT_MAX {
        return Err(StoreError::StaleOverlay);
    }
    let reader = Reader { region: tries.region.bytes(), layers: base.layers };
    let layer_place = base.layers.len() as u16 + 1;
    let mut builder = Builder::new(reader, batch, tries.lanes, tries.pool.take(), (layer_place, 0));
    let to = batch.accounts.len() as u32;
    if to > 0 {
        let start = Start::Node(base.root);
        builder.begin(Item { start, from: 0, to, base: 0, depth: 0, parent: Parent::Output(0) }, true);
    }
    let share_count = (batch.total_weight() as usize).div_ceil(SHARE_WEIGHT_MAX).next_multiple_of(thread_count);
    let share_count = share_count.clamp(thread_count, SHARE_COUNT_MAX);
    let item_count_max = if share_count > 1 { share_count * ITEMS_PER_SHARE } else { usize::MAX };
    let items = builder.walk(item_count_max)?;
    if !items.is_empty() {
        share_out(tries, &mut builder, &items, share_count, join, thread_count)?;
    }
    builder.settle()?;
    let (root, root_hash) = match builder.outcomes.first() {
        None | Some(Outcome::Same) => (base.root, base.root_hash),
        Some(Outcome::Gone) => (Link::NONE, EMPTY_ROOT_HASH),
        Some(Outcome::Node(link, reference)) => (*link, B256::from(reference.bytes)),
    };
    let mut parts = vec![builder.part];
    parts.append(&mut builder.siblings);
    let (token, pool, placed) = (next_token(), Arc::clone(&tries.pool), OnceLock::new());
    let layer = Layer { parts, root, root_hash, token, placed, pool };
    let layers = base.layers.iter().cloned().chain([Arc::new(layer)]).collect();
    Ok(TrieOverlay { token: base.token, layers })
}

/// Has the threads do parts of a level, and takes in what became of them.
fn share_out<R: Region>(
    tries: &Tries<R>,
    builder: &mut Builder<'_>,
    items: &[Item],
    share_count: usize,
    join: &(impl Join + Sync),
    thread_count: usize,
) -> Result<(), StoreError> {
    let mut shares = Vec::with_capacity(share_count);
    let weight = |item: &Item| builder.batch.weight(item.from..item.to);
    let total: u32 = items.iter().map(weight).sum();
    let mut rest = items;
    let mut done = 0;
    for index in 0..share_count {
        let goal = (u64::from(total) * (index as u64 + 1) / share_count as u64) as u32;
        let mut count = 0;
        while count < rest.len() && (done < goal || index + 1 == share_count) {
            done += weight(&rest[count]);
            count += 1;
        }
        let (share, others) = rest.split_at(count);
        rest = others;
        let place = (builder.place.0, index as u16 + 1);
        let mut worker = Builder::new(builder.reader, builder.batch, builder.lanes, tries.pool.take(), place);
        worker.splits.clone_from(&builder.splits);
        for item in share {
            worker.begin(*item, builder.is_root(item.parent));
        }
        shares.push((worker, share, Ok(())));
    }
    run(&mut shares, join, thread_count);
    for (worker, share, done) in shares {
        done?;
        for (item, outcome) in share.iter().zip(&worker.outcomes) {
            builder.deliver(item.parent, *outcome);
        }
        builder.siblings.push(worker.part);
    }
    Ok(())
}

/// A part of the work, and how it went.
type Share<'a, 'b> = (Builder<'a>, &'b [Item], Result<(), StoreError>);

fn run(shares: &mut [Share<'_, '_>], join: &(impl Join + Sync), thread_count: usize) {
    if thread_count <= 1 {
        for (worker, _, done) in shares {
            *done = worker.walk(usize::MAX).and_then(|_| worker.settle());
        }
        return;
    }
    let (here, aside) = shares.split_at_mut(shares.len() * (thread_count / 2) / thread_count);
    let (here_count, aside_count) = (thread_count / 2, thread_count - thread_count / 2);
    join.join(|| run(aside, join, aside_count), || run(here, join, here_count));
}
