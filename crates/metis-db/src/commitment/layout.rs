//! Nodes as bytes of a region.
//!
//! All numbers are little-endian. A node begins at a multiple of 16 bytes, by which its id counts.
//!
//! | kind | at | bytes | what |
//! |---|---|---|---|
//! | every | 0 | 1 | tag: 0 free, 1 branch, 2 extension, 3 account, 4 slot |
//! | branch | 2 | 2 | mask of nibbles with a child, n of them |
//! | | 4 | 4 | mask of nibbles whose child is embedded |
//! | | 8 | 4 n | the children's ids |
//! | | 8 + 4 n | 32 n | their hashes, or encodings shorter than 32 bytes |
//! | extension | 1 | 1 | nibbles of the path, 1 to 63 |
//! | | 2 | 2 | 1 where the child is embedded |
//! | | 8 | 4 | the child's id |
//! | | 12 | 32 | the path, two nibbles a byte, the first one high |
//! | | 44 | 32 | the child's hash or encoding |
//! | account | 1 | 1 | what follows the fixed part: 1 code hash, 2 storage root, 4 high half of the balance |
//! | | 4 | 4 | id of the root of its storage; 0 where it has none |
//! | | 8 | 32 | hashed address |
//! | | 40 | 8 | nonce |
//! | | 48 | 16 | low half of the balance |
//! | | 64 | 32, 32, 16 | code hash, storage root, high half of the balance, each where flagged |
//! | slot | 1 | 1 | bytes of the value, 1 to 32 |
//! | | 8 | 32 | hashed slot |
//! | | 40 | as above | value, big-endian |
//! | free | 2 | 2 | its size in units |
//! | | 4 | 4 | next free node of its size |
//!
//! A node whose trie was cut off waits to be freed with its children: bytes 4 to 8 then name the
//! next one that waits.

use alloy_primitives::{B256, KECCAK256_EMPTY, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use metis_state_transition::Account;

use super::{
    node::{Branch, Changes, Extension, Leaf, Link, Links, Node, Reference, Value, nibbles_of},
    path::Path,
};
use crate::StoreError;

/// What ids count: the region may have 2^32 of these, 64 GiB.
pub(super) const UNIT_BYTES: usize = 16;

pub(super) const TAG_FREE: u8 = 0;
pub(super) const TAG_BRANCH: u8 = 1;
pub(super) const TAG_EXTENSION: u8 = 2;
pub(super) const TAG_ACCOUNT: u8 = 3;
pub(super) const TAG_SLOT: u8 = 4;

const HAS_CODE: u8 = 1;
const HAS_STORAGE: u8 = 2;
const HAS_HIGH_BALANCE: u8 = 4;

/// Size of the largest node, a branch with 16 children.
pub(super) const NODE_BYTES_MAX: usize = branch_bytes(16);
/// Size of the largest node in units.
pub(super) const NODE_UNITS_MAX: usize = NODE_BYTES_MAX.div_ceil(UNIT_BYTES);
pub(super) const EXTENSION_BYTES: usize = 76;
const ACCOUNT_BYTES: usize = 64;
const SLOT_BYTES: usize = 40;

const _: () = assert!(NODE_BYTES_MAX == 584 && NODE_UNITS_MAX == 37);
const _: () = assert!(ACCOUNT_BYTES + 32 + 32 + 16 <= NODE_BYTES_MAX);

#[inline]
pub(super) const fn branch_bytes(child_count: usize) -> usize {
    8 + 36 * child_count
}

pub(super) const fn corrupt(offset: usize, problem: &'static str) -> StoreError {
    StoreError::Corrupt { part: "trie", offset: offset as u64, problem }
}

/// Two bytes at a place that is known to be there.
#[inline]
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Four bytes at a place that is known to be there.
#[inline]
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline]
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    // UNWRAP: `N` bytes.
    bytes[at..at + N].try_into().unwrap()
}

/// The bytes of a node, of the size that its first ones tell.
#[inline(always)]
pub(super) fn node_bytes(region: &[u8], id: u32) -> Result<&[u8], StoreError> {
    let offset = id as usize * UNIT_BYTES;
    let rest = region.get(offset..).filter(|rest| rest.len() >= UNIT_BYTES);
    let rest = rest.ok_or_else(|| corrupt(offset, "a node outside the region"))?;
    let size = match rest[0] {
        TAG_BRANCH => branch_bytes(u16_at(rest, 2).count_ones() as usize),
        TAG_EXTENSION => EXTENSION_BYTES,
        TAG_ACCOUNT => ACCOUNT_BYTES + account_tail_bytes(rest[1]),
        TAG_SLOT => SLOT_BYTES + usize::from(rest[1]),
        TAG_FREE => usize::from(u16_at(rest, 2)) * UNIT_BYTES,
        _ => return Err(corrupt(offset, "an unknown tag")),
    };
    if size == 0 || size > NODE_BYTES_MAX.next_multiple_of(UNIT_BYTES) {
        return Err(corrupt(offset, "a node of a size that none has"));
    }
    rest.get(..size).ok_or_else(|| corrupt(offset, "a node that reaches out of the region"))
}

