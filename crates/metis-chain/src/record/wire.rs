//! RLP, strictly: one encoding per value, and every byte accounted for.

use alloy_rlp::{Decodable, EMPTY_LIST_CODE, Encodable, Header};

use super::RecordError;

/// Appends a list whose items `body` appends.
pub(super) fn put_list(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    body(out);
    let payload_length = out.len() - start;
    if payload_length < 56 {
        out.insert(start, EMPTY_LIST_CODE + payload_length as u8);
    } else {
        let mut header = Vec::with_capacity(9);
        Header { list: true, payload_length }.encode(&mut header);
        out.splice(start..start, header);
    }
}

/// Appends a byte string.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    bytes.encode(out);
}

/// Appends a byte string that is empty where there is nothing.
pub(super) fn put_optional<T: AsRef<[u8]>>(out: &mut Vec<u8>, value: Option<T>) {
    match value {
        Some(value) => value.as_ref().encode(out),
        None => [0u8; 0].as_slice().encode(out),
    }
}

/// Items that are still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Items<'a>(&'a [u8]);

impl<'a> Items<'a> {
    /// The items of the list that `bytes` consists of.
    pub(super) fn of(mut bytes: &'a [u8]) -> Result<Self, RecordError> {
        let items = Header::decode_bytes(&mut bytes, true)?;
        if bytes.is_empty() { Ok(Self(items)) } else { Err(RecordError::TrailingBytes) }
    }

    /// The bytes of the byte string that `item` consists of.
    pub(super) fn bytes_of(item: &'a [u8]) -> Result<&'a [u8], RecordError> {
        let mut only = Self(item);
        let bytes = only.bytes()?;
        only.end()?;
        Ok(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next item, a list.
    pub(super) fn list(&mut self) -> Result<Self, RecordError> {
        Ok(Self(Header::decode_bytes(&mut self.0, true)?))
    }

    /// The next item, a byte string.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], RecordError> {
        Ok(Header::decode_bytes(&mut self.0, false)?)
    }

    /// The next item, whatever it is, with its header.
    pub(super) fn raw(&mut self) -> Result<&'a [u8], RecordError> {
        let before = self.0;
        let Header { payload_length, .. } = Header::decode(&mut self.0)?;
        // UNWRAP: `decode` has checked that so many bytes are there.
        self.0 = self.0.get(payload_length..).unwrap();
        Ok(&before[..before.len() - self.0.len()])
    }

    /// The next item, of a known length.
    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        self.bytes()?.try_into().map_err(|_| RecordError::Rlp(alloy_rlp::Error::UnexpectedLength))
    }

    /// The next item: of a known length, or empty.
    pub(super) fn optional<const N: usize>(&mut self) -> Result<Option<[u8; N]>, RecordError> {
        match self.bytes()? {
            [] => Ok(None),
            bytes => bytes.try_into().map(Some).map_err(|_| RecordError::Rlp(alloy_rlp::Error::UnexpectedLength)),
        }
    }

    /// The next item, a number (or what else RLP knows).
    pub(super) fn value<T: Decodable>(&mut self) -> Result<T, RecordError> {
        Ok(T::decode(&mut self.0)?)
    }

    /// Nothing may be left.
    pub(super) const fn end(self) -> Result<(), RecordError> {
        if self.0.is_empty() { Ok(()) } else { Err(RecordError::TrailingBytes) }
    }
}
