//! The state within a block: what its transactions changed, over what was before.

use alloc::vec::Vec;

use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, B256Map, U256Map},
};

use crate::{
    Account, AccountChange, ChangeSet, Code, Effects, Overlay, StateView,
    effects::{AccountEffect, pay_fee},
};

/// The state within a block.
///
/// ```text
/// layers     what its transactions change, one after the other: in no order, quickly found
/// before     what came as a whole while there are no layers, over the state before the block
/// ```
///
/// Of a block that is run elsewhere the changes stay whole. With the first transaction that is run here they are spread
/// over the layers: at most one of the two holds any.
#[derive(Clone, Debug)]
pub struct BlockState<V> {
    before: Overlay<V>,
    layers: AddressMap<Layer>,
    codes: B256Map<Code>,
}

/// What lies over one account; as [`AccountChange`].
#[derive(Clone, Debug, Default)]
struct Layer {
    account: Option<Account>,
    storage_cleared: bool,
    storage: U256Map<U256>,
}

impl Layer {
    fn put(&mut self, account: Option<Account>, clears_storage: bool) -> &mut U256Map<U256> {
        self.account = account;
        if clears_storage {
            self.storage_cleared = true;
            self.storage.clear();
        }
        &mut self.storage
    }
}

impl<V: StateView> BlockState<V> {
    /// The state before the block.
    pub(super) fn new(base: V) -> Self {
        Self { before: Overlay::new(base), layers: AddressMap::default(), codes: B256Map::default() }
    }

    /// Adds changes.
    pub fn apply(&mut self, changes: ChangeSet) {
        if self.layers.is_empty() {
            return self.before.apply(changes);
        }
        self.spread(changes);
    }

    fn spread(&mut self, changes: ChangeSet) {
        self.layers.reserve(changes.accounts.len());
        for (address, change) in changes.accounts {
            let AccountChange { account, storage_cleared, storage } = change;
            self.layers.entry(address).or_default().put(account, storage_cleared).extend(storage);
        }
        self.codes.extend(changes.codes);
    }

    /// Adds what a transaction changed, and pays the fees that it owes.
    ///
    /// # Errors
    /// When the account that a fee is paid to cannot be read.
    pub(super) fn enter(&mut self, effects: Effects) -> Result<(), V::Error> {
        if self.layers.is_empty() {
            let before = self.before.take_changes();
            self.spread(before);
        }
        for effect in effects.accounts {
            let AccountEffect { address, account, storage_cleared, storage, .. } = effect;
            let slots = self.layers.entry(address).or_default().put(account, storage_cleared);
            if !storage.is_empty() {
                slots.extend(storage);
            }
        }
        self.codes.extend(effects.codes);
        for (recipient, fee) in effects.fees.into_iter().flatten() {
            if let Some((account, is_cleared)) = pay_fee(self.account(&recipient)?, fee) {
                self.layers.entry(recipient).or_default().put(account, is_cleared);
            }
        }
        Ok(())
    }

    /// The state before the block.
    pub(super) const fn base(&self) -> &V {
        self.before.base()
    }

    /// All changes so far.
    pub(super) fn changes(&self) -> ChangeSet {
        let mut changes = self.before.changes().clone();
        changes.merge(in_order(&self.layers, &self.codes));
        changes
    }

    /// The state before the block, and all changes.
    pub(super) fn into_parts(self) -> (V, ChangeSet) {
        let (base, mut changes) = self.before.into_parts();
        changes.merge(in_order(&self.layers, &self.codes));
        (base, changes)
    }
}

fn in_order(layers: &AddressMap<Layer>, codes: &B256Map<Code>) -> ChangeSet {
    let mut layers: Vec<(Address, &Layer)> = layers.iter().map(|(address, layer)| (*address, layer)).collect();
    layers.sort_unstable_by_key(|(address, _)| *address);
    let accounts = layers.into_iter().map(|(address, layer)| {
        let Layer { account, storage_cleared, ref storage } = *layer;
        let mut storage: Vec<(U256, U256)> = storage.iter().map(|(slot, value)| (*slot, *value)).collect();
        storage.sort_unstable_by_key(|(slot, _)| *slot);
        (address, AccountChange { account, storage_cleared, storage: storage.into_iter().collect() })
    });
    ChangeSet { accounts: accounts.collect(), codes: codes.iter().map(|(hash, code)| (*hash, code.clone())).collect() }
}