const fn account_tail_bytes(flags: u8) -> usize {
    let code = if flags & HAS_CODE != 0 { 32 } else { 0 };
    let storage = if flags & HAS_STORAGE != 0 { 32 } else { 0 };
    let balance = if flags & HAS_HIGH_BALANCE != 0 { 16 } else { 0 };
    code + storage + balance
}

/// The tag of a node in the region; `None` outside.
#[inline]
pub(super) fn tag(region: &[u8], id: u32) -> Option<u8> {
    region.get(id as usize * UNIT_BYTES).copied()
}

/// Reads a node, and checks all of it that can be checked without reading others.
#[inline]
pub(super) fn read(region: &[u8], id: u32) -> Result<Node<'_>, StoreError> {
    let bytes = node_bytes(region, id)?;
    let offset = id as usize * UNIT_BYTES;
    match bytes[0] {
        TAG_BRANCH => read_branch(bytes, offset).map(Node::Branch),
        TAG_EXTENSION => read_extension(bytes, offset).map(Node::Extension),
        TAG_ACCOUNT => Ok(Node::Leaf(read_account(bytes))),
        TAG_SLOT => {
            let value = &bytes[SLOT_BYTES..];
            if value.is_empty() || value.len() > 32 || value[0] == 0 {
                return Err(corrupt(offset, "a value of a slot that is not a number"));
            }
            let value = Value::Slot(U256::from_be_slice(value));
            Ok(Node::Leaf(Leaf { key: B256::from(array_at(bytes, 8)), value }))
        }
        _ => Err(corrupt(offset, "a free node in use")),
    }
}

/// Reads a node that must be a branch.
#[inline(always)]
pub(super) fn branch(region: &[u8], id: u32) -> Result<Branch<'_>, StoreError> {
    let (bytes, offset) = (node_bytes(region, id)?, id as usize * UNIT_BYTES);
    if bytes[0] != TAG_BRANCH {
        return Err(corrupt(offset, "no branch where one was"));
    }
    read_branch(bytes, offset)
}

#[inline(always)]
fn read_branch(bytes: &[u8], offset: usize) -> Result<Branch<'_>, StoreError> {
    let mask = u16_at(bytes, 2);
    let count = mask.count_ones() as usize;
    let embedded = u16_at(bytes, 4);
    if count < 2 || embedded & !mask != 0 || u16_at(bytes, 6) != 0 {
        return Err(corrupt(offset, "masks of a branch that contradict each other"));
    }
    let (ids, _) = bytes[8..8 + 4 * count].as_chunks::<4>();
    let (references, _) = bytes[8 + 4 * count..].as_chunks::<32>();
    let branch =
        Branch { mask, embedded, places: mask, links: Links::Stored(ids), references, changes: Changes::default() };
    if embedded != 0 && nibbles_of(embedded).any(|nibble| branch.reference(nibble).encoding().is_none()) {
        return Err(corrupt(offset, "an embedded child that is no list"));
    }
    Ok(branch)
}

fn read_extension(bytes: &[u8], offset: usize) -> Result<Extension, StoreError> {
    let count = usize::from(bytes[1]);
    if !(1..64).contains(&count) || u16_at(bytes, 2) > 1 {
        return Err(corrupt(offset, "an extension without a path"));
    }
    let packed: [u8; 32] = array_at(bytes, 12);
    let path = Path::of_key(&B256::from(packed), 0, count);
    let reference = Reference { bytes: array_at(bytes, 44), is_embedded: u16_at(bytes, 2) == 1 };
    if reference.is_embedded && reference.encoding().is_none() {
        return Err(corrupt(offset, "an embedded child that is no list"));
    }
    Ok(Extension { path, child: Link::stored(u32_at(bytes, 8)), reference })
}

fn read_account(bytes: &[u8]) -> Leaf {
    let flags = bytes[1];
    let mut at = ACCOUNT_BYTES;
    let mut hash = |flag, default| {
        if flags & flag == 0 {
            return default;
        }
        at += 32;
        B256::from(array_at(bytes, at - 32))
    };
    let code_hash = hash(HAS_CODE, KECCAK256_EMPTY);
    let storage_root = hash(HAS_STORAGE, EMPTY_ROOT_HASH);
    let high = if flags & HAS_HIGH_BALANCE == 0 { 0 } else { u128::from_le_bytes(array_at(bytes, at)) };
    let low = u128::from_le_bytes(array_at(bytes, 48));
    let account = Account {
        nonce: u64::from_le_bytes(array_at(bytes, 40)),
        balance: U256::from(high) << 128 | U256::from(low),
        code_hash,
    };
    // Without the flag there is no storage, whatever the id says.
    let storage = if flags & HAS_STORAGE == 0 { Link::NONE } else { Link::stored(u32_at(bytes, 4)) };
    Leaf { key: B256::from(array_at(bytes, 8)), value: Value::Account { account, storage, storage_root } }
}

