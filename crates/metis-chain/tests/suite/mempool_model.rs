//! Random work on a pool against a naive one: a list of transactions, looked through for every
//! question.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use alloy_consensus::{SignableTransaction, Transaction as _, TxEip1559};
use alloy_primitives::{Address, B256, Signature, TxKind, U256};
use metis_chain::mempool::{
    AddError, Funds, Mempool, MempoolConfig, NewHead, Order, PoolHead, PoolTransaction, Rejection, SenderAccount,
    SenderAccounts,
};
use metis_state_transition::{ChainSpec, Fork, RecoveredTransaction, TransactionError};
use proptest::prelude::*;

use crate::support::{CHAIN_ID, Source};

#[derive(Clone, Debug, Default)]
pub struct Accounts(pub BTreeMap<Address, SenderAccount>);

impl SenderAccounts for Accounts {
    type Error = Infallible;

    fn sender_account(&self, address: &Address) -> Result<SenderAccount, Infallible> {
        Ok(self.0.get(address).copied().unwrap_or_default())
    }
}

pub fn head(base_fee_per_gas: u64) -> PoolHead {
    let rules = ChainSpec::at_fork(Fork::Osaka, CHAIN_ID).rules_at(1, 1);
    PoolHead { rules, gas_limit: 30_000_000, base_fee_per_gas, blob_base_fee_per_gas: 1 }
}

pub fn sender(number: u64) -> Address {
    Address::left_padding_from(&(number + 1).to_be_bytes())
}

pub fn transfer(sender: Address, nonce: u64, max_fee: u128, tip: u128, value: u64) -> RecoveredTransaction {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: max_fee,
        max_priority_fee_per_gas: tip,
        to: TxKind::Call(Address::repeat_byte(0xee)),
        value: U256::from(value),
        ..TxEip1559::default()
    };
    // The sender stands for the key, so that transactions of different senders differ.
    let signature = Signature::new(U256::from_be_slice(sender.as_slice()), U256::ONE, false);
    RecoveredTransaction { envelope: transaction.into_signed(signature).into(), sender }
}

fn hash(transaction: &RecoveredTransaction) -> B256 {
    *transaction.envelope.tx_hash()
}

fn cost(transaction: &RecoveredTransaction) -> U256 {
    U256::from(transaction.envelope.max_fee_per_gas()) * U256::from(21_000) + transaction.envelope.value()
}

#[derive(Clone, Debug)]
struct Waiting {
    transaction: RecoveredTransaction,
    arrival: u64,
}

#[derive(Debug, Default)]
struct Model {
    waiting: Vec<Waiting>,
    accounts: Accounts,
    arrival: u64,
}

impl Model {
    fn account(&self, sender: &Address) -> SenderAccount {
        self.accounts.sender_account(sender).unwrap()
    }

    fn at(&self, sender: &Address, nonce: u64) -> Option<&Waiting> {
        self.waiting.iter().find(|one| one.transaction.sender == *sender && one.transaction.envelope.nonce() == nonce)
    }

    /// Transactions of a sender that can be executed one after the other.
    fn ready(&self, sender: &Address) -> Vec<&Waiting> {
        let SenderAccount { nonce, mut balance, .. } = self.account(sender);
        let mut ready = vec![];
        while let Some(next) = self.at(sender, nonce + ready.len() as u64)
            && cost(&next.transaction) <= balance
        {
            balance -= cost(&next.transaction);
            ready.push(next);
        }
        ready
    }

