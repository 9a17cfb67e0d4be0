//! The weights of a graph: whether bytes are its constants, each in its declared range.

use alloc::vec::Vec;

use crate::{
    graph::{Facts, Graph},
    memory::{Element, with_type},
};

/// Why bytes are not the weights of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWeights {
    /// Too many bytes, or too few.
    #[error("{given} bytes instead of {expected}")]
    Length {
        /// What is there.
        given: usize,
        /// What the graph's constants take.
        expected: u128,
    },
    /// The bytes do not begin at a multiple of 64.
    #[error("the weights do not begin at a multiple of 64 bytes")]
    Alignment,
    /// Bytes after a constant that are not zero.
    #[error("the bytes after constant {0} are not zero")]
    Padding(usize),
    /// A constant outside its declared range.
    #[error("it has {lo} to {hi}, declared are {declared_lo} to {declared_hi}")]
    Range {
        /// Which constant.
        index: usize,
        /// Its least element.
        lo: i64,
        /// Its greatest element.
        hi: i64,
        /// What is declared.
        declared_lo: i64,
        /// What is declared.
        declared_hi: i64,
    },
}

/// The least and the greatest of so many elements in little-endian bytes.
pub(crate) fn range_of(facts: &Facts, bytes: &[u8]) -> (i64, i64) {
    with_type!(facts.dtype, T => {
        // The least and the greatest are found in the type itself, of which a register holds more, and of many lanes.
        const LANES: usize = 64;
        let value = |bytes: &[u8]| {
            let mut raw = [0; size_of::<T>()];
            raw.copy_from_slice(bytes);
            T::from_le_bytes(raw)
        };
        let (mut least, mut most) = ([T::MAX; LANES], [T::MIN; LANES]);
        for block in bytes.chunks(LANES * size_of::<T>()) {
            for ((lo, hi), bytes) in least.iter_mut().zip(&mut most).zip(block.chunks_exact(size_of::<T>())) {
                let found = value(bytes);
                (*lo, *hi) = ((*lo).min(found), (*hi).max(found));
            }
        }
        let lo = least.into_iter().fold(T::MAX, T::min);
        (lo.wide(), most.into_iter().fold(T::MIN, T::max).wide())
    })
}

/// Checks that bytes are the constants of a graph.
///
/// # Errors
/// They are too many or too few, padding is not zero, or a value leaves its declared range.
pub(crate) fn check(graph: &Graph, bytes: &[u8]) -> Result<(), InvalidWeights> {
    let sizes: Vec<usize> = graph.constants.iter().map(|tensor| tensor.facts.padded_bytes()).collect();
    let expected = sizes.iter().map(|size| *size as u128).sum();
    if bytes.len() as u128 != expected {
        return Err(InvalidWeights::Length { given: bytes.len(), expected });
    }
    let mut rest = bytes;
    for (index, (tensor, size)) in graph.constants.iter().zip(sizes).enumerate() {
        let (constant, after) = rest.split_at(size);
        let (elements, padding) = constant.split_at(tensor.facts.size_bytes());
        rest = after;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(InvalidWeights::Padding(index));
        }
        let (lo, hi) = range_of(&tensor.facts, elements);
        let Facts { lo: declared_lo, hi: declared_hi, .. } = tensor.facts;
        if lo < declared_lo || hi > declared_hi {
            return Err(InvalidWeights::Range { index, lo, hi, declared_lo, declared_hi });
        }
    }
    Ok(())
}
