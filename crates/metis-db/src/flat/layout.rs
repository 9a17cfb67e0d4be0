//! What an entry of the index holds: accounts and slots as words.
//!
//! An entry is 16 words of 64 bits, two cache lines of which the first decides:
//!
//! | word | account | slot |
//! |---|---|---|
//! | 0 | sequence: odd while it is written | the same |
//! | 1 | version of the last change × 256 + kind (0 empty, 1 present, 2 absent) | the same |
//! | 2…4 | address, 20 bytes and 4 zeros | 2: storage id, 3…6: slot |
//! | 5 | nonce | |
//! | 6 | storage id + slot count × 2³² | |
//! | 7 | zero | zero |
//! | 8…11 | balance | value |
//! | 12…15 | code hash | zero |
//!
//! Addresses and hashes are little-endian words of their bytes; numbers of 256 bits are little-endian.

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::Account;

/// Words of an entry.
pub(crate) const ENTRY_WORDS: usize = 16;
/// Where the keys begin.
pub(crate) const KEY_WORD: usize = 2;
/// Versions are below this.
pub(crate) const VERSION_END: u64 = 1 << 56;

const _: () = assert!(ENTRY_WORDS * size_of::<u64>() == 128);

/// What an entry says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stated<V> {
    /// The version that changed it last.
    pub(crate) version: u64,
    /// Its value; `None` where it was deleted.
    pub(crate) value: Option<V>,
}

/// Keys and values of one kind of entries.
pub(crate) trait Layout {
    type Key: Copy;
    type Value: Copy;

    /// How many words make a key.
    const KEY_WORDS: usize;

    fn key_words(key: &Self::Key) -> [u64; 5];
    fn key(words: &[u64; 5]) -> Self::Key;
    fn load(word: impl Fn(usize) -> u64) -> Self::Value;
    fn store(value: &Self::Value, write: impl FnMut(usize, u64));
}

/// An account, where its storage is, and how much of it there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccountRecord {
    pub(crate) account: Account,
    /// Names this storage of the account; 0 where it has none. Never given twice, so that emptying
    /// a storage is to forget its id.
    pub(crate) storage_id: u32,
    /// Slots that are not zero.
    pub(crate) slot_count: u32,
}

#[derive(Debug)]
pub(crate) struct AccountLayout;
#[derive(Debug)]
pub(crate) struct SlotLayout;

fn word_of(bytes: &[u8], index: usize) -> u64 {
    let mut word = [0; 8];
    let part = &bytes[index * 8..bytes.len().min(index * 8 + 8)];
    word[..part.len()].copy_from_slice(part);
    u64::from_le_bytes(word)
}

impl Layout for AccountLayout {
    type Key = Address;
    type Value = AccountRecord;

    const KEY_WORDS: usize = 3;

    #[inline]
    fn key_words(key: &Address) -> [u64; 5] {
        [word_of(&key[..], 0), word_of(&key[..], 1), word_of(&key[..], 2), 0, 0]
    }

    fn key(words: &[u64; 5]) -> Address {
        let mut bytes = [0; 24];
        for (part, word) in bytes.chunks_exact_mut(8).zip(words) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        Address::from_slice(&bytes[..20])
    }

    #[inline]
    fn load(word: impl Fn(usize) -> u64) -> AccountRecord {
        let counts = word(6);
        let mut code_hash = [0; 32];
        for (index, part) in code_hash.chunks_exact_mut(8).enumerate() {
            part.copy_from_slice(&word(12 + index).to_le_bytes());
        }
        let account = Account {
            nonce: word(5),
            balance: U256::from_limbs([word(8), word(9), word(10), word(11)]),
            code_hash: B256::from(code_hash),
        };
        AccountRecord { account, storage_id: counts as u32, slot_count: (counts >> 32) as u32 }
    }

    fn store(value: &AccountRecord, mut write: impl FnMut(usize, u64)) {
        write(5, value.account.nonce);
        write(6, u64::from(value.storage_id) | u64::from(value.slot_count) << 32);
        for (index, limb) in value.account.balance.as_limbs().iter().enumerate() {
            write(8 + index, *limb);
        }
        for index in 0..4 {
            write(12 + index, word_of(&value.account.code_hash[..], index));
        }
    }
}

impl Layout for SlotLayout {
    type Key = (u32, U256);
    type Value = U256;

    const KEY_WORDS: usize = 5;

    #[inline]
    fn key_words((storage_id, slot): &(u32, U256)) -> [u64; 5] {
        let [a, b, c, d] = *slot.as_limbs();
        [u64::from(*storage_id), a, b, c, d]
    }

    fn key(words: &[u64; 5]) -> (u32, U256) {
        (words[0] as u32, U256::from_limbs([words[1], words[2], words[3], words[4]]))
    }

    #[inline]
    fn load(word: impl Fn(usize) -> u64) -> U256 {
        U256::from_limbs([word(8), word(9), word(10), word(11)])
    }

    fn store(value: &U256, mut write: impl FnMut(usize, u64)) {
        for (index, limb) in value.as_limbs().iter().enumerate() {
            write(8 + index, *limb);
        }
    }
}

/// A secret that decides where keys lie, so that nobody can choose keys that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(pub(crate) [u64; 4]);

impl Seed {
    /// From a secret, however few of its bits are set.
    pub(crate) const fn from_secret(secret: [u64; 4]) -> Self {
        let mut words = [0; 4];
        let mut index = 0;
        while index < 4 {
            // SplitMix64: one to one, and no word of few bits.
            let mut mixed = secret[index].wrapping_add(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(index as u64 + 1));
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            words[index] = mixed ^ (mixed >> 31);
            index += 1;
        }
        Self(words)
    }

    /// The seed of the other table, so that places in one say nothing of the other.
    pub(crate) fn of_slots(&self) -> Self {
        Self(self.0.map(u64::swap_bytes))
    }

    /// Of all words of a key. Part of the format: it never changes.
    #[inline]
    pub(crate) fn hash<const KEY_WORDS: usize>(&self, words: &[u64; 5]) -> u64 {
        let [a, b, c, d] = self.0;
        let mut state = a;
        for word in &words[..KEY_WORDS] {
            state = fold(state ^ word, b) ^ c;
        }
        fold(state, d)
    }
}

/// Both halves of the product, mixed.
#[inline]
const fn fold(left: u64, right: u64) -> u64 {
    let product = left as u128 * right as u128;
    product as u64 ^ (product >> 64) as u64
}
