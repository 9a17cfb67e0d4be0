//! The bytes of calls, answers, reverts and logs: Solidity's ABI, in its one canonical layout.
//!
//! Decoders elsewhere follow offsets wherever they lead, so that a few bytes can name the same megabyte a thousand
//! times. Here a call begins with what encoding its values gives, or it is malformed. What follows
//! is ignored, as everywhere in Ethereum: Vyper sends as many bytes as the longest arguments would take.

use alloc::{vec, vec::Vec};

use alloy_primitives::{Address, B256, Bytes, Log, U256, b256, hex};

use super::INFERENCE;

/// `infer(bytes32,bytes)`
pub(super) const INFER: [u8; 4] = hex!("54616cd8");
/// `inferMany(bytes32,bytes[])`
pub(super) const INFER_MANY: [u8; 4] = hex!("ec0fff60");
/// `modelInfo(bytes32)`
pub(super) const MODEL_INFO: [u8; 4] = hex!("427a64f9");
/// `matmulInt8(uint32,uint32,uint32,bytes,bytes)`
pub(super) const MATMUL_INT8: [u8; 4] = hex!("222bdf97");
/// `dot(uint8,bytes,bytes)`
pub(super) const DOT: [u8; 4] = hex!("c8c3b12f");
/// `cosine(uint8,bytes,bytes)`
pub(super) const COSINE: [u8; 4] = hex!("d654a95b");

/// `Inferred(bytes32,address,address,bytes32,bytes32,uint64,uint256)`
pub const INFERRED: B256 = b256!("fd35f244bf8317444b16e38e2c7495412ea4e94f385789a6aa22a20e6d1d7596");

/// Why a call was refused, as a custom error of Solidity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `MalformedCall()`
    MalformedCall,
    /// `ModelNotActive(bytes32)`
    ModelNotActive(B256),
    /// `WrongPayment(uint256,uint256)`: the price of the call, and what was paid.
    WrongPayment(U256, U256),
    /// `WrongInputSize(uint256,uint256)`: the bytes that the model takes, and that were given.
    WrongInputSize(u64, u64),
    /// `InputOutOfRange(uint256)`: which of the inputs.
    InputOutOfRange(u64),
    /// `TooManyMacs(uint256,uint256)`: those of the transaction with this call, and the most allowed.
    TooManyMacs(u64, u64),
}

impl Refusal {
    pub(super) fn encode(self) -> Bytes {
        let (selector, words): ([u8; 4], Vec<B256>) = match self {
            Self::MalformedCall => (hex!("2d98cd51"), vec![]),
            Self::ModelNotActive(model) => (hex!("5271c8a7"), vec![model]),
            Self::WrongPayment(price, paid) => (hex!("0dd32d1c"), vec![price.into(), paid.into()]),
            Self::WrongInputSize(expected, given) => (hex!("f50586ec"), vec![word(expected), word(given)]),
            Self::InputOutOfRange(index) => (hex!("9dfcc17e"), vec![word(index)]),
            Self::TooManyMacs(asked, most) => (hex!("781eb4fb"), vec![word(asked), word(most)]),
        };
        let mut bytes = selector.to_vec();
        words.iter().for_each(|word| bytes.extend_from_slice(word.as_slice()));
        bytes.into()
    }
}

/// Call data after the selector, read from the front.
pub(super) struct Arguments<'a> {
    rest: &'a [u8],
}

impl<'a> Arguments<'a> {
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    pub(super) fn word(&mut self) -> Option<B256> {
        let (word, rest) = self.rest.split_first_chunk::<32>()?;
        self.rest = rest;
        Some(B256::new(*word))
    }

    /// An unsigned integer that fits 64 bits.
    pub(super) fn number(&mut self) -> Option<u64> {
        u64::try_from(U256::from_be_bytes(self.word()?.0)).ok()
    }

    /// A word that must have this value: an offset, which the canonical layout decides.
    pub(super) fn exactly(&mut self, value: u64) -> Option<()> {
        (self.number()? == value).then_some(())
    }

    /// Length, bytes, and the zeros that fill the last word.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let size = usize::try_from(self.number()?).ok()?;
        let padded = size.checked_next_multiple_of(32)?;
        let (field, rest) = self.rest.split_at_checked(padded)?;
        let (bytes, padding) = field.split_at(size);
        self.rest = rest;
        padding.iter().all(|byte| *byte == 0).then_some(bytes)
    }

    /// The last two arguments, both `bytes`, after so many words of others: their offsets, then what these lead to.
    pub(super) fn two_bytes(&mut self, words_before: u64) -> Option<[&'a [u8]; 2]> {
        let head = 32 * (words_before + 2);
        self.exactly(head)?;
        let second = self.number()?;
        let a = self.bytes()?;
        (second == head + bytes_size(a.len())).then_some(())?;
        Some([a, self.bytes()?])
    }

    pub(super) fn remaining_words(&self) -> usize {
        self.rest.len() / 32
    }
}

