//! Sidecars of blob transactions: checking their proofs, and keeping them for who builds and asks.
//!
//! A sidecar travels with its transaction but is no part of a block. It is kept while its transaction
//! waits, and for some blocks after that: a reorganisation may bring the transaction back.
//!
//! Source: EIP-4844, EIP-7594.

use std::collections::BTreeMap;

use alloy_consensus::{EthereumTxEnvelope, TxEip4844, TxEip4844Variant};
use alloy_eips::{
    eip2718::{Decodable2718, Encodable2718},
    eip4844::{Blob, BlobTransactionValidationError, Bytes48},
    eip7594::{BlobTransactionSidecarVariant, CELLS_PER_EXT_BLOB},
};
use alloy_primitives::B256;
use metis_executor::{decode_and_recover, recover_sender};
use metis_state_transition::{DecodeError, Fork, RecoveredTransaction, decode_transaction};

/// For so many blocks a mined transaction's sidecar is kept: an epoch of Ethereum's consensus.
pub(crate) const KEPT_BLOCK_COUNT: u64 = 32;

/// c-kzg's tables make computing proofs faster, not checking them, and take much memory.
const PRECOMPUTE: u64 = 0;

/// Why a blob transaction's sidecar is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SidecarError {
    /// There is none.
    #[error("blob transaction without its blobs, commitments and proofs")]
    Missing,
    /// Its proofs are not of the kind that the fork asks for.
    #[error("sidecar has {}, must have {} (EIP-7594)", proof_kind(!.expects_cell_proofs), proof_kind(*.expects_cell_proofs))]
    Version {
        /// Whether the fork asks for cell proofs.
        expects_cell_proofs: bool,
    },
    /// Its commitments are not those that the transaction names.
    #[error("commitments do not match the blob versioned hashes")]
    HashMismatch,
    /// Its lists do not fit together, or hold what is no point or field element.
    #[error("malformed sidecar: {0}")]
    Malformed(String),
    /// A proof is wrong.
    #[error("a KZG proof is wrong")]
    Proof,
}

const fn proof_kind(is_of_cells: bool) -> &'static str {
    if is_of_cells { "cell proofs" } else { "one proof per blob" }
}

impl SidecarError {
    /// Stable name of the reason.
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Missing => "sidecar-missing",
            Self::Version { .. } => "sidecar-version",
            Self::HashMismatch => "sidecar-mismatch",
            Self::Malformed(_) => "sidecar-malformed",
            Self::Proof => "sidecar-proof",
        }
    }
}

/// A blob with what proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobWithProofs {
    /// 4096 field elements.
    pub blob: Box<Blob>,
    /// KZG commitment to the blob.
    pub commitment: Bytes48,
    /// One proof, or one per cell of the extended blob (EIP-7594).
    pub proofs: Vec<Bytes48>,
}

/// A transaction as users send it: as in blocks, or a blob transaction with its sidecar.
///
/// # Errors
/// [`DecodeError`] naming the field.
pub(crate) fn decode_submitted(
    raw: &[u8],
) -> Result<(RecoveredTransaction, Option<BlobTransactionSidecarVariant>), DecodeError> {
    let as_in_blocks = decode_and_recover(raw);
    if as_in_blocks.is_ok() || raw.first() != Some(&3) {
        return Ok((as_in_blocks?, None));
    }
    let mut rest = raw;
    let Ok(pooled) = EthereumTxEnvelope::<TxEip4844Variant>::decode_2718(&mut rest) else {
        return Ok((as_in_blocks?, None));
    };
    if !rest.is_empty() {
        return Ok((as_in_blocks?, None));
    }
    let sidecar = pooled.as_eip4844().and_then(|signed| signed.tx().sidecar().cloned());
    let envelope: EthereumTxEnvelope<TxEip4844> = pooled.map_eip4844(Into::into);
    // What would not be refused inside a block is refused here as well.
    let envelope = decode_transaction(&envelope.encoded_2718())?;
    let sender = recover_sender(&envelope)?;
    Ok((RecoveredTransaction { envelope, sender }, sidecar))
}

/// Checks a sidecar against the hashes that its transaction names. The trusted setup is read the
/// first time.
///
/// # Errors
/// [`SidecarError`].
pub(crate) fn check_sidecar(
    sidecar: &BlobTransactionSidecarVariant,
    versioned_hashes: &[B256],
    fork: Fork,
) -> Result<(), SidecarError> {
    let expects_cell_proofs = fork >= Fork::Osaka;
    if sidecar.is_eip7594() != expects_cell_proofs {
        return Err(SidecarError::Version { expects_cell_proofs });
    }
    let settings = c_kzg::ethereum_kzg_settings(PRECOMPUTE);
    sidecar.validate(versioned_hashes, settings).map_err(|error| match error {
        BlobTransactionValidationError::WrongVersionedHash { .. } => SidecarError::HashMismatch,
        BlobTransactionValidationError::InvalidProof => SidecarError::Proof,
        other => SidecarError::Malformed(other.to_string()),
    })
}

/// Sidecars by the hash of their transaction.
#[derive(Debug, Default)]
pub(crate) struct Sidecars(BTreeMap<B256, BlobTransactionSidecarVariant>);

impl Sidecars {
    pub(crate) fn insert(&mut self, transaction_hash: B256, sidecar: BlobTransactionSidecarVariant) {
        self.0.insert(transaction_hash, sidecar);
    }

    pub(crate) fn has(&self, transaction_hash: &B256) -> bool {
        self.0.contains_key(transaction_hash)
    }

    // BOUND: what stays is in the pool, whose size is limited, or in one of the last blocks.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&B256) -> bool) {
        self.0.retain(|hash, _| keep(hash));
    }

    /// All blobs of a transaction, in order.
    pub(crate) fn of_transaction(&self, transaction_hash: &B256) -> Vec<BlobWithProofs> {
        let sidecar = self.0.get(transaction_hash);
        sidecar.map_or_else(Vec::new, |sidecar| (0..sidecar.blobs().len()).map(|index| at(sidecar, index)).collect())
    }

    /// The blob with a versioned hash.
    pub(crate) fn by_versioned_hash(&self, hash: &B256) -> Option<BlobWithProofs> {
        let found = |sidecar: &BlobTransactionSidecarVariant| Some(at(sidecar, sidecar.versioned_hash_index(hash)?));
        self.0.values().find_map(found)
    }
}

fn at(sidecar: &BlobTransactionSidecarVariant, index: usize) -> BlobWithProofs {
    let proofs = match sidecar {
        BlobTransactionSidecarVariant::Eip4844(sidecar) => sidecar.proofs[index..=index].to_vec(),
        BlobTransactionSidecarVariant::Eip7594(sidecar) => {
            sidecar.cell_proofs[index * CELLS_PER_EXT_BLOB..(index + 1) * CELLS_PER_EXT_BLOB].to_vec()
        }
    };
    BlobWithProofs { blob: Box::new(sidecar.blobs()[index]), commitment: sidecar.commitments()[index], proofs }
}
