//! Adding and removing transactions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy_primitives::{Address, B256, U256, map::B256Map};
use metis_state_transition::{RecoveredTransaction, TransactionError, check_transaction};

use super::{
    AddError, Entry, Funds, MempoolConfig, PoolHead, PoolTransaction, Rejection, SenderAccount, SenderAccounts, Worth,
    queue::SenderQueue,
};

/// What adding a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The transaction.
    pub transaction: Entry,
    /// It can be executed in the next block; else it waits for an earlier nonce or for funds.
    pub is_ready: bool,
    /// The one with the same sender and nonce that it replaced.
    pub replaced: Option<Entry>,
    /// Those that can be executed by it, itself included, in order of nonce.
    pub promoted: Vec<Entry>,
    /// Those that had to go since the pool was full.
    pub evicted: Vec<Entry>,
}

/// Transactions that wait for a block.
#[derive(Clone, Debug)]
pub struct Mempool {
    pub(super) config: MempoolConfig,
    pub(super) head: PoolHead,
    /// Sorted, so that nothing depends on the order of a hash table.
    pub(super) senders: BTreeMap<Address, SenderQueue>,
    by_hash: B256Map<(Address, u64)>,
    size_bytes: usize,
    next_arrival: u64,
    /// The last transaction of each sender by its worth. Made when the pool is full for the first
    /// time, and kept until the base fee changes.
    by_worth: Option<BTreeSet<(Worth, Address)>>,
    /// Hashes of transactions that became ready, the newest last.
    announced: VecDeque<B256>,
    announcement_count: u64,
}

impl Mempool {
    /// An empty pool.
    pub fn new(config: MempoolConfig, head: PoolHead) -> Self {
        Self {
            config,
            head,
            senders: BTreeMap::new(),
            by_hash: B256Map::default(),
            size_bytes: 0,
            next_arrival: 0,
            by_worth: None,
            announced: VecDeque::new(),
            announcement_count: 0,
        }
    }

    /// Limits and prices.
    pub const fn config(&self) -> &MempoolConfig {
        &self.config
    }

    /// Changes limits and prices. Transactions that are there stay.
    pub fn set_config(&mut self, config: MempoolConfig) {
        self.config = config;
    }

    /// What the next block will ask of transactions.
    pub const fn head(&self) -> &PoolHead {
        &self.head
    }

    /// Adds a transaction; `sidecar_bytes` is the size of what belongs to it but not into a block: a
    /// blob transaction's blobs, commitments and proofs. `accounts` is the state after the newest block (with its patches).
    ///
    /// Should the sender's account differ from what the pool knows, it is taken as it is now; call
    /// [`Self::refresh`] after changing accounts to learn what is dropped by that.
    ///
    /// # Errors
    /// [`AddError`]; the pool is then as before.
    pub fn add<A: SenderAccounts>(
        &mut self,
        transaction: RecoveredTransaction,
        sidecar_bytes: usize,
        accounts: &A,
    ) -> Result<Added, AddError<A::Error>> {
        let new = PoolTransaction::new(transaction, sidecar_bytes, self.next_arrival);
        if self.by_hash.contains_key(&new.hash) {
            return Err(Rejection::AlreadyKnown { hash: new.hash }.into());
        }
        self.check_size_and_price(&new)?;
        check_transaction(&new.transaction, &self.head.rules, self.head.gas_limit)?;
        let account = accounts.sender_account(&new.sender()).map_err(AddError::State)?;
        self.check_account(&new, account)?;

        // The account may have changed without a block; an empty queue is new.
        let is_changed = self.senders.get(&new.sender()).is_none_or(|queue| *queue.account() != account);
        if is_changed {
            self.set_account(new.sender(), account);
        }
        let checked = self.check_place(&new);
        if checked.is_err() {
            self.drop_if_empty(&new.sender());
        }
        checked?;
        self.next_arrival += 1;
        self.insert(Entry::new(new)).map_err(AddError::Rejected)
    }

    fn check_size_and_price(&self, new: &PoolTransaction) -> Result<(), Rejection> {
        let config = &self.config;
        let has_blobs = new.max_blob_fee.is_some();
        let max = if has_blobs { config.blob_transaction_bytes_max } else { config.transaction_bytes_max };
        if new.size_bytes > max {
            return Err(Rejection::TooLarge { size_bytes: new.size_bytes, max });
        }
        if new.max_fee < config.max_fee_min {
            return Err(Rejection::Underpriced { max_fee: new.max_fee, min: config.max_fee_min });
        }
        if new.max_priority_fee < config.max_priority_fee_min {
            let (max_priority_fee, min) = (new.max_priority_fee, config.max_priority_fee_min);
            return Err(Rejection::TipUnderpriced { max_priority_fee, min });
        }
        Ok(())
    }

