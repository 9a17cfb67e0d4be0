//! Walks bytes that the decoder refused, field by field, and names the first wrong one.
//!
//! Runs only on refused input, so it may be slow but must be bounded: every step consumes input.

use alloc::borrow::Cow;

use super::{DecodeError, DecodeProblem, Subject, decode_header, decode_transaction, within};

/// The shape of one field.
#[derive(Clone, Copy)]
enum Shape {
    /// Big-endian integer without leading zeros, of at most this many bytes.
    Integer(usize),
    /// Exactly this many bytes.
    Fixed(usize),
    /// 20 bytes, or none for a contract creation.
    Receiver,
    /// Any bytes.
    Bytes,
    /// 0 or 1.
    Parity,
    /// A list whose items all have this shape.
    ListOf(&'static Shape),
    /// A list of exactly these fields.
    Record(&'static [Field]),
}

type Field = (&'static str, Shape);

const ACCESS_LIST: Shape =
    Shape::ListOf(&Shape::Record(&[("address", Shape::Fixed(20)), ("slots", Shape::ListOf(&Shape::Fixed(32)))]));

const AUTHORIZATION_LIST: Shape = Shape::ListOf(&Shape::Record(&[
    ("chain_id", Shape::Integer(32)),
    ("address", Shape::Fixed(20)),
    ("nonce", Shape::Integer(8)),
    ("y_parity", Shape::Integer(1)),
    ("r", Shape::Integer(32)),
    ("s", Shape::Integer(32)),
]));

const CHAIN_ID: Field = ("chain_id", Shape::Integer(8));
const NONCE: Field = ("nonce", Shape::Integer(8));
const GAS_PRICE: Field = ("gas_price_wei", Shape::Integer(16));
const PRIORITY_FEE: Field = ("max_priority_fee_per_gas_wei", Shape::Integer(16));
const GAS_LIMIT: Field = ("gas_limit", Shape::Integer(8));
const TO: Field = ("to", Shape::Receiver);
const TO_REQUIRED: Field = ("to", Shape::Fixed(20));
const VALUE: Field = ("value_wei", Shape::Integer(32));
const DATA: Field = ("data", Shape::Bytes);
const ACCESS: Field = ("access_list", ACCESS_LIST);
const Y_PARITY: Field = ("y_parity", Shape::Parity);
const R: Field = ("r", Shape::Integer(32));
const S: Field = ("s", Shape::Integer(32));

const LEGACY: &[Field] = &[NONCE, GAS_PRICE, GAS_LIMIT, TO, VALUE, DATA, ("v", Shape::Integer(9)), R, S];
const EIP2930: &[Field] = &[CHAIN_ID, NONCE, GAS_PRICE, GAS_LIMIT, TO, VALUE, DATA, ACCESS, Y_PARITY, R, S];
const EIP1559: &[Field] =
    &[CHAIN_ID, NONCE, PRIORITY_FEE, GAS_PRICE, GAS_LIMIT, TO, VALUE, DATA, ACCESS, Y_PARITY, R, S];
const EIP4844: &[Field] = &[
    CHAIN_ID,
    NONCE,
    PRIORITY_FEE,
    GAS_PRICE,
    GAS_LIMIT,
    TO_REQUIRED,
    VALUE,
    DATA,
    ACCESS,
    ("max_fee_per_blob_gas_wei", Shape::Integer(16)),
    ("blob_versioned_hashes", Shape::ListOf(&Shape::Fixed(32))),
    Y_PARITY,
    R,
    S,
];
const EIP7702: &[Field] = &[
    CHAIN_ID,
    NONCE,
    PRIORITY_FEE,
    GAS_PRICE,
    GAS_LIMIT,
    TO_REQUIRED,
    VALUE,
    DATA,
    ACCESS,
    ("authorization_list", AUTHORIZATION_LIST),
    Y_PARITY,
    R,
    S,
];

const HEADER: &[Field] = &[
    ("parent_hash", Shape::Fixed(32)),
    ("ommers_hash", Shape::Fixed(32)),
    ("beneficiary", Shape::Fixed(20)),
    ("state_root", Shape::Fixed(32)),
    ("transactions_root", Shape::Fixed(32)),
    ("receipts_root", Shape::Fixed(32)),
    ("logs_bloom", Shape::Fixed(256)),
    ("difficulty", Shape::Integer(32)),
    ("number", Shape::Integer(8)),
    ("gas_limit", Shape::Integer(8)),
    ("gas_used", Shape::Integer(8)),
    ("timestamp_s", Shape::Integer(8)),
    ("extra_data", Shape::Bytes),
    ("prev_randao", Shape::Fixed(32)),
    ("nonce", Shape::Fixed(8)),
    ("base_fee_per_gas_wei", Shape::Integer(8)),
    ("withdrawals_root", Shape::Fixed(32)),
    ("blob_gas_used", Shape::Integer(8)),
    ("excess_blob_gas", Shape::Integer(8)),
    ("parent_beacon_block_root", Shape::Fixed(32)),
    ("requests_hash", Shape::Fixed(32)),
];
/// Fields that every header has; the later ones came with forks.
const HEADER_FIELDS_MIN: usize = 15;

const WITHDRAWAL: &[Field] = &[
    ("index", Shape::Integer(8)),
    ("validator_index", Shape::Integer(8)),
    ("address", Shape::Fixed(20)),
    ("amount_gwei", Shape::Integer(8)),
];

type Walk<T> = Result<T, (Cow<'static, str>, DecodeProblem)>;

pub(super) fn transaction(bytes: &[u8]) -> Option<DecodeError> {
    let fail = |field: Cow<'static, str>, problem| Some(DecodeError::new(Subject::Transaction, field, problem));
    let (fields, mut payload) = match bytes.first() {
        None => return fail("payload".into(), DecodeProblem::Empty),
        Some(0xc0..) => (LEGACY, bytes),
        Some(1) => (EIP2930, &bytes[1..]),
        Some(2) => (EIP1559, &bytes[1..]),
        Some(3) => (EIP4844, &bytes[1..]),
        Some(4) => (EIP7702, &bytes[1..]),
        Some(kind) => return fail("type".into(), DecodeProblem::UnknownType(*kind)),
    };
    let walked = record(&mut payload, fields, fields.len());
    match walked {
        Err((field, problem)) => fail(field, problem),
        Ok(()) if !payload.is_empty() => fail("payload".into(), DecodeProblem::TrailingBytes(payload.len())),
        // Every field has its shape: what is left is a recovery id that no rule allows.
        Ok(()) if fields.len() == LEGACY.len() && matches!(bytes.first(), Some(0xc0..)) => {
            fail("v".into(), DecodeProblem::Other("must be 27, 28 or, with a chain id, 35 and above (EIP-155)"))
        }
        Ok(()) => None,
    }
}

pub(super) fn header(mut bytes: &[u8]) -> Option<DecodeError> {
    let fail = |field: Cow<'static, str>, problem| Some(DecodeError::new(Subject::Header, field, problem));
    match record(&mut bytes, HEADER, HEADER_FIELDS_MIN) {
        Err((field, problem)) => fail(field, problem),
        Ok(()) if !bytes.is_empty() => fail("payload".into(), DecodeProblem::TrailingBytes(bytes.len())),
        Ok(()) => None,
    }
}

pub(super) fn block(mut bytes: &[u8]) -> Option<DecodeError> {
    walk_block(&mut bytes).err()
}

fn walk_block(bytes: &mut &[u8]) -> Result<(), DecodeError> {
    let payload = |(field, problem)| DecodeError::new(Subject::Block, field, problem);
    let mut items = list(bytes, "payload").map_err(payload)?;
    if !bytes.is_empty() {
        return Err(payload(("payload".into(), DecodeProblem::TrailingBytes(bytes.len()))));
    }
    let header_item = item(&mut items, "header").map_err(payload)?;
    decode_header(header_item.encoded)
        .map_err(|error| DecodeError::new(Subject::Block, alloc::format!("header.{}", error.field), error.problem))?;

    let mut transactions = list(&mut items, "transactions").map_err(payload)?;
    let mut index = 0;
    while !transactions.is_empty() {
        let entry = item(&mut transactions, "transactions").map_err(payload)?;
        // A legacy transaction is a list, a typed one a byte string around its encoding.
        let encoding = if entry.is_list { entry.encoded } else { entry.payload };
        decode_transaction(encoding).map_err(|error| within(error, Subject::Block, "transactions", index))?;
        index += 1;
    }
    let mut ommers = list(&mut items, "ommers").map_err(payload)?;
    let mut index = 0;
    while !ommers.is_empty() {
        let entry = item(&mut ommers, "ommers").map_err(payload)?;
        decode_header(entry.encoded).map_err(|error| within(error, Subject::Block, "ommers", index))?;
        index += 1;
    }
    if !items.is_empty() {
        let mut withdrawals = list(&mut items, "withdrawals").map_err(payload)?;
        let mut index = 0;
        while !withdrawals.is_empty() {
            record(&mut withdrawals, WITHDRAWAL, WITHDRAWAL.len()).map_err(|(field, problem)| {
                DecodeError::new(Subject::Block, alloc::format!("withdrawals[{index}].{field}"), problem)
            })?;
            index += 1;
        }
    }
    if !items.is_empty() {
        return Err(payload(("payload".into(), DecodeProblem::Unexpected)));
    }
    Ok(())
}

/// One RLP item.
struct Item<'a> {
    is_list: bool,
    /// Without its header.
    payload: &'a [u8],
    /// With its header.
    encoded: &'a [u8],
}

fn item<'a>(bytes: &mut &'a [u8], field: &'static str) -> Walk<Item<'a>> {
    if bytes.is_empty() {
        return Err((field.into(), DecodeProblem::Missing));
    }
    let start = *bytes;
    let header = alloy_rlp::Header::decode(bytes).map_err(|error| (field.into(), DecodeProblem::Rlp(error)))?;
    let header_length = start.len() - bytes.len();
    let (payload, rest) = bytes.split_at(header.payload_length);
    *bytes = rest;
    Ok(Item { is_list: header.list, payload, encoded: &start[..header_length + payload.len()] })
}

fn list<'a>(bytes: &mut &'a [u8], field: &'static str) -> Walk<&'a [u8]> {
    let item = item(bytes, field)?;
    if item.is_list { Ok(item.payload) } else { Err((field.into(), DecodeProblem::ExpectedList)) }
}

/// A list of `fields`, of which the first `required` must be there.
fn record(bytes: &mut &[u8], fields: &'static [Field], required: usize) -> Walk<()> {
    let mut items = list(bytes, "payload")?;
    for (position, (name, shape)) in fields.iter().enumerate() {
        if items.is_empty() && position >= required {
            return Ok(());
        }
        let entry = item(&mut items, name)?;
        check(&entry, *shape, name)?;
    }
    if items.is_empty() { Ok(()) } else { Err(("payload".into(), DecodeProblem::Unexpected)) }
}

fn check(entry: &Item<'_>, shape: Shape, name: &'static str) -> Walk<()> {
    let fail = |problem| Err((Cow::Borrowed(name), problem));
    let (length, first) = (entry.payload.len(), entry.payload.first());
    match shape {
        Shape::ListOf(_) | Shape::Record(_) if !entry.is_list => return fail(DecodeProblem::ExpectedList),
        Shape::ListOf(inner) => {
            let mut items = entry.payload;
            let mut index = 0;
            while !items.is_empty() {
                let entry = item(&mut items, name)?;
                check(&entry, *inner, "").map_err(|(field, problem)| (position_in(name, index, &field), problem))?;
                index += 1;
            }
        }
        Shape::Record(fields) => {
            let mut encoded = entry.encoded;
            record(&mut encoded, fields, fields.len())?;
        }
        _ if entry.is_list => return fail(DecodeProblem::UnexpectedList),
        Shape::Integer(max) if length > max => return fail(DecodeProblem::TooLong { max, got: length }),
        Shape::Integer(_) | Shape::Parity if first == Some(&0) => return fail(DecodeProblem::LeadingZero),
        Shape::Parity if length > 1 || first.is_some_and(|value| *value > 1) => {
            return fail(DecodeProblem::Parity);
        }
        Shape::Fixed(expected) if length != expected => {
            return fail(DecodeProblem::Length { expected, got: length });
        }
        Shape::Receiver if length != 0 && length != 20 => {
            return fail(DecodeProblem::Length { expected: 20, got: length });
        }
        Shape::Integer(_) | Shape::Parity | Shape::Fixed(_) | Shape::Receiver | Shape::Bytes => {}
    }
    Ok(())
}

fn position_in(list: &str, index: usize, field: &str) -> Cow<'static, str> {
    if field.is_empty() {
        alloc::format!("{list}[{index}]").into()
    } else {
        alloc::format!("{list}[{index}].{field}").into()
    }
}
