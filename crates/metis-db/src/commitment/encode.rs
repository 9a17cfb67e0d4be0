//! RLP of nodes (Yellow Paper appendices B to D).

use alloy_primitives::U256;
use metis_keccak::{BLOCK_BYTES, Block};
use metis_state_transition::Account;

use super::{
    node::{Branch, Node, Value, nibbles_of, rank},
    path::KEY_NIBBLE_COUNT,
};

/// Blocks that the longest encoding takes: a branch with 16 hashes has 532 bytes.
pub(super) const BLOCK_COUNT_MAX: usize = 4;

/// Room for one encoding, and for a hash behind it: see [`encode_hashes`].
pub(super) type Scratch = [Block; BLOCK_COUNT_MAX + 1];

/// Room with nothing in it.
pub(super) const EMPTY: Scratch = [[0; BLOCK_BYTES]; BLOCK_COUNT_MAX + 1];

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
        let bytes = number.to_be_bytes::<32>();
        let digits = &bytes[number.leading_zeros() / 8..];
        match digits {
            [digit] if *digit < 0x80 => self.byte(*digit),
            _ => {
                self.header(0x80, digits.len());
                self.put(digits);
            }
        }
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
    let payload = payload_len(node, depth);
    header_len(payload) + payload
}

#[inline]
fn payload_len(node: &Node<'_>, depth: usize) -> usize {
    match node {
        Node::Branch(branch) => {
            let embedded = branch.embedded & branch.mask;
            let embedded_len: usize =
                nibbles_of(embedded).map(|nibble| branch.reference(nibble).encoding().map_or(0, <[u8]>::len)).sum();
            let (child_count, embedded_count) = (branch.mask.count_ones(), embedded.count_ones());
            (child_count - embedded_count) as usize * 33 + embedded_len + 17 - child_count as usize
        }
        Node::Extension(extension) => {
            let reference = &extension.reference;
            let embedded = if reference.is_embedded { reference.encoding() } else { None };
            path_len(extension.path.len()) + embedded.map_or(33, <[u8]>::len)
        }
        Node::Leaf(leaf) => {
            let value_len = value_len(&leaf.value);
            // A value is a string that holds an encoding; one byte below 0x80 is its own encoding.
            let header = if value_len == 1 { 0 } else { header_len(value_len) };
            path_len(KEY_NIBBLE_COUNT - depth) + header + value_len
        }
    }
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
    let mut writer = Writer { bytes: scratch.as_flattened_mut(), len: 0 };
    writer.header(0xc0, payload_len(node, depth));
    match node {
        Node::Branch(branch) => encode_children(branch, &mut writer),
        Node::Extension(extension) => {
            let (packed, len) = extension.path.packed();
            writer.path(false, &packed[..len], extension.path.len());
            match extension.reference.encoding() {
                Some(encoding) if extension.reference.is_embedded => writer.put(encoding),
                _ => writer.hash(&extension.reference.bytes),
            }
        }
        Node::Leaf(leaf) => {
            writer.path(true, &leaf.key[depth / 2..], KEY_NIBBLE_COUNT - depth);
            let value_len = value_len(&leaf.value);
            if value_len > 1 {
                writer.header(0x80, value_len);
            }
            encode_value(&leaf.value, &mut writer);
        }
    }
    writer.len
}

fn encode_children(branch: &Branch<'_>, writer: &mut Writer<'_>) {
    if branch.embedded & branch.mask == 0 && branch.places == branch.mask && !branch.references.is_empty() {
        writer.len = encode_hashes(branch.mask, branch.references, writer.bytes, writer.len);
    } else {
        for nibble in 0..16 {
            if branch.mask >> nibble & 1 == 0 {
                writer.byte(0x80);
            } else if branch.embedded >> nibble & 1 == 0 {
                writer.hash(&branch.references[rank(branch.places, nibble)]);
            } else if let Some(encoding) = branch.reference(nibble).encoding() {
                writer.put(encoding);
            }
        }
    }
    // Keys are of one length, so no branch has a value.
    writer.byte(0x80);
}

/// Writes the children of a branch none of which is embedded; gives the new end.
///
/// A hash is written for every nibble, and what comes next is written over it where there is none:
/// a processor cannot guess which nibbles have a child.
fn encode_hashes(mask: u16, references: &[[u8; 32]], bytes: &mut [u8], start: usize) -> usize {
    let (mut end, mut next) = (start, 0);
    for nibble in 0..16 {
        let is_there = usize::from(mask >> nibble & 1);
        let place = &mut bytes[end..end + 33];
        place[0] = 0x80 + 0x20 * is_there as u8;
        place[1..].copy_from_slice(&references[next.min(references.len() - 1)]);
        end += 1 + 32 * is_there;
        next += is_there;
    }
    end
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
pub(super) fn pad(scratch: &mut Scratch, len: usize) -> &[Block] {
    let blocks = &mut scratch[..=len / BLOCK_BYTES];
    blocks.as_flattened_mut()[len..].fill(0);
    metis_keccak::pad(blocks, len);
    blocks
}
