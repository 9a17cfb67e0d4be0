//! Proofs that somebody else made.

use metis_db::{AccountProof, MultiProof, ProvenAccount, StorageProof};
use metis_state_transition::Account;
use pyo3::prelude::*;

use crate::{
    convert::{Blob, Fixed, Word},
    errors::{decode_error, from_multi_proof, from_proof},
    guard::guard_free,
};

/// Checks an EIP-1186 proof against a state root.
#[pyfunction]
pub fn verify_proof(
    py: Python<'_>,
    state_root: Fixed<32>,
    address: Fixed<20>,
    proof: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let item = |name: &str| proof.get_item(name);
    let field = |name: &'static str| {
        move |error: PyErr| decode_error("proof", name, &Python::attach(|py| error.value(py).to_string()), None)
    };
    let account: Option<(u64, Word, Fixed<32>, Fixed<32>)> = item("account")?.extract().map_err(field("account"))?;
    let nodes: Vec<Blob> = item("account_proof")?.extract().map_err(field("account_proof"))?;
    let storage: Vec<(Word, Word, Vec<Blob>)> = item("storage_proofs")?.extract().map_err(field("storage_proofs"))?;
    let bytes = |blobs: Vec<Blob>| blobs.into_iter().map(|Blob(bytes)| bytes).collect();
    let claimed = AccountProof {
        address: address.0.into(),
        account: account.map(|(nonce, balance, code_hash, storage_root)| {
            (Account { nonce, balance: balance.0, code_hash: code_hash.0.into() }, storage_root.0.into())
        }),
        proof: bytes(nodes),
        storage: storage
            .into_iter()
            .map(|(slot, value, nodes)| StorageProof { slot: slot.0, value: value.0, proof: bytes(nodes) })
            .collect(),
    };
    guard_free(py, || claimed.verify(state_root.0.into()))?.map_err(|error| from_proof(&error))
}

/// Nonce, balance, code hash and storage root of an account that is claimed.
type ClaimedAccount = Option<(u64, Word, Fixed<32>, Fixed<32>)>;

/// What is claimed: an address, its account, and slots with their values.
type Claim = (Fixed<20>, ClaimedAccount, Vec<(Word, Word)>);

/// Checks a proof of many accounts and slots, whose nodes are there once, against a state root.
#[pyfunction]
pub fn verify_multi_proof(
    py: Python<'_>,
    state_root: Fixed<32>,
    claims: &Bound<'_, PyAny>,
    nodes: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let field = |name: &'static str| {
        move |error: PyErr| decode_error("proof", name, &Python::attach(|py| error.value(py).to_string()), None)
    };
    let claims: Vec<Claim> = claims.extract().map_err(field("claims"))?;
    let nodes: Vec<Blob> = nodes.extract().map_err(field("nodes"))?;
    let claimed = MultiProof {
        accounts: claims
            .into_iter()
            .map(|(address, account, slots)| ProvenAccount {
                address: address.0.into(),
                account: account.map(|(nonce, balance, code_hash, storage_root)| {
                    (Account { nonce, balance: balance.0, code_hash: code_hash.0.into() }, storage_root.0.into())
                }),
                slots: slots.into_iter().map(|(slot, value)| (slot.0, value.0)).collect(),
            })
            .collect(),
        nodes: nodes.into_iter().map(|Blob(bytes)| bytes).collect(),
    };
    guard_free(py, || claimed.verify(state_root.0.into()))?.map_err(|error| from_multi_proof(&error))
}
