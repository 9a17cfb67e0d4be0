//! All of a state, for dumps and for moving it elsewhere. Walks everything.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};

use super::snapshot::MetisSnapshot;
use crate::StoreError;

impl MetisSnapshot {
    /// Every address, sorted.
    ///
    /// # Errors
    /// [`StoreError`], when history cannot be read.
    pub fn addresses(&self) -> Result<Vec<Address>, StoreError> {
        // First the entries: one that is left out after this was changed before, and is below.
        let mut addresses = self.shared().accounts.keys_where(|_| true);
        addresses.extend(self.version().before(u64::MAX)?.accounts.keys());
        addresses.sort_unstable();
        addresses.dedup();
        let present = addresses.into_iter().map(|address| Ok(self.record(&address)?.map(|_| address)));
        present.filter_map(Result::transpose).collect()
    }

    /// Every slot of an account that is not zero. Looks at the slots of all accounts.
    ///
    /// # Errors
    /// [`StoreError`], when history cannot be read.
    pub fn storage_of(&self, address: &Address) -> Result<BTreeMap<U256, U256>, StoreError> {
        let Some(record) = self.record(address)?.filter(|record| record.slot_count != 0) else {
            return Ok(BTreeMap::new());
        };
        let is_of_it = |key: &(u32, U256)| key.0 == record.storage_id;
        let mut keys = self.shared().slots.keys_where(is_of_it);
        keys.extend(self.version().before(u64::MAX)?.slots.keys().filter(|key| is_of_it(key)));
        let slots = keys.into_iter().map(|key| Ok((key.1, self.slot_of(&key)?)));
        slots.filter(|slot| slot.as_ref().map_or(true, |(_, value)| !value.is_zero())).collect()
    }
}
