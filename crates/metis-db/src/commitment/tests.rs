//! Tries over keys that no hash would give, against alloy's builder.

#![allow(non_snake_case)] // subject__condition__outcome

use std::collections::BTreeMap;

use alloy_primitives::{B256, U256};
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, TrieAccount};
use metis_keccak::Lanes;
use metis_state_transition::{Account, InOrder, Join};
use proptest::prelude::*;

use super::{
    Tries,
    batch::{AccountWrite, Batch},
    node::Link,
    overlay::{Base, TrieOverlay, extend},
};
use crate::{HeapRegion, Region};

/// Accounts by hashed address, each with its slots by hashed slot.
type Model = BTreeMap<B256, (Account, BTreeMap<B256, U256>)>;

/// An account's write: deleted, or a nonce, whether its storage is cleared, and slots.
type Edit = (B256, Option<(u64, bool, Vec<(B256, u64)>)>);

/// Few different keys that share long beginnings and ends.
fn key() -> impl Strategy<Value = B256> {
    let byte = prop_oneof![Just(0_u8), Just(1), Just(0x10), Just(0xff)];
    (0_usize..32, byte.clone(), 0_usize..32, byte, any::<bool>()).prop_map(|(first, a, second, b, end)| {
        let mut key = B256::ZERO;
        key[first] = a;
        key[second] ^= b;
        key[31] ^= u8::from(end);
        key
    })
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let value = prop_oneof![Just(0_u64), 1_u64..3, Just(0x80), any::<u64>()];
    let slots = proptest::collection::vec((key(), value), 0..12);
    let edit = (key(), proptest::option::weighted(0.7, (0_u64..3, proptest::bool::weighted(0.2), slots)));
    proptest::collection::vec(edit, 0..16)
}

fn account(nonce: u64) -> Account {
    let code_hash = if nonce == 2 { B256::repeat_byte(7) } else { Account::default().code_hash };
    Account { nonce, balance: if nonce == 1 { U256::MAX } else { U256::from(nonce * 1000) }, code_hash }
}

/// The edits as a batch, after they were made to the model.
fn batch(edits: &[Edit], model: &mut Model) -> Batch {
    let edits: BTreeMap<B256, _> = edits.iter().cloned().collect();
    let mut batch = Batch::default();
    batch.keys.extend(edits.keys());
    let mut weight = 0;
    for (key, edit) in edits {
        let first = batch.keys.len() as u32;
        let mut account_write = AccountWrite { account: None, storage_cleared: true, slots: first..first };
        if let Some((nonce, storage_cleared, slots)) = edit {
            let entry = model.entry(key).or_default();
            entry.0 = account(nonce);
            if storage_cleared {
                entry.1.clear();
            }
            for (slot, value) in slots.into_iter().collect::<BTreeMap<_, _>>() {
                batch.keys.push(slot);
                batch.values.push(U256::from(value));
                entry.1.insert(slot, U256::from(value));
            }
            entry.1.retain(|_, value| !value.is_zero());
            account_write =
                AccountWrite { account: Some(entry.0), storage_cleared, slots: first..batch.keys.len() as u32 };
        } else {
            model.remove(&key);
        }
        batch.weights.push(weight);
        weight += 1 + account_write.slots.len() as u32;
        batch.accounts.push(account_write);
    }
    batch.weights.push(weight);
    batch
}

fn reference_root(model: &Model) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, (account, slots)) in model {
        let mut storage = HashBuilder::default();
        for (slot, value) in slots {
            storage.add_leaf(Nibbles::unpack(slot), &alloy_rlp::encode(value));
        }
        let leaf = TrieAccount {
            nonce: account.nonce,
            balance: account.balance,
            storage_root: storage.root(),
            code_hash: account.code_hash,
        };
        builder.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(leaf));
    }
    builder.root()
}

fn empty() -> Tries<HeapRegion> {
    Tries::create(HeapRegion::new(64 << 20).unwrap()).unwrap()
}

