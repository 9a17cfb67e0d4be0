//! One call to [`INFERENCE`](super::INFERENCE): what it asks for, what it costs, what it gives.

use alloc::{string::String, vec::Vec};

use alloy_primitives::{B256, Bytes, U256, keccak256};

use super::{
    InferenceError, InferenceRules, Inferred, ModelCost, Models,
    abi::{self, Arguments, Refusal},
    registry::{Entry, Status},
};
use crate::{PrecompileCall, PrecompileHost};

/// Why a call ends without an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    OutOfGas,
    Refused(Refusal),
    /// An active model is not on this machine.
    Missing(B256),
    /// The state could not be read; the host knows why.
    Unreadable,
    /// This machine failed.
    Fault(String),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The gas of one call.
#[derive(Debug)]
pub(super) struct Meter {
    limit: u64,
    pub(super) used: u64,
}

impl Meter {
    pub(super) const fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    /// Charges; `None` is more than any limit.
    pub(super) fn charge(&mut self, gas: Option<u64>) -> Result<(), Stop> {
        let used = gas.and_then(|gas| self.used.checked_add(gas)).filter(|used| *used <= self.limit);
        self.used = used.ok_or(Stop::OutOfGas)?;
        Ok(())
    }
}

/// What a call works with.
pub(super) struct Inference<'a> {
    pub(super) rules: &'a InferenceRules,
    pub(super) models: &'a Models,
    pub(super) host: &'a mut dyn PrecompileHost,
    pub(super) meter: &'a mut Meter,
    /// Of the transaction so far.
    pub(super) macs: &'a mut u64,
}

impl Inference<'_> {
    pub(super) fn run(&mut self, call: &PrecompileCall<'_>) -> Result<Bytes, Stop> {
        self.meter.charge(self.rules.words_gas(call.input.len() as u64))?;
        let (selector, data) = call.input.split_first_chunk::<4>().ok_or(Refusal::MalformedCall)?;
        match *selector {
            abi::INFER => {
                let (model, input) = infer_arguments(data).ok_or(Refusal::MalformedCall)?;
                let mut outputs = self.infer(call, model, &[input])?;
                Ok(abi::encode_bytes(&outputs.remove(0)))
            }
            abi::INFER_MANY => {
                let (model, inputs) = infer_many_arguments(data).ok_or(Refusal::MalformedCall)?;
                Ok(abi::encode_bytes_list(&self.infer(call, model, &inputs)?))
            }
            abi::MODEL_INFO => {
                let model = model_info_arguments(data).ok_or(Refusal::MalformedCall)?;
                self.model_info(call, model)
            }
            _ => Err(Refusal::MalformedCall.into()),
        }
    }

    fn infer(&mut self, call: &PrecompileCall<'_>, model: B256, inputs: &[&[u8]]) -> Result<Vec<Bytes>, Stop> {
        let runs = inputs.len() as u64;
        self.meter.charge(self.rules.base_gas.checked_mul(runs.max(1)))?;
        let entry = Entry::read(self.host, self.rules.registry, &model).ok_or(Stop::Unreadable)?;
        if entry.status(call.block_number) != Status::Active {
            return Err(Refusal::ModelNotActive(model).into());
        }
        // A product that does not fit is more than anybody has.
        let price = entry.price_wei.saturating_mul(U256::from(runs));
        if call.value != price {
            return Err(Refusal::WrongPayment(price, call.value).into());
        }
        let cost = self.models.cost(&model).ok_or(Stop::Missing(model))?;
        if let Some(input) = inputs.iter().find(|input| input.len() as u64 != cost.input_bytes) {
            return Err(Refusal::WrongInputSize(cost.input_bytes, input.len() as u64).into());
        }
        self.account_for(&cost, runs)?;
        let mut outputs = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.iter().enumerate() {
            let output = self.models.infer(&model, input).map_err(|error| match error {
                InferenceError::InputOutOfRange => Refusal::InputOutOfRange(index as u64).into(),
                InferenceError::Fault(message) => Stop::Fault(message),
            })?;
            self.host.log(
                Inferred {
                    model,
                    owner: entry.owner,
                    caller: call.caller,
                    input_hash: keccak256(input),
                    output_hash: keccak256(&output),
                    macs: cost.macs,
                    price_wei: entry.price_wei,
                }
                .log(),
            );
            outputs.push(output);
        }
        Ok(outputs)
    }

    /// Charges for the runs and counts their MACs, all before the first one.
    fn account_for(&mut self, cost: &ModelCost, runs: u64) -> Result<(), Stop> {
        let macs = cost.macs.saturating_mul(runs).saturating_add(*self.macs);
        if macs > self.rules.transaction_macs_max {
            return Err(Refusal::TooManyMacs(macs, self.rules.transaction_macs_max).into());
        }
        // The base is charged already.
        let gas = self.rules.gas_of(cost).and_then(|gas| (gas - self.rules.base_gas).checked_mul(runs));
        self.meter.charge(gas)?;
        *self.macs = macs;
        Ok(())
    }

    fn model_info(&mut self, call: &PrecompileCall<'_>, model: B256) -> Result<Bytes, Stop> {
        self.meter.charge(Some(self.rules.base_gas))?;
        if !call.value.is_zero() {
            // Nobody would get it.
            return Err(Refusal::WrongPayment(U256::ZERO, call.value).into());
        }
        let entry = Entry::read(self.host, self.rules.registry, &model).ok_or(Stop::Unreadable)?;
        let status = entry.status(call.block_number);
        // Only of active models does every machine know what they cost.
        let (cost, gas) = if status == Status::Active {
            let cost = self.models.cost(&model).ok_or(Stop::Missing(model))?;
            (cost, self.rules.gas_of(&cost).unwrap_or(u64::MAX))
        } else {
            (ModelCost { macs: 0, moved_bytes: 0, input_bytes: 0, output_bytes: 0 }, 0)
        };
        Ok(abi::words([
            abi::word(status as u64),
            entry.owner.into_word(),
            entry.price_wei.into(),
            abi::word(cost.macs),
            abi::word(cost.moved_bytes),
            abi::word(cost.input_bytes),
            abi::word(cost.output_bytes),
            abi::word(gas),
        ]))
    }
}

fn infer_arguments(data: &[u8]) -> Option<(B256, &[u8])> {
    let mut arguments = Arguments::new(data);
    let model = arguments.word()?;
    arguments.exactly(64)?;
    let input = arguments.bytes()?;
    Some((model, input))
}

fn infer_many_arguments(data: &[u8]) -> Option<(B256, Vec<&[u8]>)> {
    let mut arguments = Arguments::new(data);
    let model = arguments.word()?;
    arguments.exactly(64)?;
    let count = usize::try_from(arguments.number()?).ok()?;
    // BOUND: each input takes two words at least, its offset and its length.
    if count > arguments.remaining_words() / 2 {
        return None;
    }
    let offsets = (0..count).map(|_| arguments.number()).collect::<Option<Vec<_>>>()?;
    let mut inputs = Vec::with_capacity(count);
    let mut place = 32 * count as u64;
    for offset in offsets {
        if offset != place {
            return None;
        }
        let input = arguments.bytes()?;
        place += abi::bytes_size(input.len());
        inputs.push(input);
    }
    Some((model, inputs))
}

fn model_info_arguments(data: &[u8]) -> Option<B256> {
    let mut arguments = Arguments::new(data);
    let model = arguments.word()?;
    Some(model)
}
