//! The mempool in step with the chain: intake, building from it, its views.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_eips::{
    eip2718::Encodable2718,
    eip7594::{BlobTransactionSidecarVariant, Encodable7594},
};
use alloy_primitives::{Address, B256};
use metis_chain::{
    chain::{Chain, HeadChange},
    mempool::{AddError, Mempool, NewHead, Order, PoolHead, PoolTransaction, Rejection, SenderContent},
};
use metis_executor::decode_and_recover_batch;
use metis_state_transition::{
    BlockAttributes, ChainSpec, DecodeError, RecoveredTransaction, SkippedTransaction, StateView, TransactionError,
    check_transaction,
};
use serde_json::{Map, Value, json};

use crate::{
    BlockId, BuiltReport, Node, NodeError, SidecarError, StateError,
    sidecars::{KEPT_BLOCK_COUNT, check_sidecar, decode_submitted},
    views,
};

/// Why a transaction was not taken into the pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The bytes are not a transaction.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The pool does not take it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The blobs of a blob transaction are not there, or not those that it names.
    #[error(transparent)]
    Sidecar(#[from] SidecarError),
    /// Its sender's account could not be read: of a fork, it must be supplied first.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Accounts that changed with the head.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Changed<'a> {
    /// No others than these.
    These(&'a [Address]),
    /// Any: states between two branches may have been patched, too.
    Any,
}

type Entry = Arc<PoolTransaction>;
type Dropped = Vec<(B256, TransactionError)>;

/// What the next block will ask of transactions, as far as the head tells.
pub(crate) fn pool_head(spec: &ChainSpec, chain: &Chain, base_fee: Option<u64>) -> Result<PoolHead, NodeError> {
    let head = chain.heads().latest;
    let header = chain.header(&head.hash)?.ok_or(NodeError::UnknownBlock)?;
    let timestamp = header.timestamp + 1;
    let rules = spec.rules_at(header.number + 1, timestamp);
    let blob = rules.blob.zip(spec.next_excess_blob_gas(&header, timestamp));
    Ok(PoolHead {
        gas_limit: header.gas_limit,
        base_fee_per_gas: spec.next_base_fee(&header, timestamp).map_or(0, |next| base_fee.unwrap_or(next)),
        blob_base_fee_per_gas: blob.map_or(0, |(params, excess)| params.calc_blob_fee(excess)),
        rules,
    })
}

impl Node {
    /// What the next block will ask of transactions.
    pub(crate) fn pool_head(&self) -> Result<PoolHead, NodeError> {
        let base_fee = self.control.lock().next_base_fee;
        pool_head(&self.spec(), &self.chain, base_fee)
    }

    /// Takes a signed transaction into the pool.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn submit(&self, raw: &[u8]) -> Result<B256, SubmitError> {
        let (transaction, sidecar) = decode_submitted(raw)?;
        let Some(sidecar) = sidecar else { return self.submit_recovered(transaction) };
        let (fork, checked) = {
            let pool = self.pool.lock();
            let head = pool.head();
            (head.rules.fork, check_transaction(&transaction, &head.rules, head.gas_limit))
        };
        // Proofs are dear to check: only those of transactions that may be right.
        checked.map_err(Rejection::from)?;
        check_sidecar(&sidecar, transaction.envelope.blob_versioned_hashes().unwrap_or_default(), fork)?;
        self.enter(transaction, Some(sidecar))
    }

    /// Takes many; senders are recovered on all cores.
    pub fn submit_many(&self, raw: &[&[u8]]) -> Vec<Result<B256, SubmitError>> {
        let recovered = decode_and_recover_batch(raw, 0);
        recovered
            .into_iter()
            .zip(raw)
            .map(|(result, bytes)| match result {
                Ok(transaction) => self.submit_recovered(transaction),
                // It may be a blob transaction with its sidecar.
                Err(_) if bytes.first() == Some(&3) => self.submit(bytes),
                Err(error) => Err(error.into()),
            })
            .collect()
    }

    /// Takes a transaction whose sender is known.
    ///
    /// # Errors
    /// [`SubmitError::Rejected`], or [`SidecarError::Missing`] for a blob transaction.
    pub fn submit_recovered(&self, transaction: RecoveredTransaction) -> Result<B256, SubmitError> {
        if transaction.envelope.is_eip4844() {
            return Err(SidecarError::Missing.into());
        }
        self.enter(transaction, None)
    }

    fn enter(
        &self,
        transaction: RecoveredTransaction,
        sidecar: Option<BlobTransactionSidecarVariant>,
    ) -> Result<B256, SubmitError> {
        let hash = *transaction.envelope.tx_hash();
        if self.chain.find_transaction(&hash).is_some() {
            return Err(Rejection::AlreadyKnown { hash }.into());
        }
        let mut pool = self.pool.lock();
        let (_, snapshot) = self.latest();
        let sidecar_bytes = sidecar.as_ref().map_or(0, Encodable7594::encode_7594_len);
        match pool.add(transaction, sidecar_bytes, &snapshot) {
            Ok(_) => {
                if let Some(sidecar) = sidecar {
                    self.sidecars.lock().insert(hash, sidecar);
                    self.forget_sidecars(&pool);
                }
                Ok(hash)
            }
            Err(AddError::Rejected(rejection)) => Err(rejection.into()),
            Err(AddError::State(missing)) => Err(missing.into()),
        }
    }

    /// Drops the sidecars of transactions that neither wait nor were mined lately.
    fn forget_sidecars(&self, pool: &Mempool) {
        let first_kept = self.chain.heads().latest.number.saturating_sub(KEPT_BLOCK_COUNT);
        self.sidecars.lock().retain(|hash| {
            let is_recent = || self.chain.find_transaction(hash).is_some_and(|place| place.block.number >= first_kept);
            pool.get(hash).is_some() || is_recent()
        });
    }

    /// Builds the next block from the pool and makes it the newest. Where it would be empty and
    /// `allows_empty` is not set, nothing is built.
    ///
    /// Transactions that turn out not to be includable leave the pool; they are returned with the
    /// reason.
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn build(
        &self,
        attributes: BlockAttributes,
        transaction_count_max: Option<usize>,
        in_order_of_arrival: bool,
        allows_empty: bool,
    ) -> Result<(Option<BuiltReport>, Dropped), NodeError> {
        let entries = self.candidates(&attributes, transaction_count_max, in_order_of_arrival)?;
        if entries.is_empty() && !allows_empty {
            return Ok((None, Vec::new()));
        }
        let candidates: Vec<&RecoveredTransaction> = entries.iter().map(|entry| &entry.transaction).collect();
        let _writer = self.writing()?;
        let draft = self.draft(attributes, &candidates)?;
        let dropped = self.drop_skipped(&draft.built.skipped, &candidates);
        if draft.built.included.is_empty() && !allows_empty {
            return Ok((None, dropped));
        }
        Ok((Some(self.adopt(draft, &candidates)?), dropped))
    }

    /// Takes those out of the pool that no block can include.
    fn drop_skipped(&self, skipped: &[SkippedTransaction], candidates: &[&RecoveredTransaction]) -> Dropped {
        let mut dropped = Vec::new();
        let mut pool = self.pool.lock();
        for skipped in skipped {
            // What only did not fit this block stays for the next.
            let waits = matches!(
                *skipped.error,
                TransactionError::GasLimitAboveBlock { .. }
                    | TransactionError::TooManyBlobs { .. }
                    | TransactionError::BlockSizeLimit { .. }
                    | TransactionError::TooManyMacs { .. }
                    | TransactionError::NonceTooHigh { .. }
            );
            let hash = candidates[skipped.index].envelope.tx_hash();
            if !waits && pool.remove(hash).is_some() {
                dropped.push((*hash, (*skipped.error).clone()));
            }
        }
        dropped
    }

    /// Ready transactions, best first, as many as may fit.
    pub(crate) fn candidates(
        &self,
        attributes: &BlockAttributes,
        count_max: Option<usize>,
        in_order_of_arrival: bool,
    ) -> Result<Vec<Entry>, NodeError> {
        let head = self.pool_head()?;
        let order = if in_order_of_arrival { Order::Arrival } else { Order::Price };
        let pool = self.pool.lock();
        let mut best = pool.best(order, head.base_fee_per_gas, head.blob_base_fee_per_gas);
        let mut candidates = Vec::new();
        let mut gas_left = attributes.gas_limit;
        // BOUND: each takes at least 21,000 gas off what is left; those that do not fit are skipped
        // with their sender.
        while candidates.len() < count_max.unwrap_or(usize::MAX)
            && gas_left >= 21_000
            && let Some(entry) = best.next()
        {
            let gas_limit = entry.transaction.envelope.gas_limit();
            if gas_limit > attributes.gas_limit {
                best.skip_sender();
                continue;
            }
            // Limits are mostly above what is used: candidates are taken by what must be used.
            gas_left -= gas_left.min(21_000);
            candidates.push(entry);
        }
        Ok(candidates)
    }

    /// Removes what was mined, adds again what left the chain, takes the accounts that changed as
    /// they are now.
    pub(crate) fn pool_follows(&self, change: &HeadChange, changed: Changed<'_>) -> Result<(), NodeError> {
        let mut mined = Vec::new();
        for block in &change.added {
            if let Some(stored) = self.stored(BlockId::Hash(block.hash))? {
                self.totals.add(&stored);
                mined.extend(stored.senders.iter().copied().zip(stored.transaction_hashes.iter().copied()));
            }
        }
        let mut reinjected = Vec::new();
        for block in change.removed.iter().rev() {
            let Some(stored) = self.stored(BlockId::Hash(block.hash))? else { continue };
            for (envelope, sender) in stored.block.body.transactions.iter().zip(&stored.senders) {
                if self.chain.find_transaction(envelope.tx_hash()).is_none() {
                    reinjected.push(RecoveredTransaction { envelope: envelope.clone(), sender: *sender });
                }
            }
        }
        let head = self.pool_head()?;
        let mut pool = self.pool.lock();
        let (_, snapshot) = self.latest();
        let addresses = match changed {
            Changed::These(addresses) => addresses,
            Changed::Any => &[],
        };
        pool.on_new_head(NewHead { head, mined: &mined, changed: addresses, reinjected }, &snapshot)?;
        if matches!(changed, Changed::Any) {
            pool.refresh_all(&snapshot)?;
        }
        self.forget_sidecars(&pool);
        Ok(())
    }

    /// Takes accounts as they are after a development patch.
    pub(crate) fn pool_refreshes(&self) -> Result<(), NodeError> {
        let mut pool = self.pool.lock();
        let (_, snapshot) = self.latest();
        pool.refresh_all(&snapshot)?;
        Ok(())
    }

    /// Takes a transaction out of the pool.
    pub fn drop_transaction(&self, hash: &B256) -> bool {
        self.pool.lock().remove(hash).is_some()
    }

    /// Empties the pool; returns how many there were.
    pub fn drop_all(&self) -> usize {
        let mut pool = self.pool.lock();
        let count = pool.len();
        pool.clear();
        count
    }

    /// Executable now, and behind a gap.
    pub fn pool_status(&self) -> (usize, usize) {
        let status = self.pool.lock().status();
        (status.ready_count, status.queued_count)
    }

    /// Gas limits of all executable transactions together; `None` where there are more than `count_max`.
    pub fn ready_gas(&self, count_max: usize) -> Option<u64> {
        self.pool.lock().ready_gas(count_max)
    }

    /// The nonce a sender's next transaction should have.
    ///
    /// # Errors
    /// [`NodeError::Store`].
    pub fn pending_nonce(&self, address: Address) -> Result<u64, NodeError> {
        let pool = self.pool.lock();
        let (_, snapshot) = self.latest();
        let account = snapshot.account(&address)?.unwrap_or_default();
        Ok(pool.next_nonce(&address).unwrap_or(account.nonce))
    }

    /// Hashes of all executable transactions, by sender and nonce.
    pub fn pending_hashes(&self) -> Vec<B256> {
        self.pool.lock().content().iter().flat_map(|content| &content.ready).map(|entry| entry.hash).collect()
    }

    /// A transaction as JSON, mined or waiting.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn transaction_json(&self, hash: &B256) -> Result<Option<Vec<u8>>, NodeError> {
        if let Some(mined) = self.mined_transaction_json(hash)? {
            return Ok(Some(mined));
        }
        let pool = self.pool.lock();
        let waiting = pool.get(hash).map(|entry| &entry.transaction);
        Ok(waiting.map(|waiting| views::encode(&views::waiting_transaction(&waiting.envelope, waiting.sender))))
    }

    /// A sender's transaction with a nonce as JSON, mined or waiting. Looks through the chain from its
    /// end, at blocks with transactions.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn transaction_of_sender_json(&self, sender: &Address, nonce: u64) -> Result<Option<Vec<u8>>, NodeError> {
        let waiting = self.pool.lock().by_nonce(sender, nonce).map(|entry| entry.hash);
        if let Some(hash) = waiting {
            return self.transaction_json(&hash);
        }
        let heads = self.chain.heads();
        for number in (heads.first.number..=heads.latest.number).rev() {
            let Some(block) = self.chain.block_at(number) else { continue };
            if self.chain.transaction_count(&block.hash) == Some(0) {
                continue;
            }
            let Some(stored) = self.chain.block(&block.hash)? else { continue };
            let transactions = stored.block.body.transactions.iter().zip(&stored.senders);
            let found = transactions.into_iter().position(|(envelope, by)| by == sender && envelope.nonce() == nonce);
            if let Some(index) = found {
                return self.transaction_at_json(BlockId::Hash(block.hash), index);
            }
        }
        Ok(None)
    }

    /// Encoding of a transaction (EIP-2718), mined or waiting.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn raw_transaction(&self, hash: &B256) -> Result<Option<Vec<u8>>, NodeError> {
        if let Some(place) = self.chain.find_transaction(hash)
            && let Some(stored) = self.chain.block(&place.block.hash)?
        {
            return Ok(Some(stored.block.body.transactions[place.index].encoded_2718()));
        }
        Ok(self.pool.lock().get(hash).map(|entry| entry.transaction.envelope.encoded_2718()))
    }

    /// `txpool_content`, or `txpool_contentFrom` for one sender.
    pub fn pool_content_json(&self, sender: Option<Address>) -> Vec<u8> {
        let whole = |entry: &Entry| {
            let transaction = &entry.transaction;
            views::waiting_transaction(&transaction.envelope, transaction.sender)
        };
        self.pool_view(sender, whole)
    }

    /// `txpool_inspect`.
    pub fn pool_inspect_json(&self) -> Vec<u8> {
        let line = |entry: &Entry| {
            let envelope = &entry.transaction.envelope;
            let to = envelope.to().map_or_else(|| "contract creation".into(), |to| to.to_string());
            let (value, gas, price) = (envelope.value(), envelope.gas_limit(), envelope.max_fee_per_gas());
            Value::String(format!("{to}: {value} wei + {gas} gas × {price} wei"))
        };
        self.pool_view(None, line)
    }

    fn pool_view(&self, sender: Option<Address>, show: impl Fn(&Entry) -> Value) -> Vec<u8> {
        let content = {
            let pool = self.pool.lock();
            match sender {
                Some(sender) => pool.content_from(&sender).into_iter().collect(),
                None => pool.content(),
            }
        };
        let by_nonce = |entries: &[Entry]| -> Map<String, Value> {
            entries.iter().map(|entry| (entry.nonce.to_string(), show(entry))).collect()
        };
        if sender.is_some() {
            let one = content.first();
            let part = |pick: fn(&SenderContent) -> &Vec<Entry>| one.map(|of| by_nonce(pick(of))).unwrap_or_default();
            return views::encode(&json!({ "pending": part(|of| &of.ready), "queued": part(|of| &of.queued) }));
        }
        let part = |pick: fn(&SenderContent) -> &Vec<Entry>| -> Map<String, Value> {
            let named = content.iter().filter(|of| !pick(of).is_empty());
            named.map(|of| (of.sender.to_string(), Value::Object(by_nonce(pick(of))))).collect()
        };
        views::encode(&json!({ "pending": part(|of| &of.ready), "queued": part(|of| &of.queued) }))
    }
}