/// Bytes that one dynamic `bytes` takes behind its offset: its length and its padded content.
pub(super) fn bytes_size(size: usize) -> u64 {
    // BOUND: nothing in memory is near 2⁶⁴ bytes long.
    32 + (size as u64).next_multiple_of(32)
}

/// A word holding an unsigned integer.
pub(super) fn word(value: u64) -> B256 {
    U256::from(value).into()
}

/// `abi.encode` of words.
pub(super) fn words<const N: usize>(values: [B256; N]) -> Bytes {
    values.concat().into()
}

/// `abi.encode(bytes)`.
pub(super) fn encode_bytes(content: &[u8]) -> Bytes {
    let mut encoded = word(32).to_vec();
    push_bytes(&mut encoded, content);
    encoded.into()
}

/// `abi.encode(bytes[])`.
pub(super) fn encode_bytes_list(contents: &[Bytes]) -> Bytes {
    let mut encoded = [word(32), word(contents.len() as u64)].concat();
    let mut offset = 32 * contents.len() as u64;
    for content in contents {
        encoded.extend_from_slice(word(offset).as_slice());
        offset += bytes_size(content.len());
    }
    contents.iter().for_each(|content| push_bytes(&mut encoded, content));
    encoded.into()
}

fn push_bytes(encoded: &mut Vec<u8>, content: &[u8]) {
    encoded.extend_from_slice(word(content.len() as u64).as_slice());
    encoded.extend_from_slice(content);
    encoded.resize(encoded.len().next_multiple_of(32), 0);
}

/// One inference, as its system log commits to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inferred {
    /// The model's id.
    pub model: B256,
    /// Who earns the price.
    pub owner: Address,
    /// Who called [`INFERENCE`].
    pub caller: Address,
    /// Keccak-256 of the input.
    pub input_hash: B256,
    /// Keccak-256 of the output.
    pub output_hash: B256,
    /// Multiply-accumulate operations: the units of compute.
    pub macs: u64,
    /// What the caller paid for it beside the gas.
    pub price_wei: U256,
}

impl Inferred {
    /// As a log of [`INFERENCE`].
    pub fn log(&self) -> Log {
        let topics = vec![INFERRED, self.model, self.owner.into_word(), self.caller.into_word()];
        let data = words([self.input_hash, self.output_hash, word(self.macs), self.price_wei.into()]);
        Log::new_unchecked(INFERENCE, topics, data)
    }

    /// From a log, `None` where it is none of these. No contract can emit one: nobody has code at [`INFERENCE`] that
    /// runs.
    pub fn of(log: &Log) -> Option<Self> {
        let &[INFERRED, model, owner, caller] = log.topics() else {
            return None;
        };
        if log.address != INFERENCE {
            return None;
        }
        let mut data = Arguments::new(&log.data.data);
        Some(Self {
            model,
            owner: Address::from_word(owner),
            caller: Address::from_word(caller),
            input_hash: data.word()?,
            output_hash: data.word()?,
            macs: data.number()?,
            price_wei: U256::from_be_bytes(data.word()?.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    #[test]
    fn selectors_are_hashes_of_their_signatures() {
        for (signature, selector) in [
            ("infer(bytes32,bytes)", INFER),
            ("inferMany(bytes32,bytes[])", INFER_MANY),
            ("modelInfo(bytes32)", MODEL_INFO),
            ("matmulInt8(uint32,uint32,uint32,bytes,bytes)", MATMUL_INT8),
            ("dot(uint8,bytes,bytes)", DOT),
            ("cosine(uint8,bytes,bytes)", COSINE),
        ] {
            assert_eq!(keccak256(signature)[..4], selector, "{signature}");
        }
        for (signature, refusal) in [
            ("MalformedCall()", Refusal::MalformedCall),
            ("ModelNotActive(bytes32)", Refusal::ModelNotActive(B256::ZERO)),
            ("WrongPayment(uint256,uint256)", Refusal::WrongPayment(U256::ZERO, U256::ZERO)),
            ("WrongInputSize(uint256,uint256)", Refusal::WrongInputSize(0, 0)),
            ("InputOutOfRange(uint256)", Refusal::InputOutOfRange(0)),
            ("TooManyMacs(uint256,uint256)", Refusal::TooManyMacs(0, 0)),
        ] {
            assert_eq!(keccak256(signature)[..4], refusal.encode()[..4], "{signature}");
        }
        assert_eq!(keccak256("Inferred(bytes32,address,address,bytes32,bytes32,uint64,uint256)"), INFERRED);
    }

    #[test]
    fn a_log_comes_back_as_what_it_was_made_of() {
        let inferred = Inferred {
            model: B256::repeat_byte(1),
            owner: Address::repeat_byte(2),
            caller: Address::repeat_byte(3),
            input_hash: B256::repeat_byte(4),
            output_hash: B256::repeat_byte(5),
            macs: 6,
            price_wei: U256::from(7),
        };
        assert_eq!(Inferred::of(&inferred.log()), Some(inferred));
        let elsewhere = Log { address: Address::ZERO, ..inferred.log() };
        assert_eq!(Inferred::of(&elsewhere), None);
    }
}
