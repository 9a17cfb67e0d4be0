//! The precompiles of a chain with inference.

use alloc::vec::Vec;

use alloy_primitives::{Address, Bytes};

use super::{
    INFERENCE, InferenceRules, Models, VECTORS,
    abi::{self, Arguments, Refusal},
    call::{Inference, Meter, Stop},
    vectors::{Elements, INT8_TERMS_MAX, cosine, dot, matmul_int8},
};
use crate::{PrecompileCall, PrecompileHost, PrecompileOutcome, PrecompileSet, Rules};

/// What the rules of a block add to the fork's precompiles: models and vectors where the chain has inference, else
/// nothing.
#[derive(Clone, Debug, Default)]
pub struct ChainPrecompiles {
    inference: Option<InferenceRules>,
    models: Models,
    macs: u64,
}

impl PrecompileSet for ChainPrecompiles {
    fn activate(&mut self, rules: &Rules) -> Vec<Address> {
        self.inference.clone_from(&rules.inference);
        self.models = rules.models.clone();
        if self.inference.is_some() { [INFERENCE, VECTORS].into() } else { Vec::new() }
    }

    fn begin_transaction(&mut self) {
        self.macs = 0;
    }

    fn macs(&self) -> u64 {
        self.macs
    }

    fn run(&mut self, call: PrecompileCall<'_>, host: &mut dyn PrecompileHost) -> PrecompileOutcome {
        let Some(rules) = &self.inference else {
            // No address leads here.
            return PrecompileOutcome::Failure;
        };
        let mut meter = Meter::new(call.gas_limit);
        let done = if call.address == INFERENCE {
            Inference { rules, models: &self.models, host, meter: &mut meter, macs: &mut self.macs }.run(&call)
        } else {
            vectors(rules, &call, &mut meter)
        };
        let gas_used = meter.used;
        match done {
            Ok(output) => PrecompileOutcome::Return { output, gas_used },
            Err(Stop::Refused(refusal)) => PrecompileOutcome::Revert { output: refusal.encode(), gas_used },
            Err(Stop::OutOfGas) => PrecompileOutcome::OutOfGas,
            Err(Stop::Missing(model)) => PrecompileOutcome::MissingModel(model),
            Err(Stop::Fault(message)) => PrecompileOutcome::Fault(message),
            // The host has the reason, which goes before any outcome.
            Err(Stop::Unreadable) => PrecompileOutcome::Failure,
        }
    }
}

/// A call to [`VECTORS`]. Nothing may be paid: nobody would get it.
fn vectors(rules: &InferenceRules, call: &PrecompileCall<'_>, meter: &mut Meter) -> Result<Bytes, Stop> {
    meter.charge(rules.words_gas(call.input.len() as u64))?;
    if !call.value.is_zero() {
        return Err(Refusal::WrongPayment(Default::default(), call.value).into());
    }
    let (selector, data) = call.input.split_first_chunk::<4>().ok_or(Refusal::MalformedCall)?;
    let mut work = |macs: Option<u64>| meter.charge(macs.map(|macs| macs.div_ceil(rules.vector_macs_per_gas)));
    match *selector {
        abi::MATMUL_INT8 => {
            let Matmul { a, b, m, k, n } = Matmul::of(data).ok_or(Refusal::MalformedCall)?;
            work(m.checked_mul(k).and_then(|macs| macs.checked_mul(n)))?;
            meter.charge(m.checked_mul(n).and_then(|elements| rules.words_gas(elements.checked_mul(4)?)))?;
            // BOUND: k and n are at most the lengths of a and b.
            Ok(abi::encode_bytes(&matmul_int8(a, b, k as usize, n as usize)))
        }
        abi::DOT => {
            let (a, b, elements) = pair(data).ok_or(Refusal::MalformedCall)?;
            work(Some(macs(a, elements)))?;
            // UNWRAP: 128 bits fit 256.
            let product = alloy_primitives::I256::try_from(dot(a, b, elements)).unwrap();
            Ok(abi::words([product.into_raw().into()]))
        }
        abi::COSINE => {
            let (a, b, elements) = pair(data).ok_or(Refusal::MalformedCall)?;
            work(Some(3 * macs(a, elements)))?;
            Ok(abi::words([cosine(a, b, elements).into_raw().into()]))
        }
        _ => Err(Refusal::MalformedCall.into()),
    }
}

fn macs(a: &[u8], elements: Elements) -> u64 {
    a.len() as u64 / elements.size_bytes() * elements.macs()
}

struct Matmul<'a> {
    a: &'a [u8],
    b: &'a [u8],
    m: u64,
    k: u64,
    n: u64,
}

impl<'a> Matmul<'a> {
    /// `None` where the call is malformed: dimensions of zero, k above what an int32 can sum, lengths that are not
    /// the dimensions' products.
    fn of(data: &'a [u8]) -> Option<Self> {
        let mut arguments = Arguments::new(data);
        let (m, k, n) = (arguments.number()?, arguments.number()?, arguments.number()?);
        let [a, b] = arguments.two_bytes(3)?;
        let fits = m > 0
            && n > 0
            && (1..=INT8_TERMS_MAX).contains(&k)
            && m.checked_mul(k) == Some(a.len() as u64)
            && k.checked_mul(n) == Some(b.len() as u64);
        fits.then_some(Self { a, b, m, k, n })
    }
}

/// Two vectors of one type and length, not empty.
fn pair(data: &[u8]) -> Option<(&[u8], &[u8], Elements)> {
    let mut arguments = Arguments::new(data);
    let elements = Elements::of(arguments.number()?)?;
    let [a, b] = arguments.two_bytes(1)?;
    let fits = !a.is_empty() && a.len() == b.len() && (a.len() as u64).is_multiple_of(elements.size_bytes());
    fits.then_some((a, b, elements))
}
