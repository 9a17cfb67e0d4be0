//! What calls have cost before: who is known to be quick is answered on the spot.

use alloy_primitives::{Address, map::HashMap};
use parking_lot::Mutex;

/// Contracts remembered. BOUND: when there are more, all are forgotten and seen anew.
const ADDRESS_COUNT_MAX: usize = 4_096;

/// Most gas that any call of an address has used so far, on whatever state.
///
/// A guess about time, never about results: an address that is unknown, or that was expensive once,
/// is run where it may take long.
#[derive(Debug, Default)]
pub(crate) struct CallHistory {
    most_gas: Mutex<HashMap<Address, u64>>,
}

impl CallHistory {
    /// Remembers a call.
    pub fn note(&self, to: Address, gas_used: u64) {
        let mut most_gas = self.most_gas.lock();
        if most_gas.len() >= ADDRESS_COUNT_MAX && !most_gas.contains_key(&to) {
            most_gas.clear();
        }
        let most = most_gas.entry(to).or_default();
        *most = gas_used.max(*most);
    }

    /// Most gas used so far; `None` for an address that was never called.
    pub fn most_gas(&self, to: &Address) -> Option<u64> {
        self.most_gas.lock().get(to).copied()
    }
}
