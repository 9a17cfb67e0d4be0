//! What an entry of the index holds: accounts and slots as words.
//!
//! An entry is 16 words of 64 bits: a line of the cache that decides, and one that only long values take
//! ([where both are](super::lines)):
//!
//! | word | account | slot |
//! |---|---|---|
//! | 0 | sequence: odd while it is written | the same |
//! | 1 | version of the last change × 256 + kind (0 empty, 1 present, 2 absent, 3 short) | the same |
//! | 2…4 | address, 20 bytes, and 4 bytes for what is short | 2: storage id + 2³² × what is short; 3…6: slot |
//! | 5 | nonce | |
//! | 6 | storage id + slot count × 2³² | |
//! | 7 | what is short | the same |
//! | 8…11 | balance | value |
//! | 12…15 | code hash | |
//!
//! Addresses and hashes are little-endian words of their bytes; numbers of 256 bits are little-endian. An account without
//! code whose balance has 96 bits, and a value of 96 bits, are short: they are in the first line, the lower 64 bits in word
//! 7, the upper 32 in the upper half of word 4 and of word 2. The second line is zero then. Otherwise what is short is
//! zero.

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use metis_state_transition::Account;

use super::lines::{ENTRY_BYTES, LINE_WORDS};

/// Words of an entry.
pub(crate) const ENTRY_WORDS: usize = 2 * LINE_WORDS;
/// Where the keys begin.
pub(crate) const KEY_WORD: usize = 2;
/// The last word of the first line.
const SHORT_WORD: usize = LINE_WORDS - 1;
/// Bits of a short number.
const SHORT_BITS: usize = 96;

pub(crate) const KIND_EMPTY: u64 = 0;
pub(crate) const KIND_PRESENT: u64 = 1;
pub(crate) const KIND_ABSENT: u64 = 2;
/// Present, with all of it in the first line. An entry of any other kind but [`KIND_PRESENT`] has no second line either.
pub(crate) const KIND_SHORT: u64 = 3;

/// Versions are below this.
pub(crate) const VERSION_END: u64 = 1 << 56;

const _: () = assert!(ENTRY_WORDS * size_of::<u64>() == ENTRY_BYTES && ENTRY_BYTES == 128);

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
    /// The one of them of which a key takes the lower half.
    const HALF_WORD: usize;

    fn key_words(key: &Self::Key) -> [u64; 5];
    fn hash(seed: &Seed, words: &[u64; 5]) -> u64;
    fn key(words: &[u64; 5]) -> Self::Key;

    /// A value of an entry that is present or short.
    fn load(kind: u64, word: impl Fn(usize) -> u64) -> Self::Value;

    /// Puts a value into the words of an entry, which has its key and is zero otherwise; gives the kind.
    fn store(value: &Self::Value, words: &mut [u64; ENTRY_WORDS]) -> u64;

    /// What of a word of an entry's key belongs to the key.
    #[inline(always)]
    fn key_word(index: usize, word: u64) -> u64 {
        if index == Self::HALF_WORD { word & u64::from(u32::MAX) } else { word }
    }

    /// A number of 96 bits in the first line.
    #[inline(always)]
    fn load_short(word: impl Fn(usize) -> u64) -> U256 {
        U256::from_limbs([word(SHORT_WORD), word(KEY_WORD + Self::HALF_WORD) >> 32, 0, 0])
    }

    /// Puts a number into the first line, if it is short enough; says whether it is.
    fn store_short(number: &U256, words: &mut [u64; ENTRY_WORDS]) -> bool {
        let [low, high, ..] = *number.as_limbs();
        let is_short = number.bit_len() <= SHORT_BITS;
        if is_short {
            words[SHORT_WORD] = low;
            words[KEY_WORD + Self::HALF_WORD] |= high << 32;
        }
        is_short
    }
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

impl AccountLayout {
    /// Words of a hash, and a hash of words. As numbers: bytes one by one are slow here.
    #[inline(always)]
    fn hash_words(hash: &B256) -> [u64; 4] {
        *U256::from_le_bytes(hash.0).as_limbs()
    }

    #[inline(always)]
    fn hash_of(words: [u64; 4]) -> B256 {
        B256::from(U256::from_limbs(words).to_le_bytes::<32>())
    }
}

impl Layout for AccountLayout {
    type Key = Address;
    type Value = AccountRecord;

