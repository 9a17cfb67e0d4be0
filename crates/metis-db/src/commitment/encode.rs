//! RLP of nodes (Yellow Paper appendices B to D).

use alloy_primitives::{B256, U256};
use metis_keccak::{BLOCK_BYTES, Block};
use metis_state_transition::Account;

use super::{
    node::{Branch, Extension, Leaf, Node, Value, nibbles_of, rank},
    path::KEY_NIBBLE_COUNT,
};

/// Blocks that the longest encoding takes: a branch with 16 hashes has 532 bytes.
pub(super) const BLOCK_COUNT_MAX: usize = 4;

/// Room for one encoding, and for a hash behind it: see [`encode_hashes`].
pub(super) type Scratch = [Block; BLOCK_COUNT_MAX + 1];

/// Room with nothing in it.
pub(super) const EMPTY: Scratch = [[0; BLOCK_BYTES]; BLOCK_COUNT_MAX + 1];

/// Header of a branch with 16 hashes.
const FULL_HEADER_BYTES: usize = 3;

const _: () = assert!(hashes_len(u16::MAX) == FULL_HEADER_BYTES + 16 * 33 + 1);

/// Writes encodings into room that is known to suffice.
struct Writer<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl Writer<'_> {
    #[inline]
    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// A hash as a string.
    #[inline]
    fn hash(&mut self, hash: &[u8; 32]) {
        let place = &mut self.bytes[self.len..self.len + 33];
        place[0] = 0xa0;
        place[1..].copy_from_slice(hash);
        self.len += 33;
    }

    /// Header of a string (`base` 0x80) or list (0xc0).
    #[inline]
    fn header(&mut self, base: u8, payload: usize) {
        match payload {
            0..56 => self.byte(base + payload as u8),
            56..256 => {
                self.byte(base + 56);
                self.byte(payload as u8);
            }
            _ => {
                self.byte(base + 57);
                self.byte((payload >> 8) as u8);
                self.byte(payload as u8);
            }
        }
    }

    /// A number without leading zeros.
    #[inline]
    fn number(&mut self, number: U256) {
        let zero_count = number.leading_zeros() / 8;
        if zero_count == 31 && number < U256::from(0x80) {
            return self.byte(number.as_limbs()[0] as u8);
        }
        // Digits to the front, and what is behind them is written over: a copy of a length that is
        // known is a few instructions.
        let digits = (number << (8 * zero_count)).to_be_bytes::<32>();
        self.header(0x80, 32 - zero_count);
        self.bytes[self.len..self.len + 32].copy_from_slice(&digits);
        self.len += 32 - zero_count;
    }

    /// Hex-prefix encoding of what a leaf at `depth` has of its key.
    #[inline]
    fn rest_of_key(&mut self, key: &B256, depth: usize) {
        let count = KEY_NIBBLE_COUNT - depth;
        let end = self.len + path_len(count);
        let Some(start) = end.checked_sub(key.len()) else {
            return self.path(true, &key[depth / 2..], count);
        };
        // All of the key, so that its end is where it belongs; the list's header, of three bytes at most, comes back.
        let header = [self.bytes[0], self.bytes[1], self.bytes[2]];
        self.bytes[start..end].copy_from_slice(&key[..]);
        self.bytes[..header.len()].copy_from_slice(&header);
        if count > 1 {
            self.header(0x80, count / 2 + 1);
        }
        let odd = if count % 2 == 1 { 0x10 | key[depth / 2] & 15 } else { 0 };
        self.byte(0x20 | odd);
        self.len = end;
    }

    /// Hex-prefix encoding of nibbles, as a string; both are packed, the count's first one high. Of
    /// an odd count the first byte holds one nibble, low.
    fn path(&mut self, is_leaf: bool, packed: &[u8], count: usize) {
        if count > 1 {
            self.header(0x80, count / 2 + 1);
        }
        let flag = if is_leaf { 0x20 } else { 0 };
        if count % 2 == 1 {
            self.byte(flag | 0x10 | packed[0] & 15);
            self.put(&packed[1..]);
        } else {
            self.byte(flag);
            self.put(packed);
        }
    }
}

