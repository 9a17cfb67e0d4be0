//! Oracle: alloy-trie's hash builder, which makes a root from sorted leaves in one pass and shares
//! no code with the incremental trie.

use std::collections::BTreeMap;

use alloy_primitives::{B256, keccak256};
use alloy_trie::{HashBuilder, Nibbles, proof::verify_proof};
use metis_db::Trie;
use proptest::prelude::*;

fn reference_root(entries: &BTreeMap<B256, Vec<u8>>) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in entries {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    builder.root()
}

/// Keys that share long prefixes as well as keys that share none.
fn key() -> impl Strategy<Value = B256> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(B256::from),
        (0u8..4, 0u8..4).prop_map(|(first, last)| {
            let mut key = [0u8; 32];
            key[0] = first << 4;
            key[31] = last;
            B256::from(key)
        }),
        (0u16..40).prop_map(|number| keccak256(number.to_be_bytes())),
    ]
}

#[test]
fn root__of_many_keys_hashed_on_all_cores__equals_reference() {
    let entries: BTreeMap<B256, Vec<u8>> =
        (0u32..3_000).map(|number| (keccak256(number.to_be_bytes()), vec![1; 1 + number as usize % 70])).collect();
    let mut trie = Trie::default();
    for (key, value) in &entries {
        trie.insert(*key, value.clone());
    }
    trie.hash_ahead();
    assert_eq!(trie.root_hash(), reference_root(&entries));
}

#[derive(Clone, Debug)]
enum Step {
    Insert(B256, Vec<u8>),
    Remove(B256),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (key(), proptest::collection::vec(any::<u8>(), 1..40)).prop_map(|(key, value)| Step::Insert(key, value)),
        2 => key().prop_map(Step::Remove),
    ]
}

proptest! {
    #[test]
    fn root__after_any_updates__equals_reference(steps in proptest::collection::vec(step(), 1..80)) {
        let mut trie = Trie::default();
        let mut model = BTreeMap::new();
        let mut versions = Vec::new();
        for step in steps {
            match step {
                Step::Insert(key, value) => {
                    trie.insert(key, value.clone());
                    model.insert(key, value);
                }
                Step::Remove(key) => {
                    trie.remove(key);
                    model.remove(&key);
                }
            }
            prop_assert_eq!(trie.root_hash(), reference_root(&model));
            versions.push((trie.clone(), trie.root_hash()));
        }
        // Later updates leave older versions as they were, cached references included.
        for (version, root) in versions {
            prop_assert_eq!(version.root_hash(), root);
        }
    }

    #[test]
    fn proof__of_any_key__verifies_value_or_absence(
        entries in proptest::collection::btree_map(key(), proptest::collection::vec(any::<u8>(), 1..40), 1..40),
        absent in key(),
    ) {
        let mut trie = Trie::default();
        for (key, value) in &entries {
            trie.insert(*key, value.clone());
        }
        for (key, value) in &entries {
            let proof = trie.prove(*key);
            prop_assert!(verify_proof(trie.root_hash(), Nibbles::unpack(key), Some(value.clone()), &proof).is_ok());
            prop_assert!(verify_proof(trie.root_hash(), Nibbles::unpack(key), None, &proof).is_err());
        }
        let expected = entries.get(&absent).cloned();
        prop_assert!(verify_proof(trie.root_hash(), Nibbles::unpack(absent), expected, &trie.prove(absent)).is_ok());
    }
}
