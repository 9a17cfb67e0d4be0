//! Rust errors as the classes of `metis.types.errors`: one function per class.

use alloy_primitives::B256;
use metis_chain::{block_log::LogError, chain::ChainError, mempool::Rejection};
use metis_db::{MissingState, MultiProofError, ProofError, StateKey, StoreError};
use metis_executor::{BatchError, ExecuteError};
use metis_inference::{InvalidWeights, OpenError};
use metis_node::{ImportError, NodeError, StateError, SubmitError, TracerError};
use metis_state_transition::{BlockError, DecodeError, TransactionError, TransactionFault, ViewError};
use metis_vm::compiled::ArtifactError;
use pyo3::{
    BoundObject,
    prelude::*,
    sync::PyOnceLock,
    types::{PyBytes, PyTuple},
};

use crate::convert::to_int;

/// Makes an instance of `metis.types.errors.<class>`.
fn raise<'py>(py: Python<'py>, class: &str, arguments: impl IntoPyObject<'py, Target = PyTuple>) -> PyErr {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let made = (|| {
        let module = MODULE.get_or_try_init(py, || py.import("metis.types.errors").map(Bound::unbind))?;
        let arguments = arguments.into_pyobject(py).map_err(Into::into)?.into_bound();
        module.bind(py).getattr(class)?.call1(&arguments)
    })();
    match made {
        Ok(instance) => PyErr::from_value(instance),
        // The error class itself cannot be had: that error says more.
        Err(error) => error,
    }
}

pub fn engine_fault(message: &str) -> PyErr {
    Python::attach(|py| raise(py, "EngineFault", (message,)))
}

pub fn decode_error(subject: &str, field: &str, problem: &str, index: Option<usize>) -> PyErr {
    Python::attach(|py| raise(py, "DecodeError", (subject, field, problem, index)))
}

pub fn genesis_error(field: &str, problem: &str) -> PyErr {
    Python::attach(|py| raise(py, "GenesisError", (field, problem)))
}

pub fn from_decode(error: &DecodeError, index: Option<usize>) -> PyErr {
    decode_error(error.subject.name(), &error.field, &error.problem.to_string(), index)
}

pub fn from_batch(error: &BatchError) -> PyErr {
    from_decode(&error.error, Some(error.index))
}

pub fn from_transaction(error: &TransactionError, index: Option<usize>) -> PyErr {
    let arguments = (error.slug(), error.field(), error.to_string(), index);
    Python::attach(|py| raise(py, "InvalidTransaction", arguments))
}

/// How a read of a store's state failed.
pub trait ReadError: std::error::Error {
    fn to_python(&self) -> PyErr;
}

impl ReadError for MissingState {
    fn to_python(&self) -> PyErr {
        engine_fault(&self.to_string())
    }
}

impl ReadError for StoreError {
    fn to_python(&self) -> PyErr {
        from_store(self)
    }
}

impl ReadError for StateError {
    fn to_python(&self) -> PyErr {
        match self {
            Self::Missing(error) => error.to_python(),
            Self::Store(error) => error.to_python(),
        }
    }
}

pub fn from_fault<E: ReadError>(fault: &TransactionFault<E>, index: Option<usize>) -> PyErr {
    match fault {
        TransactionFault::Invalid(error) => from_transaction(error, index),
        TransactionFault::View(ViewError::UnknownAncestor(number)) => {
            let problem = format!("BLOCKHASH asks for block {number}, whose hash is not given");
            decode_error("block environment", "block_hashes", &problem, None)
        }
        TransactionFault::View(ViewError::MissingModel(model)) => model_unavailable(model),
        TransactionFault::View(ViewError::State(error)) => error.to_python(),
        other => engine_fault(&other.to_string()),
    }
}

pub fn model_unavailable(model: &B256) -> PyErr {
    Python::attach(|py| raise(py, "ModelUnavailable", (PyBytes::new(py, model.as_slice()),)))
}

pub fn from_artifact(error: &ArtifactError) -> PyErr {
    Python::attach(|py| raise(py, "ArtifactRejected", (error.slug(), error.to_string())))
}

fn invalid_block(field: &str, problem: &str, expected: &str, actual: &str) -> PyErr {
    Python::attach(|py| raise(py, "InvalidBlock", (field, problem, expected, actual)))
}

pub fn from_block<E: ReadError>(error: &BlockError<E>) -> PyErr {
    match error {
        BlockError::Field { field, rule, expected, actual } => invalid_block(field, rule, expected, actual),
        BlockError::Transaction { index, error } => {
            let refused = invalid_block(&format!("transactions[{index}]"), &error.to_string(), "", "");
            Python::attach(|py| refused.set_cause(py, Some(from_transaction(error, Some(*index)))));
            refused
        }
        BlockError::SystemContractMissing { .. } | BlockError::SystemCallFailed { .. } | BlockError::Deposit => {
            invalid_block("requests_hash", &error.to_string(), "", "")
        }
        BlockError::View(ViewError::MissingModel(model)) => model_unavailable(model),
        BlockError::View(ViewError::State(error)) => error.to_python(),
        BlockError::View(_) | BlockError::Engine(_) => engine_fault(&error.to_string()),
    }
}