    fn add(&mut self, config: &MempoolConfig, new: &RecoveredTransaction) -> Result<(), Rejection> {
        let SenderAccount { nonce: expected, balance, .. } = self.account(&new.sender);
        let nonce = new.envelope.nonce();
        if self.waiting.iter().any(|one| hash(&one.transaction) == hash(new)) {
            return Err(Rejection::AlreadyKnown { hash: hash(new) });
        }
        if nonce < expected {
            return Err(TransactionError::NonceTooLow { nonce, expected }.into());
        }
        let next = expected + self.ready(&new.sender).len() as u64;
        if nonce.saturating_sub(next) > config.nonce_gap_max && nonce - expected > config.nonce_gap_max {
            return Err(Rejection::NonceGap { nonce, expected, max: config.nonce_gap_max });
        }
        if cost(new) > balance {
            return Err(TransactionError::InsufficientFunds { required: cost(new), balance }.into());
        }
        let old = self.at(&new.sender, nonce).cloned();
        if let Some(old) = &old {
            let least = |fee: u128| (fee * 110).div_ceil(100).max(fee + 1);
            let envelope = &old.transaction.envelope;
            let (max_fee_min, max_priority_fee_min) =
                (least(envelope.max_fee_per_gas()), least(envelope.max_priority_fee_per_gas().unwrap()));
            let is_enough = new.envelope.max_fee_per_gas() >= max_fee_min
                && new.envelope.max_priority_fee_per_gas().unwrap() >= max_priority_fee_min;
            if !is_enough {
                let replaced = hash(&old.transaction);
                return Err(Rejection::ReplacementUnderpriced { replaced, max_fee_min, max_priority_fee_min });
            }
        } else if self.waiting.iter().filter(|one| one.transaction.sender == new.sender).count()
            >= config.sender_count_max
        {
            return Err(Rejection::SenderFull { max: config.sender_count_max });
        }
        if config.funds == Funds::Together && nonce <= next {
            let others = self.ready(&new.sender).into_iter().filter(|one| one.transaction.envelope.nonce() != nonce);
            let required = others.map(|one| cost(&one.transaction)).sum::<U256>() + cost(new);
            if required > balance {
                return Err(Rejection::Overdraft { required, balance });
            }
        }
        self.waiting.retain(|one| old.as_ref().is_none_or(|old| one.arrival != old.arrival));
        self.waiting.push(Waiting { transaction: new.clone(), arrival: self.arrival });
        self.arrival += 1;
        Ok(())
    }

    fn drop_used(&mut self) {
        let accounts = self.accounts.clone();
        self.waiting.retain(|one| {
            one.transaction.envelope.nonce() >= accounts.sender_account(&one.transaction.sender).unwrap().nonce
        });
    }

    fn best(&self, order: Order, base_fee: u64) -> Vec<B256> {
        let mut senders: BTreeMap<Address, Vec<&Waiting>> = BTreeMap::new();
        for one in &self.waiting {
            senders.entry(one.transaction.sender).or_insert_with_key(|sender| self.ready(sender));
        }
        let mut best = vec![];
        loop {
            let turns = senders.iter().filter_map(|(sender, ready)| {
                let one = ready.first()?;
                let tip = one.transaction.envelope.effective_tip_per_gas(base_fee)?;
                let rank = if order == Order::Price { tip } else { 0 };
                Some((rank, std::cmp::Reverse(one.arrival), *sender))
            });
            let Some((.., sender)) = turns.max() else { return best };
            best.push(hash(&senders.get_mut(&sender).unwrap().remove(0).transaction));
        }
    }

    fn check(&self, pool: &Mempool, base_fee: u64) {
        assert_eq!(pool.len(), self.waiting.len());
        let sizes = self.waiting.iter().map(|one| pool.get(&hash(&one.transaction)).unwrap().size_bytes);
        assert_eq!(pool.size_bytes(), sizes.sum::<usize>());
        let mut ready_count = 0;
        for content in pool.content() {
            let ready = self.ready(&content.sender);
            ready_count += ready.len();
            let hashes = |entries: &[Arc<PoolTransaction>]| entries.iter().map(|entry| entry.hash).collect::<Vec<_>>();
            assert_eq!(hashes(&content.ready), ready.iter().map(|one| hash(&one.transaction)).collect::<Vec<_>>());
            let nonce = self.account(&content.sender).nonce + ready.len() as u64;
            assert_eq!(pool.next_nonce(&content.sender), Some(nonce));
            assert!(content.queued.iter().all(|entry| entry.nonce >= nonce));
        }
        let status = pool.status();
        assert_eq!((status.ready_count, status.queued_count), (ready_count, self.waiting.len() - ready_count));
        for order in [Order::Price, Order::Arrival] {
            let best: Vec<B256> = pool.best(order, base_fee, 1).map(|entry| entry.hash).collect();
            assert_eq!(best, self.best(order, base_fee));
        }
    }
}

