//! Values of all sizes in entries of the index.

#![allow(non_snake_case)] // subject__condition__outcome

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::Account;

use super::{
    AccountLayout, AccountRecord, Layout, PAGE_BYTES, PagedBytes, SEGMENT_LOG2_MIN, Seed, Shape, SlotLayout,
    TableWriter,
    layout::{ENTRY_WORDS, KIND_ABSENT, KIND_PRESENT, KIND_SHORT, Stated},
};
use crate::StoreError;

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

/// Entries as versions 1 to 3 of the format lie, all of one segment: one probed after the other.
fn old_entries(seed: Seed, entries: &[((u32, U256), u64, u64, U256)]) -> Vec<u8> {
    let mut words = vec![0_u64; ENTRY_WORDS << SEGMENT_LOG2_MIN];
    for (key, version, kind, value) in entries {
        let key = SlotLayout::key_words(key);
        let mut place = seed.hash_slot(&key) as usize % (1 << SEGMENT_LOG2_MIN);
        while words[place * ENTRY_WORDS + 1] != 0 {
            place = (place + 1) % (1 << SEGMENT_LOG2_MIN);
        }
        let entry = &mut words[place * ENTRY_WORDS..][..ENTRY_WORDS];
        entry[1] = version << 8 | kind;
        entry[2..7].copy_from_slice(&key);
        let limbs = value.as_limbs();
        if *kind == KIND_SHORT {
            entry[7] = limbs[0];
            entry[2] |= limbs[1] << 32;
        } else {
            entry[8..12].copy_from_slice(limbs);
        }
    }
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

fn restore_old(entries: &[((u32, U256), u64, u64, U256)]) -> Result<TableWriter<SlotLayout>, StoreError> {
    let seed = Seed([1, 2, 3, 4]);
    let bytes = old_entries(seed, entries);
    let shape = Shape { seed, segment_log2: SEGMENT_LOG2_MIN, directory: &[0], segment_count: 1, is_old: true };
    TableWriter::restore(&shape, |target, len_bytes| {
        assert_eq!(len_bytes, bytes.len());
        target.copy(0, &bytes);
        Ok(())
    })
}

fn old_slots(count: u64) -> Vec<((u32, U256), u64, u64, U256)> {
    let kinds = [KIND_PRESENT, KIND_SHORT, KIND_ABSENT];
    let slot = |index: u64| ((index as u32, U256::from(index) << 100), index, kinds[index as usize % 3]);
    // A short value in the second line, as version 2 has all of them, and in the first; a long one.
    let values = [U256::from(7), U256::from(8) << 64, U256::ZERO, U256::MAX];
    let value = |index: u64| values[if index % 12 == 3 { 3 } else { index as usize % 3 }];
    (1..=count).map(|index| (slot(index).0, index, slot(index).2, value(index))).collect()
}

#[test]
fn entries__of_an_old_version__are_found_where_new_ones_are() {
    let slots = old_slots(45);
    let writer = restore_old(&slots).unwrap();
    for (key, version, kind, value) in &slots {
        let value = (*kind != KIND_ABSENT).then_some(*value);
        assert_eq!(writer.table().get(key), Some(Stated { version: *version, value }));
    }
    assert_eq!(writer.table().get(&(99, U256::ZERO)), None);
    // A checkpoint writes all of it, whether or not there is anything.
    assert_eq!(writer.changes().count(), writer.len_bytes() / PAGE_BYTES);
}

#[test]
fn entries__of_an_old_version_and_too_many__are_refused() {
    assert!(matches!(restore_old(&old_slots(46)), Err(StoreError::Corrupt { .. })));
}

/// Pages, and what is kept in memory of them.
#[test]
fn table__of_a_disk__is_as_it_was() {
    let seed = Seed::from_secret([1, 2, 3, 4]);
    let mut writer = TableWriter::<AccountLayout>::new(seed, SEGMENT_LOG2_MIN).unwrap();
    let records: Vec<_> = records().collect();
    let records = records.repeat(16);
    let address = |index: usize| Address::left_padding_from(&index.to_be_bytes());
    for (index, record) in records.iter().enumerate() {
        writer.set(&address(index), (index % 5 != 0).then_some(record), index as u64, &|_| false);
    }
    let mut bytes = vec![0; writer.len_bytes()];
    for (index, page) in bytes.chunks_exact_mut(PAGE_BYTES).enumerate() {
        writer.copy_page(index * PAGE_BYTES, page);
    }
    let (directory, segment_count) = writer.shape();
    assert!(segment_count > 4);
    let shape = Shape { seed, segment_log2: SEGMENT_LOG2_MIN, directory: &directory, segment_count, is_old: false };
    let restored = TableWriter::<AccountLayout>::restore(&shape, |target, _| {
        target.copy(0, &bytes);
        Ok(())
    });
    let restored = restored.unwrap();
    for index in 0..records.len() + 9 {
        assert_eq!(restored.table().get(&address(index)), writer.table().get(&address(index)));
    }
    assert_eq!(restored.load(), writer.load());
    assert_eq!(restored.changes().count(), 0);
}
