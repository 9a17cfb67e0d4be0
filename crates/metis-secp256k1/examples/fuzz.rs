//! Batches of signatures, recovered together and one by one by libsecp256k1: `fuzz COUNT SEED` prints a seed and the
//! signature where they differ, and exits with 1. See `python -m fuzz.signatures`.
//!
//! Numbers are drawn to meet carries: few bits, long runs of ones, neighbours of the order, of the field's prime and of
//! powers of two, beside uniform ones.

use metis_secp256k1::{Signed, recover, recover_each};
use rand_xoshiro::{
    SplitMix64,
    rand_core::{Rng, SeedableRng},
};

const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc,
    0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];
const PRIME: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xfc, 0x2f,
];
const BATCH_SIZE_MAX: u64 = 200;

struct Random(SplitMix64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn uniform(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for word in bytes.chunks_exact_mut(8) {
            word.copy_from_slice(&self.next().to_be_bytes());
        }
        bytes
    }

    fn number(&mut self) -> [u8; 32] {
        match self.below(8) {
            0 => self.few_bits(),
            1 => self.run_of_ones(),
            2 => self.near(ORDER),
            3 => self.near(PRIME),
            4 => {
                let power = self.power();
                self.near(power)
            }
            _ => self.uniform(),
        }
    }

    fn power(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[self.below(32) as usize] = 1 << self.below(8);
        bytes
    }

    fn few_bits(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for _ in 0..=self.below(4) {
            bytes[self.below(32) as usize] |= 1 << self.below(8);
        }
        bytes
    }

    fn run_of_ones(&mut self) -> [u8; 32] {
        let (from, to) = (self.below(256), self.below(256));
        let mut bytes = [0; 32];
        for bit in from.min(to)..=from.max(to) {
            bytes[(bit / 8) as usize] |= 0x80 >> (bit % 8);
        }
        bytes
    }

    /// A number, and up to 300 more or less, modulo 2^256.
    fn near(&mut self, mut bytes: [u8; 32]) -> [u8; 32] {
        let distance = self.below(601) as i64 - 300;
        let mut carry = distance;
        for byte in bytes.iter_mut().rev() {
            carry += i64::from(*byte);
            *byte = carry.rem_euclid(256) as u8;
            carry = carry.div_euclid(256);
        }
        bytes
    }

    fn signed(&mut self) -> Signed {
        Signed { digest: self.number(), r: self.number(), s: self.number(), is_y_odd: self.below(2) == 1 }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (Some(Ok(count)), Some(Ok(seed))) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: fuzz COUNT SEED");
        std::process::exit(2);
    };
    let mut random = Random(SplitMix64::seed_from_u64(seed));
    let (mut done, mut keys) = (0, 0);
    while done < count {
        let size = 1 + random.below(BATCH_SIZE_MAX);
        let batch: Vec<Signed> = (0..size).map(|_| random.signed()).collect();
        for (signed, found) in batch.iter().zip(recover_each(&batch)) {
            if found != recover(signed) {
                println!("{signed:02x?}: together {found:02x?}, by libsecp256k1 {:02x?}", recover(signed));
                std::process::exit(1);
            }
            keys += u64::from(found.is_some());
        }
        done += size;
    }
    println!("{{\"signatures\":{done},\"keys\":{keys},\"lanes\":{}}}", metis_secp256k1::has_lanes());
}