/// The storage of the account with this key and its root, where the node is that account.
#[inline]
pub(super) fn storage_of_account(region: &[u8], id: u32, key: &B256) -> Option<(Link, B256)> {
    let bytes = node_bytes(region, id).ok()?;
    if bytes[0] != TAG_ACCOUNT || bytes[8..40] != key[..] {
        return None;
    }
    let flags = bytes[1];
    if flags & HAS_STORAGE == 0 {
        return Some((Link::NONE, EMPTY_ROOT_HASH));
    }
    let at = if flags & HAS_CODE == 0 { ACCOUNT_BYTES } else { ACCOUNT_BYTES + 32 };
    Some((Link::stored(u32_at(bytes, 4)), B256::from(array_at(bytes, at))))
}

/// Size of a leaf in bytes.
pub(super) fn size_of_leaf(leaf: &Leaf) -> usize {
    match &leaf.value {
        Value::Slot(value) => SLOT_BYTES + 32 - value.leading_zeros() / 8,
        Value::Account { account, storage, .. } => ACCOUNT_BYTES + account_tail_bytes(account_flags(account, *storage)),
    }
}

fn account_flags(account: &Account, storage: Link) -> u8 {
    let code = if account.code_hash == KECCAK256_EMPTY { 0 } else { HAS_CODE };
    let storage = if storage.is_none() { 0 } else { HAS_STORAGE };
    let balance = if account.balance >> 128 == U256::ZERO { 0 } else { HAS_HIGH_BALANCE };
    code | storage | balance
}

/// Writes a node whose children have the ids that `id_of` tells.
pub(super) fn write(node: &Node<'_>, id_of: impl Fn(Link) -> u32, bytes: &mut [u8]) {
    match node {
        Node::Branch(branch) => {
            let count = branch.mask.count_ones() as usize;
            bytes[0] = TAG_BRANCH;
            bytes[1] = 0;
            bytes[2..4].copy_from_slice(&branch.mask.to_le_bytes());
            bytes[4..8].copy_from_slice(&u32::from(branch.embedded & branch.mask).to_le_bytes());
            for (place, nibble) in nibbles_of(branch.mask).enumerate() {
                bytes[8 + 4 * place..][..4].copy_from_slice(&id_of(branch.link(nibble)).to_le_bytes());
                bytes[8 + 4 * count + 32 * place..][..32].copy_from_slice(&branch.reference(nibble).bytes);
            }
        }
        Node::Extension(extension) => {
            bytes[..12].fill(0);
            bytes[0] = TAG_EXTENSION;
            bytes[1] = extension.path.len() as u8;
            bytes[2] = u8::from(extension.reference.is_embedded);
            bytes[8..12].copy_from_slice(&id_of(extension.child).to_le_bytes());
            bytes[12..44].fill(0);
            for (index, nibble) in extension.path.nibbles().iter().enumerate() {
                bytes[12 + index / 2] |= if index % 2 == 0 { nibble << 4 } else { *nibble };
            }
            bytes[44..76].copy_from_slice(&extension.reference.bytes);
        }
        Node::Leaf(leaf) => write_leaf(leaf, id_of, bytes),
    }
}

fn write_leaf(leaf: &Leaf, id_of: impl Fn(Link) -> u32, bytes: &mut [u8]) {
    bytes[..8].fill(0);
    bytes[8..40].copy_from_slice(leaf.key.as_slice());
    match &leaf.value {
        Value::Slot(value) => {
            let digits = value.to_be_bytes::<32>();
            let digits = &digits[value.leading_zeros() / 8..];
            bytes[0] = TAG_SLOT;
            bytes[1] = digits.len() as u8;
            bytes[SLOT_BYTES..SLOT_BYTES + digits.len()].copy_from_slice(digits);
        }
        Value::Account { account, storage, storage_root } => {
            let flags = account_flags(account, *storage);
            bytes[0] = TAG_ACCOUNT;
            bytes[1] = flags;
            bytes[4..8].copy_from_slice(&id_of(*storage).to_le_bytes());
            bytes[40..48].copy_from_slice(&account.nonce.to_le_bytes());
            let balance = account.balance.to_le_bytes::<32>();
            bytes[48..64].copy_from_slice(&balance[..16]);
            let code = (flags & HAS_CODE != 0).then_some(account.code_hash.as_slice());
            let root = (flags & HAS_STORAGE != 0).then_some(storage_root.as_slice());
            let high = (flags & HAS_HIGH_BALANCE != 0).then_some(&balance[16..]);
            let mut at = ACCOUNT_BYTES;
            for tail in [code, root, high].into_iter().flatten() {
                bytes[at..at + tail.len()].copy_from_slice(tail);
                at += tail.len();
            }
        }
    }
}
