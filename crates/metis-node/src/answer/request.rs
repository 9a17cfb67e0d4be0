//! Messages to requests: only the form that clients write.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Longer messages are left to the caller.
const MESSAGE_SIZE_BYTES_MAX: usize = 256 * 1024;

/// Longer ids are left to the caller; so every integer fits 64 bits.
const ID_LENGTH_MAX: usize = 18;

/// What a caller allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerLimits {
    /// Gas of a call that names none, and the most that any gets.
    pub call_gas_max: u64,
    /// Most requests in a batch.
    pub batch_count_max: usize,
    /// Largest answer.
    pub answer_size_bytes_max: usize,
}

/// One request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// JSON of the id.
    pub id: &'a str,
    pub method: &'a str,
    /// JSON of the parameters, by position.
    pub params: Vec<&'a RawValue>,
}

/// The requests of a message.
#[derive(Debug)]
pub(super) struct Requests<'a> {
    pub calls: Vec<Request<'a>>,
    pub is_batch: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    jsonrpc: &'a str,
    #[serde(borrow)]
    id: &'a RawValue,
    method: &'a str,
    #[serde(borrow, default)]
    params: Vec<&'a RawValue>,
}

/// Reads a message; `None` where it is anything but plain requests with ids.
pub(super) fn read(message: &[u8], batch_count_max: usize) -> Option<Requests<'_>> {
    // Without escapes, every string is its own text.
    if message.len() > MESSAGE_SIZE_BYTES_MAX || message.contains(&b'\\') {
        return None;
    }
    let text = core::str::from_utf8(message).ok()?;
    let is_batch = text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('[');
    let envelopes: Vec<Envelope<'_>> =
        if is_batch { serde_json::from_str(text).ok()? } else { vec![serde_json::from_str(text).ok()?] };
    if envelopes.is_empty() || envelopes.len() > batch_count_max {
        return None;
    }
    let calls = envelopes.into_iter().map(request).collect::<Option<_>>()?;
    Some(Requests { calls, is_batch })
}

fn request(envelope: Envelope<'_>) -> Option<Request<'_>> {
    let id = envelope.id.get();
    (envelope.jsonrpc == "2.0" && is_plain_id(id)).then_some(Request {
        id,
        method: envelope.method,
        params: envelope.params,
    })
}

/// An id that comes back as it was sent: a natural number, null, or a short ASCII string.
fn is_plain_id(id: &str) -> bool {
    if let Some(text) = id.strip_prefix('"') {
        return text.len() <= ID_LENGTH_MAX * 4 && text.is_ascii();
    }
    let is_number = id.len() <= ID_LENGTH_MAX && id.bytes().all(|byte| byte.is_ascii_digit());
    is_number || id == "null"
}