    fn check_account(&self, new: &PoolTransaction, account: SenderAccount) -> Result<(), Rejection> {
        let SenderAccount { nonce: expected, balance, has_code } = account;
        let may_have_code = self.head.rules.development.unsigned_may_have_code && new.transaction.is_unsigned();
        if has_code && !may_have_code {
            return Err(TransactionError::SenderNotEoa { sender: new.sender() }.into());
        }
        if new.nonce < expected {
            return Err(TransactionError::NonceTooLow { nonce: new.nonce, expected }.into());
        }
        if new.nonce - expected > self.config.nonce_gap_max && !self.has_ready_up_to(new) {
            return Err(Rejection::NonceGap { nonce: new.nonce, expected, max: self.config.nonce_gap_max });
        }
        match new.cost {
            None => Err(TransactionError::CostOverflow.into()),
            Some(required) if required > balance => {
                Err(TransactionError::InsufficientFunds { required, balance }.into())
            }
            Some(_) => Ok(()),
        }
    }

    /// Whether the nonce is at most so far above those that are ready, which are no gap.
    fn has_ready_up_to(&self, new: &PoolTransaction) -> bool {
        self.senders
            .get(&new.sender())
            .is_some_and(|queue| new.nonce.saturating_sub(queue.next_nonce()) <= self.config.nonce_gap_max)
    }

    /// Whether there is room at the nonce, or what is there may be replaced.
    fn check_place(&self, new: &PoolTransaction) -> Result<(), Rejection> {
        let Some(queue) = self.senders.get(&new.sender()) else { return Ok(()) };
        let cost = new.cost.unwrap_or(U256::MAX);
        let ready_cost = match queue.get(new.nonce) {
            Some(old) => {
                check_replacement(&self.config, old, new)?;
                queue.ready_cost() - if queue.is_ready(new.nonce) { old.cost.unwrap_or_default() } else { U256::ZERO }
            }
            None if queue.len() >= self.config.sender_count_max => {
                return Err(Rejection::SenderFull { max: self.config.sender_count_max });
            }
            None => queue.ready_cost(),
        };
        // What would be queued by itself is not counted: it may never be ready.
        if self.config.funds == Funds::Together && new.nonce <= queue.next_nonce() {
            let (required, balance) = (ready_cost.saturating_add(cost), queue.account().balance);
            if required > balance {
                return Err(Rejection::Overdraft { required, balance });
            }
        }
        Ok(())
    }

    /// Puts a transaction into its queue and makes room for it.
    fn insert(&mut self, new: Entry) -> Result<Added, Rejection> {
        let (sender, nonce) = (new.sender(), new.nonce);
        let (replaced, promoted) = self.put(Entry::clone(&new));
        let mut evicted = Vec::new();
        while self.by_hash.len() > self.config.count_max || self.size_bytes > self.config.bytes_max {
            let Some(victim) = self.least_worth() else { break };
            self.take(victim.sender(), victim.nonce);
            let is_new = victim.hash == new.hash;
            if is_new {
                // Nothing has happened.
                for entry in evicted.into_iter().rev().chain(replaced) {
                    self.put(entry);
                }
                return Err(Rejection::PoolFull);
            }
            evicted.push(victim);
        }
        let is_ready = self.senders.get(&sender).is_some_and(|queue| queue.is_ready(nonce));
        for entry in &promoted {
            self.announce(entry.hash);
        }
        Ok(Added { transaction: new, is_ready, replaced, promoted, evicted })
    }

    fn put(&mut self, entry: Entry) -> (Option<Entry>, Vec<Entry>) {
        self.by_hash.insert(entry.hash, (entry.sender(), entry.nonce));
        self.size_bytes += entry.size_bytes;
        let (replaced, promoted) = self.with_queue(entry.sender(), |queue| queue.insert(entry));
        if let Some(replaced) = &replaced {
            self.forget(replaced);
        }
        (replaced, promoted)
    }

    /// Takes a transaction out; those of its sender with later nonces wait then.
    pub fn remove(&mut self, hash: &B256) -> Option<Entry> {
        let (sender, nonce) = *self.by_hash.get(hash)?;
        self.take(sender, nonce)
    }

    /// Takes all transactions of a sender out.
    pub fn remove_sender(&mut self, sender: &Address) -> Vec<Entry> {
        let nonces: Vec<u64> =
            self.senders.get(sender).into_iter().flat_map(|queue| queue.entries().map(|entry| entry.nonce)).collect();
        nonces.into_iter().rev().filter_map(|nonce| self.take(*sender, nonce)).collect()
    }

    /// Takes all transactions out.
    pub fn clear(&mut self) {
        self.senders.clear();
        self.by_hash.clear();
        self.size_bytes = 0;
        self.by_worth = None;
    }