const SENDERS: u64 = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Sender, how far above its next nonce (or below), fee, tip, value.
    Add(u64, i8, u128, u128, u64),
    /// Mines so many of the best.
    Mine(usize),
    /// Mines another transaction of this sender.
    MineOther(u64),
    /// Gives or takes funds.
    Fund(u64, u64),
    Remove(u64),
    /// So many of the mined transactions wait again.
    Reorganise(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0..SENDERS, -2..4i8, 5..40u128, 0..20u128, 0..3u64)
            .prop_map(|(sender, nonce, fee, tip, value)| Step::Add(sender, nonce, fee, tip.min(fee), value)),
        2 => (1..4usize).prop_map(Step::Mine),
        1 => (0..SENDERS).prop_map(Step::MineOther),
        2 => (0..SENDERS, 0..60u64).prop_map(|(sender, units)| Step::Fund(sender, units)),
        1 => any::<u64>().prop_map(Step::Remove),
        1 => (1..4usize).prop_map(Step::Reorganise),
    ]
}

const BASE_FEE: u64 = 10;

struct Bench {
    pool: Mempool,
    model: Model,
    mined: Vec<RecoveredTransaction>,
}

impl Bench {
    fn new(config: MempoolConfig) -> Self {
        let mut model = Model::default();
        for number in 0..SENDERS {
            let balance = U256::from(21_000 * 40 * (1 + number * 20));
            model.accounts.0.insert(sender(number), SenderAccount { nonce: 3, balance, has_code: false });
        }
        Self { pool: Mempool::new(config, head(BASE_FEE)), model, mined: vec![] }
    }

    fn new_head(&mut self, mined: &[RecoveredTransaction], reinjected: Vec<RecoveredTransaction>) {
        let mined: Vec<_> = mined.iter().map(|one| (one.sender, hash(one))).collect();
        let changed: Vec<_> = (0..SENDERS).map(sender).collect();
        let new = NewHead { head: head(BASE_FEE), mined: &mined, changed: &changed, reinjected: reinjected.clone() };
        let update = self.pool.on_new_head(new, &self.model.accounts).unwrap();
        for entry in &update.mined {
            assert!(mined.contains(&(entry.sender(), entry.hash)));
        }
        self.model.drop_used();
        let config = *self.pool.config();
        for one in reinjected {
            match self.model.add(&config, &one) {
                Ok(()) => assert!(update.reinjected.contains(&hash(&one))),
                Err(Rejection::AlreadyKnown { .. }) => {}
                Err(rejection) => assert!(update.refused.contains(&(hash(&one), rejection))),
            }
        }
    }