    const KEY_WORDS: usize = 3;
    const HALF_WORD: usize = 2;

    #[inline(always)]
    fn key_words(key: &Address) -> [u64; 5] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = key.0.0;
        let first = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let second = u64::from_le_bytes([i, j, k, l, m, n, o, p]);
        [first, second, u64::from(u32::from_le_bytes([q, r, s, t])), 0, 0]
    }

    #[inline(always)]
    fn hash(seed: &Seed, words: &[u64; 5]) -> u64 {
        seed.hash_account(words)
    }

    fn key(words: &[u64; 5]) -> Address {
        let mut bytes = [0; 24];
        for (part, word) in bytes.chunks_exact_mut(8).zip(words) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        Address::from_slice(&bytes[..20])
    }

    #[inline(always)]
    fn load(kind: u64, word: impl Fn(usize) -> u64) -> AccountRecord {
        let (nonce, counts) = (word(5), word(6));
        let account = if kind == KIND_SHORT {
            Account { nonce, balance: Self::load_short(word), code_hash: KECCAK256_EMPTY }
        } else {
            let balance = U256::from_limbs([word(8), word(9), word(10), word(11)]);
            Account { nonce, balance, code_hash: Self::hash_of([word(12), word(13), word(14), word(15)]) }
        };
        AccountRecord { account, storage_id: counts as u32, slot_count: (counts >> 32) as u32 }
    }

    fn store(value: &AccountRecord, words: &mut [u64; ENTRY_WORDS]) -> u64 {
        let Account { nonce, balance, code_hash } = &value.account;
        words[5] = *nonce;
        words[6] = u64::from(value.storage_id) | u64::from(value.slot_count) << 32;
        // What has code is never short, whatever its balance is.
        let in_first_line = if *code_hash == KECCAK256_EMPTY { balance } else { &U256::MAX };
        if Self::store_short(in_first_line, words) {
            return KIND_SHORT;
        }
        words[8..12].copy_from_slice(balance.as_limbs());
        words[12..16].copy_from_slice(&Self::hash_words(code_hash));
        KIND_PRESENT
    }
}

impl Layout for SlotLayout {
    type Key = (u32, U256);
    type Value = U256;

    const KEY_WORDS: usize = 5;
    const HALF_WORD: usize = 0;

    #[inline(always)]
    fn key_words((storage_id, slot): &(u32, U256)) -> [u64; 5] {
        let [a, b, c, d] = *slot.as_limbs();
        [u64::from(*storage_id), a, b, c, d]
    }

    #[inline(always)]
    fn hash(seed: &Seed, words: &[u64; 5]) -> u64 {
        seed.hash_slot(words)
    }

    fn key(words: &[u64; 5]) -> (u32, U256) {
        (words[0] as u32, U256::from_limbs([words[1], words[2], words[3], words[4]]))
    }

    #[inline(always)]
    fn load(kind: u64, word: impl Fn(usize) -> u64) -> U256 {
        if kind == KIND_SHORT {
            return Self::load_short(word);
        }
        U256::from_limbs([word(8), word(9), word(10), word(11)])
    }

    fn store(value: &U256, words: &mut [u64; ENTRY_WORDS]) -> u64 {
        if Self::store_short(value, words) {
            return KIND_SHORT;
        }
        words[8..12].copy_from_slice(value.as_limbs());
        KIND_PRESENT
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

    /// Of the words of an account's key. Part of the format: it never changes.
    ///
    /// A read waits for it, so the products are as few after each other as can be.
    #[inline(always)]
    pub(crate) const fn hash_account(&self, words: &[u64; 5]) -> u64 {
        let [a, b, c, d] = self.0;
        fold(fold(words[0] ^ a, words[1] ^ b) ^ c, words[2] ^ d)
    }

    /// Of the words of a slot's key. Part of the format, as above.
    #[inline(always)]
    pub(crate) const fn hash_slot(&self, words: &[u64; 5]) -> u64 {
        let [a, b, c, d] = self.0;
        let slot = fold(words[1] ^ a, words[2] ^ b) ^ fold(words[3] ^ c, words[4] ^ d);
        fold(slot, words[0] ^ b ^ c.rotate_left(32))
    }
}

/// Both halves of the product, mixed.
#[inline(always)]
const fn fold(left: u64, right: u64) -> u64 {
    let product = left as u128 * right as u128;
    product as u64 ^ (product >> 64) as u64
}
