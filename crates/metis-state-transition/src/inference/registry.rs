//! What the registry contract says of a model: read from its storage, through the journal.
//!
//! SPEC: contracts/ModelRegistry.vy. `models`, a mapping from the model's id, is its first variable, and each model
//! begins with owner, price, and the blocks from which it is and is no longer active. Vyper puts an entry at
//! keccak256(slot of the mapping ‖ key).

use alloy_primitives::{Address, B256, U256, keccak256};

use crate::PrecompileHost;

/// Slot of the mapping `models`.
const MODELS_SLOT: B256 = B256::ZERO;

/// A model that is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) owner: Address,
    pub(super) price_wei: U256,
    active_from: U256,
    active_until: U256,
}

/// In what stage of its life a model is, as `modelInfo` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Nobody has registered it.
    Unknown = 0,
    /// Registered, not (or not yet) active.
    Registered = 1,
    /// Contracts can call it.
    Active = 2,
    /// It was active.
    Retired = 3,
}

impl Entry {
    /// `None` where the state cannot be read.
    pub(super) fn read(host: &mut dyn PrecompileHost, registry: Address, model: &B256) -> Option<Self> {
        let first = U256::from_be_bytes(keccak256([MODELS_SLOT.0, model.0].concat()).0);
        let mut field = |index: u64| host.sload(registry, first.wrapping_add(U256::from(index)));
        Some(Self {
            owner: Address::from_word(field(0)?.into()),
            price_wei: field(1)?,
            active_from: field(2)?,
            active_until: field(3)?,
        })
    }

    pub(super) fn status(&self, block_number: u64) -> Status {
        let number = U256::from(block_number);
        if self.owner.is_zero() {
            Status::Unknown
        } else if self.active_from.is_zero() || number < self.active_from {
            Status::Registered
        } else if self.active_until.is_zero() || number < self.active_until {
            Status::Active
        } else {
            Status::Retired
        }
    }
}
