//! Running one transaction: what it may not do, and what it did.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};

use alloy_consensus::{EthereumTxEnvelope, Transaction as _, TxEip4844, Typed2718};
use alloy_primitives::{Address, B256, Bytes, Log, U256, keccak256, uint};
use alloy_rlp::Encodable;
use revm::{
    context::TxEnv,
    context_interface::{
        either::Either,
        result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction, OutOfGasError},
    },
    state::EvmState,
};

use crate::{ChangeSet, Evm, Fork, FrameRunner, PrecompileSet, StateView, ViewError};

/// Half of secp256k1's curve order (EIP-2).
const HALF_CURVE_ORDER: U256 = uint!(0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0_U256);

/// A transaction and who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredTransaction {
    /// As encoded in blocks (blob transactions without sidecar).
    pub envelope: EthereumTxEnvelope<TxEip4844>,
    /// Recovered from the signature; not checked again here.
    pub sender: Address,
}

/// Accounts that were accessed, each with its accessed slots.
pub type Accesses = BTreeMap<Address, BTreeSet<U256>>;

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

/// Why a transaction may not be included in this block on this state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the message of each variant says what it means
pub enum TransactionError {
    #[error("priority fee {max_priority_fee} is above the fee cap {max_fee} (wei per gas)")]
    PriorityFeeAboveFeeCap { max_priority_fee: u128, max_fee: u128 },
    #[error("fee cap {max_fee} is below the block's base fee {base_fee} (wei per gas)")]
    FeeCapBelowBaseFee { max_fee: u128, base_fee: u64 },
    #[error("gas limit {gas_limit} is above what is left in the block ({available})")]
    GasLimitAboveBlock { gas_limit: u64, available: u64 },
    #[error("gas limit {gas_limit} is above the cap per transaction {cap} (EIP-7825)")]
    GasLimitAboveCap { gas_limit: u64, cap: u64 },
    #[error("gas limit {gas_limit} is below the intrinsic gas {required}")]
    IntrinsicGasTooLow { gas_limit: u64, required: u64 },
    #[error("gas limit {gas_limit} is below the calldata floor {required} (EIP-7623)")]
    GasBelowFloor { gas_limit: u64, required: u64 },
    #[error("sender {sender} has code and is not delegated (EIP-3607)")]
    SenderNotEoa { sender: Address },
    #[error("sender has {balance} wei, the transaction may cost {required} wei")]
    InsufficientFunds { required: U256, balance: U256 },
    #[error("gas limit times fee cap, with value and blobs, does not fit 128 bits of wei for gas or 256 bits in all")]
    CostOverflow,
    #[error("nonce is 2^64 - 1, the largest an account may not pass (EIP-2681)")]
    NonceIsMax,
    #[error("nonce {nonce} is above the sender's next nonce {expected}")]
    NonceTooHigh { nonce: u64, expected: u64 },
    #[error("nonce {nonce} is below the sender's next nonce {expected}")]
    NonceTooLow { nonce: u64, expected: u64 },
    #[error("init code of {size_bytes} bytes is above the limit (EIP-3860)")]
    InitcodeTooLarge { size_bytes: usize },
    #[error("chain id {chain_id:?} is not this chain's {expected}")]
    WrongChainId { chain_id: Option<u64>, expected: u64 },
    #[error("transaction type {kind} is not active at this fork")]
    TypeNotActive { kind: u8 },
    #[error("blob fee cap {max_fee} is below the block's blob base fee {blob_base_fee} (wei per blob gas)")]
    BlobFeeCapTooLow { max_fee: u128, blob_base_fee: u128 },
    #[error("blob transaction without blobs")]
    NoBlobs,
    #[error("blob transaction may not create a contract")]
    BlobCreation,
    #[error("{count} blobs are more than the {max} allowed")]
    TooManyBlobs { count: u64, max: u64 },
    #[error("blob versioned hash with a version other than 1")]
    BlobVersion,
    #[error("EIP-7702 transaction without authorizations")]
    NoAuthorizations,
    #[error("EIP-7702 transaction may not create a contract")]
    DelegationCreation,
    #[error("access list is not allowed here")]
    AccessListNotAllowed,
    #[error("signature's s is in the upper half of the curve order (EIP-2)")]
    SignatureSTooHigh,
    #[error("{size_bytes} more bytes would make the block larger than {max} bytes (EIP-7934)")]
    BlockSizeLimit { size_bytes: usize, max: usize },
}

