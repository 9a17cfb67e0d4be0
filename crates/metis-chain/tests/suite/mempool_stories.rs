//! What users see of the pool.

use alloy_consensus::{SignableTransaction, TxEip4844};
use alloy_primitives::{Address, B256, Signature, U256};
use metis_chain::mempool::{
    AddError, DropReason, Funds, Mempool, MempoolConfig, NewHead, Order, Rejection, SenderAccount,
};
use metis_state_transition::{RecoveredTransaction, TransactionError};

use crate::{
    mempool_model::{Accounts, head, sender, transfer},
    support::{CHAIN_ID, Envelope},
};

const ETHER: u64 = 1_000_000_000_000_000_000;

fn rich() -> Accounts {
    let mut accounts = Accounts::default();
    for number in 0..10 {
        accounts.0.insert(sender(number), SenderAccount { balance: U256::from(ETHER), ..SenderAccount::default() });
    }
    accounts
}

fn pool() -> Mempool {
    Mempool::new(MempoolConfig::default(), head(10))
}

fn hash(transaction: &RecoveredTransaction) -> B256 {
    *transaction.envelope.tx_hash()
}

fn refusal(result: Result<metis_chain::mempool::Added, AddError<std::convert::Infallible>>) -> Rejection {
    match result {
        Err(AddError::Rejected(rejection)) => rejection,
        other => panic!("{other:?}"),
    }
}