#[inline]
const fn header_len(payload: usize) -> usize {
    match payload {
        0..56 => 1,
        56..256 => 2,
        _ => 3,
    }
}

#[inline]
fn number_len(number: U256) -> usize {
    let digits = 32 - number.leading_zeros() / 8;
    if digits == 1 && number < U256::from(0x80) { 1 } else { digits + 1 }
}

/// Length of a path's encoding.
#[inline]
const fn path_len(nibble_count: usize) -> usize {
    if nibble_count > 1 { nibble_count / 2 + 2 } else { 1 }
}

/// Length of the encoding of a node that hangs at `depth`.
#[inline]
pub(super) fn encoded_len(node: &Node<'_>, depth: usize) -> usize {
    let payload = match node {
        Node::Branch(branch) => branch_payload_len(branch),
        Node::Extension(extension) => extension_payload_len(extension),
        Node::Leaf(leaf) => leaf_payload_len(leaf, depth),
    };
    header_len(payload) + payload
}

/// Length of the encoding of a leaf that hangs at `depth`.
#[inline]
pub(super) fn leaf_len(leaf: &Leaf, depth: usize) -> usize {
    let payload = leaf_payload_len(leaf, depth);
    header_len(payload) + payload
}

/// Length of the encoding of a branch whose children are hashes.
#[inline]
pub(super) const fn hashes_len(mask: u16) -> usize {
    let payload = 17 + 32 * mask.count_ones() as usize;
    header_len(payload) + payload
}

fn branch_payload_len(branch: &Branch<'_>) -> usize {
    let embedded = branch.embedded & branch.mask;
    let embedded_len: usize =
        nibbles_of(embedded).map(|nibble| branch.reference(nibble).encoding().map_or(0, <[u8]>::len)).sum();
    let (child_count, embedded_count) = (branch.mask.count_ones(), embedded.count_ones());
    (child_count - embedded_count) as usize * 33 + embedded_len + 17 - child_count as usize
}

fn extension_payload_len(extension: &Extension) -> usize {
    let reference = &extension.reference;
    let embedded = if reference.is_embedded { reference.encoding() } else { None };
    path_len(extension.path.len()) + embedded.map_or(33, <[u8]>::len)
}

#[inline]
fn leaf_payload_len(leaf: &Leaf, depth: usize) -> usize {
    let value_len = value_len(&leaf.value);
    // A value is a string that holds an encoding; one byte below 0x80 is its own encoding.
    let header = if value_len == 1 { 0 } else { header_len(value_len) };
    path_len(KEY_NIBBLE_COUNT - depth) + header + value_len
}

#[inline]
fn value_len(value: &Value) -> usize {
    match value {
        Value::Slot(value) => number_len(*value),
        Value::Account { account, .. } => {
            let payload = account_payload_len(account);
            header_len(payload) + payload
        }
    }
}

#[inline]
fn account_payload_len(account: &Account) -> usize {
    number_len(U256::from(account.nonce)) + number_len(account.balance) + 66
}

/// Encodes a node that hangs at `depth`; gives the length.
///
/// References that are embedded must be lists: readers check that.
pub(super) fn encode(node: &Node<'_>, depth: usize, scratch: &mut Scratch) -> usize {
    match node {
        Node::Branch(branch) => encode_branch(branch, scratch),
        Node::Extension(extension) => encode_extension(extension, scratch),
        Node::Leaf(leaf) => encode_leaf(leaf, depth, scratch),
    }
}

pub(super) fn encode_extension(extension: &Extension, scratch: &mut Scratch) -> usize {
    let mut writer = Writer { bytes: scratch.as_flattened_mut(), len: 0 };
    writer.header(0xc0, extension_payload_len(extension));
    let (packed, len) = extension.path.packed();
    writer.path(false, &packed[..len], extension.path.len());
    match extension.reference.encoding() {
        Some(encoding) if extension.reference.is_embedded => writer.put(encoding),
        _ => writer.hash(&extension.reference.bytes),
    }
    writer.len
}

