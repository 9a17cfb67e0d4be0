//! The file of code: one record after the other, never changed once a root counts it.
//!
//! A record: length (4 bytes), XXH3-64 of the code with the length as seed (8 bytes), the code.

use metis_state_transition::Code;

use super::encoding::{In, Out, checksum};
use crate::StoreError;

pub(super) fn encode_codes(codes: &[Code]) -> Vec<u8> {
    let mut out = Out::default();
    for code in codes {
        let bytes = code.bytes();
        out.len(bytes.len());
        out.u64(checksum(bytes.len() as u64, &bytes));
        out.bytes(&bytes);
    }
    out.0
}

pub(super) fn decode_codes(bytes: &[u8], expected_bytes: u64) -> Result<Vec<Code>, StoreError> {
    let mut input = In(bytes);
    let mut codes = Vec::new();
    while !input.0.is_empty() {
        let offset = (bytes.len() - input.0.len()) as u64;
        let corrupt = |problem| StoreError::Corrupt { part: "codes file", offset, problem };
        let mut record = || {
            let len = input.u32()? as usize;
            let sum = input.u64()?;
            Some((sum, input.bytes(len)?))
        };
        let (sum, code) = record().ok_or(corrupt("a record is cut off"))?;
        if sum != checksum(code.len() as u64, code) {
            return Err(corrupt("a record's checksum is wrong"));
        }
        codes.push(Code::new(code.to_vec().into()));
    }
    if bytes.len() as u64 != expected_bytes {
        let offset = bytes.len() as u64;
        return Err(StoreError::Corrupt { part: "codes file", offset, problem: "the file is cut off" });
    }
    Ok(codes)
}
