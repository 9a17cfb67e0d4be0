//! Why a node could not do what it was asked.

use alloy_primitives::{Address, B256};
use metis_chain::chain::ChainError;
use metis_db::{MissingState, StateKey, StoreError};
use metis_executor::{BatchError, ExecuteError};
use metis_state_transition::{BlockError, DecodeError, TransactionError, TransactionFault, ViewError};
use metis_vm::TracerError;

use crate::StateError;

/// Why a node could not do what it was asked. Its state is then as before.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The chain or its log failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// State that is not kept, or a commit out of order.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The block breaks a rule.
    #[error(transparent)]
    Execute(ExecuteError<StateError>),
    /// Bytes are not a transaction.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A signature in a block is wrong.
    #[error(transparent)]
    Signature(#[from] BatchError),
    /// The transaction may not run.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// Running failed for another reason than the transaction's.
    #[error(transparent)]
    Fault(TransactionFault<StateError>),
    /// A block's parent is not known.
    #[error("parent {0} is not known")]
    UnknownParent(B256),
    /// The data directory can not be used.
    #[error("data directory: {0}")]
    Directory(std::io::ErrorKind),
    /// A state override moves what is no precompile, or to where it may not.
    #[error("account {account} {problem}")]
    PrecompileMove {
        /// The account.
        account: Address,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is no such tracer, or not with these options.
    #[error(transparent)]
    Tracer(#[from] TracerError),
    /// Traces together are larger than they may be.
    #[error("the trace is larger than {limit} bytes")]
    TraceTooLarge {
        /// Most bytes of text.
        limit: usize,
    },
    /// Block 0 has no state before it.
    #[error("genesis is not traceable")]
    NotTraceable,
    /// No block has this number or hash.
    #[error("block is not known")]
    UnknownBlock,
    /// State of the chain that was forked must be supplied before the same can be asked again.
    #[error("state of the forked chain is not here yet: {} keys", .0.len())]
    MissingState(Vec<StateKey>),
    /// A proof that a fork cannot make.
    #[error("no proof of an account at block {block_number} of a fork: {reason}")]
    NoProof {
        /// After which block.
        block_number: u64,
        /// Why there is none.
        reason: &'static str,
    },
}

impl From<StateError> for NodeError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Missing(MissingState(key)) => Self::MissingState(vec![key]),
            StateError::Store(error) => Self::Store(error),
        }
    }
}

impl From<ExecuteError<StateError>> for NodeError {
    fn from(error: ExecuteError<StateError>) -> Self {
        match error {
            // Not the block's fault.
            ExecuteError::Block(BlockError::View(ViewError::State(StateError::Store(error)))) => Self::Store(error),
            error => Self::Execute(error),
        }
    }
}

impl From<BlockError<StateError>> for NodeError {
    fn from(error: BlockError<StateError>) -> Self {
        ExecuteError::Block(error).into()
    }
}

impl From<TransactionFault<StateError>> for NodeError {
    fn from(fault: TransactionFault<StateError>) -> Self {
        match fault {
            TransactionFault::View(ViewError::State(StateError::Store(error))) => Self::Store(error),
            fault => Self::Fault(fault),
        }
    }
}

impl NodeError {
    /// What a read of the state asked for in vain, or which ancestor BLOCKHASH did.
    pub(crate) fn missing_key(&self) -> Option<StateKey> {
        let of_view = |error: &ViewError<StateError>| match error {
            ViewError::State(StateError::Missing(MissingState(key))) => Some(*key),
            ViewError::UnknownAncestor(number) => Some(StateKey::BlockHash(*number)),
            ViewError::State(StateError::Store(_)) | ViewError::MissingModel(_) => None,
        };
        match self {
            Self::MissingState(keys) => keys.first().copied(),
            Self::Execute(ExecuteError::Block(BlockError::View(error)))
            | Self::Fault(TransactionFault::View(error)) => of_view(error),
            _ => None,
        }
    }
}