    pub(super) fn take(&mut self, sender: Address, nonce: u64) -> Option<Entry> {
        if !self.senders.contains_key(&sender) {
            return None;
        }
        let taken = self.with_queue(sender, |queue| queue.remove(nonce))?;
        self.forget(&taken);
        self.drop_if_empty(&sender);
        Some(taken)
    }

    pub(super) fn drop_if_empty(&mut self, sender: &Address) {
        if self.senders.get(sender).is_some_and(SenderQueue::is_empty) {
            self.senders.remove(sender);
        }
    }

    /// Takes the account as it is now. Returns those whose nonce is used up, and those that become
    /// ready for the first time. The queue stays, be it empty.
    pub(super) fn set_account(&mut self, sender: Address, account: SenderAccount) -> (Vec<Entry>, Vec<Entry>) {
        let (passed, promoted) = self.with_queue(sender, |queue| queue.set_account(account));
        for entry in &passed {
            self.forget(entry);
        }
        for entry in &promoted {
            self.announce(entry.hash);
        }
        (passed, promoted)
    }

    /// Forgets what is kept of a transaction outside its queue.
    fn forget(&mut self, entry: &Entry) {
        self.by_hash.remove(&entry.hash);
        self.size_bytes -= entry.size_bytes;
    }

    /// Changes a sender's queue, keeping the order of worth right.
    fn with_queue<T>(&mut self, sender: Address, change: impl FnOnce(&mut SenderQueue) -> T) -> T {
        let base_fee = self.head.base_fee_per_gas;
        let queue = self.senders.entry(sender).or_default();
        let Some(by_worth) = &mut self.by_worth else { return change(queue) };
        if let Some((worth, _)) = queue.last(base_fee) {
            by_worth.remove(&(worth, sender));
        }
        let changed = change(queue);
        if let Some((worth, _)) = queue.last(base_fee) {
            by_worth.insert((worth, sender));
        }
        changed
    }

    /// The transaction to lose first.
    fn least_worth(&mut self) -> Option<Entry> {
        let base_fee = self.head.base_fee_per_gas;
        let by_worth = self.by_worth.get_or_insert_with(|| {
            let last = |(sender, queue): (&Address, &SenderQueue)| Some((queue.last(base_fee)?.0, *sender));
            self.senders.iter().filter_map(last).collect()
        });
        let (_, sender) = by_worth.first()?;
        self.senders.get(sender)?.last(base_fee).map(|(_, entry)| Entry::clone(entry))
    }

    pub(super) fn forget_worth(&mut self) {
        self.by_worth = None;
    }

    fn announce(&mut self, hash: B256) {
        self.announced.push_back(hash);
        self.announcement_count += 1;
        // BOUND: who polls too late misses the oldest.
        while self.announced.len() > self.config.announcements_max {
            self.announced.pop_front();
        }
    }

    /// How many transactions ever became ready.
    pub const fn announcement_count(&self) -> u64 {
        self.announcement_count
    }

    /// Hashes of transactions that became ready after so many had, oldest first; of those that
    /// were too many to keep, the newest.
    pub fn announcements_after(&self, count: u64) -> Vec<B256> {
        let missed = self.announcement_count.saturating_sub(count) as usize;
        self.announced.range(self.announced.len().saturating_sub(missed)..).copied().collect()
    }

    /// A transaction by its hash.
    pub fn get(&self, hash: &B256) -> Option<&Entry> {
        let (sender, nonce) = self.by_hash.get(hash)?;
        self.senders.get(sender)?.get(*nonce)
    }

    /// Number of transactions.
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// Bytes of all transactions together.
    pub const fn size_bytes(&self) -> usize {
        self.size_bytes
    }
}

fn check_replacement(config: &MempoolConfig, old: &PoolTransaction, new: &PoolTransaction) -> Result<(), Rejection> {
    if old.max_blob_fee.is_some() != new.max_blob_fee.is_some() {
        return Err(Rejection::ReplacementKind { replaced: old.hash });
    }
    let percent = if old.max_blob_fee.is_some() { config.blob_price_bump_percent } else { config.price_bump_percent };
    // At least one wei more, also where a percentage of it is nothing.
    let least = |fee: u128| {
        fee.saturating_add((fee / 100).saturating_mul(u128::from(percent)))
            .saturating_add(((fee % 100) * u128::from(percent)).div_ceil(100))
            .max(fee.saturating_add(1))
    };
    let (max_fee_min, max_priority_fee_min) = (least(old.max_fee), least(old.max_priority_fee));
    let blob_fee_suffices = new.max_blob_fee >= old.max_blob_fee.map(least);
    if new.max_fee >= max_fee_min && new.max_priority_fee >= max_priority_fee_min && blob_fee_suffices {
        return Ok(());
    }
    Err(Rejection::ReplacementUnderpriced { replaced: old.hash, max_fee_min, max_priority_fee_min })
}
