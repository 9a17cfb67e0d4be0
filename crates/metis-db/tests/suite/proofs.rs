//! Proofs from the tries in a region, and what verifiers refuse.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use metis_db::{
    AccountProof, HeapRegion, MemoryStore, MultiProof, MultiProofError, Region, StateSnapshot, StateStore, StoreError,
    TrieOverlay, Tries,
};
use metis_state_transition::{Account, AccountChange, ChangeSet, InOrder};

fn address(index: u64) -> Address {
    Address::left_padding_from(&index.to_be_bytes())
}

/// Accounts, every third of them with slots.
fn changes(indices: impl Iterator<Item = u64>, balance: u64) -> ChangeSet {
    let change = |index: u64| {
        let account = Account { nonce: index, balance: U256::from(balance), ..Account::default() };
        let slot_count = if index.is_multiple_of(3) { 1 + index % 40 } else { 0 };
        let storage = (0..slot_count).map(|slot| (U256::from(slot), U256::from(slot + balance))).collect();
        AccountChange { account: Some(account), storage_cleared: false, storage }
    };
    let accounts: BTreeMap<_, _> = indices.map(|index| (address(index), change(index))).collect();
    ChangeSet { accounts, ..ChangeSet::default() }
}

fn tries() -> (Tries<HeapRegion>, TrieOverlay, MemoryStore) {
    let mut tries = Tries::create(HeapRegion::new(64 << 20).unwrap()).unwrap();
    let first = changes(0..400, 5);
    let overlay = tries.after(&first, &InOrder, 1).unwrap();
    tries.absorb(&overlay).unwrap();
    let second = changes((0..500).step_by(7), 9);
    let overlay = tries.after(&second, &InOrder, 1).unwrap();
    let memory = MemoryStore::new([], 2);
    memory.patch(&memory.latest(), &first).unwrap();
    memory.patch(&memory.latest(), &second).unwrap();
    (tries, overlay, memory)
}

/// Accounts with and without storage, and some that are not there.
const INDICES: [u64; 8] = [0, 1, 21, 39, 399, 497, 1_000, 1_001];

fn proofs(tries: &Tries<HeapRegion>) -> Vec<AccountProof> {
    let slots = [U256::ZERO, U256::from(7), U256::from(1_000)];
    INDICES.iter().map(|index| tries.prove(address(*index), &slots).unwrap()).collect()
}

#[test]
fn test_proofs__from_tries_and_overlay__are_the_memory_stores_and_hold() {
    let (mut tries, overlay, memory) = tries();
    let latest = memory.latest();
    let slots = [U256::ZERO, U256::from(3), U256::from(99)];
    for index in INDICES.into_iter().chain(0..60) {
        let expected = latest.prove(address(index), &slots).unwrap();
        let proof = tries.prove_in(&overlay, address(index), &slots).unwrap();
        assert_eq!(proof, expected);
        proof.verify(overlay.root()).unwrap();
        tries.prove(address(index), &slots).unwrap().verify(tries.root()).unwrap();
    }
    tries.absorb(&overlay).unwrap();
    for index in INDICES {
        assert_eq!(tries.prove(address(index), &slots).unwrap(), latest.prove(address(index), &slots).unwrap());
    }
}

#[test]
fn test_proof__with_any_bit_flipped__is_refused() {
    let (tries, ..) = tries();
    for proof in proofs(&tries) {
        let node_count = proof.proof.len() + proof.storage.iter().map(|entry| entry.proof.len()).sum::<usize>();
        for place in 0..node_count {
            for bit in 0..8 {
                let mut flipped = proof.clone();
                let own = flipped.proof.len();
                let node = if place < own {
                    &mut flipped.proof[place]
                } else {
                    flipped.storage.iter_mut().flat_map(|entry| &mut entry.proof).nth(place - own).unwrap()
                };
                let mut bytes = node.to_vec();
                let byte = (place * 31 + bit * 17) % bytes.len();
                bytes[byte] ^= 1 << bit;
                *node = bytes.into();
                assert!(flipped.verify(tries.root()).is_err());
            }
        }
    }
}

#[test]
fn test_multi_proof__of_accounts_slots_and_absences__holds_and_shares_nodes() {
    let (tries, ..) = tries();
    let proofs = proofs(&tries);
    let multi = MultiProof::of(&proofs);
    multi.verify(tries.root()).unwrap();
    let single: usize = proofs
        .iter()
        .map(|proof| proof.proof.len() + proof.storage.iter().map(|entry| entry.proof.len()).sum::<usize>())
        .sum();
    assert!(multi.nodes.len() * 3 < single * 2, "{} of {single} nodes", multi.nodes.len());
    MultiProof::default().verify(tries.root()).unwrap();
}

