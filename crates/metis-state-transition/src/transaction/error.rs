//! Why a transaction may not be included, or could not be run.

use alloc::string::String;

use alloy_consensus::{Transaction as _, Typed2718};
use alloy_primitives::{Address, U256};
use revm::{context::BlockEnv, context_interface::result::InvalidTransaction};

use super::RecoveredTransaction;
use crate::ViewError;

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
    #[error("chain id {chain_id} is not this chain's {expected}")]
    WrongChainId { chain_id: u64, expected: u64 },
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
    #[error("its inferences take {macs} MACs, {available} are left in the block")]
    TooManyMacs { macs: u64, available: u64 },
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
            Self::TooManyMacs { .. } => "too-many-macs",
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
            Self::InitcodeTooLarge { .. } | Self::BlockSizeLimit { .. } | Self::TooManyMacs { .. } => "data",
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
    pub const SLUGS: [&'static str; 26] = [
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
        "too-many-macs",
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

/// What revm refuses a transaction for, with the values that broke the rule. A reason in words of
/// its own, which no Ethereum fork has, comes back as it is.
pub(super) fn refusal(
    transaction: &RecoveredTransaction,
    error: InvalidTransaction,
    block: &BlockEnv,
    chain_id: u64,
) -> Result<TransactionError, String> {
    use TransactionError as E;
    let envelope = &transaction.envelope;
    let gas_limit = envelope.gas_limit();
    Ok(match error {
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
            // Only a legacy transaction may say no chain id, and then it is valid on every chain.
            E::WrongChainId { chain_id: envelope.chain_id().unwrap_or_default(), expected: chain_id }
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
        InvalidTransaction::Str(message) => return Err(message.into_owned()),
    })
}
