//! What a checkpoint writes: the state of one moment. It is fixed at once and copied piece by piece, and blocks go on:
//! what they change of it is copied before.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use alloy_primitives::B256;
use metis_state_transition::Code;

use super::{
    archive::{Archive, Leaving},
    config::MetisConfig,
    history::History,
    meta::{Document, StateMeta, TableMeta},
    snapshot::MetisSnapshot,
    store::Writer,
    versions::Before,
};
use crate::{
    CommittedBlock, StateSnapshot,
    flat::{PageChanges, PageSet},
};

/// BOUND: pages that are copied at once, while blocks wait: 1 MiB.
pub(super) const PIECE_PAGE_COUNT: usize = 256;

/// Pages of one part that differ from the last generation.
#[derive(Debug)]
pub(super) struct PartImage {
    /// Length of the whole part.
    pub(super) len_bytes: usize,
    pages: PageSet,
}

/// A state as a checkpoint writes it.
#[derive(Debug)]
pub(super) struct Image {
    /// Accounts, slots and tries.
    pub(super) parts: [PartImage; 3],
    /// Code that no generation has.
    pub(super) codes: Vec<Code>,
    /// Versions that it has and the last generation has not.
    pub(super) state_count: u64,
    /// Of the newest state.
    pub(super) block: CommittedBlock,
    /// States that leave the window with this generation, and the archive: it has them when the generation is there.
    pub(super) leaving: Option<Leaving>,
    pub(super) archive: Option<Archive>,
    /// All but the kept states and where pages will be.
    frame: Document,
    states: VecDeque<Arc<MetisSnapshot>>,
    block_hashes: BTreeMap<u64, B256>,
}

impl Writer {
    /// Fixes the state as it is. It is to be had until [`Self::thaw`].
    ///
    /// In an archive all but the newest `kept_block_count` older states leave the window.
    pub(super) fn freeze(&mut self, history: &History, kept_block_count: usize, config: &MetisConfig) -> Image {
        let leaving = history.leaving(kept_block_count);
        self.leaving_count = leaving.as_ref().map_or(0, Leaving::count);
        let flat = &self.flat;
        let table = |(directory, segment_count): (Vec<u32>, usize)| TableMeta {
            directory,
            segment_count: segment_count as u32,
            pages: Vec::new(),
        };
        let frame = Document {
            seed: config.seed,
            segment_log2: config.segment_log2,
            next_storage_id: flat.next_storage_id,
            accounts: table(flat.accounts.shape()),
            slots: table(flat.slots.shape()),
            tries: Vec::new(),
            dead_storages: flat.dead_storages.iter().map(|(id, gone)| (*id, *gone)).collect(),
            block_hashes: Vec::new(),
            states: Vec::new(),
            archive: None,
        };
        let trunk = flat.shared.trunk.read();
        Image {
            parts: flat
                .parts(&trunk)
                .map(|part| PartImage { len_bytes: part.len_bytes(), pages: part.changes().freeze() }),
            codes: flat.shared.codes.fresh(),
            state_count: self.unsaved_count,
            block: history.newest().block(),
            frame,
            states: history.states.range(self.leaving_count..).cloned().collect(),
            leaving,
            archive: None,
            block_hashes: history.block_hashes.clone(),
        }
    }

    /// Adds pages of a part to `bytes`, as they were when it was frozen.
    pub(super) fn copy_piece(&self, part: usize, pages: &[usize], bytes: &mut Vec<u8>) {
        let trunk = self.flat.shared.trunk.read();
        PageChanges::copy_frozen(self.flat.parts(&trunk)[part], pages, bytes);
    }

    /// The image became a generation, or not: then what is in it still differs from the last one.
    pub(super) fn thaw(&mut self, image: &Image, is_kept: bool) {
        self.leaving_count = 0;
        let flat = &self.flat;
        let trunk = flat.shared.trunk.read();
        for (part, image) in flat.parts(&trunk).into_iter().zip(&image.parts) {
            part.changes().thaw();
            if !is_kept {
                part.changes().mark(image.pages.pages());
            }
        }
        if is_kept {
            flat.shared.codes.kept(image.codes.len());
            self.unsaved_count -= image.state_count;
        }
    }
}

impl PartImage {
    /// Positions of its pages, in order.
    pub(super) fn pages(&self) -> Vec<usize> {
        self.pages.pages()
    }
}

impl Image {
    /// All but where pages will be. Takes time with the kept states.
    pub(super) fn document(&mut self) -> Document {
        let mut document = self.frame.clone();
        document.dead_storages.sort_unstable();
        document.block_hashes = std::mem::take(&mut self.block_hashes).into_iter().collect();
        let mut last: Option<&Arc<MetisSnapshot>> = None;
        for snapshot in &self.states {
            let version = snapshot.version().number();
            let before = last.map_or_else(Before::default, |last| last.version().before_in_window(version));
            document.states.push(StateMeta { identity: snapshot.identity(), version, block: snapshot.block(), before });
            last = Some(snapshot);
        }
        self.states.clear();
        document
    }
}
