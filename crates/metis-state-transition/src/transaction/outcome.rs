//! What a transaction did.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, Bytes, Log, keccak256};
use alloy_rlp::Encodable;
use revm::context_interface::result::{ExecutionResult, HaltReason, OutOfGasError};

/// How execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionStatus {
    /// Ran to its end.
    Success,
    /// The code said REVERT.
    Revert,
    /// Exceptional halt (Yellow Paper §9.4.2); the slug says why.
    Halt(&'static str),
}

/// What one transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionOutcome {
    /// How it ended.
    pub status: ExecutionStatus,
    /// Gas paid for, after refunds.
    pub gas_used: u64,
    /// Refund that is in [`Self::gas_used`].
    pub gas_refunded: u64,
    /// Returned or reverted bytes; for a creation, the deployed code.
    pub output: Bytes,
    /// The contract that a creation deployed.
    pub contract_address: Option<Address>,
    /// Events, none unless it succeeded.
    pub logs: Vec<Log>,
}

impl TransactionOutcome {
    /// Keccak-256 of the RLP list of logs, as state tests record it.
    pub fn logs_hash(&self) -> B256 {
        let mut encoded = Vec::new();
        self.logs.encode(&mut encoded);
        keccak256(encoded)
    }
}

/// What a transaction did, from revm's result.
pub fn outcome(result: ExecutionResult<HaltReason>) -> TransactionOutcome {
    let gas_used = result.tx_gas_used();
    let gas_refunded = result.gas().final_refunded();
    let contract_address = result.created_address();
    let status = match &result {
        ExecutionResult::Success { .. } => ExecutionStatus::Success,
        ExecutionResult::Revert { .. } => ExecutionStatus::Revert,
        ExecutionResult::Halt { reason, .. } => ExecutionStatus::Halt(halt_slug(reason)),
    };
    let output = result.output().cloned().unwrap_or_default();
    let logs = if matches!(status, ExecutionStatus::Success) { result.into_logs() } else { Vec::new() };
    TransactionOutcome { status, gas_used, gas_refunded, output, contract_address, logs }
}

const fn halt_slug(reason: &HaltReason) -> &'static str {
    match reason {
        HaltReason::OutOfGas(OutOfGasError::MemoryLimit) => "memory-limit",
        HaltReason::OutOfGas(_) => "out-of-gas",
        HaltReason::OpcodeNotFound => "unknown-opcode",
        HaltReason::InvalidFEOpcode => "invalid-opcode",
        HaltReason::InvalidJump => "invalid-jump",
        HaltReason::NotActivated => "opcode-not-active",
        HaltReason::StackUnderflow => "stack-underflow",
        HaltReason::StackOverflow => "stack-overflow",
        HaltReason::OutOfOffset => "offset-out-of-bounds",
        HaltReason::CreateCollision => "create-collision",
        HaltReason::PrecompileError | HaltReason::PrecompileErrorWithContext(_) => "precompile-failure",
        HaltReason::NonceOverflow => "nonce-overflow",
        HaltReason::CreateContractSizeLimit => "code-too-large",
        HaltReason::CreateContractStartingWithEF => "code-starts-with-ef",
        HaltReason::CreateInitCodeSizeLimit => "initcode-too-large",
        HaltReason::OverflowPayment => "balance-overflow",
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => "write-in-static-call",
        HaltReason::OutOfFunds => "insufficient-balance",
        HaltReason::CallTooDeep => "call-too-deep",
    }
}