pub fn from_store(error: &StoreError) -> PyErr {
    match error {
        StoreError::Unavailable { block_number, oldest, newest } => {
            Python::attach(|py| raise(py, "StateUnavailable", (*block_number, *oldest, *newest)))
        }
        StoreError::TooFarBack { block_number, changed_count, changed_count_max } => {
            let reason = format!("{changed_count} values changed since, of at most {changed_count_max}");
            Python::attach(|py| raise(py, "NoProof", (*block_number, reason)))
        }
        StoreError::OutOfOrder { got, newest } => {
            let expected = format!("{}", newest + 1);
            invalid_block("number", "one more than the newest block of the store", &expected, &got.to_string())
        }
        StoreError::RootMismatch { expected, got } => {
            invalid_block("state_root", "root of the state after the block", &got.to_string(), &expected.to_string())
        }
        StoreError::Corrupt { .. } => storage_error("corrupt", &error.to_string()),
        StoreError::StaleOverlay => engine_fault(&error.to_string()),
        StoreError::Memory { .. } => storage_error("memory", &error.to_string()),
        StoreError::Io { kind: std::io::ErrorKind::StorageFull, .. } => storage_error("disk-full", &error.to_string()),
        StoreError::Io { .. } => storage_error("io", &error.to_string()),
        StoreError::Locked { .. } => storage_error("locked", &error.to_string()),
        StoreError::ReadOnly => storage_error("read-only", &error.to_string()),
        StoreError::Version { .. } => storage_error("version", &error.to_string()),
    }
}

pub fn from_execute<E: ReadError>(error: &ExecuteError<E>) -> PyErr {
    match error {
        ExecuteError::Block(error) => from_block(error),
        ExecuteError::Signature(error) => {
            let field = format!("transactions[{}].{}", error.index, error.error.field);
            invalid_block(&field, &error.error.problem.to_string(), "", "")
        }
        ExecuteError::Store(error) => from_store(error),
        ExecuteError::NotOnTop { parent, newest } => invalid_block(
            "parent_hash",
            "the parent must be the newest block of the store",
            &format!("block {newest}"),
            &format!("block {parent}"),
        ),
    }
}

pub fn storage_error(kind: &str, detail: &str) -> PyErr {
    Python::attach(|py| raise(py, "StorageError", (kind, detail)))
}

fn from_log(error: &LogError) -> PyErr {
    let kind = match error {
        _ if error.is_disk_full() => "disk-full",
        LogError::Io { .. } => "io",
        LogError::Closed => "closed",
        LogError::Locked { .. } => "locked",
        LogError::Corrupt { .. } | LogError::MissingSegment { .. } => "corrupt",
        LogError::UnsupportedVersion { .. } => "version",
        LogError::OtherChain { .. } => "other-chain",
        LogError::NotThere => "not-there",
        LogError::RecordTooLarge { .. } => "too-large",
    };
    storage_error(kind, &error.to_string())
}

fn from_chain(error: &ChainError) -> PyErr {
    match error {
        ChainError::Log(error) => from_log(error),
        ChainError::TooManyLogs { limit, .. } => {
            Python::attach(|py| raise(py, "LimitExceeded", ("logs", *limit, error.to_string())))
        }
        ChainError::TooManyBlocks { limit, .. } => {
            Python::attach(|py| raise(py, "LimitExceeded", ("blocks", *limit, error.to_string())))
        }
        ChainError::UnknownParent { parent_hash } => unknown_parent(parent_hash),
        ChainError::UnknownBlock { hash } | ChainError::NotCanonical { hash } => {
            invalid_block("hash", &error.to_string(), "", &hash.to_string())
        }
        ChainError::Record { .. } | ChainError::Contradiction { .. } | ChainError::OtherGenesis { .. } => {
            storage_error("corrupt", &error.to_string())
        }
        _ => engine_fault(&error.to_string()),
    }
}

fn unknown_parent(parent_hash: &B256) -> PyErr {
    Python::attach(|py| raise(py, "UnknownParent", (PyBytes::new(py, parent_hash.as_slice()),)))
}

