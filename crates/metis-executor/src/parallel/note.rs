//! What the desk adds to a block's record, where one is kept.

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::{Account, AccountTransition, Code, Location, ReceiptDetails, StateView, Step};

use super::{
    attempt::Writes,
    memory::{AccountCell, AccountVersion, Index, Memory, SlotCell},
    pace::Pace,
    view::{Reads, VersionedView},
};

/// A transaction that is about to be committed: its step, and what it writes as it is before.
pub(super) struct Note<'m> {
    step: Step,
    accounts: Vec<(&'m AccountCell, AccountTransition)>,
    paid: Vec<(&'m AccountCell, Option<Account>)>,
    slots: Vec<(&'m SlotCell<'m>, U256)>,
}

impl<'m> Note<'m> {
    /// Before the commit. The state before the block is known of all that a transaction writes, for it was read.
    pub(super) fn before(
        mut step: Step,
        writes: &Writes<'m>,
        fees: &[Option<(Address, U256)>; 2],
        memory: &'m Memory<'_>,
    ) -> Self {
        let transition = |(cell, version): &(&'m AccountCell, AccountVersion)| {
            let is_cleared = matches!(version, AccountVersion::Whole { clears_storage: true, .. });
            (*cell, AccountTransition { before: cell.now(), after: None, is_cleared })
        };
        let recipients = fees.iter().flatten().map(|(recipient, _)| memory.account(*recipient));
        let paid: Vec<_> = recipients.map(|cell| (cell, cell.now())).collect();
        step.access(paid.iter().map(|(cell, _)| (cell.address, [].into())).collect());
        Self {
            step,
            accounts: writes.accounts.iter().map(transition).collect(),
            paid,
            slots: writes.slots.iter().map(|(cell, _)| (*cell, cell.now())).collect(),
        }
    }

    /// After the commit.
    pub(super) fn after(self, draft: &ReceiptDetails, codes: &[(B256, Code)]) -> Step {
        let Self { mut step, accounts, paid, slots } = self;
        for (cell, transition) in accounts {
            step.accounts.insert(cell.address, AccountTransition { after: cell.now(), ..transition });
        }
        for (cell, before) in paid {
            let after = cell.now();
            if before != after || after.is_none() {
                // EIP-161: what is touched and stays empty is removed.
                step.accounts.insert(cell.address, AccountTransition { before, after, is_cleared: after.is_none() });
            }
        }
        for (cell, before) in slots {
            step.slots.insert((cell.owner.address, cell.slot), (before, cell.now()));
        }
        step.codes.extend(codes.iter().map(|(hash, code)| (*hash, code.clone())));
        step.gas_used = draft.gas_used;
        step
    }
}

/// What was read that is different by now.
pub(super) fn differences<'m, 'a: 'm, V: StateView, P: Pace>(
    view: &VersionedView<'m, 'a, V, P>,
    reads: &Reads<'m>,
    index: Index,
) -> Vec<Location> {
    let accounts = reads.accounts.iter().filter(|read| !view.account_holds(read)).map(|read| read.cell);
    let storages = reads.storages.iter().filter(|read| !view.storage_holds(read, index)).map(|(cell, _)| *cell);
    let slots = reads.slots.iter().filter(|read| !view.slot_holds(read));
    let accounts = accounts.chain(storages).map(|cell| Location::Account(cell.address));
    accounts.chain(slots.map(|(cell, _)| Location::Slot(cell.owner.address, cell.slot))).collect()
}
