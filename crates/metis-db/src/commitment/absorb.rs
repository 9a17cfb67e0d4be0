//! A layer becomes part of the region.

use std::sync::Arc;

use super::{
    layer::{BranchRecord, Layer, Part},
    layout::{self, TAG_BRANCH, TAG_FREE, UNIT_BYTES, u16_at, u32_at},
    node::{Link, RecordKind, nibbles_of, rank},
    reader::Reader,
    space::Space,
};
use crate::{Region, StoreError};

/// Nodes of cut-off storage that are freed with every layer, beside as many as it has records.
const RECLAIMED_COUNT_MIN: usize = 256;

/// How many records ahead the node that one stands in for is asked for.
const PREFETCH_DISTANCE: usize = 16;

const KINDS: [RecordKind; 3] = [RecordKind::Branch, RecordKind::Extension, RecordKind::Leaf];

/// Writes records into the region.
struct Absorber<'a, R> {
    region: &'a mut R,
    space: &'a mut Space,
    /// Lower layers, which are in the region already.
    below: &'a [Arc<Layer>],
    parts: &'a [Part],
    place: usize,
    placed: Vec<[Vec<u32>; 3]>,
}

/// Makes the highest of the layers the region's version. The others are in it already.
///
/// # Errors
/// [`StoreError::Memory`], before anything is written.
pub(super) fn absorb<R: Region>(region: &mut R, space: &mut Space, layers: &[Arc<Layer>]) -> Result<(), StoreError> {
    let Some((layer, below)) = layers.split_last() else { return Ok(()) };
    let mut units = 0;
    let mut record_count = 0;
    let mut placed = Vec::with_capacity(layer.parts.len());
    for part in &layer.parts {
        let counts = [part.branches.len(), part.extensions.len(), part.leaves.len()];
        for (kind, count) in KINDS.into_iter().zip(counts) {
            units += (0..count).map(|index| part.stored_size(kind, index).div_ceil(UNIT_BYTES)).sum::<usize>();
        }
        record_count += counts.iter().sum::<usize>();
        placed.push(counts.map(|count| vec![0; count]));
    }
    space.reserve(region, units)?;
    let place = layers.len();
    let mut absorber = Absorber { region, space, below, parts: &layer.parts, place, placed };
    absorber.place_all();
    absorber.write_all();
    let root = absorber.stored_id(layer.root);
    absorber.clean_up(record_count + RECLAIMED_COUNT_MIN);
    let placed = absorber.placed;
    space.root = root;
    space.root_hash = layer.root_hash;
    let delta = layer.parts.iter().map(|part| part.account_delta).sum::<i64>();
    space.account_count = space.account_count.saturating_add_signed(delta);
    space.write(region);
    // Only this function sets it, and once: the version of the region tells which layers are in it.
    let _ = layer.placed.set(placed);
    Ok(())
}

