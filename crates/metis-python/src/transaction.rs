//! `Transaction`: decoded and recovered, or unsigned with a given sender.

use alloy_consensus::{
    EthereumTxEnvelope, SignableTransaction, Transaction as _, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
    Typed2718,
};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Signature, TxKind, U256};
use metis_executor::{all_or_first_error, decode_and_recover, decode_and_recover_batch};
use metis_state_transition::RecoveredTransaction;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyList},
};

use crate::{
    convert::{Blob, Fixed, Word, address, attribute, to_bytes, to_int, word},
    errors::{decode_error, from_batch, from_decode},
    guard::{guard, guard_free},
};

const SUBJECT: &str = "transaction";

/// A transaction and its sender.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct Transaction {
    pub inner: RecoveredTransaction,
}

#[pymethods]
impl Transaction {
    #[getter]
    fn hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        to_bytes(py, self.inner.envelope.tx_hash())
    }

    #[getter]
    fn sender<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        to_bytes(py, self.inner.sender)
    }

    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        to_bytes(py, self.inner.envelope.encoded_2718())
    }

    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let envelope = &self.inner.envelope;
        let signature = envelope.signature();
        let fields = PyDict::new(py);
        fields.set_item("sender", self.sender(py))?;
        fields.set_item("hash", self.hash(py))?;
        fields.set_item("type", envelope.ty())?;
        fields.set_item("chain_id", envelope.chain_id())?;
        fields.set_item("nonce", envelope.nonce())?;
        fields.set_item("gas_limit", envelope.gas_limit())?;
        fields.set_item("gas_price_wei", envelope.max_fee_per_gas())?;
        fields.set_item("max_priority_fee_per_gas_wei", envelope.max_priority_fee_per_gas())?;
        fields.set_item("to", envelope.to().map(|to| to_bytes(py, to)))?;
        fields.set_item("value_wei", to_int(py, envelope.value())?)?;
        fields.set_item("data", to_bytes(py, envelope.input()))?;
        fields.set_item("access_list", access_list_entries(py, envelope)?)?;
        fields.set_item("max_fee_per_blob_gas_wei", envelope.max_fee_per_blob_gas())?;
        let hashes = envelope.blob_versioned_hashes().unwrap_or_default();
        fields.set_item("blob_versioned_hashes", PyList::new(py, hashes.iter().map(|hash| to_bytes(py, hash)))?)?;
        fields.set_item("authorization_list", authorization_entries(py, envelope)?)?;
        fields.set_item("y_parity", u8::from(signature.v()))?;
        fields.set_item("r", to_int(py, signature.r())?)?;
        fields.set_item("s", to_int(py, signature.s())?)?;
        Ok(fields)
    }
}

/// Access list as (address, slots).
fn access_list_entries<'py>(py: Python<'py>, envelope: &EthereumTxEnvelope<TxEip4844>) -> PyResult<Bound<'py, PyList>> {
    let entries = PyList::empty(py);
    for item in envelope.access_list().map(|list| list.0.as_slice()).unwrap_or_default() {
        let slots = item.storage_keys.iter().map(|key| to_int(py, U256::from_be_bytes(key.0)));
        entries.append((to_bytes(py, item.address), slots.collect::<PyResult<Vec<_>>>()?))?;
    }
    Ok(entries)
}

/// Authorizations as (chain id, address, nonce, parity, r, s, authority).
fn authorization_entries<'py>(
    py: Python<'py>,
    envelope: &EthereumTxEnvelope<TxEip4844>,
) -> PyResult<Bound<'py, PyList>> {
    let entries = PyList::empty(py);
    for signed in envelope.authorization_list().unwrap_or_default() {
        let authority = signed.recover_authority().ok().map(|authority| to_bytes(py, authority));
        entries.append((
            to_int(py, *signed.chain_id())?,
            to_bytes(py, signed.address()),
            signed.nonce(),
            signed.y_parity(),
            to_int(py, signed.r())?,
            to_int(py, signed.s())?,
            authority,
        ))?;
    }
    Ok(entries)
}

/// Decodes and recovers one transaction.
#[pyfunction]
pub fn decode_transaction(raw: &Bound<'_, PyBytes>) -> PyResult<Transaction> {
    guard(|| match decode_and_recover(raw.as_bytes()) {
        Ok(inner) => Ok(Transaction { inner }),
        Err(error) => Err(from_decode(&error, None)),
    })
}

/// Decodes and recovers a batch with the interpreter lock free.
#[pyfunction]
#[pyo3(signature = (raw, threads=0))]
pub fn decode_transactions(py: Python<'_>, raw: Vec<Bound<'_, PyBytes>>, threads: usize) -> PyResult<Vec<Transaction>> {
    // The bytes objects are held by `raw`, so their buffers outlive the call.
    let items: Vec<&[u8]> = raw.iter().map(|bytes| bytes.as_bytes()).collect();
    let decoded = guard_free(py, || all_or_first_error(decode_and_recover_batch(&items, threads)))?;
    Ok(decoded.map_err(|error| from_batch(&error))?.into_iter().map(|inner| Transaction { inner }).collect())
}

