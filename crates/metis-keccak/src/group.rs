//! Messages in lanes: which block of which message goes where, and when a hash is ready.

use alloy_primitives::Keccak256;

/// Rate of Keccak-256 in bytes: what one permutation takes in.
pub const BLOCK_BYTES: usize = 136;

/// What one permutation takes in.
pub type Block = [u8; BLOCK_BYTES];

/// The state of several messages: word by word, each with its lanes beside each other.
#[repr(align(64))]
pub struct State<const LANES: usize>(pub [[u64; LANES]; 25]);

/// A padded message: its last block may lie elsewhere than the others.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub first: &'a [Block],
    pub last: &'a Block,
}

/// What a lane takes in after the end of its message. Its hash has been taken by then.
const NOTHING: &Block = &[0; BLOCK_BYTES];

impl Default for Message<'_> {
    fn default() -> Self {
        Self { first: &[], last: NOTHING }
    }
}

/// Pads a message of `len_bytes`, which fills all blocks but the last one, whose rest must be zero
/// (the Keccak submission's multi-rate padding, with the empty domain suffix).
///
/// # Panics
/// When the message does not end in the last block.
pub fn pad(blocks: &mut [Block], len_bytes: usize) {
    assert_eq!(len_bytes / BLOCK_BYTES + 1, blocks.len(), "a message ends in its last block");
    let last = &mut blocks[len_bytes / BLOCK_BYTES];
    last[len_bytes % BLOCK_BYTES] = 0x01;
    last[BLOCK_BYTES - 1] |= 0x80;
}

impl Message<'_> {
    /// Its hash, one block after the other.
    pub fn hash_alone(&self) -> [u8; 32] {
        // The padding is taken off again for a library that adds it itself: from the back, the last
        // bit, zeros, and the first bit.
        let mut last = *self.last;
        last[BLOCK_BYTES - 1] &= 0x7f;
        let len_bytes = last.iter().rposition(|byte| *byte != 0).expect("a padded block");
        let mut hasher = Keccak256::new();
        hasher.update(self.first.as_flattened());
        hasher.update(&last[..len_bytes]);
        hasher.finalize().0
    }
}

/// Hashes up to `LANES` messages. `absorb` takes in one block per lane and permutes; `aside` is done
/// before each time.
#[inline]
pub fn hash<const LANES: usize>(
    absorb: impl Fn(&mut State<LANES>, &[&Block; LANES]),
    messages: &[Message<'_>],
    hashes: &mut [[u8; 32]],
    mut aside: impl FnMut(),
) {
    let mut state = State([[0; LANES]; 25]);
    let block_count_max = messages.iter().map(|message| message.first.len()).max().unwrap_or(0) + 1;
    for index in 0..block_count_max {
        let mut blocks = [NOTHING; LANES];
        for (block, message) in blocks.iter_mut().zip(messages) {
            *block = match message.first.get(index) {
                Some(block) => block,
                None if index == message.first.len() => message.last,
                None => NOTHING,
            };
        }
        aside();
        absorb(&mut state, &blocks);
        for (lane, message) in messages.iter().enumerate() {
            if index == message.first.len() {
                let (words, _) = hashes[lane].as_chunks_mut::<8>();
                for (word, bytes) in words.iter_mut().enumerate() {
                    *bytes = state.0[word][lane].to_le_bytes();
                }
            }
        }
    }
}