impl TransactionError {
    /// Stable name of the rule.
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::PriorityFeeAboveFeeCap { .. } => "priority-fee-above-fee-cap",
            Self::FeeCapBelowBaseFee { .. } => "fee-cap-below-base-fee",
            Self::GasLimitAboveBlock { .. } => "gas-limit-above-block",
            Self::GasLimitAboveCap { .. } => "gas-limit-above-cap",
            Self::IntrinsicGasTooLow { .. } => "intrinsic-gas-too-low",
            Self::GasBelowFloor { .. } => "gas-below-floor",
            Self::SenderNotEoa { .. } => "sender-not-eoa",
            Self::InsufficientFunds { .. } => "insufficient-funds",
            Self::CostOverflow => "cost-overflow",
            Self::NonceIsMax => "nonce-is-max",
            Self::NonceTooHigh { .. } => "nonce-too-high",
            Self::NonceTooLow { .. } => "nonce-too-low",
            Self::InitcodeTooLarge { .. } => "initcode-too-large",
            Self::WrongChainId { .. } => "wrong-chain-id",
            Self::TypeNotActive { .. } => "type-not-active",
            Self::BlobFeeCapTooLow { .. } => "blob-fee-cap-too-low",
            Self::NoBlobs => "no-blobs",
            Self::BlobCreation => "blob-creation",
            Self::TooManyBlobs { .. } => "too-many-blobs",
            Self::BlobVersion => "blob-version",
            Self::NoAuthorizations => "no-authorizations",
            Self::DelegationCreation => "delegation-creation",
            Self::AccessListNotAllowed => "access-list-not-allowed",
            Self::SignatureSTooHigh => "signature-s-too-high",
            Self::BlockSizeLimit { .. } => "block-size-limit",
        }
    }

    /// The transaction field the rule is about, by the name of `metis.types.Transaction`.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::PriorityFeeAboveFeeCap { .. } => "max_priority_fee_per_gas_wei",
            Self::FeeCapBelowBaseFee { .. } => "gas_price_wei",
            Self::GasLimitAboveBlock { .. }
            | Self::GasLimitAboveCap { .. }
            | Self::IntrinsicGasTooLow { .. }
            | Self::GasBelowFloor { .. } => "gas_limit",
            Self::SenderNotEoa { .. } | Self::InsufficientFunds { .. } => "sender",
            Self::CostOverflow => "gas_price_wei",
            Self::NonceIsMax | Self::NonceTooHigh { .. } | Self::NonceTooLow { .. } => "nonce",
            Self::InitcodeTooLarge { .. } | Self::BlockSizeLimit { .. } => "data",
            Self::WrongChainId { .. } => "chain_id",
            Self::TypeNotActive { .. } => "type",
            Self::BlobFeeCapTooLow { .. } => "max_fee_per_blob_gas_wei",
            Self::NoBlobs | Self::TooManyBlobs { .. } | Self::BlobVersion => "blob_versioned_hashes",
            Self::BlobCreation | Self::DelegationCreation => "to",
            Self::NoAuthorizations => "authorization_list",
            Self::AccessListNotAllowed => "access_list",
            Self::SignatureSTooHigh => "s",
        }
    }

    /// Every slug, for documentation and completeness checks.
    pub const SLUGS: [&'static str; 25] = [
        "priority-fee-above-fee-cap",
        "fee-cap-below-base-fee",
        "gas-limit-above-block",
        "gas-limit-above-cap",
        "intrinsic-gas-too-low",
        "gas-below-floor",
        "sender-not-eoa",
        "insufficient-funds",
        "cost-overflow",
        "nonce-is-max",
        "nonce-too-high",
        "nonce-too-low",
        "initcode-too-large",
        "wrong-chain-id",
        "type-not-active",
        "blob-fee-cap-too-low",
        "no-blobs",
        "blob-creation",
        "too-many-blobs",
        "blob-version",
        "no-authorizations",
        "delegation-creation",
        "access-list-not-allowed",
        "signature-s-too-high",
        "block-size-limit",
    ];
}