    fn mine(&mut self, mined: Vec<RecoveredTransaction>) {
        for one in &mined {
            let account = self.model.accounts.0.get_mut(&one.sender).unwrap();
            account.nonce += 1;
            account.balance -= cost(one);
        }
        self.new_head(&mined, vec![]);
        self.mined.extend(mined);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Add(number, offset, fee, tip, value) => {
                let from = sender(number);
                let next = self.pool.next_nonce(&from).unwrap_or(self.model.account(&from).nonce);
                let new = transfer(from, next.saturating_add_signed(offset.into()), fee, tip, value);
                let expected = self.model.add(self.pool.config(), &new);
                match self.pool.add(new.clone(), 0, &self.model.accounts) {
                    Ok(added) => {
                        assert_eq!(expected, Ok(()));
                        assert_eq!(added.transaction.hash, hash(&new));
                        let ready = self.model.ready(&from);
                        assert_eq!(added.is_ready, ready.iter().any(|one| hash(&one.transaction) == hash(&new)));
                        assert!(added.evicted.is_empty());
                    }
                    Err(AddError::Rejected(rejection)) => assert_eq!(Err(rejection), expected),
                    Err(AddError::State(never)) => match never {},
                }
            }
            Step::Mine(count) => {
                let best: Vec<_> = self.pool.best(Order::Price, BASE_FEE, 1).take(count).collect();
                self.mine(best.iter().map(|entry| entry.transaction.clone()).collect());
            }
            Step::MineOther(number) => {
                let from = sender(number);
                let other = transfer(from, self.model.account(&from).nonce, 1, 1, 999);
                if cost(&other) <= self.model.account(&from).balance {
                    self.mine(vec![other]);
                }
            }
            Step::Fund(number, units) => {
                self.model.accounts.0.get_mut(&sender(number)).unwrap().balance = U256::from(units * 21_000 * 10);
                self.pool.refresh([sender(number)], &self.model.accounts).unwrap();
            }
            Step::Remove(choice) => {
                if !self.model.waiting.is_empty() {
                    let position = (choice % self.model.waiting.len() as u64) as usize;
                    let gone = self.model.waiting.remove(position);
                    assert_eq!(self.pool.remove(&hash(&gone.transaction)).unwrap().transaction, gone.transaction);
                }
            }
            Step::Reorganise(count) => {
                let left = self.mined.split_off(self.mined.len().saturating_sub(count));
                for one in left.iter().rev() {
                    let account = self.model.accounts.0.get_mut(&one.sender).unwrap();
                    account.nonce -= 1;
                    account.balance += cost(one);
                }
                self.new_head(&[], left);
            }
        }
        self.model.check(&self.pool, BASE_FEE);
    }

    /// No accepted transaction is stuck: while a sender can pay and its earlier nonces are mined,
    /// each one becomes ready and is mined in its turn.
    fn drain(&mut self) {
        for number in 0..SENDERS {
            self.model.accounts.0.get_mut(&sender(number)).unwrap().balance = U256::MAX >> 8;
        }
        self.pool.refresh_all(&self.model.accounts).unwrap();
        let accepted: Vec<B256> = self.model.waiting.iter().map(|one| hash(&one.transaction)).collect();
        while !self.pool.is_empty() {
            let best: Vec<_> = self.pool.best(Order::Price, 0, 0).collect();
            if best.is_empty() {
                // Only gaps are left: fill the first one of each.
                for content in self.pool.content() {
                    assert!(content.ready.is_empty());
                    assert!(content.queued[0].nonce > self.model.account(&content.sender).nonce);
                    let filler = transfer(content.sender, self.model.account(&content.sender).nonce, 50, 25, 1);
                    self.pool.add(filler.clone(), 0, &self.model.accounts).unwrap();
                    self.model.add(self.pool.config(), &filler).unwrap();
                }
                continue;
            }
            self.mine(best.iter().map(|entry| entry.transaction.clone()).collect());
            self.model.check(&self.pool, 0);
        }
        for hash in accepted {
            assert!(self.mined.iter().any(|one| *one.envelope.tx_hash() == hash));
        }
    }
}