impl<R: Region> Absorber<'_, R> {
    /// Where a node of a lower layer lies; 0 for nothing.
    fn stored_id(&self, link: Link) -> u32 {
        match link.layer() {
            0 => link.stored_id().unwrap_or(0),
            layer if layer == self.place => self.placed_id(&self.placed, link),
            layer => self.below[layer - 1].placed.get().map_or(0, |placed| self.placed_id(placed, link)),
        }
    }

    fn placed_id(&self, placed: &[[Vec<u32>; 3]], link: Link) -> u32 {
        let (kind, index) = link.record_place();
        placed[link.part()][kind_index(kind)][index]
    }

    /// Asks for the bytes of a node that will be needed soon.
    fn prefetch(&self, link: Link) {
        let reader = Reader { region: self.region.bytes(), layers: &[] };
        reader.prefetch(Link::stored(self.stored_id(link)));
    }

    /// Decides where each record will lie: where its old node is, if it fits there.
    fn place_all(&mut self) {
        for (part_place, part) in self.parts.iter().enumerate() {
            for kind in KINDS {
                let count = self.placed[part_place][kind_index(kind)].len();
                for index in 0..count {
                    if index + PREFETCH_DISTANCE < count {
                        self.prefetch(part.head(kind, index + PREFETCH_DISTANCE).old);
                    }
                    let head = part.head(kind, index);
                    if !head.is_dead {
                        let units = part.stored_size(kind, index).div_ceil(UNIT_BYTES);
                        let id = self.place(units, head.old);
                        self.placed[part_place][kind_index(kind)][index] = id;
                    }
                }
            }
        }
    }

    fn place(&mut self, units: usize, old: Link) -> u32 {
        let old = self.stored_id(old);
        if old != 0 {
            let bytes = layout::node_bytes(self.region.bytes(), old);
            if bytes.is_ok_and(|bytes| bytes[0] != TAG_FREE && bytes.len().div_ceil(UNIT_BYTES) == units) {
                return old;
            }
            self.space.give_back(self.region, old);
        }
        self.space.take(self.region, units)
    }

    fn write_all(&mut self) {
        for (part_place, part) in self.parts.iter().enumerate() {
            for kind in KINDS {
                for index in 0..self.placed[part_place][kind_index(kind)].len() {
                    let head = part.head(kind, index);
                    if !head.is_dead {
                        let id = self.placed[part_place][kind_index(kind)][index];
                        self.write(part, kind, index, id, id == self.stored_id(head.old));
                    }
                }
            }
        }
    }

    fn write(&mut self, part: &Part, kind: RecordKind, index: usize, id: u32, is_in_place: bool) {
        let size = part.stored_size(kind, index);
        let offset = id as usize * UNIT_BYTES;
        if is_in_place && kind == RecordKind::Branch {
            let record = &part.branches[index];
            let bytes = &self.region.bytes()[offset..offset + size];
            if bytes[0] == TAG_BRANCH && u16_at(bytes, 2) == record.mask {
                let embedded = u32_at(bytes, 4);
                return self.write_children(part, record, id, embedded);
            }
        }
        // An old node that two records would replace is of a region that no tries have: what is not
        // written is corrupt for whoever reads it.
        let Ok(node) = part.node(kind, index, self.region.bytes()) else { return };
        let mut bytes = [0; layout::NODE_BYTES_MAX];
        layout::write(&node, |link| self.stored_id(link), &mut bytes[..size]);
        self.region.bytes_mut(offset..offset + size).copy_from_slice(&bytes[..size]);
    }

    /// Writes those children of a branch that changed, where all others stay as they are.
    fn write_children(&mut self, part: &Part, record: &BranchRecord, id: u32, embedded_before: u32) {
        let count = record.mask.count_ones() as usize;
        let offset = id as usize * UNIT_BYTES;
        let embedded = u32::from(record.embedded & record.mask);
        if embedded != embedded_before {
            self.region.bytes_mut(offset + 4..offset + 8).copy_from_slice(&embedded.to_le_bytes());
        }
        for nibble in nibbles_of(record.mask & record.changed) {
            let from = record.at as usize + rank(record.places, nibble);
            let place = rank(record.mask, nibble);
            let child = self.stored_id(part.links[from]).to_le_bytes();
            let at = offset + 8 + 4 * place;
            if self.region.bytes()[at..at + 4] != child {
                self.region.bytes_mut(at..at + 4).copy_from_slice(&child);
            }
            let at = offset + 8 + 4 * count + 32 * place;
            self.region.bytes_mut(at..at + 32).copy_from_slice(&part.references[from]);
        }
    }

    /// Frees what the layer has no more, and some of what waits for it.
    fn clean_up(&mut self, reclaimed_count_max: usize) {
        for part in self.parts {
            for link in &part.freed {
                let id = self.stored_id(*link);
                self.space.give_back(self.region, id);
            }
            for link in &part.cut {
                let id = self.stored_id(*link);
                self.space.cut(self.region, id);
            }
        }
        self.space.reclaim(self.region, reclaimed_count_max);
    }
}

const fn kind_index(kind: RecordKind) -> usize {
    match kind {
        RecordKind::Branch => 0,
        RecordKind::Extension => 1,
        RecordKind::Leaf => 2,
    }
}
