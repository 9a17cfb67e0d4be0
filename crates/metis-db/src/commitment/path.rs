//! Keys as nibbles.

use alloy_primitives::B256;

/// Nibbles of a key.
pub(super) const KEY_NIBBLE_COUNT: usize = 64;

/// One nibble of a key, from the front.
#[inline]
pub(super) fn nibble(key: &B256, index: usize) -> u8 {
    let byte = key[index / 2];
    if index.is_multiple_of(2) { byte >> 4 } else { byte & 15 }
}

/// Nibbles from the front that two keys have in common.
#[inline]
pub(super) fn shared(left: &B256, right: &B256) -> usize {
    match left.iter().zip(right.iter()).position(|(left, right)| left != right) {
        Some(index) => index * 2 + usize::from((left[index] ^ right[index]) < 16),
        None => KEY_NIBBLE_COUNT,
    }
}

/// What the keys below an extension share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path {
    len: u8,
    nibbles: [u8; KEY_NIBBLE_COUNT],
}

impl Path {
    /// Nibbles `from..to` of a key.
    pub(super) fn of_key(key: &B256, from: usize, to: usize) -> Self {
        Self::from_iter((from..to).map(|index| nibble(key, index)))
    }

    /// A part of it.
    pub(super) fn slice(&self, from: usize, to: usize) -> Self {
        Self::from_iter(self.nibbles()[from..to].iter().copied())
    }

    /// Another one behind it.
    pub(super) fn join(&self, rest: &Self) -> Self {
        Self::from_iter(self.nibbles().iter().chain(rest.nibbles()).copied())
    }

    /// Two nibbles a byte, and the bytes that takes; of an odd count the first byte holds one, low.
    pub(super) fn packed(&self) -> ([u8; KEY_NIBBLE_COUNT / 2], usize) {
        let mut packed = [0; KEY_NIBBLE_COUNT / 2];
        for (index, nibble) in self.nibbles().iter().rev().enumerate() {
            packed[(self.len().div_ceil(2)) - 1 - index / 2] |= nibble << (4 * (index % 2));
        }
        (packed, self.len().div_ceil(2))
    }

    #[inline]
    pub(super) fn nibbles(&self) -> &[u8] {
        &self.nibbles[..self.len()]
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    /// Nibbles from its front that the key has at `depth` and behind.
    pub(super) fn shared_with(&self, key: &B256, depth: usize) -> usize {
        let own = self.nibbles().iter().enumerate();
        own.take_while(|(index, own)| depth + index < KEY_NIBBLE_COUNT && nibble(key, depth + index) == **own).count()
    }
}

impl FromIterator<u8> for Path {
    /// What is beyond the length of a key is left out.
    fn from_iter<I: IntoIterator<Item = u8>>(nibbles: I) -> Self {
        let mut path = Self { len: 0, nibbles: [0; KEY_NIBBLE_COUNT] };
        for (place, nibble) in path.nibbles.iter_mut().zip(nibbles) {
            *place = nibble;
            path.len += 1;
        }
        path
    }
}
