//! Whole JSON-RPC messages answered at once, without a detour through Python.
//!
//! In: the bytes of a message. Out: the bytes of its answer, or nothing. Only what is plain is answered here: calls of the
//! methods below, written as clients write them, that succeed quickly. Everything else, every error
//! and every absent object among it, is left to the caller, who parses the message again and knows
//! all forms. So this is a shortcut and never a second opinion: a test holds both to the same bytes.

mod history;
mod methods;
mod request;
mod values;

use methods::Plan;

use crate::Node;

pub(crate) use history::CallHistory;
pub use request::AnswerLimits;

/// Most gas that calls of one message may have needed before, to be run on the spot: about a millisecond.
const QUICK_GAS_MAX: u64 = 1_000_000;

/// An answer, and what it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// JSON, as it goes to the client.
    pub json: Vec<u8>,
    /// Names of the methods that were called, in order.
    pub methods: Vec<&'static str>,
    /// Whether the message was a batch.
    pub is_batch: bool,
}

impl Node {
    /// Answers a message, if it is plain.
    pub fn answer(&self, message: &[u8], limits: &AnswerLimits) -> Option<Answer> {
        let requests = request::read(message, limits.batch_count_max)?;
        let mut answer = Answer { is_batch: requests.is_batch, ..Answer::default() };
        let mut work = methods::Work { node: self, limits, gas_left: QUICK_GAS_MAX };
        // All before the first is run: what had been run for a message that is left to the caller would be run twice.
        let plans: Vec<Plan> = requests.calls.iter().map(|request| work.plan(request)).collect::<Option<_>>()?;
        if requests.is_batch {
            answer.json.push(b'[');
        }
        for (request, plan) in requests.calls.iter().zip(&plans) {
            if !answer.methods.is_empty() {
                answer.json.push(b',');
            }
            answer.json.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
            answer.json.extend_from_slice(request.id.as_bytes());
            answer.json.extend_from_slice(br#","result":"#);
            answer.methods.push(work.call(request, plan, &mut answer.json)?);
            answer.json.push(b'}');
            if answer.json.len() > limits.answer_size_bytes_max {
                return None;
            }
        }
        if requests.is_batch {
            answer.json.push(b']');
        }
        Some(answer)
    }
}