fn base(tries: &Tries<HeapRegion>) -> Base<'static> {
    Base { token: tries.token, layers: &[], root: Link::stored(tries.space.root), root_hash: tries.root() }
}

/// Threads in name: one after the other, the second one first.
struct Backwards;

impl Join for Backwards {
    fn join<A: Send, B>(&self, aside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
        let here = here();
        (aside(), here)
    }
}

fn after(tries: &Tries<HeapRegion>, over: Option<&TrieOverlay>, batch: &Batch, threads: usize) -> TrieOverlay {
    let base = over.map_or_else(|| base(tries), TrieOverlay::base);
    if threads > 1 {
        extend(tries, base, batch, &Backwards, threads).unwrap()
    } else {
        extend(tries, base, batch, &InOrder, 1).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn test_tries__random_writes_over_awkward_keys__have_alloys_roots(
        blocks in proptest::collection::vec((edits(), 0_u8..3), 1..8),
        scalar: bool,
        threads in 1_usize..5,
    ) {
        let mut tries = empty();
        if scalar {
            tries.set_lanes(Lanes::SCALAR);
        }
        let mut model = Model::new();
        let mut pending: Option<TrieOverlay> = None;
        for (edits, what) in &blocks {
            let batch = batch(edits, &mut model);
            let overlay = after(&tries, pending.as_ref(), &batch, threads);
            prop_assert_eq!(overlay.root(), reference_root(&model));
            // Absorbed at once, after the next one was made over it, or together with it.
            match what {
                0 => {
                    tries.absorb(&overlay).unwrap();
                    pending = None;
                }
                1 => {
                    if let Some(lower) = &pending {
                        tries.absorb(lower).unwrap();
                    }
                    pending = Some(overlay);
                }
                _ => pending = Some(overlay),
            }
        }
        if let Some(overlay) = pending {
            tries.absorb(&overlay).unwrap();
        }
        prop_assert_eq!(tries.root(), reference_root(&model));
        prop_assert_eq!(tries.account_count(), model.len() as u64);
        let Tries { region, .. } = tries;
        let mut tries = Tries::open(region).unwrap();
        prop_assert_eq!(tries.root(), reference_root(&model));
        // Everything goes, by whatever way.
        let all: Vec<Edit> = model.keys().map(|key| (*key, None)).collect();
        let overlay = after(&tries, None, &batch(&all, &mut model), 1);
        prop_assert_eq!(overlay.root(), EMPTY_ROOT_HASH);
        tries.absorb(&overlay).unwrap();
        prop_assert_eq!(tries.account_count(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn test_tries__bytes_of_the_region_flipped__answer_or_are_corrupt(
        first in edits(),
        later in proptest::collection::vec(edits(), 1..5),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..20),
    ) {
        let mut tries = empty();
        let mut model = Model::new();
        let overlay = after(&tries, None, &batch(&first, &mut model), 1);
        tries.absorb(&overlay).unwrap();
        let Tries { mut region, space, .. } = tries;
        for (index, mask, in_header) in flips {
            let end = if in_header { 220 } else { space.used_bytes() };
            region.bytes_mut(0..end)[index.index(end)] ^= mask;
        }
        // No panic and no hang are what is tested: nobody can know that a value was changed.
        let Ok(mut tries) = Tries::open(region) else { return Ok(()) };
        let _ = tries.check();
        let _ = tries.for_each_account(|_, _, _| Ok(()));
        for key in model.keys() {
            let found = tries.view().account(key);
            if let Ok(Some((_, storage))) = found {
                let _ = storage.for_each(|_| Ok(()));
            }
        }
        for edits in later {
            let batch = batch(&edits, &mut model);
            let base = Base { token: tries.token, layers: &[], root: Link::stored(tries.space.root), root_hash: tries.root() };
            let Ok(overlay) = extend(&tries, base, &batch, &Backwards, 2) else { continue };
            tries.absorb(&overlay).unwrap();
        }
    }
}
