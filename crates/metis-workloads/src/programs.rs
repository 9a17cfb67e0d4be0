//! Small contracts that make transactions depend on each other.

use alloy_primitives::{Address, Bytes, U256, hex};

use crate::contracts::word;

/// Adds to a slot, keeps an account's balance in another, sends that account value, logs.
///
/// ```text
/// slot, amount, account, value ─▶ storage[slot] += amount; storage[account] = balance(account); call(account, value)
/// ```
pub(crate) const TOUCH: &[u8] =
    &hex!("5f35 8054 602035 01 9055 604035 31 604035 55 5f5f5f5f 606035 604035 5af1 50 5f5fa0 00");

/// The words that [`TOUCH`] takes.
pub(crate) fn touch(slot: u64, amount: u64, account: Address, value: u64) -> Bytes {
    [U256::from(slot), U256::from(amount), word(account), U256::from(value)]
        .map(|w| w.to_be_bytes::<32>())
        .concat()
        .into()
}

/// Keeps the balance of the block's beneficiary: storage[caller] = balance(coinbase).
pub(crate) const BENEFICIARY_READER: &[u8] = &hex!("41 31 33 55 00");

/// Takes value; keeps its own balance: storage[0] = selfbalance.
pub(crate) const SELF_READER: &[u8] = &hex!("47 5f 55 00");

/// Sends all that it has to its caller, and destroys itself.
pub(crate) const DESTROYED: &[u8] = &hex!("33 ff");

/// Counts its calls; with any input, destroys itself for its caller.
pub(crate) const CHILD: &[u8] = &hex!("36 600c 57 5f54 6001 01 5f55 00 5b 33 ff");

/// Creates a [`CHILD`] at the same address each time (CREATE2), keeps the address in slot 0: 0 where it is taken.
pub(crate) fn child_factory() -> Vec<u8> {
    let init = child_init_code();
    let mut code = vec![0x5f + init.len() as u8];
    code.extend(&init);
    // mstore(0, init); create2(0, 32 - size, size, 0); sstore(0, address)
    code.extend(hex!("5f52 5f"));
    code.extend([0x60, init.len() as u8, 0x60, 32 - init.len() as u8]);
    code.extend(hex!("5f f5 5f55 00"));
    code
}

/// What [`child_factory`] creates with.
pub(crate) fn child_init_code() -> Vec<u8> {
    let mut code = vec![0x5f + CHILD.len() as u8];
    code.extend(CHILD);
    code.extend(hex!("5f52"));
    code.extend([0x60, CHILD.len() as u8, 0x60, 32 - CHILD.len() as u8, 0xf3]);
    code
}
