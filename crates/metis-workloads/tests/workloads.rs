//! Workloads do what they are made for: every candidate of the measured ones runs to its end, the odd ones meet what
//! they are odd by.

#![allow(non_snake_case)] // subject__condition__outcome

use std::path::PathBuf;

use metis_db::StateStore;
use metis_executor::{Executor, SequentialExecutor};
use metis_state_transition::{BuiltBlock, InterpreterRunner};
use metis_workloads::{
    Contracts, Workload, beneficiary_is_contract, beneficiary_is_destroyed, beneficiary_is_sender, delegations,
    one_sender, random, recreations, swaps, tokens, transfers,
};

fn built(workload: &Workload) -> BuiltBlock {
    let store = workload.store();
    let parent = workload.parent(&store);
    let candidates: Vec<_> = workload.candidates.iter().collect();
    SequentialExecutor
        .build(&*store.latest(), &workload.spec, &parent, workload.attributes(), &candidates, &InterpreterRunner)
        .unwrap()
}

/// How many candidates are in the block, how many of them did what they should, and their gas.
fn counts(workload: &Workload) -> (usize, usize, u64) {
    let built = built(workload);
    let receipts = &built.outcome.receipts;
    (receipts.len(), receipts.iter().filter(|details| details.receipt.success).count(), built.outcome.gas_used)
}

fn contracts() -> Option<Contracts> {
    let fixtures = std::env::var_os("METIS_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"), PathBuf::from);
    let found = Contracts::read(&fixtures.join("contracts"));
    if let Err(error) = &found {
        eprintln!("skipped: {error}");
    }
    found.ok()
}

#[test]
fn transfers__any_number__all_succeed() {
    assert_eq!(counts(&transfers(50)), (50, 50, 50 * 21_000));
    assert_eq!(counts(&one_sender(50)), (50, 50, 50 * 21_000));
    assert_eq!(counts(&beneficiary_is_sender(50)), (50, 50, 50 * 21_000));
}

#[test]
fn tokens__any_hot_share__all_succeed() {
    let Some(contracts) = contracts() else { return };
    for hot_percent in [0, 30, 90, 100] {
        let (included, succeeded, gas) = counts(&tokens(&contracts, 50, hot_percent));
        assert_eq!((included, succeeded), (50, 50));
        assert!((25_000 * 50..36_000 * 50).contains(&gas), "{gas}");
    }
}

#[test]
fn swaps__own_pools__all_succeed() {
    let Some(contracts) = contracts() else { return };
    let (included, succeeded, gas) = counts(&swaps(&contracts, 20));
    assert_eq!((included, succeeded), (20, 20));
    assert!((90_000 * 20..250_000 * 20).contains(&gas), "{gas}");
}

#[test]
fn beneficiary_is_contract__two_readers__see_fees_so_far() {
    let workload = beneficiary_is_contract(8);
    let built = built(&workload);
    let beneficiary = &built.outcome.changes.accounts[&workload.beneficiary];
    // What it had before its own call's fee, at the fifth transaction: fees of four.
    let kept = beneficiary.storage.values().next().unwrap();
    assert!(!kept.is_zero() && *kept < beneficiary.account.unwrap().balance);
}

#[test]
fn beneficiary_is_destroyed__before_cancun__loses_code_and_keeps_later_fees() {
    let workload = beneficiary_is_destroyed(10);
    let built = built(&workload);
    let change = &built.outcome.changes.accounts[&workload.beneficiary];
    assert_eq!(built.outcome.receipts.len(), 10);
    assert!(change.storage_cleared && change.account.is_some_and(|account| !account.balance.is_zero()));
}

#[test]
fn recreations__twelve__count_from_anew() {
    let workload = recreations(9);
    let built = built(&workload);
    assert!(built.outcome.receipts.iter().all(|details| details.receipt.success));
    // Created again by the seventh, then called twice: what the first life counted is gone.
    let counted = built.outcome.changes.accounts.values().filter(|change| change.storage_cleared);
    let slots: Vec<u64> = counted.flat_map(|change| change.storage.values()).map(|value| value.to()).collect();
    assert_eq!(slots, [2]);
}

#[test]
fn delegations__six_steps__end_without_code() {
    let built = built(&delegations(24));
    assert_eq!(built.outcome.receipts.len(), 24);
    assert!(built.outcome.receipts.iter().all(|details| details.receipt.success));
    // Their own transaction, and four authorizations but for those of the second sender.
    let nonces: Vec<u64> = built.outcome.changes.accounts.values().filter_map(|c| c.account).map(|a| a.nonce).collect();
    assert_eq!(nonces.iter().filter(|nonce| **nonce == 4).count(), 4);
}

#[test]
fn random__seeds__give_mixed_blocks_again_and_again() {
    let (mut included, mut failed, mut skipped) = (0, 0, 0);
    for seed in 0..200 {
        let built = built(&random(seed));
        assert_eq!(built.block.header.hash_slow(), self::built(&random(seed)).block.header.hash_slow());
        included += built.included.len();
        failed += built.outcome.receipts.iter().filter(|details| !details.receipt.success).count();
        skipped += built.skipped.len();
    }
    assert!(included > 3_000 && failed > 300 && skipped > 300, "{included} {failed} {skipped}");
}
