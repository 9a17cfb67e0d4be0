//! What states that leave the window have that the ones after them have not.

use std::{collections::HashMap, sync::Arc};

use super::{
    entry::{Entry, Key, account_value, slot_value},
    segment::OldState,
};
use crate::{StateSnapshot, StoreError, metis::snapshot::MetisSnapshot};

/// States that leave the window, oldest first, and the one after them. Whoever has this keeps what they read.
#[derive(Debug)]
pub(in crate::metis) struct Leaving {
    states: Vec<Arc<MetisSnapshot>>,
}

impl Leaving {
    /// The oldest states of a window, of which the last one stays; `None` where there is no other.
    pub(in crate::metis) fn new(states: Vec<Arc<MetisSnapshot>>) -> Option<Self> {
        (states.len() > 1).then_some(Self { states })
    }

    /// How many leave.
    pub(in crate::metis) fn count(&self) -> usize {
        self.states.len() - 1
    }

    pub(super) fn states(&self) -> impl Iterator<Item = OldState> {
        self.states[..self.count()].iter().map(|state| OldState {
            version: state.version().number(),
            identity: state.identity(),
            block: state.block(),
        })
    }

    /// What each of them has that the next one has not, in no order. Some of it may not differ.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        let mut owners = HashMap::new();
        // Storages that were taken away with values in them, by id, with the last state that has them.
        let mut lost: HashMap<u32, &MetisSnapshot> = HashMap::new();
        for pair in self.states.windows(2) {
            let (state, next) = (&*pair[0], &*pair[1]);
            let until = state.version().number();
            let before = state.version().before_in_window(next.version().number());
            for (address, record) in &before.accounts {
                entries.push(Entry { key: Key::account(address), until, value: account_value(record.as_ref()) });
                let Some(record) = record.filter(|record| record.slot_count != 0) else { continue };
                if next.record(address)?.is_none_or(|later| later.storage_id != record.storage_id) {
                    lost.insert(record.storage_id, state);
                    owners.insert(record.storage_id, *address);
                }
            }
            for (key, value) in &before.slots {
                entries.push(Entry { key: Key::slot(key), until, value: slot_value(value) });
            }
            owners.extend(before.owners);
        }
        for (key, state) in lost.values().next().map_or_else(Vec::new, |state| {
            let keys = state.shared().slots.keys_where(|key| lost.contains_key(&key.0));
            keys.into_iter().map(|key| (key, lost[&key.0])).collect()
        }) {
            let value = state.slot_of(&key)?;
            if !value.is_zero() {
                let until = state.version().number();
                entries.push(Entry { key: Key::slot(&key), until, value: slot_value(&value) });
            }
        }
        let owner = |(id, address): (u32, alloy_primitives::Address)| Entry {
            key: Key::owner(id),
            until: 0,
            value: address.to_vec(),
        };
        entries.extend(owners.into_iter().map(owner));
        Ok(entries)
    }
}
