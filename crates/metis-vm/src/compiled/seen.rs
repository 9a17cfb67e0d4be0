//! What compiled code has hashed and read before, so that it need not ask again.
//!
//! A contract finds an entry of a mapping by hashing its key, and reads and writes it by that hash, so
//! the same few hashes and slots come again and again. Both tables are direct-mapped: a collision
//! replaces, and costs what a miss costs. Keys are compared whole, so nobody can make one answer for
//! another.

use core::mem::MaybeUninit;

use alloy_primitives::{U256, keccak256};

/// Hashes that a run remembers.
const HASH_COUNT: usize = 64;

/// Slots that a frame remembers: a loop over an array of some hundred stays inside.
const SLOT_COUNT: usize = 1024;

/// Bytes of a mapping's key and position; the positions of dynamic arrays are half of it.
const KEY_BYTES: usize = 64;

/// What a runner lends to the frames that it runs in compiled code.
#[derive(Debug, Default)]
pub struct Recall {
    /// Good for as long as the runner lives.
    pub hashes: SeenHashes,
    /// Of the running frame.
    pub slots: SeenSlots,
}

/// Keccak-256 of inputs of 32 and of 64 bytes, as far as they were met.
#[derive(Debug, Default)]
pub struct SeenHashes {
    /// Allocated by the first hash.
    entries: Option<Box<[Hashed; HASH_COUNT]>>,
}

#[derive(Clone, Copy, Debug)]
struct Hashed {
    /// Of the input in bytes; 0 where there is no entry.
    length: usize,
    /// The input, with zeros behind it.
    input: [u64; KEY_BYTES / 8],
    hash: U256,
}

impl Hashed {
    const NONE: Self = Self { length: 0, input: [0; KEY_BYTES / 8], hash: U256::ZERO };
}

impl SeenHashes {
    /// The hash of `data`.
    #[inline]
    pub fn keccak(&mut self, data: &[u8]) -> U256 {
        if data.len() != KEY_BYTES && data.len() != KEY_BYTES / 2 {
            return keccak256(data).into();
        }
        let mut input = [0; KEY_BYTES / 8];
        let mut mixed = 0_u64;
        for (limb, bytes) in input.iter_mut().zip(data.chunks_exact(8)) {
            // UNWRAP: chunks of eight.
            *limb = u64::from_le_bytes(bytes.try_into().unwrap());
            mixed = (mixed.rotate_left(7) ^ *limb).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        let entries = self.entries.get_or_insert_with(|| Box::new([Hashed::NONE; HASH_COUNT]));
        let entry = &mut entries[(mixed >> 32) as usize % HASH_COUNT];
        if entry.length != data.len() || entry.input != input {
            *entry = Hashed { length: data.len(), input, hash: keccak256(data).into() };
        }
        entry.hash
    }
}

/// Storage of the running account that the frame has read or written since it was last entered.
///
/// Only the frame itself changes them until it leaves compiled code, and what it has met is warm: reading
/// it again costs no more than the opcode's static gas.
#[derive(Debug, Default)]
pub struct SeenSlots {
    /// Bit `i`: entry `i` is there.
    present: [u64; SLOT_COUNT / 64],
    /// Allocated by the first slot.
    entries: Option<Box<[MaybeUninit<Seen>; SLOT_COUNT]>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    slot: U256,
    value: U256,
}

impl SeenSlots {
    /// Forgets all.
    #[inline(always)]
    pub const fn clear(&mut self) {
        self.present = [0; SLOT_COUNT / 64];
    }

    #[inline(always)]
    const fn index(slot: &U256) -> usize {
        slot.as_limbs()[0] as usize % SLOT_COUNT
    }

    /// The value of a slot, where it was seen.
    #[inline(always)]
    pub fn value(&self, slot: &U256) -> Option<U256> {
        let index = Self::index(slot);
        if self.present[index / 64] >> (index % 64) & 1 == 0 {
            return None;
        }
        // SAFETY: `insert` has written the entry before it set the bit.
        let seen = unsafe { self.entries.as_ref()?[index].assume_init_ref() };
        (seen.slot == *slot).then_some(seen.value)
    }

    /// Remembers a slot's value.
    #[inline(always)]
    pub fn insert(&mut self, slot: U256, value: U256) {
        let index = Self::index(&slot);
        let entries = self.entries.get_or_insert_with(|| Box::new([const { MaybeUninit::uninit() }; SLOT_COUNT]));
        entries[index].write(Seen { slot, value });
        self.present[index / 64] |= 1 << (index % 64);
    }
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case)] // subject__condition__outcome

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few different inputs, so that some come again and some take another's place.
        #[test]
        fn hashes__of_any_inputs_in_any_order__are_keccak_s(
            inputs in proptest::collection::vec((prop_oneof![Just(0usize), Just(31), Just(32), Just(33), Just(64)], 0u8..80), 0..300),
        ) {
            let mut seen = SeenHashes::default();
            for (length, last) in inputs {
                let mut data = vec![0; length];
                if let Some(byte) = data.last_mut() {
                    *byte = last;
                }
                prop_assert_eq!(seen.keccak(&data), U256::from_be_bytes(keccak256(&data).0));
            }
        }

        #[test]
        fn slots__after_any_writes__have_their_last_value_or_none(
            writes in proptest::collection::vec((0u64..3000, any::<u64>()), 0..300),
        ) {
            let mut seen = SeenSlots::default();
            let mut all = std::collections::HashMap::new();
            for (slot, value) in writes {
                seen.insert(U256::from(slot), U256::from(value));
                prop_assert_eq!(seen.value(&U256::from(slot)), Some(U256::from(value)));
                all.insert(slot, value);
            }
            for (slot, value) in all {
                prop_assert!(seen.value(&U256::from(slot)).is_none_or(|seen| seen == U256::from(value)));
            }
            prop_assert_eq!(seen.value(&U256::from(5000)), None);
        }
    }
}
