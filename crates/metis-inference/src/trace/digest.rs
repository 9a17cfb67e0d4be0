//! Commitments: of a tensor, a Merkle tree over chunks of its bytes; of a run, one over its points.
//!
//! A chunk's place and the number of chunks follow from type and shape, which the commitment holds, and a point's from
//! the graph: so no hash can be taken for one of another level, and chunks are hashed as they lie in memory.

use alloc::{vec, vec::Vec};

use metis_keccak::{keccak256, keccak256_each};

use crate::graph::Facts;

/// Keccak-256.
pub type Digest = [u8; 32];

/// Bytes of a tensor that are hashed together; the last ones may be fewer.
pub const CHUNK_BYTES: usize = 4096;
/// Threads take shares of a run's chunks from this many bytes on.
const SHARED_BYTES_MIN: usize = 1 << 18;

const TENSOR: &[u8] = b"metis/ai/tensor/v1\0";
const TRACE: &[u8] = b"metis/ai/trace/v1\0";

/// The commitments of tensors, each given with its bytes. The number of threads changes nothing.
pub fn commitments(tensors: &[(Facts, &[u8])], threads: usize) -> Vec<Digest> {
    let chunks: Vec<&[u8]> = tensors.iter().flat_map(|(_, bytes)| bytes.chunks(CHUNK_BYTES)).collect();
    let mut levels = hash_chunks(&chunks, threads);
    // All trees grow together, level by level, so that lanes stay full: (first node, number of nodes) of each.
    let mut trees = Vec::with_capacity(tensors.len());
    let mut first = 0;
    for (_, bytes) in tensors {
        let count = bytes.len().div_ceil(CHUNK_BYTES);
        trees.push((first, count));
        first += count;
    }
    while trees.iter().any(|(_, count)| *count > 1) {
        (levels, trees) = parents(&levels, &trees);
    }
    let heads: Vec<Vec<u8>> =
        tensors.iter().zip(&trees).map(|((facts, _), tree)| head(facts, &levels[tree.0])).collect();
    hash_each(&heads.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// The root over the commitments of a run's points, in order.
pub fn trace_root(commitments: &[Digest]) -> Digest {
    let (mut level, mut trees) = (commitments.to_vec(), vec![(0, commitments.len())]);
    while trees[0].1 > 1 {
        (level, trees) = parents(&level, &trees);
    }
    let mut message = TRACE.to_vec();
    message.extend_from_slice(&(commitments.len() as u32).to_le_bytes());
    message.extend_from_slice(level.first().unwrap_or(&[0; 32]));
    keccak256(&message)
}

/// What the commitment of a tensor is the hash of.
fn head(facts: &Facts, top: &Digest) -> Vec<u8> {
    let mut head = TENSOR.to_vec();
    head.extend_from_slice(&[facts.dtype as u8, facts.shape.rank() as u8]);
    for size in facts.shape.dimensions() {
        head.extend_from_slice(&size.to_le_bytes());
    }
    head.extend_from_slice(top);
    head
}

/// The level above of several trees: pairs are hashed, a last one without a partner goes up as it is.
fn parents(level: &[Digest], trees: &[(usize, usize)]) -> (Vec<Digest>, Vec<(usize, usize)>) {
    let pairs = trees.iter().flat_map(|&(first, count)| level[first..first + count].as_chunks::<2>().0);
    let messages: Vec<&[u8]> = pairs.map(|pair| pair.as_flattened()).collect();
    let mut hashed = hash_each(&messages).into_iter();
    let mut above = Vec::with_capacity(level.len() / 2 + trees.len());
    let mut places = Vec::with_capacity(trees.len());
    for &(first, count) in trees {
        places.push((above.len(), count.div_ceil(2)));
        above.extend(hashed.by_ref().take(count / 2));
        if count % 2 == 1 {
            above.push(level[first + count - 1]);
        }
    }
    (above, places)
}

fn hash_each(messages: &[&[u8]]) -> Vec<Digest> {
    let mut hashes = vec![[0; 32]; messages.len()];
    keccak256_each(messages, &mut hashes);
    hashes
}

fn hash_chunks(chunks: &[&[u8]], threads: usize) -> Vec<Digest> {
    let mut hashes = vec![[0; 32]; chunks.len()];
    let bytes: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    if threads < 2 || bytes < SHARED_BYTES_MIN {
        keccak256_each(chunks, &mut hashes);
    } else {
        // Shares are multiples of 8, the number of lanes.
        let share = chunks.len().div_ceil(threads).next_multiple_of(8);
        std::thread::scope(|scope| {
            let mut parts = chunks.chunks(share).zip(hashes.chunks_mut(share));
            let own = parts.next();
            for (messages, hashes) in parts {
                scope.spawn(move || keccak256_each(messages, hashes));
            }
            if let Some((messages, hashes)) = own {
                keccak256_each(messages, hashes);
            }
        });
    }
    hashes
}