impl<V: StateView> StateView for BlockState<V> {
    type Error = V::Error;

    fn account(&self, address: &Address) -> Result<Option<Account>, Self::Error> {
        match self.layers.get(address) {
            Some(layer) => Ok(layer.account),
            None => self.before.account(address),
        }
    }

    fn code(&self, code_hash: &B256) -> Result<Code, Self::Error> {
        match self.codes.get(code_hash) {
            Some(code) => Ok(code.clone()),
            None => self.before.code(code_hash),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Self::Error> {
        if let Some(layer) = self.layers.get(address) {
            if let Some(value) = layer.storage.get(slot) {
                return Ok(*value);
            }
            if layer.storage_cleared {
                return Ok(U256::ZERO);
            }
        }
        self.before.storage(address, slot)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, Self::Error> {
        let Some(layer) = self.layers.get(address) else {
            return self.before.has_storage(address);
        };
        if layer.storage.values().any(|value| !value.is_zero()) {
            return Ok(true);
        }
        if layer.storage_cleared {
            return Ok(false);
        }
        // Only an account that cannot run code is asked about, so its slots before the block are unchanged.
        self.base().has_storage(address)
    }

    fn prefetch(&self, address: &Address, slots: &[B256]) {
        self.before.prefetch(address, slots);
    }
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case)] // subject__condition__outcome

    use core::convert::Infallible;

    use proptest::{
        collection::{btree_map, vec},
        prelude::*,
    };

    use super::*;

    /// A state without accounts in which every slot is 7.
    struct Sevens;

    impl StateView for Sevens {
        type Error = Infallible;

        fn account(&self, _: &Address) -> Result<Option<Account>, Infallible> {
            Ok(None)
        }

        fn code(&self, _: &B256) -> Result<Code, Infallible> {
            Ok(Code::default())
        }

        fn storage(&self, _: &Address, _: &U256) -> Result<U256, Infallible> {
            Ok(U256::from(7))
        }

        fn has_storage(&self, _: &Address) -> Result<bool, Infallible> {
            Ok(false)
        }
    }

    const KEYS: core::ops::Range<u8> = 0..4;

    fn changed() -> impl Strategy<Value = AccountEffect> {
        let slots = btree_map(KEYS.prop_map(U256::from), KEYS.prop_map(U256::from), 0..4);
        let account =
            proptest::option::of(KEYS.prop_map(|nonce| Account { nonce: nonce.into(), ..Account::default() }));
        (KEYS, account, any::<bool>(), slots).prop_map(|(address, account, storage_cleared, slots)| AccountEffect {
            address: Address::with_last_byte(address),
            account,
            is_account_changed: true,
            storage_cleared,
            storage: slots.into_iter().collect(),
        })
    }

    proptest! {
        /// Oracle: the same changes, merged one after the other.
        #[test]
        fn block_state__of_changes_in_any_form__shows_and_gives_what_merging_gives(steps in vec((any::<bool>(), changed()), 0..24)) {
            let (mut state, mut merged) = (BlockState::new(Sevens), ChangeSet::default());
            for (is_whole, effect) in steps {
                let effects = Effects { accounts: [effect].into(), ..Effects::default() };
                let changes = ChangeSet::from(effects.clone());
                merged.merge(changes.clone());
                if is_whole { state.apply(changes) } else { state.enter(effects).unwrap() }
            }
            for address in KEYS.map(Address::with_last_byte) {
                let change = merged.accounts.get(&address);
                prop_assert_eq!(state.account(&address).unwrap(), change.and_then(|change| change.account));
                let has_storage = change.is_some_and(|change| change.storage.values().any(|value| !value.is_zero()));
                prop_assert_eq!(state.has_storage(&address).unwrap(), has_storage);
                for slot in KEYS.map(U256::from) {
                    let below = if change.is_some_and(|change| change.storage_cleared) { 0 } else { 7 };
                    let value = change.and_then(|change| change.storage.get(&slot)).copied();
                    prop_assert_eq!(state.storage(&address, &slot).unwrap(), value.unwrap_or(U256::from(below)));
                }
            }
            prop_assert_eq!(state.changes(), merged);
        }
    }
}
