//! Values of all sizes in entries of the index.

#![allow(non_snake_case)] // subject__condition__outcome

use std::sync::{Arc, atomic::Ordering::Relaxed};

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::Account;

use super::{
    AccountLayout, AccountRecord, Layout, Seed, SlotLayout, TableWriter,
    layout::{ENTRY_WORDS, KIND_PRESENT, KIND_SHORT, Stated},
};

/// The largest number of 96 bits, and what lies around it.
fn edges() -> [U256; 6] {
    let end = U256::ONE << 96;
    [U256::ZERO, U256::ONE, U256::ONE << 64, end - U256::ONE, end, U256::MAX]
}

fn records() -> impl Iterator<Item = AccountRecord> {
    let code_hashes = [Account::default().code_hash, B256::repeat_byte(7), B256::ZERO];
    code_hashes.into_iter().flat_map(|code_hash| {
        edges().map(|balance| {
            let account = Account { nonce: u64::MAX, balance, code_hash };
            AccountRecord { account, storage_id: u32::MAX, slot_count: 5 }
        })
    })
}

/// Each value after each other one, and after none, at one key.
fn check<L: Layout<Value: PartialEq + core::fmt::Debug>>(key: L::Key, values: &[L::Value])
where
    L::Key: PartialEq + core::fmt::Debug,
{
    let mut writer = TableWriter::<L>::new(Seed([1, 2, 3, 4]), 6).unwrap();
    let pairs = values.iter().flat_map(|first| values.iter().map(move |second| (first, second)));
    for (version, (first, second)) in pairs.enumerate() {
        for value in [Some(first), Some(second), None, Some(second)] {
            writer.set(&key, value, version as u64, &|_| false);
            let stated = Some(Stated { version: version as u64, value: value.copied() });
            assert_eq!(writer.table().get(&key), stated);
        }
        assert_eq!(writer.table().keys_where(|_| true), [key]);
        let mut seen = Vec::new();
        writer.each(|key, value| seen.push((key, value)));
        assert_eq!(seen, [(key, *second)]);
    }
    assert_eq!(writer.load().used_count, 1);
}

#[test]
fn account__of_any_size__is_read_as_it_was_written() {
    check::<AccountLayout>(Address::repeat_byte(0xff), &records().collect::<Vec<_>>());
}

#[test]
fn slot__of_any_size__is_read_as_it_was_written() {
    check::<SlotLayout>((u32::MAX, U256::MAX), &edges());
}

/// As versions of the format before 3 have all of them.
#[test]
fn short_value__in_the_second_line__is_read_as_it_is() {
    let mut writer = TableWriter::<SlotLayout>::new(Seed([1, 2, 3, 4]), 6).unwrap();
    let (key, value) = ((1, U256::from(2)), U256::from(3));
    writer.set(&key, Some(&value), 4, &|_| false);
    let table = Arc::clone(writer.table());
    let words = table.entries.words();
    let place = (0..words.len()).step_by(ENTRY_WORDS).find(|place| words[*place].load(Relaxed) != 0).unwrap();
    assert_eq!(words[place + 1].load(Relaxed), 4 << 8 | KIND_SHORT);
    words[place + 1].store(4 << 8 | KIND_PRESENT, Relaxed);
    words[place + 7].store(0, Relaxed);
    words[place + 8].store(3, Relaxed);
    assert_eq!(table.get(&key), Some(Stated { version: 4, value: Some(value) }));
}