#[test]
fn test_multi_proof__with_any_bit_of_any_node_flipped__is_refused() {
    let (tries, ..) = tries();
    let multi = MultiProof::of(&proofs(&tries));
    for index in 0..multi.nodes.len() {
        for bit in 0..multi.nodes[index].len() * 8 {
            let mut flipped = multi.clone();
            let mut bytes = flipped.nodes[index].to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            flipped.nodes[index] = bytes.into();
            assert!(flipped.verify(tries.root()).is_err(), "bit {bit} of node {index}");
        }
    }
}

#[test]
fn test_multi_proof__that_claims_something_else__is_refused() {
    let (tries, ..) = tries();
    let multi = MultiProof::of(&proofs(&tries));
    let root = tries.root();
    let change = |edit: &dyn Fn(&mut MultiProof)| {
        let mut changed = multi.clone();
        edit(&mut changed);
        changed.verify(root).unwrap_err()
    };
    let account = |multi: &mut MultiProof| multi.accounts[2].account.unwrap();
    assert_eq!(change(&|multi| multi.accounts[0].account = None), MultiProofError::Account(address(0)));
    let invented = |multi: &mut MultiProof| multi.accounts[6].account = Some((Account::default(), B256::ZERO));
    assert_eq!(change(&invented), MultiProofError::Account(address(1_000)));
    let richer = |multi: &mut MultiProof| {
        let (state, root) = account(multi);
        multi.accounts[2].account = Some((Account { balance: state.balance + U256::ONE, ..state }, root));
    };
    assert_eq!(change(&richer), MultiProofError::Account(address(21)));
    let slot = MultiProofError::Slot { address: address(21), slot: U256::from(7) };
    assert_eq!(change(&|multi| multi.accounts[2].slots[1].1 = U256::ZERO), slot);
    assert_eq!(change(&|multi| multi.accounts[2].slots[1].1 += U256::ONE), slot);
    let last = multi.nodes.len();
    let more = MultiProofError::UnneededNode { index: last };
    assert_eq!(change(&|multi| multi.nodes.push(multi.nodes[3].clone())), more);
    assert_eq!(change(&|multi| multi.nodes.push(Bytes::from_static(&[0xc0]))), more);
    let hash = keccak256(&multi.nodes[0]);
    assert_eq!(change(&|multi| drop(multi.nodes.remove(0))), MultiProofError::MissingNode(hash));
    assert_eq!(multi.verify(B256::ZERO), Err(MultiProofError::MissingNode(B256::ZERO)));
}

#[test]
fn test_walks__of_all_accounts_and_slots__see_each_once_and_in_order() {
    let (tries, ..) = tries();
    let mut accounts = Vec::new();
    tries
        .for_each_account(|key, account, _| {
            accounts.push((key, account.nonce));
            Ok(())
        })
        .unwrap();
    let mut expected: Vec<_> = (0..400).map(|index| (keccak256(address(index)), index)).collect();
    expected.sort_unstable();
    assert_eq!(accounts, expected);
    let mut slot_count = 0;
    for index in 0..400 {
        tries
            .for_each_slot(&address(index), |_, _| {
                slot_count += 1;
                Ok(())
            })
            .unwrap();
    }
    let contents = tries.check().unwrap();
    assert_eq!((contents.account_count, contents.slot_count), (400, slot_count));
    assert_eq!(tries.account(&address(39)).unwrap().unwrap().0.nonce, 39);
    assert_eq!(tries.account(&address(1_000)).unwrap(), None);
}

#[test]
fn test_check__of_a_region_with_any_byte_of_a_node_changed__finds_it() {
    let (mut tries, ..) = tries();
    let leaves = tries.check().unwrap().node_count;
    assert!(leaves > 400);
    let mut missed = 0;
    for at in (4_096..tries.used_bytes()).step_by(1_009) {
        tries.region_mut().bytes_mut(at..at + 1)[0] ^= 0x20;
        match tries.check() {
            Ok(_) => missed += 1,
            Err(StoreError::Corrupt { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        tries.region_mut().bytes_mut(at..at + 1)[0] ^= 0x20;
    }
    // Bytes between nodes, and of nodes that were freed, mean nothing.
    assert!(missed * 4 < tries.used_bytes() / 1_009, "{missed}");
    tries.check().unwrap();
}