/// Why running a transaction gave no outcome.
#[derive(Debug, thiserror::Error)]
pub enum TransactionFault<E: core::error::Error> {
    /// The transaction may not be included.
    #[error(transparent)]
    Invalid(#[from] TransactionError),
    /// The world could not be read.
    #[error(transparent)]
    View(ViewError<E>),
    /// A broken invariant of the engine.
    #[error("engine: {0}")]
    Engine(String),
}

impl<V: StateView, R: FrameRunner, P: PrecompileSet> Evm<V, R, P> {
    /// Runs one transaction and returns what it did and changed. The view is not changed.
    ///
    /// # Errors
    /// [`TransactionFault`]; the state is then as if it had not been tried.
    pub fn execute(
        &mut self,
        transaction: &RecoveredTransaction,
    ) -> Result<(TransactionOutcome, ChangeSet), TransactionFault<V::Error>> {
        let (result, state) = self.run_checked(transaction)?;
        Ok((outcome(result), ChangeSet::from_journal(state)))
    }

    fn run_checked(
        &mut self,
        transaction: &RecoveredTransaction,
    ) -> Result<(ExecutionResult<HaltReason>, EvmState), TransactionFault<V::Error>> {
        // EIP-2, from Homestead on; revm does not see signatures.
        if self.fork >= Fork::Homestead && transaction.envelope.signature().s() > HALF_CURVE_ORDER {
            return Err(TransactionError::SignatureSTooHigh.into());
        }
        self.transact(transaction_env(transaction)).map_err(|error| match error {
            EVMError::Transaction(invalid) => self.invalid(transaction, invalid),
            EVMError::Database(error) => TransactionFault::View(error),
            other => TransactionFault::Engine(alloc::format!("{other}")),
        })
    }

    /// Like [`Self::execute`], and also says which accounts and slots were accessed, reverted frames
    /// and the accounts every transaction touches included.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub fn execute_with_accesses(
        &mut self,
        transaction: &RecoveredTransaction,
    ) -> Result<(TransactionOutcome, ChangeSet, Accesses), TransactionFault<V::Error>> {
        let (result, state) = self.run_checked(transaction)?;
        let accesses =
            state.iter().map(|(address, account)| (*address, account.storage.keys().copied().collect())).collect();
        Ok((outcome(result), ChangeSet::from_journal(state), accesses))
    }

    /// Runs one message call outside any transaction: no fees, no nonce, no intrinsic gas, no cap
    /// on refunds. `gas_used` is what the frame used, `gas_refunded` its refund counter.
    ///
    /// # Errors
    /// [`TransactionFault::View`] or [`TransactionFault::Engine`].
    pub fn message_call(
        &mut self,
        caller: Address,
        contract: Address,
        data: Bytes,
        value: U256,
        gas_limit: u64,
    ) -> Result<(TransactionOutcome, ChangeSet), TransactionFault<V::Error>> {
        match self.protocol_call(caller, contract, data, value, gas_limit) {
            Ok((result, state)) => {
                let (gas_used, gas_refunded) = (result.gas().total_gas_spent(), result.gas().inner_refunded());
                let done = TransactionOutcome { gas_used, gas_refunded, ..outcome(result) };
                Ok((done, ChangeSet::from_journal(state)))
            }
            Err(EVMError::Database(error)) => Err(TransactionFault::View(error)),
            Err(other) => Err(TransactionFault::Engine(alloc::format!("{other}"))),
        }
    }

