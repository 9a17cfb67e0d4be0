//! What can be said of a transaction without looking at the state.
//!
//! The rules are those of the state transition, which has the last word when a block is built. They
//! stand here a second time so that a transaction is refused when it is sent and not silently left
//! out later; a test holds the two together.

use alloy_consensus::{EthereumTxEnvelope, Transaction as _, TxEip4844, Typed2718};
use alloy_primitives::{U256, uint};
use metis_state_transition::{Fork, TransactionError};

use super::PoolHead;

/// Half of secp256k1's curve order (EIP-2).
const HALF_CURVE_ORDER: U256 = uint!(0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0_U256);
/// EIP-3860.
const INITCODE_BYTES_MAX: usize = 2 * 24_576;
/// Version byte of a blob's versioned hash (EIP-4844).
const BLOB_HASH_VERSION: u8 = 1;

/// Gas that a transaction needs before anything of it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntrinsicGas {
    /// Charged before execution (Yellow Paper §6.2 with the EIPs since).
    pub initial: u64,
    /// Least that is charged in all (EIP-7623); 0 before Prague.
    pub floor: u64,
}

/// Gas that a transaction needs before anything of it runs.
pub fn intrinsic_gas(envelope: &EthereumTxEnvelope<TxEip4844>, fork: Fork) -> IntrinsicGas {
    const BASE: u64 = 21_000;
    let data = envelope.input();
    let zeros = data.iter().filter(|byte| **byte == 0).count() as u64;
    let others = data.len() as u64 - zeros;
    let per_other = if fork >= Fork::Istanbul { 16 } else { 68 };
    let mut initial = BASE + 4 * zeros + per_other * others;
    if envelope.is_create() {
        if fork >= Fork::Homestead {
            initial += 32_000;
        }
        if fork >= Fork::Shanghai {
            initial += 2 * (data.len() as u64).div_ceil(32);
        }
    }
    if let Some(list) = envelope.access_list() {
        let keys: usize = list.iter().map(|item| item.storage_keys.len()).sum();
        initial += 2_400 * list.len() as u64 + 1_900 * keys as u64;
    }
    if let Some(list) = envelope.authorization_list() {
        initial += 25_000 * list.len() as u64;
    }
    let floor = if fork >= Fork::Prague { BASE + 10 * (zeros + 4 * others) } else { 0 };
    IntrinsicGas { initial, floor }
}

/// Checks all that does not depend on accounts.
pub(super) fn check_transaction(
    envelope: &EthereumTxEnvelope<TxEip4844>,
    head: &PoolHead,
) -> Result<(), TransactionError> {
    use TransactionError as E;
    let (rules, fork) = (&head.rules, head.rules.fork);
    let kind = envelope.ty();
    let first_fork = match kind {
        0 => Fork::Frontier,
        1 => Fork::Berlin,
        2 => Fork::London,
        3 => Fork::Cancun,
        _ => Fork::Prague,
    };
    if fork < first_fork {
        return Err(E::TypeNotActive { kind });
    }
    if let Some(chain_id) = envelope.chain_id()
        && chain_id != rules.chain_id
    {
        return Err(E::WrongChainId { chain_id: Some(chain_id), expected: rules.chain_id });
    }
    if fork >= Fork::Homestead && envelope.signature().s() > HALF_CURVE_ORDER {
        return Err(E::SignatureSTooHigh);
    }
    let max_fee = envelope.max_fee_per_gas();
    if let Some(max_priority_fee) = envelope.max_priority_fee_per_gas()
        && max_priority_fee > max_fee
    {
        return Err(E::PriorityFeeAboveFeeCap { max_priority_fee, max_fee });
    }
    if envelope.nonce() == u64::MAX {
        return Err(E::NonceIsMax);
    }
    check_gas(envelope, head)?;
    if let Some(hashes) = envelope.blob_versioned_hashes() {
        if hashes.is_empty() {
            return Err(E::NoBlobs);
        }
        if hashes.iter().any(|hash| hash[0] != BLOB_HASH_VERSION) {
            return Err(E::BlobVersion);
        }
        let (count, max) = (hashes.len() as u64, rules.blob.map_or(0, |blob| blob.max_blobs_per_tx));
        if count > max {
            return Err(E::TooManyBlobs { count, max });
        }
    }
    match envelope.authorization_list() {
        Some([]) => Err(E::NoAuthorizations),
        _ => Ok(()),
    }
}

fn check_gas(envelope: &EthereumTxEnvelope<TxEip4844>, head: &PoolHead) -> Result<(), TransactionError> {
    use TransactionError as E;
    let (fork, gas_limit) = (head.rules.fork, envelope.gas_limit());
    if let Some(cap) = head.rules.transaction_gas_limit_cap
        && gas_limit > cap
    {
        return Err(E::GasLimitAboveCap { gas_limit, cap });
    }
    if gas_limit > head.gas_limit {
        return Err(E::GasLimitAboveBlock { gas_limit, available: head.gas_limit });
    }
    let size_bytes = envelope.input().len();
    if fork >= Fork::Shanghai && envelope.is_create() && size_bytes > INITCODE_BYTES_MAX {
        return Err(E::InitcodeTooLarge { size_bytes });
    }
    let IntrinsicGas { initial, floor } = intrinsic_gas(envelope, fork);
    if gas_limit < initial {
        return Err(E::IntrinsicGasTooLow { gas_limit, required: initial });
    }
    if gas_limit < floor {
        return Err(E::GasBelowFloor { gas_limit, required: floor });
    }
    Ok(())
}