/// The nonces of one sender arrive in reverse: all wait, then the first one makes all ready.
#[test]
fn add__nonces_in_reverse__are_ready_together_when_the_first_arrives() {
    let (mut pool, accounts) = (pool(), rich());
    for nonce in (1..5).rev() {
        let added = pool.add(transfer(sender(0), nonce, 20, 1, 0), 0, &accounts).unwrap();
        assert!(!added.is_ready && added.promoted.is_empty());
    }
    assert_eq!(pool.best(Order::Price, 10, 1).count(), 0);
    let added = pool.add(transfer(sender(0), 0, 20, 1, 0), 0, &accounts).unwrap();
    assert!(added.is_ready);
    assert_eq!(added.promoted.iter().map(|entry| entry.nonce).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let hashes: Vec<B256> = added.promoted.iter().map(|entry| entry.hash).collect();
    assert_eq!(pool.announcements_after(0), hashes);
    assert_eq!(pool.announcements_after(3), hashes[3..]);
}

/// Ten senders with four hundred transactions each, one block per transaction: all are mined.
#[test]
fn automine__ten_senders_of_four_hundred__mines_every_one() {
    let (mut pool, mut accounts) = (pool(), rich());
    let mut mined_count = 0;
    for nonce in 0..400 {
        for number in 0..10 {
            pool.add(transfer(sender(number), nonce, 20, 1, 0), 0, &accounts).unwrap();
            let best: Vec<_> = pool.best(Order::Price, 10, 1).collect();
            assert_eq!(best.len(), 1);
            mined_count += 1;
            accounts.0.get_mut(&sender(number)).unwrap().nonce += 1;
            let (mined, changed) = ([(sender(number), best[0].hash)], [sender(number)]);
            let new = NewHead { head: head(10), mined: &mined, changed: &changed, reinjected: vec![] };
            assert_eq!(pool.on_new_head(new, &accounts).unwrap().mined, best);
        }
    }
    assert_eq!((mined_count, pool.len()), (4000, 0));
}

#[test]
fn best__by_price_and_by_arrival__takes_turns() {
    let (mut pool, accounts) = (pool(), rich());
    // Sender, nonce, fee cap, tip cap; the base fee is 10.
    let sent = [(0, 0, 30, 1), (1, 0, 30, 5), (0, 1, 30, 9), (2, 0, 12, 5), (1, 1, 30, 5), (3, 0, 9, 9)];
    for (number, nonce, fee, tip) in sent {
        pool.add(transfer(sender(number), nonce, fee, tip, 0), 0, &accounts).unwrap();
    }
    let order = |order, base_fee| -> Vec<(Address, u64)> {
        pool.best(order, base_fee, 1).map(|entry| (entry.sender(), entry.nonce)).collect()
    };
    let named = |list: &[(u64, u64)]| list.iter().map(|(number, nonce)| (sender(*number), *nonce)).collect::<Vec<_>>();
    assert_eq!(order(Order::Price, 10), named(&[(1, 0), (1, 1), (2, 0), (0, 0), (0, 1)]));
    assert_eq!(order(Order::Arrival, 10), named(&[(0, 0), (1, 0), (0, 1), (2, 0), (1, 1)]));
    assert_eq!(order(Order::Arrival, 9), named(&[(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (3, 0)]));
    let mut best = pool.best(Order::Price, 10, 1);
    assert_eq!(best.next().unwrap().sender(), sender(1));
    best.skip_sender();
    assert_eq!(best.map(|entry| entry.sender()).collect::<Vec<_>>(), [sender(2), sender(0), sender(0)]);
}

#[test]
fn add__replacement__needs_ten_percent_more_of_both_caps() {
    let (mut pool, accounts) = (pool(), rich());
    let first = transfer(sender(0), 0, 100, 10, 0);
    pool.add(first.clone(), 0, &accounts).unwrap();
    assert_eq!(refusal(pool.add(first.clone(), 0, &accounts)), Rejection::AlreadyKnown { hash: hash(&first) });
    let underpriced =
        Rejection::ReplacementUnderpriced { replaced: hash(&first), max_fee_min: 110, max_priority_fee_min: 11 };
    for (fee, tip) in [(109, 11), (110, 10), (200, 10)] {
        assert_eq!(refusal(pool.add(transfer(sender(0), 0, fee, tip, 1), 0, &accounts)), underpriced);
    }
    let added = pool.add(transfer(sender(0), 0, 110, 11, 1), 0, &accounts).unwrap();
    assert_eq!(added.replaced.unwrap().hash, hash(&first));
    assert_eq!((pool.len(), pool.get(&hash(&first))), (1, None));
}

fn blob(nonce: u64, fee: u128, blob_fee: u128) -> RecoveredTransaction {
    let mut versioned = B256::repeat_byte(3);
    versioned[0] = 1;
    let transaction = TxEip4844 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: fee,
        max_priority_fee_per_gas: fee,
        max_fee_per_blob_gas: blob_fee,
        blob_versioned_hashes: vec![versioned],
        ..TxEip4844::default()
    };
    let signature = Signature::new(U256::from(77), U256::ONE, false);
    RecoveredTransaction { envelope: Envelope::Eip4844(transaction.into_signed(signature)), sender: sender(0) }
}

#[test]
fn add__blob_transaction__needs_twice_the_price_and_counts_its_sidecar() {
    let (mut pool, accounts) = (pool(), rich());
    let added = pool.add(blob(0, 20, 5), 200_000, &accounts).unwrap();
    assert!(added.transaction.size_bytes > 200_000);
    assert!(pool.size_bytes() > 200_000);
    for (fee, blob_fee) in [(39, 10), (40, 9)] {
        assert_eq!(refusal(pool.add(blob(0, fee, blob_fee), 0, &accounts)).slug(), "replacement-underpriced");
    }
    assert_eq!(
        refusal(pool.add(transfer(sender(0), 0, 400, 400, 0), 0, &accounts)),
        Rejection::ReplacementKind { replaced: added.transaction.hash }
    );
    let replacement = pool.add(blob(0, 40, 10), 0, &accounts).unwrap();
    assert_eq!(replacement.replaced.unwrap().hash, added.transaction.hash);
    assert_eq!(pool.best(Order::Price, 10, 10).count(), 1);
    assert_eq!(pool.best(Order::Price, 10, 11).count(), 0, "its blob fee cap is too low");
}

#[test]
fn add__limits__name_themselves() {
    let accounts = rich();
    let config = MempoolConfig {
        sender_count_max: 2,
        nonce_gap_max: 0,
        transaction_bytes_max: 150,
        max_fee_min: 5,
        max_priority_fee_min: 2,
        ..MempoolConfig::default()
    };
    let mut pool = Mempool::new(config, head(10));
    let of = |nonce, fee, tip| transfer(sender(0), nonce, fee, tip, 0);
    assert_eq!(refusal(pool.add(of(0, 4, 4), 0, &accounts)), Rejection::Underpriced { max_fee: 4, min: 5 });
    assert_eq!(refusal(pool.add(of(0, 9, 1), 0, &accounts)), Rejection::TipUnderpriced { max_priority_fee: 1, min: 2 });
    assert_eq!(refusal(pool.add(of(1, 9, 2), 0, &accounts)), Rejection::NonceGap { nonce: 1, expected: 0, max: 0 });
    assert!(matches!(refusal(pool.add(of(0, 9, 2), 150, &accounts)), Rejection::TooLarge { max: 150, .. }));
    for nonce in 0..2 {
        pool.add(of(nonce, 9, 2), 0, &accounts).unwrap();
    }
    assert_eq!(refusal(pool.add(of(2, 9, 2), 0, &accounts)), Rejection::SenderFull { max: 2 });
    let slugs: Vec<&str> = Rejection::SLUGS.to_vec();
    assert_eq!(slugs.iter().collect::<std::collections::BTreeSet<_>>().len(), slugs.len());
}

/// Funds that suffice for each but not for all: refused, or kept waiting, as configured.
#[test]
fn add__more_than_the_sender_can_pay_in_all__is_refused_or_waits() {
    let mut accounts = rich();
    let cost = 21_000 * 20 + 1_000_000;
    accounts.0.get_mut(&sender(0)).unwrap().balance = U256::from(cost + cost / 2);
    for funds in [Funds::Together, Funds::Each] {
        let mut pool = Mempool::new(MempoolConfig { funds, ..MempoolConfig::default() }, head(10));
        pool.add(transfer(sender(0), 0, 20, 1, 1_000_000), 0, &accounts).unwrap();
        let second = pool.add(transfer(sender(0), 1, 20, 1, 1_000_000), 0, &accounts);
        if funds == Funds::Together {
            let (required, balance) = (U256::from(2 * cost), U256::from(cost + cost / 2));
            assert_eq!(refusal(second), Rejection::Overdraft { required, balance });
            continue;
        }
        assert!(!second.unwrap().is_ready);
        let mut funded = accounts.clone();
        funded.0.get_mut(&sender(0)).unwrap().balance = U256::from(2 * cost);
        let update = pool.refresh([sender(0)], &funded).unwrap();
        assert_eq!(update.promoted.iter().map(|entry| entry.nonce).collect::<Vec<_>>(), [1]);
    }
}

#[test]
fn on_new_head__nonce_used_by_another__drops_and_says_so() {
    let (mut pool, mut accounts) = (pool(), rich());
    let first = transfer(sender(0), 0, 20, 1, 0);
    pool.add(first.clone(), 0, &accounts).unwrap();
    pool.add(transfer(sender(0), 1, 20, 1, 0), 0, &accounts).unwrap();
    accounts.0.get_mut(&sender(0)).unwrap().nonce = 1;
    let mined = [(sender(0), B256::repeat_byte(1))];
    let new = NewHead { head: head(10), mined: &mined, changed: &[], reinjected: vec![] };
    let update = pool.on_new_head(new, &accounts).unwrap();
    assert_eq!(update.dropped.len(), 1);
    assert_eq!(update.dropped[0].transaction.hash, hash(&first));
    assert_eq!(update.dropped[0].reason, DropReason::NonceUsed { nonce: 0, expected: 1 });
    assert_eq!(pool.status().ready_count, 1);
}

#[test]
fn on_new_head__lower_gas_limit__drops_what_no_longer_fits() {
    let (mut pool, accounts) = (pool(), rich());
    pool.add(transfer(sender(0), 0, 20, 1, 0), 0, &accounts).unwrap();
    let small = metis_chain::mempool::PoolHead { gas_limit: 20_000, ..head(10) };
    let new = NewHead { head: small, mined: &[], changed: &[], reinjected: vec![] };
    let update = pool.on_new_head(new, &accounts).unwrap();
    let expected = TransactionError::GasLimitAboveBlock { gas_limit: 21_000, available: 20_000 };
    assert_eq!(update.dropped[0].reason, DropReason::Invalid(Box::new(expected)));
    assert!(pool.is_empty());
}

#[test]
fn remove__drops_one_a_sender_or_all() {
    let (mut pool, accounts) = (pool(), rich());
    for number in 0..3 {
        for nonce in 0..3 {
            pool.add(transfer(sender(number), nonce, 20, 1, 0), 0, &accounts).unwrap();
        }
    }
    let middle = hash(&transfer(sender(0), 1, 20, 1, 0));
    assert_eq!(pool.remove(&middle).unwrap().nonce, 1);
    assert_eq!(pool.remove(&middle), None);
    let content = pool.content_from(&sender(0)).unwrap();
    assert_eq!((content.ready.len(), content.queued.len()), (1, 1));
    assert_eq!(pool.remove_sender(&sender(1)).len(), 3);
    assert_eq!(pool.content_from(&sender(1)), None);
    assert_eq!(pool.by_nonce(&sender(2), 2).unwrap().nonce, 2);
    assert_eq!(pool.next_nonce(&sender(2)), Some(3));
    pool.clear();
    assert_eq!((pool.len(), pool.size_bytes(), pool.next_nonce(&sender(2))), (0, 0, None));
}
