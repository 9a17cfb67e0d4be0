//! Keys of development accounts.

use alloy_eips::eip2718::Encodable2718;
use metis_node::{KeyError, RecoverError};
use pyo3::{prelude::*, types::PyBytes};

use crate::{
    convert::{Fixed, to_bytes, to_int},
    errors::decode_error,
    guard::guard,
    transaction::unsigned_envelope,
};

fn key_error(error: KeyError) -> PyErr {
    let field = match error {
        KeyError::Mnemonic => "mnemonic",
        KeyError::Path => "path",
        KeyError::Key => "private_key",
    };
    decode_error("key", field, &error.to_string(), None)
}

/// Private key at a BIP-32 path below a BIP-39 phrase.
#[pyfunction]
pub fn derive_private_key<'py>(py: Python<'py>, mnemonic: &str, path: &str) -> PyResult<Bound<'py, PyBytes>> {
    guard(|| Ok(to_bytes(py, metis_node::derive_private_key(mnemonic, path).map_err(key_error)?)))
}

/// Account of a private key.
#[pyfunction]
pub fn address_of<'py>(py: Python<'py>, private_key: Fixed<32>) -> PyResult<Bound<'py, PyBytes>> {
    guard(|| Ok(to_bytes(py, metis_node::address_of(&private_key.0).map_err(key_error)?)))
}

/// Signature over a hash: parity, r, s.
#[pyfunction]
pub fn sign_hash<'py>(
    py: Python<'py>,
    hash32: Fixed<32>,
    private_key: Fixed<32>,
) -> PyResult<(u8, Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    guard(|| {
        let signature = metis_node::sign_hash(hash32.0.into(), &private_key.0).map_err(key_error)?;
        Ok((u8::from(signature.v()), to_int(py, signature.r())?, to_int(py, signature.s())?))
    })
}

/// Account whose key signed a hash.
#[pyfunction]
pub fn recover_address<'py>(
    py: Python<'py>,
    hash32: Fixed<32>,
    y_parity: bool,
    r: Fixed<32>,
    s: Fixed<32>,
) -> PyResult<Bound<'py, PyBytes>> {
    guard(|| {
        let found = metis_node::recover_address(&hash32.0, y_parity, &r.0, &s.0).map_err(|error| {
            let field = if error == RecoverError::HighS { "s" } else { "signature" };
            decode_error("signature", field, &error.to_string(), None)
        })?;
        Ok(to_bytes(py, found))
    })
}

/// Signs a transaction; its sender is not looked at.
#[pyfunction]
pub fn sign_transaction<'py>(
    py: Python<'py>,
    fields: &Bound<'py, PyAny>,
    private_key: Fixed<32>,
) -> PyResult<Bound<'py, PyBytes>> {
    guard(|| {
        let unsigned = unsigned_envelope(fields)?.into_typed_transaction();
        let signed = metis_node::sign_transaction(unsigned, &private_key.0).map_err(key_error)?;
        Ok(to_bytes(py, signed.encoded_2718()))
    })
}
