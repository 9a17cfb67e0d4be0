//! Keccak-256, Ethereum's hash function, of many messages.
//!
//! In: messages of any lengths. Out: their hashes. Tries and traces hash thousands of messages at a
//! time; this is the one place where that is made fast: several messages go through the
//! permutation beside each other, one in each lane of the processor's vectors.
//!
//! Invariant: every set of instructions gives the same bits.

mod group;
#[cfg(target_arch = "x86_64")]
mod permutation;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use group::{BLOCK_BYTES, Block, pad};

/// Messages that are hashed beside each other, at most.
pub const LANE_COUNT_MAX: usize = 8;

/// Ethereum's hash function (Keccak-256, not NIST SHA3-256).
pub fn keccak256(message: &[u8]) -> [u8; 32] {
    alloy_primitives::keccak256(message).0
}

/// The hashes of many messages; messages of one length beside each other are the fastest.
///
/// # Panics
/// There are more or fewer places for hashes than messages.
pub fn keccak256_each(messages: &[&[u8]], hashes: &mut [[u8; 32]]) {
    Lanes::best().hash_each(messages, hashes);
}

/// A set of instructions that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes(Kind);

// Only this file makes one, after it asked the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Lanes {
    /// Nothing beyond what every processor has: one message at a time.
    pub const SCALAR: Self = Self(Kind::Scalar);

    /// The fastest one.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self(Kind::Avx512);
            }
            if is_x86_feature_detected!("avx2") {
                return Self(Kind::Avx2);
            }
        }
        Self::SCALAR
    }

    /// All that this processor has, for tests and measurements.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::SCALAR];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                all.push(Self(Kind::Avx2));
            }
            if is_x86_feature_detected!("avx512f") {
                all.push(Self(Kind::Avx512));
            }
        }
        all
    }

    /// A word for reports.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
        }
    }

    /// Messages that are hashed beside each other.
    pub const fn width(self) -> usize {
        match self.0 {
            Kind::Scalar => 1,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => 4,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => LANE_COUNT_MAX,
        }
    }

    /// The hashes of any number of messages.
    ///
    /// # Panics
    /// There are more or fewer places for hashes than messages.
    pub fn hash_each(self, messages: &[&[u8]], hashes: &mut [[u8; 32]]) {
        assert_eq!(messages.len(), hashes.len(), "a place for each hash");
        if self.width() == 1 {
            for (message, hash) in messages.iter().zip(hashes) {
                *hash = keccak256(message);
            }
            return;
        }
        let block_count = |message: &&[u8]| message.len() / BLOCK_BYTES;
        if messages.is_sorted_by_key(block_count) {
            return self.hash_in_order(messages, hashes);
        }
        // Messages of as many blocks beside each other, so that no lane runs empty.
        let mut order: Vec<usize> = (0..messages.len()).collect();
        order.sort_by_key(|index| block_count(&messages[*index]));
        let sorted: Vec<&[u8]> = order.iter().map(|index| messages[*index]).collect();
        let mut sorted_hashes = vec![[0; 32]; messages.len()];
        self.hash_in_order(&sorted, &mut sorted_hashes);
        for (index, hash) in order.into_iter().zip(sorted_hashes) {
            hashes[index] = hash;
        }
    }

    fn hash_in_order(self, messages: &[&[u8]], hashes: &mut [[u8; 32]]) {
        let width = self.width();
        for (messages, hashes) in messages.chunks(width).zip(hashes.chunks_mut(width)) {
            let mut last = [[0; BLOCK_BYTES]; LANE_COUNT_MAX];
            let mut split: [(&[Block], usize); LANE_COUNT_MAX] = [(&[], 0); LANE_COUNT_MAX];
            for (lane, message) in messages.iter().enumerate() {
                let (full, rest) = message.as_chunks::<BLOCK_BYTES>();
                last[lane][..rest.len()].copy_from_slice(rest);
                pad(core::slice::from_mut(&mut last[lane]), rest.len());
                split[lane].0 = full;
            }
            let mut inputs = [group::Message::default(); LANE_COUNT_MAX];
            for (lane, input) in inputs.iter_mut().enumerate().take(messages.len()) {
                *input = group::Message { first: split[lane].0, last: &last[lane] };
            }
            self.hash_group(&inputs[..messages.len()], hashes, || {});
        }
    }

    /// The hashes of at most [`Self::width`] messages that [`pad`] padded, together; those of as many
    /// blocks cost least.
    ///
    /// # Panics
    /// There are more messages than lanes, other than as many places for hashes, or a message without
    /// a block.
    pub fn hash_padded(self, messages: &[&[Block]], hashes: &mut [[u8; 32]]) {
        self.hash_padded_with(messages, hashes, || {});
    }

    /// The same, with something done before each permutation: a place to ask memory for what is
    /// needed next, which then comes while the processor permutes.
    ///
    /// # Panics
    /// As [`Self::hash_padded`].
    #[inline]
    pub fn hash_padded_with(self, messages: &[&[Block]], hashes: &mut [[u8; 32]], aside: impl FnMut()) {
        let mut inputs = [group::Message::default(); LANE_COUNT_MAX];
        for (input, message) in inputs[..messages.len()].iter_mut().zip(messages) {
            let (last, first) = message.split_last().expect("a padded message has a block");
            *input = group::Message { first, last };
        }
        self.hash_group(&inputs[..messages.len()], hashes, aside);
    }

    #[inline]
    fn hash_group(self, messages: &[group::Message<'_>], hashes: &mut [[u8; 32]], mut aside: impl FnMut()) {
        assert_eq!(messages.len(), hashes.len(), "a place for each hash");
        assert!(messages.len() <= self.width(), "a lane for each message");
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 if messages.len() > 1 => {
                // SAFETY: this kind is only made where the processor has AVX-512F.
                group::hash::<8>(|state, blocks| unsafe { x86::absorb_avx512(state, blocks) }, messages, hashes, aside);
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 if messages.len() > 1 => {
                // SAFETY: this kind is only made where the processor has AVX2.
                group::hash::<4>(|state, blocks| unsafe { x86::absorb_avx2(state, blocks) }, messages, hashes, aside);
            }
            // One message alone is no slower without vectors.
            _ => messages.iter().zip(hashes).for_each(|(message, hash)| {
                aside();
                *hash = message.hash_alone();
            }),
        }
    }
}