/// A transaction without signature, for simulation, impersonation and replays.
///
/// In place of a signature it carries the sender, so that its hash differs by sender and is not
/// that of any signed transaction.
#[pyfunction]
pub fn unsigned_transaction(fields: &Bound<'_, PyAny>) -> PyResult<Transaction> {
    guard(|| Ok(Transaction { inner: unsigned_call(fields)? }))
}

/// What a `metis.types.UnsignedTransaction` asks for, with its sender standing in for a signature.
pub fn unsigned_call(fields: &Bound<'_, PyAny>) -> PyResult<RecoveredTransaction> {
    let sender = address(fields, SUBJECT, "sender")?;
    let stand_in = RecoveredTransaction::stand_in_signature(sender);
    Ok(RecoveredTransaction { envelope: envelope(fields, stand_in)?, sender })
}

/// The same without a sender; the signature is a stand-in.
pub fn unsigned_envelope(fields: &Bound<'_, PyAny>) -> PyResult<EthereumTxEnvelope<TxEip4844>> {
    envelope(fields, Signature::new(U256::ZERO, U256::ZERO, false))
}

fn envelope(fields: &Bound<'_, PyAny>, signature: Signature) -> PyResult<EthereumTxEnvelope<TxEip4844>> {
    let kind: u8 = attribute(fields, SUBJECT, "type")?;
    let chain_id: Option<u64> = attribute(fields, SUBJECT, "chain_id")?;
    let nonce = attribute(fields, SUBJECT, "nonce")?;
    let gas_limit = attribute(fields, SUBJECT, "gas_limit")?;
    let gas_price: u128 = attribute(fields, SUBJECT, "gas_price_wei")?;
    let to = attribute::<Option<Fixed<20>>>(fields, SUBJECT, "to")?.map(|Fixed(bytes)| Address::from(bytes));
    let value = word(fields, SUBJECT, "value_wei")?;
    let input = attribute::<Blob>(fields, SUBJECT, "data")?.0;
    let recipient = to.map_or(TxKind::Create, TxKind::Call);
    if kind == 0 {
        let legacy = TxLegacy { chain_id, nonce, gas_price, gas_limit, to: recipient, value, input };
        return Ok(legacy.into_signed(signature).into());
    }
    let chain_id =
        chain_id.ok_or_else(|| decode_error(SUBJECT, "chain_id", "only a legacy transaction may lack it", None))?;
    let access_list = access_list(fields)?;
    if kind == 1 {
        let eip2930 = TxEip2930 { chain_id, nonce, gas_price, gas_limit, to: recipient, value, access_list, input };
        return Ok(eip2930.into_signed(signature).into());
    }
    let max_priority_fee_per_gas: u128 =
        attribute::<Option<u128>>(fields, SUBJECT, "max_priority_fee_per_gas_wei")?.unwrap_or_default();
    let max_fee_per_gas = gas_price;
    let required_to = || to.ok_or_else(|| decode_error(SUBJECT, "to", "this type may not create a contract", None));
    Ok(match kind {
        2 => TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to: recipient,
            value,
            access_list,
            input,
        }
        .into_signed(signature)
        .into(),
        3 => TxEip4844 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to: required_to()?,
            value,
            access_list,
            blob_versioned_hashes: blob_versioned_hashes(fields)?,
            max_fee_per_blob_gas: attribute::<Option<u128>>(fields, SUBJECT, "max_fee_per_blob_gas_wei")?
                .unwrap_or_default(),
            input,
        }
        .into_signed(signature)
        .into(),
        4 => TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to: required_to()?,
            value,
            access_list,
            authorization_list: authorization_list(fields)?,
            input,
        }
        .into_signed(signature)
        .into(),
        _ => return Err(decode_error(SUBJECT, "type", "must be 0 to 4", None)),
    })
}

fn access_list(fields: &Bound<'_, PyAny>) -> PyResult<AccessList> {
    let mut items = Vec::new();
    for entry in fields.getattr("access_list")?.try_iter()? {
        let entry = entry?;
        let slots: Vec<Word> = attribute(&entry, SUBJECT, "slots")?;
        items.push(AccessListItem {
            address: address(&entry, SUBJECT, "address")?,
            storage_keys: slots.into_iter().map(|Word(slot)| B256::from(slot)).collect(),
        });
    }
    Ok(AccessList(items))
}

fn blob_versioned_hashes(fields: &Bound<'_, PyAny>) -> PyResult<Vec<B256>> {
    let hashes: Vec<Fixed<32>> = attribute(fields, SUBJECT, "blob_versioned_hashes")?;
    Ok(hashes.into_iter().map(|Fixed(bytes)| B256::from(bytes)).collect())
}

fn authorization_list(fields: &Bound<'_, PyAny>) -> PyResult<Vec<SignedAuthorization>> {
    let mut list = Vec::new();
    for entry in fields.getattr("authorization_list")?.try_iter()? {
        let entry = entry?;
        let authorization = Authorization {
            chain_id: word(&entry, SUBJECT, "chain_id")?,
            address: address(&entry, SUBJECT, "address")?,
            nonce: attribute(&entry, SUBJECT, "nonce")?,
        };
        let (r, s) = (word(&entry, SUBJECT, "r")?, word(&entry, SUBJECT, "s")?);
        list.push(SignedAuthorization::new_unchecked(authorization, attribute(&entry, SUBJECT, "y_parity")?, r, s));
    }
    Ok(list)
}