proptest! {
    #![proptest_config(crate::support::cases(512))]

    #[test]
    fn pool__any_work__equals_a_naive_pool_and_leaves_nothing_stuck(
        is_together in any::<bool>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let funds = if is_together { Funds::Together } else { Funds::Each };
        let config = MempoolConfig { nonce_gap_max: 3, sender_count_max: 9, funds, ..MempoolConfig::default() };
        let mut bench = Bench::new(config);
        for step in steps {
            bench.step(step);
        }
        // A filler needs a place.
        bench.pool.set_config(MempoolConfig { sender_count_max: 100, ..config });
        bench.drain();
    }

    /// A full pool loses, one by one, the last transaction of the sender whose last is worth least;
    /// if that is the new one, nothing happens.
    #[test]
    fn pool__full__loses_the_least_worth_first(seed in any::<u64>(), count_max in 3..12usize, base_fee in 0..30u64) {
        let mut source = Source::new(seed);
        let mut accounts = Accounts::default();
        for number in 0..5 {
            accounts.0.insert(sender(number), SenderAccount { nonce: 0, balance: U256::MAX >> 8, has_code: false });
        }
        let config = MempoolConfig { count_max, bytes_max: 1000, ..MempoolConfig::default() };
        let mut pool = Mempool::new(config, head(base_fee));
        let mut refused_count = 0;
        for _ in 0..80 {
            let from = sender(source.below(5));
            let next = pool.next_nonce(&from).unwrap_or(0);
            let fee = u128::from(source.below(40));
            let new = transfer(from, next + source.below(6) / 4, fee, u128::from(source.below(10)).min(fee), 0);
            let before = all(&pool);
            let mut expected = before.clone();
            let key = (from, new.envelope.nonce());
            let size_bytes = pool.content().first().map_or(0, |content| {
                content.ready.iter().chain(&content.queued).next().unwrap().size_bytes
            });
            match pool.add(new.clone(), 0, &accounts) {
                Ok(added) => {
                    expected.insert(key, Arc::clone(&added.transaction));
                    let mut evicted = vec![];
                    while expected.len() > count_max || total_bytes(&expected) > 1000 {
                        evicted.push(remove_least(&mut expected, base_fee));
                    }
                    prop_assert_eq!(evicted, added.evicted);
                    prop_assert!(expected.contains_key(&key));
                }
                Err(AddError::Rejected(Rejection::PoolFull)) => {
                    refused_count += 1;
                    // Added by a pool with room for it, it is the least worth here.
                    let mut roomy = Mempool::new(MempoolConfig::default(), head(base_fee));
                    for entry in before.values() {
                        roomy.add(entry.transaction.clone(), 0, &accounts).unwrap();
                    }
                    let entry = roomy.add(new, 0, &accounts).unwrap().transaction;
                    let mut attempt = before.clone();
                    let mut newest = (*entry).clone();
                    newest.arrival = u64::MAX;
                    attempt.insert(key, Arc::new(newest));
                    let mut is_least = false;
                    while attempt.len() > count_max || total_bytes(&attempt) > 1000 {
                        is_least |= remove_least(&mut attempt, base_fee).hash == entry.hash;
                    }
                    prop_assert!(is_least);
                }
                Err(_) => {}
            }
            prop_assert_eq!(all(&pool), expected);
            prop_assert!(pool.len() <= count_max && pool.size_bytes() <= 1000 && size_bytes < 300);
        }
        prop_assert!(refused_count < 80);
    }
}

type All = BTreeMap<(Address, u64), Arc<PoolTransaction>>;

fn all(pool: &Mempool) -> All {
    let entries = pool.content().into_iter().flat_map(|content| [content.ready, content.queued].concat());
    entries.map(|entry| ((entry.sender(), entry.nonce), entry)).collect()
}

fn total_bytes(all: &All) -> usize {
    all.values().map(|entry| entry.size_bytes).sum()
}

/// Removes the last transaction of the sender whose last is worth least. All accounts have nonce 0.
fn remove_least(all: &mut All, base_fee: u64) -> Arc<PoolTransaction> {
    let worth = |sender: &Address| {
        let own: Vec<_> = all.range((*sender, 0)..=(*sender, u64::MAX)).map(|(_, entry)| entry).collect();
        let last = *own.last()?;
        let is_ready = last.nonce + 1 == own.len() as u64;
        let waits_for = if is_ready { &own[..] } else { &own[own.len() - 1..] };
        let least = waits_for.iter().map(|entry| price(entry, base_fee)).min()?;
        Some((is_ready, least, std::cmp::Reverse(last.arrival), *sender, last.nonce))
    };
    let (.., sender, nonce) = (0..5).map(sender).filter_map(|sender| worth(&sender)).min().unwrap();
    all.remove(&(sender, nonce)).unwrap()
}

fn price(entry: &PoolTransaction, base_fee: u64) -> u128 {
    let envelope = &entry.transaction.envelope;
    envelope.max_fee_per_gas().min(u128::from(base_fee) + envelope.max_priority_fee_per_gas().unwrap())
}