pub(super) fn encode_leaf(leaf: &Leaf, depth: usize, scratch: &mut Scratch) -> usize {
    let mut writer = Writer { bytes: scratch.as_flattened_mut(), len: 0 };
    writer.header(0xc0, leaf_payload_len(leaf, depth));
    writer.rest_of_key(&leaf.key, depth);
    let value_len = value_len(&leaf.value);
    if value_len > 1 {
        writer.header(0x80, value_len);
    }
    encode_value(&leaf.value, &mut writer);
    writer.len
}

pub(super) fn encode_branch(branch: &Branch<'_>, scratch: &mut Scratch) -> usize {
    let mut writer = Writer { bytes: scratch.as_flattened_mut(), len: 0 };
    if branch.embedded & branch.mask == 0 && branch.places == branch.mask && !branch.references.is_empty() {
        let payload = 17 + 32 * branch.mask.count_ones() as usize;
        writer.header(0xc0, payload);
        let start = writer.len;
        if let Ok(references) = branch.references.try_into() {
            encode_full(references, writer.bytes);
        } else {
            encode_hashes(branch.mask, branch.references, writer.bytes, start);
        }
        for nibble in nibbles_of(branch.changes.nibbles & branch.mask) {
            // Each child before it takes a byte, and 32 more where it is there.
            let at = start + usize::from(nibble) + 32 * rank(branch.mask, nibble) + 1;
            let reference = &branch.changes.references[rank(branch.changes.places, nibble)];
            writer.bytes[at..at + 32].copy_from_slice(reference);
        }
        writer.len = start + payload - 1;
    } else {
        writer.header(0xc0, branch_payload_len(branch));
        for nibble in 0..16 {
            if branch.mask >> nibble & 1 == 0 {
                writer.byte(0x80);
                continue;
            }
            let reference = branch.reference(nibble);
            match reference.encoding() {
                Some(encoding) if reference.is_embedded => writer.put(encoding),
                _ => writer.hash(&reference.bytes),
            }
        }
    }
    // Keys are of one length, so no branch has a value.
    writer.byte(0x80);
    writer.len
}

/// Writes sixteen hashes, which is what most branches near the root have.
fn encode_full(references: &[[u8; 32]; 16], bytes: &mut [u8]) {
    let (children, _) = bytes[FULL_HEADER_BYTES..].as_chunks_mut::<33>();
    for (child, reference) in children.iter_mut().zip(references) {
        child[0] = 0xa0;
        child[1..].copy_from_slice(reference);
    }
}

/// Writes the children of a branch none of which is embedded.
///
/// A hash is written for every nibble, and what comes next is written over it where there is none:
/// a processor cannot guess which nibbles have a child.
fn encode_hashes(mask: u16, references: &[[u8; 32]], bytes: &mut [u8], start: usize) {
    let (mut end, mut next) = (start, 0);
    for nibble in 0..16 {
        let is_there = usize::from(mask >> nibble & 1);
        let place = &mut bytes[end..end + 33];
        place[0] = 0x80 + 0x20 * is_there as u8;
        place[1..].copy_from_slice(&references[next.min(references.len() - 1)]);
        end += 1 + 32 * is_there;
        next += is_there;
    }
}

fn encode_value(value: &Value, writer: &mut Writer<'_>) {
    match value {
        Value::Slot(value) => writer.number(*value),
        Value::Account { account, storage_root, .. } => {
            // SPEC: Yellow Paper §4.1: nonce, balance, storage root, code hash.
            writer.header(0xc0, account_payload_len(account));
            writer.number(U256::from(account.nonce));
            writer.number(account.balance);
            writer.hash(&storage_root.0);
            writer.hash(&account.code_hash.0);
        }
    }
}

/// Pads an encoding for hashing; gives its blocks.
#[inline]
pub(super) fn pad(scratch: &mut Scratch, len: usize) -> &[Block] {
    // There is a block more than the longest encoding takes.
    scratch.as_flattened_mut()[len..len + BLOCK_BYTES].fill(0);
    let blocks = &mut scratch[..=len / BLOCK_BYTES];
    metis_keccak::pad(blocks, len);
    blocks
}