    fn invalid(&self, transaction: &RecoveredTransaction, error: InvalidTransaction) -> TransactionFault<V::Error> {
        use TransactionError as E;
        let envelope = &transaction.envelope;
        let gas_limit = envelope.gas_limit();
        let block = &self.context.block;
        TransactionFault::Invalid(match error {
            InvalidTransaction::PriorityFeeGreaterThanMaxFee => E::PriorityFeeAboveFeeCap {
                max_priority_fee: envelope.max_priority_fee_per_gas().unwrap_or_default(),
                max_fee: envelope.max_fee_per_gas(),
            },
            InvalidTransaction::GasPriceLessThanBasefee => {
                E::FeeCapBelowBaseFee { max_fee: envelope.max_fee_per_gas(), base_fee: block.basefee }
            }
            InvalidTransaction::CallerGasLimitMoreThanBlock => {
                E::GasLimitAboveBlock { gas_limit, available: block.gas_limit }
            }
            InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
                E::IntrinsicGasTooLow { gas_limit, required: initial_gas }
            }
            InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
                E::GasBelowFloor { gas_limit, required: gas_floor }
            }
            InvalidTransaction::RejectCallerWithCode => E::SenderNotEoa { sender: transaction.sender },
            InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
                E::InsufficientFunds { required: *fee, balance: *balance }
            }
            InvalidTransaction::OverflowPaymentInTransaction => E::CostOverflow,
            InvalidTransaction::NonceOverflowInTransaction => E::NonceIsMax,
            InvalidTransaction::NonceTooHigh { tx, state } => E::NonceTooHigh { nonce: tx, expected: state },
            InvalidTransaction::NonceTooLow { tx, state } => E::NonceTooLow { nonce: tx, expected: state },
            InvalidTransaction::CreateInitCodeSizeLimit => E::InitcodeTooLarge { size_bytes: envelope.input().len() },
            InvalidTransaction::InvalidChainId | InvalidTransaction::MissingChainId => {
                E::WrongChainId { chain_id: envelope.chain_id(), expected: self.context.cfg.chain_id }
            }
            InvalidTransaction::TxGasLimitGreaterThanCap { gas_limit, cap } => E::GasLimitAboveCap { gas_limit, cap },
            InvalidTransaction::BlobGasPriceGreaterThanMax { block_blob_gas_price, tx_max_fee_per_blob_gas } => {
                E::BlobFeeCapTooLow { max_fee: tx_max_fee_per_blob_gas, blob_base_fee: block_blob_gas_price }
            }
            InvalidTransaction::EmptyBlobs => E::NoBlobs,
            InvalidTransaction::BlobCreateTransaction => E::BlobCreation,
            InvalidTransaction::TooManyBlobs { max, have } => E::TooManyBlobs { count: have as u64, max: max as u64 },
            InvalidTransaction::BlobVersionNotSupported => E::BlobVersion,
            InvalidTransaction::EmptyAuthorizationList => E::NoAuthorizations,
            InvalidTransaction::AuthorizationListInvalidFields => E::DelegationCreation,
            InvalidTransaction::AccessListNotSupported => E::AccessListNotAllowed,
            InvalidTransaction::MaxFeePerBlobGasNotSupported
            | InvalidTransaction::BlobVersionedHashesNotSupported
            | InvalidTransaction::AuthorizationListNotSupported
            | InvalidTransaction::Eip2930NotSupported
            | InvalidTransaction::Eip1559NotSupported
            | InvalidTransaction::Eip4844NotSupported
            | InvalidTransaction::Eip7702NotSupported
            | InvalidTransaction::Eip7873NotSupported
            | InvalidTransaction::Eip7873MissingTarget => E::TypeNotActive { kind: envelope.ty() },
            InvalidTransaction::Str(message) => return TransactionFault::Engine(message.into_owned()),
        })
    }
}

pub(crate) fn outcome(result: ExecutionResult<HaltReason>) -> TransactionOutcome {
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

fn transaction_env(transaction: &RecoveredTransaction) -> TxEnv {
    let envelope = &transaction.envelope;
    TxEnv {
        tx_type: envelope.ty(),
        caller: transaction.sender,
        gas_limit: envelope.gas_limit(),
        gas_price: envelope.max_fee_per_gas(),
        kind: envelope.kind(),
        value: envelope.value(),
        data: envelope.input().clone(),
        nonce: envelope.nonce(),
        chain_id: envelope.chain_id(),
        access_list: envelope.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: envelope.max_priority_fee_per_gas(),
        blob_hashes: envelope.blob_versioned_hashes().map(<[B256]>::to_vec).unwrap_or_default(),
        max_fee_per_blob_gas: envelope.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list: envelope
            .authorization_list()
            .map(|list| list.iter().cloned().map(Either::Left).collect())
            .unwrap_or_default(),
    }
}