pub fn from_node(error: &NodeError) -> PyErr {
    match error {
        NodeError::Chain(error) => from_chain(error),
        NodeError::Store(error) => from_store(error),
        NodeError::Execute(error) => from_execute(error),
        NodeError::Decode(error) => from_decode(error, None),
        NodeError::Signature(error) => from_batch(error),
        NodeError::Transaction(error) => from_transaction(error, None),
        NodeError::Fault(fault) => from_fault(fault, None),
        NodeError::UnknownParent(parent_hash) => unknown_parent(parent_hash),
        NodeError::Directory(kind) => storage_error("directory", &kind.to_string()),
        NodeError::PrecompileMove { .. } => {
            decode_error("state override", "movePrecompileToAddress", &error.to_string(), None)
        }
        NodeError::Tracer(error) => from_tracer(error),
        NodeError::TraceTooLarge { limit } => {
            Python::attach(|py| raise(py, "LimitExceeded", ("trace bytes", *limit, error.to_string())))
        }
        NodeError::NotTraceable => invalid_block("number", &error.to_string(), "", ""),
        NodeError::UnknownBlock => invalid_block("hash", "no block has this number or hash", "", ""),
        NodeError::MissingState(keys) => missing_state(keys),
        NodeError::NoProof { block_number, reason } => {
            Python::attach(|py| raise(py, "NoProof", (*block_number, *reason)))
        }
    }
}

/// The error itself, with a note which of the blocks it is about.
pub fn from_import(error: &ImportError) -> PyErr {
    let raised = from_node(&error.error);
    let note = format!("at position {} of the blocks; those before it are kept", error.index);
    match Python::attach(|py| raised.value(py).call_method1("add_note", (note,)).map(|_| ())) {
        Ok(()) => raised,
        Err(other) => other,
    }
}

pub fn from_tracer(error: &TracerError) -> PyErr {
    let field = match error {
        TracerError::Unknown(_) => "tracer",
        TracerError::Config(_) => "tracerConfig",
    };
    decode_error("trace options", field, &error.to_string(), None)
}

pub fn from_submit(error: &SubmitError) -> PyErr {
    match error {
        SubmitError::Decode(error) => from_decode(error, None),
        SubmitError::State(StateError::Missing(MissingState(key))) => missing_state(&[*key]),
        SubmitError::State(StateError::Store(error)) => from_store(error),
        SubmitError::Rejected(Rejection::Invalid(error)) => from_transaction(error, None),
        SubmitError::Sidecar(error) => {
            let arguments = (error.slug(), error.to_string());
            Python::attach(|py| raise(py, "PoolRejection", arguments))
        }
        SubmitError::Rejected(rejection) => {
            let arguments = (rejection.slug(), rejection.to_string());
            Python::attach(|py| raise(py, "PoolRejection", arguments))
        }
    }
}

/// The keys by kind: addresses, (address, slot) pairs, block numbers.
fn missing_state(keys: &[StateKey]) -> PyErr {
    Python::attach(|py| {
        let (mut accounts, mut slots, mut block_numbers) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            match key {
                StateKey::Account(address) => accounts.push(PyBytes::new(py, address.as_slice())),
                StateKey::Slot(address, slot) => match to_int(py, *slot) {
                    Ok(slot) => slots.push((PyBytes::new(py, address.as_slice()), slot)),
                    Err(error) => return error,
                },
                StateKey::BlockHash(number) => block_numbers.push(*number),
            }
        }
        raise(py, "MissingState", (accounts, slots, block_numbers))
    })
}

pub fn from_proof(error: &ProofError) -> PyErr {
    match error {
        ProofError::Account(reason) => decode_error("proof", "account_proof", reason, None),
        ProofError::Storage { index, reason } => {
            decode_error("proof", &format!("storage_proofs[{index}]"), reason, None)
        }
    }
}

pub fn from_multi_proof(error: &MultiProofError) -> PyErr {
    let (field, index) = match error {
        MultiProofError::Account(_) | MultiProofError::Slot { .. } => ("claims", None),
        MultiProofError::UnneededNode { index } => ("nodes", Some(*index)),
        MultiProofError::MissingNode(_) | MultiProofError::Malformed(_) => ("nodes", None),
    };
    decode_error("proof", field, &error.to_string(), index)
}

pub fn from_open(error: &OpenError) -> PyErr {
    Python::attach(|py| match error {
        OpenError::Decode(error) => {
            raise(py, "GraphDecodeError", (error.field.to_string(), error.problem.to_string(), error.offset))
        }
        OpenError::Graph(error) => raise(py, "InvalidGraph", (error.field.to_string(), error.problem.to_string())),
        OpenError::Weights(error) => {
            let field = match error {
                InvalidWeights::Length { .. } => "length".into(),
                InvalidWeights::Alignment => "offset".into(),
                InvalidWeights::Padding(_) => "padding".into(),
                InvalidWeights::Range { index, .. } => format!("constants[{index}]"),
            };
            raise(py, "InvalidWeights", (field, error.to_string()))
        }
    })
}

pub fn invalid_weights(field: &str, problem: &str) -> PyErr {
    Python::attach(|py| raise(py, "InvalidWeights", (field, problem)))
}

pub fn invalid_input(name: &str, problem: &str) -> PyErr {
    Python::attach(|py| raise(py, "InvalidInput", (name, problem)))
}
