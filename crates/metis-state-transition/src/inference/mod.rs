//! Inference as an instruction: models that contracts call, priced before they run.
//!
//! In: the chain's [`InferenceRules`], calls to [`INFERENCE`] and [`VECTORS`], the models of an [`InferenceHost`].
//! Out: what the models answer, gas, one system log for each inference, and what their owners have earned.
//!
//! Invariant: gas and work follow from call data, registry and graph alone and are charged before anything runs; a
//! model that is active but not here is a fault of this machine ([`ViewError::MissingModel`](crate::ViewError)), never
//! an outcome.
//! Cost: bounded by gas and by the limits on MACs per transaction and block.
//! Source: docs/inference.md, which fixes addresses, ABI and prices.

mod abi;
mod call;
mod precompiles;
mod registry;
mod vectors;

use alloc::{collections::BTreeMap, sync::Arc};
use core::fmt;

use alloy_primitives::{Address, B256, Bytes, Log, U256, address};

pub use abi::{INFERRED, Inferred};
pub use precompiles::ChainPrecompiles;

/// Where contracts call models.
pub const INFERENCE: Address = address!("4d45544953000000000000000000000000000001");

/// Where contracts multiply and compare vectors of integers.
pub const VECTORS: Address = address!("4d45544953000000000000000000000000000002");

/// What inference costs and may take on a chain, from some block on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InferenceRules {
    /// The contract that says which models are active, and for whom they earn.
    pub registry: Address,
    /// Gas of an inference, whatever the model: what reading the registry and starting a run costs.
    pub base_gas: u64,
    /// Gas of each 32 bytes of call data and of output.
    pub word_gas: u64,
    /// MACs of a model that one gas pays for.
    pub macs_per_gas: u64,
    /// Bytes that one gas pays for of what a run's operators read and write.
    pub moved_bytes_per_gas: u64,
    /// MACs of [`VECTORS`] that one gas pays for.
    pub vector_macs_per_gas: u64,
    /// Most MACs of the inferences of one transaction.
    pub transaction_macs_max: u64,
    /// Most MACs of the inferences of one block.
    pub block_macs_max: u64,
}

/// What a model's graph says of every run of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelCost {
    /// Multiply-accumulate operations, as docs/ai-graph.md counts them.
    pub macs: u64,
    /// Bytes that operators read and write, as docs/ai-graph.md counts them.
    pub moved_bytes: u64,
    /// Bytes of all inputs, one after the other.
    pub input_bytes: u64,
    /// Bytes of all outputs, one after the other.
    pub output_bytes: u64,
}

/// Why a model gave no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InferenceError {
    /// An element of an input is outside its declared range: the same on every machine.
    #[error("an element of the input is outside its declared range")]
    InputOutOfRange,
    /// The machine failed; the run says nothing about the model.
    #[error("{0}")]
    Fault(alloc::string::String),
}

/// Who has the models: a host call of the pure state transition.
///
/// Implementations must be exact: the same model and input give the same bytes on every machine.
pub trait InferenceHost: fmt::Debug + Send + Sync {
    /// What a run of the model costs; `None` where the model is not here.
    fn cost(&self, model: &B256) -> Option<ModelCost>;

    /// Runs a model that [`Self::cost`] knows, on an input of the length it named.
    ///
    /// # Errors
    /// [`InferenceError`].
    fn infer(&self, model: &B256, input: &[u8]) -> Result<Bytes, InferenceError>;
}

/// A shared [`InferenceHost`], equal to itself alone.
#[derive(Clone)]
pub struct Models(Arc<dyn InferenceHost>);

impl Models {
    /// Shares a host.
    pub fn new(host: Arc<dyn InferenceHost>) -> Self {
        Self(host)
    }
}

impl core::ops::Deref for Models {
    type Target = dyn InferenceHost;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Default for Models {
    fn default() -> Self {
        Self(Arc::new(NoModels))
    }
}

impl PartialEq for Models {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Models {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[derive(Debug)]
struct NoModels;

impl InferenceHost for NoModels {
    fn cost(&self, _model: &B256) -> Option<ModelCost> {
        None
    }

    fn infer(&self, model: &B256, _input: &[u8]) -> Result<Bytes, InferenceError> {
        Err(InferenceError::Fault(alloc::format!("model {model} is not here")))
    }
}

impl InferenceRules {
    /// Gas of one run, call data aside: base, work, bytes moved, output. `None` where it does not fit 64 bits, which no
    /// transaction can pay.
    pub fn gas_of(&self, cost: &ModelCost) -> Option<u64> {
        let parts = [
            cost.macs.div_ceil(self.macs_per_gas),
            cost.moved_bytes.div_ceil(self.moved_bytes_per_gas),
            self.words_gas(cost.output_bytes)?,
        ];
        parts.into_iter().try_fold(self.base_gas, u64::checked_add)
    }

    fn words_gas(&self, size_bytes: u64) -> Option<u64> {
        size_bytes.div_ceil(32).checked_mul(self.word_gas)
    }
}

/// What the owners of models have earned by the inferences in these logs, in wei.
pub(crate) fn earnings<'a>(logs: impl Iterator<Item = &'a Log>) -> BTreeMap<Address, U256> {
    let mut earned = BTreeMap::new();
    for inferred in logs.filter_map(Inferred::of) {
        if !inferred.price_wei.is_zero() {
            let sum: &mut U256 = earned.entry(inferred.owner).or_default();
            // BOUND: each price was paid in native token, whose supply fits 256 bits.
            *sum = sum.saturating_add(inferred.price_wei);
        }
    }
    earned
}
