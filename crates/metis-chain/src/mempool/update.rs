//! What a new block, a reorganisation or a change of state means for the pool.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, map::B256Set};
use metis_state_transition::{RecoveredTransaction, TransactionError, check_transaction};

use super::{AddError, Entry, Mempool, PoolHead, Rejection, SenderAccounts};

/// The newest block changed.
#[derive(Clone, Debug, PartialEq)]
pub struct NewHead<'a> {
    /// What the next block will ask of transactions.
    pub head: PoolHead,
    /// Senders and hashes of the transactions of the blocks that are new on the chain.
    pub mined: &'a [(Address, B256)],
    /// Accounts that the blocks changed, new ones and those that left the chain. Others may be
    /// named, too.
    pub changed: &'a [Address],
    /// Transactions of blocks that left the chain and are on it no more, in their order.
    pub reinjected: Vec<RecoveredTransaction>,
}

/// Why a transaction was dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// Another transaction with its nonce was mined, or the nonce was set.
    #[error("nonce {nonce} is below the sender's next nonce {expected}")]
    NonceUsed {
        /// Its nonce.
        nonce: u64,
        /// The sender's next.
        expected: u64,
    },
    /// It may not be in a block with the new rules or limits.
    #[error(transparent)]
    Invalid(Box<TransactionError>),
}

/// A transaction that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The transaction.
    pub transaction: Entry,
    /// Why.
    pub reason: DropReason,
}

/// What became of transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolUpdate {
    /// They are in a block now.
    pub mined: Vec<Entry>,
    /// They can never be in a block.
    pub dropped: Vec<Dropped>,
    /// They can be executed now and could not before.
    pub promoted: Vec<Entry>,
    /// They were in a block and wait again.
    pub reinjected: Vec<B256>,
    /// They were in a block, and the pool does not take them.
    pub refused: Vec<(B256, Rejection)>,
    /// They had to go since the pool was full.
    pub evicted: Vec<Entry>,
}

impl Mempool {
    /// The newest block changed: removes what was mined, takes accounts as they are now, adds
    /// again what left the chain.
    ///
    /// # Errors
    /// When an account can not be read; the pool is then as before.
    pub fn on_new_head<A: SenderAccounts>(&mut self, new: NewHead<'_>, accounts: &A) -> Result<PoolUpdate, A::Error> {
        let NewHead { head, mined, changed, reinjected } = new;
        let concerned: BTreeSet<Address> = (mined.iter().map(|(sender, _)| sender))
            .chain(changed)
            .chain(reinjected.iter().map(|transaction| &transaction.sender))
            // Most accounts that a block changes have nothing in the pool.
            .filter(|address| self.senders.contains_key(*address))
            .copied()
            .collect();
        let mined: Vec<B256> = mined.iter().map(|(_, hash)| *hash).collect();
        let is_other_base_fee = head.base_fee_per_gas != self.head.base_fee_per_gas;
        let is_other_rule = head.rules != self.head.rules || head.gas_limit < self.head.gas_limit;

        for transaction in &reinjected {
            accounts.sender_account(&transaction.sender)?;
        }
        let mut update = self.take_accounts(concerned, &mined, accounts)?;
        if is_other_base_fee {
            self.forget_worth();
        }
        self.head = head;
        if is_other_rule {
            self.check_all(&mut update);
        }
        for transaction in reinjected {
            let hash = *transaction.envelope.tx_hash();
            match self.add(transaction, 0, accounts) {
                Ok(added) => {
                    update.reinjected.push(hash);
                    update.promoted.extend(added.promoted);
                    update.evicted.extend(added.evicted);
                }
                Err(AddError::Rejected(Rejection::AlreadyKnown { .. })) => {}
                Err(AddError::Rejected(rejection)) => update.refused.push((hash, rejection)),
                // Its account was read a moment ago, so this reads the same again.
                Err(AddError::State(error)) => return Err(error),
            }
        }
        Ok(update)
    }

    /// Accounts changed without a block, as development methods do.
    ///
    /// # Errors
    /// When an account can not be read; the pool is then as before.
    pub fn refresh<A: SenderAccounts>(
        &mut self,
        changed: impl IntoIterator<Item = Address>,
        accounts: &A,
    ) -> Result<PoolUpdate, A::Error> {
        self.take_accounts(changed.into_iter().collect(), &[], accounts)
    }

    /// Any account may have changed. Costs one look-up for each sender.
    ///
    /// # Errors
    /// When an account can not be read; the pool is then as before.
    pub fn refresh_all<A: SenderAccounts>(&mut self, accounts: &A) -> Result<PoolUpdate, A::Error> {
        let senders: Vec<Address> = self.senders.keys().copied().collect();
        self.refresh(senders, accounts)
    }

    fn take_accounts<A: SenderAccounts>(
        &mut self,
        concerned: BTreeSet<Address>,
        mined: &[B256],
        accounts: &A,
    ) -> Result<PoolUpdate, A::Error> {
        let mut found = Vec::new();
        for sender in concerned {
            if self.senders.contains_key(&sender) {
                found.push((sender, accounts.sender_account(&sender)?));
            }
        }
        let is_mined: B256Set = mined.iter().copied().collect();
        let mut update = PoolUpdate::default();
        for (sender, account) in found {
            let (passed, promoted) = self.set_account(sender, account);
            for transaction in passed {
                if is_mined.contains(&transaction.hash) {
                    update.mined.push(transaction);
                } else {
                    let reason = DropReason::NonceUsed { nonce: transaction.nonce, expected: account.nonce };
                    update.dropped.push(Dropped { transaction, reason });
                }
            }
            update.promoted.extend(promoted);
            self.drop_if_empty(&sender);
        }
        // A mined transaction's nonce is used up, unless a patch set it back: mined it is.
        update.mined.extend(mined.iter().filter_map(|hash| self.remove(hash)));
        Ok(update)
    }

    /// Drops what the rules do not allow any more.
    fn check_all(&mut self, update: &mut PoolUpdate) {
        let mut invalid = Vec::new();
        for entry in self.senders.values().flat_map(|queue| queue.entries()) {
            if let Err(error) = check_transaction(&entry.transaction, &self.head.rules, self.head.gas_limit) {
                invalid.push((Entry::clone(entry), error));
            }
        }
        for (transaction, error) in invalid {
            self.take(transaction.sender(), transaction.nonce);
            update.dropped.push(Dropped { transaction, reason: DropReason::Invalid(Box::new(error)) });
        }
    }
}
