//! What calls have cost before: who is known to be quick is answered on the spot.

use alloy_primitives::{Address, map::HashMap};
use parking_lot::Mutex;

/// Functions remembered. BOUND: when there are more, all are forgotten and seen anew.
const FUNCTION_COUNT_MAX: usize = 4_096;

/// A contract, and what is called in it: the selector, as far as the input has one.
type Function = (Address, [u8; 4]);

/// Most gas that any call of a function has used so far, on whatever state.
///
/// A guess about time, never about results: a function that is unknown, or that was expensive once,
/// is run where it may take long.
#[derive(Debug, Default)]
pub(crate) struct CallHistory {
    most_gas: Mutex<HashMap<Function, u64>>,
}

impl CallHistory {
    /// Remembers a call.
    pub fn note(&self, to: Address, input: &[u8], gas_used: u64) {
        let function = (to, selector(input));
        let mut most_gas = self.most_gas.lock();
        if most_gas.len() >= FUNCTION_COUNT_MAX && !most_gas.contains_key(&function) {
            most_gas.clear();
        }
        let most = most_gas.entry(function).or_default();
        *most = gas_used.max(*most);
    }

    /// Most gas used so far; `None` for a function that was never called.
    pub fn most_gas(&self, to: Address, input: &[u8]) -> Option<u64> {
        self.most_gas.lock().get(&(to, selector(input))).copied()
    }
}

fn selector(input: &[u8]) -> [u8; 4] {
    input.first_chunk().copied().unwrap_or_default()
}
