//! What batches meet at, on schedules that shuttle chooses.

#![allow(non_snake_case)] // subject__condition__outcome

use std::panic::catch_unwind;

use alloy_consensus::{Signed, TxLegacy};
use alloy_primitives::{Address, B256, Signature, U256};
use metis_state_transition::{Account, RecoveredTransaction};
use shuttle::scheduler::{PctScheduler, RandomScheduler};

use super::{
    batches::{
        Lengths,
        model::{AccountCell, Batch, Committed, Line, Local},
    },
    model::explore,
    pace::Freely,
    sync::{Mutex, scope},
    table::Table,
};

const TRANSACTION_COUNT: u32 = 5;
const PCT_DEPTH: usize = 3;

fn transactions() -> Vec<RecoveredTransaction> {
    let signature = Signature::new(U256::ONE, U256::ONE, false);
    let envelope = || Signed::new_unchecked(TxLegacy::default(), signature, B256::ZERO).into();
    (0..TRANSACTION_COUNT).map(|_| RecoveredTransaction { envelope: envelope(), sender: Address::ZERO }).collect()
}

/// Two workers as they are, with batches of one transaction that does nothing.
fn empty_block(looks_again: bool) {
    let transactions = transactions();
    let transactions: Vec<_> = transactions.iter().collect();
    let line = Line::new(&transactions, Lengths { count_max: 1, gas_max: u64::MAX }, 2);
    let done = Mutex::new(0);
    let work = || {
        while let Some(taken) = line.take(&Freely) {
            if line.is_head(taken.number) && line.take_desk() {
                *done.lock() += taken.end - taken.first;
                line.committed();
                line.leave_desk();
            } else {
                line.ran(taken.number, Box::new(Batch::new(taken)));
            }
            while line.head_has_run() && line.take_desk() {
                while line.head_has_run() {
                    // UNWRAP: it has run, and nobody else is at the desk.
                    let batch = line.take_head().unwrap();
                    *done.lock() += batch.taken.end - batch.taken.first;
                    line.committed();
                }
                line.leave_desk();
                if !looks_again {
                    break;
                }
            }
        }
    };
    scope(|threads| {
        threads.spawn(work);
        work();
    });
    assert_eq!(*done.lock(), TRANSACTION_COUNT);
}

#[test]
fn line__two_workers__end_the_block() {
    explore(RandomScheduler::new_from_seed(1, 5_000), || empty_block(true));
    explore(PctScheduler::new_from_seed(1, PCT_DEPTH, 5_000), || empty_block(true));
}

#[test]
fn line__nobody_looks_after_leaving_the_desk__leaves_a_batch() {
    let found = catch_unwind(|| explore(RandomScheduler::new_from_seed(1, 5_000), || empty_block(false)));
    assert!(found.is_err(), "a batch that ran while the desk was left stays there");
}

/// Two batches add one to a slot, each on a thread of its own; they are committed in order.
fn two_additions(compares: bool) {
    let accounts: Table<Address, AccountCell> = Table::new(1);
    let committed = Committed::new(&accounts, 1);
    let slot = committed.slot(Address::ZERO, U256::ZERO);
    let run = || {
        let (found, stamp) = slot.value.read().unwrap_or_default();
        let mut local = Local::default();
        local.found_slot(slot, found, stamp);
        (local, found + U256::ONE)
    };
    let second = Mutex::new(None);
    scope(|threads| {
        threads.spawn(|| *second.lock() = Some(run()));
        let (_, value) = run();
        slot.value.commit(value, 1);
    });
    // UNWRAP: the thread has ended.
    let (mut local, value) = second.lock().take().unwrap();
    let stands = local.holding(|_| Some(None), |_, _| Some(U256::ZERO)) > 0;
    let value = if stands || !compares { value } else { run().1 };
    slot.value.commit(value, 2);
    assert_eq!(slot.value.read(), Some((U256::from(2), 2)));
}

#[test]
fn batches__reads_are_compared_at_the_commit__add_both() {
    explore(RandomScheduler::new_from_seed(1, 2_000), || two_additions(true));
}

#[test]
fn batches__reads_are_not_compared__lose_one() {
    let found = catch_unwind(|| explore(RandomScheduler::new_from_seed(1, 2_000), || two_additions(false)));
    assert!(found.is_err(), "both read the slot before either wrote it");
}

/// An account is read while it is committed for the second time: with the nonce that is the commit's number.
fn read_at_a_commit(together: bool) {
    let accounts: Table<Address, AccountCell> = Table::new(1);
    let committed = Committed::new(&accounts, 1);
    let account = |nonce| Some(Account { nonce, ..Account::default() });
    let cell = committed.account(Address::ZERO).value;
    cell.commit(account(1), false, 1);
    scope(|threads| {
        threads.spawn(|| cell.commit(account(2), false, 2));
        // UNWRAP: it was committed.
        let (found, stamp) = cell.read().unwrap();
        let stamp = if together { stamp } else { cell.stamp() };
        assert_eq!(found, account(stamp.into()));
    });
}

#[test]
fn committed__read_at_a_commit__is_a_value_with_its_number() {
    explore(RandomScheduler::new_from_seed(1, 2_000), || read_at_a_commit(true));
}

#[test]
fn committed__value_and_number_read_apart__are_of_different_commits() {
    let found = catch_unwind(|| explore(RandomScheduler::new_from_seed(1, 2_000), || read_at_a_commit(false)));
    assert!(found.is_err(), "the number may be a later one");
}
