//! Candidates for a block, best first.

use std::{cmp::Reverse, collections::BinaryHeap};

use alloy_primitives::Address;

use super::{Entry, Mempool, PoolTransaction};

/// In which order senders take turns. Each sender's transactions come in order of nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By what goes to the fee recipient per gas; of equals, the first that arrived.
    Price,
    /// By arrival.
    Arrival,
}

type Turn = (u128, Reverse<u64>, Reverse<Address>, u64);

/// Ready transactions that pay the base fees, best first. A transaction that does not pay them
/// ends its sender's turns.
#[derive(Debug)]
pub struct Best<'a> {
    pool: &'a Mempool,
    order: Order,
    base_fee: u64,
    blob_base_fee: u128,
    turns: BinaryHeap<Turn>,
    /// Whose turn comes next once it is known that the last one was not skipped.
    after_last: Option<(Address, u64)>,
}

impl Mempool {
    /// Candidates for a block with these base fees.
    pub fn best(&self, order: Order, base_fee: u64, blob_base_fee: u128) -> Best<'_> {
        let mut best = Best { pool: self, order, base_fee, blob_base_fee, turns: BinaryHeap::new(), after_last: None };
        let first_turns = self.senders.iter().filter_map(|(sender, queue)| best.turn(*sender, queue.account().nonce));
        best.turns = first_turns.collect::<Vec<_>>().into();
        best
    }
}

impl Best<'_> {
    /// Leaves out the other transactions of the sender whose transaction came last: it was not
    /// included, so they can not be.
    pub fn skip_sender(&mut self) {
        self.after_last = None;
    }

    /// A sender's turn with this nonce, if that is ready and pays.
    fn turn(&self, sender: Address, nonce: u64) -> Option<Turn> {
        let entry = self.pool.senders.get(&sender)?.ready(nonce)?;
        let pays = entry.pays(self.base_fee, self.blob_base_fee);
        pays.then(|| (self.rank(entry), Reverse(entry.arrival), Reverse(sender), nonce))
    }

    fn rank(&self, entry: &PoolTransaction) -> u128 {
        match self.order {
            Order::Price => entry.tip_at(self.base_fee).unwrap_or_default(),
            Order::Arrival => 0,
        }
    }
}

impl Iterator for Best<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if let Some((sender, nonce)) = self.after_last.take() {
            self.turns.extend(self.turn(sender, nonce));
        }
        let (_, _, Reverse(sender), nonce) = self.turns.pop()?;
        self.after_last = Some((sender, nonce + 1));
        self.pool.senders.get(&sender).and_then(|queue| queue.get(nonce)).map(Entry::clone)
    }
}
