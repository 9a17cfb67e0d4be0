//! Look-ups: blocks, transactions, receipts, logs, state, fees.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, U256};
use metis_chain::{
    chain::{BlockRef, ChainError, StoredBlock},
    logs::{LogFilter, LogLimits, LogQuery as ChainQuery, MatchedLog},
};
use metis_db::StateSnapshot;
use metis_state_transition::{Ancestors, StateView};

use crate::{Node, NodeError, State, states, views};

/// How many ancestors BLOCKHASH reaches.
const ANCESTOR_COUNT: usize = 256;

/// Names a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockId {
    /// Of the chain, by height.
    Number(u64),
    /// On the chain or beside it, by hash.
    Hash(B256),
}

/// Which logs are asked for.
pub type LogQuery = ChainQuery;

/// What `eth_feeHistory` answers from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeeHistory {
    /// First block.
    pub oldest_block: u64,
    /// Base fee per block and of the one after, in wei.
    pub base_fee_per_gas: Vec<u64>,
    /// Gas used and gas limit per block.
    pub gas: Vec<(u64, u64)>,
    /// Blob base fee per block and of the one after, in wei.
    pub base_fee_per_blob_gas: Vec<u128>,
    /// Blob gas used and the most there may be, per block.
    pub blob_gas: Vec<(u64, u64)>,
    /// Effective tips at the percentiles asked for, weighted by gas, per block.
    pub rewards: Vec<Vec<u128>>,
}

impl Node {
    /// A block, if it is known.
    pub fn find(&self, id: BlockId) -> Option<BlockRef> {
        match id {
            BlockId::Number(number) => self.chain.block_at(number),
            BlockId::Hash(hash) => self.chain.find_block(&hash),
        }
    }

    /// Whether a block is on the chain.
    pub fn is_canonical(&self, hash: &B256) -> bool {
        self.chain.is_canonical(hash)
    }

    /// A block with everything about it.
    ///
    /// # Errors
    /// [`NodeError::Chain`], when its record can not be read.
    pub fn stored(&self, id: BlockId) -> Result<Option<Arc<StoredBlock>>, NodeError> {
        let Some(found) = self.find(id) else { return Ok(None) };
        Ok(self.chain.block(&found.hash)?)
    }

    pub(crate) fn ancestors(&self, hash: &B256) -> Ancestors {
        let of_fork = self.ancestors_of_fork();
        if !of_fork.is_empty() {
            // More of them become known while the node runs.
            return self.chain.ancestors(hash, ANCESTOR_COUNT).into_iter().chain(of_fork).collect();
        }
        let mut recent = self.recent_ancestors.lock();
        if let Some((of, ancestors)) = &*recent
            && of == hash
        {
            return ancestors.clone();
        }
        let ancestors: Ancestors = self.chain.ancestors(hash, ANCESTOR_COUNT).into_iter().collect();
        // A block that is not known yet may come.
        if self.chain.find_block(hash).is_some() {
            *recent = Some((*hash, ancestors.clone()));
        }
        ancestors
    }

    /// The state after a block.
    ///
    /// # Errors
    /// [`NodeError::UnknownBlock`], or state that is no longer kept.
    pub fn snapshot(&self, id: BlockId) -> Result<State, NodeError> {
        let _agreement = self.agreement.read();
        let block = self.find(id).ok_or(NodeError::UnknownBlock)?;
        if self.chain.is_canonical(&block.hash) {
            return Ok(self.store.at(block.number)?);
        }
        let state = self.chain.state_of(&block.hash).ok_or(NodeError::UnknownBlock)?;
        states::beside(&self.store, &self.chain, self.chain.latest_state(), state)
    }

    /// Balance in wei after a block.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub fn balance(&self, address: Address, id: BlockId) -> Result<U256, NodeError> {
        Ok(self.snapshot(id)?.account(&address)?.unwrap_or_default().balance)
    }

    /// Nonce after a block.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub fn nonce(&self, address: Address, id: BlockId) -> Result<u64, NodeError> {
        Ok(self.snapshot(id)?.account(&address)?.unwrap_or_default().nonce)
    }

    /// Code after a block.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub fn code(&self, address: Address, id: BlockId) -> Result<Bytes, NodeError> {
        let snapshot = self.snapshot(id)?;
        let account = snapshot.account(&address)?.unwrap_or_default();
        Ok(snapshot.code(&account.code_hash)?.bytes())
    }

    /// A slot after a block.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub fn storage(&self, address: Address, slot: U256, id: BlockId) -> Result<U256, NodeError> {
        Ok(self.snapshot(id)?.storage(&address, &slot)?)
    }

    /// `eth_getProof`'s answer.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub fn proof_json(&self, address: Address, slots: &[U256], id: BlockId) -> Result<Vec<u8>, NodeError> {
        let snapshot = self.snapshot(id)?;
        crate::fork::check_provable(&snapshot)?;
        Ok(views::proof_json(&snapshot.prove(address, slots)?))
    }

    /// A block as JSON, with whole transactions or their hashes.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn block_json(&self, id: BlockId, is_full: bool) -> Result<Option<Vec<u8>>, NodeError> {
        let Some(stored) = self.stored(id)? else { return Ok(None) };
        Ok(Some(if is_full {
            views::full_block_json(&stored.block, stored.hash, None, &stored.senders)
        } else {
            views::block_json(&stored.block, stored.hash, None)
        }))
    }

    /// A header as `newHeads` sends it.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn header_json(&self, id: BlockId) -> Result<Option<Vec<u8>>, NodeError> {
        Ok(self.stored(id)?.map(|stored| views::header_json(&stored.block, stored.hash)))
    }

    /// A mined transaction as JSON.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn mined_transaction_json(&self, hash: &B256) -> Result<Option<Vec<u8>>, NodeError> {
        let Some(place) = self.chain.find_transaction(hash) else { return Ok(None) };
        self.transaction_at_json(BlockId::Hash(place.block.hash), place.index)
    }

    /// A transaction by its position in a block.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn transaction_at_json(&self, id: BlockId, index: usize) -> Result<Option<Vec<u8>>, NodeError> {
        let Some(stored) = self.stored(id)? else { return Ok(None) };
        let Some(envelope) = stored.block.body.transactions.get(index) else { return Ok(None) };
        Ok(Some(views::transaction_json(envelope, stored.senders[index], position(&stored, index))))
    }

    /// A receipt as JSON.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn receipt_json(&self, hash: &B256) -> Result<Option<Vec<u8>>, NodeError> {
        let Some(place) = self.chain.find_transaction(hash) else { return Ok(None) };
        let Some(stored) = self.chain.block(&place.block.hash)? else { return Ok(None) };
        Ok(Some(views::encode(&self.receipt(&stored, place.index, stored.first_log_index(place.index)))))
    }

    /// All receipts of a block as JSON.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn block_receipts_json(&self, id: BlockId) -> Result<Option<Vec<u8>>, NodeError> {
        let Some(stored) = self.stored(id)? else { return Ok(None) };
        let mut first_log_index = 0;
        let receipts: Vec<_> = (0..stored.receipts.len())
            .map(|index| {
                let receipt = self.receipt(&stored, index, first_log_index);
                first_log_index += stored.receipts[index].receipt.logs.len();
                receipt
            })
            .collect();
        Ok(Some(views::encode(&receipts)))
    }

    fn receipt(&self, stored: &StoredBlock, index: usize, first_log_index: usize) -> views::Receipt {
        let header = &stored.block.header;
        let blob = self.spec().rules_at(header.number, header.timestamp).blob;
        let envelope = &stored.block.body.transactions[index];
        let at = position(stored, index);
        views::receipt(&stored.receipts[index], envelope, stored.senders[index], at, first_log_index, blob)
    }

    /// Committed encodings of a block's receipts.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn raw_receipts(&self, id: BlockId) -> Result<Option<Vec<Vec<u8>>>, NodeError> {
        Ok(self.stored(id)?.map(|stored| views::raw_receipts(&stored.receipts)))
    }

    /// Logs of a range of the chain as JSON.
    ///
    /// # Errors
    /// [`NodeError::Chain`]: more than the limits allow, or a block can not be read.
    pub fn logs_json(&self, query: LogQuery, limits: LogLimits) -> Result<Vec<u8>, NodeError> {
        Ok(views::logs_json(&self.chain.logs(query, limits)?))
    }

    /// Logs of one block as JSON; `None` where it is not known.
    ///
    /// # Errors
    /// [`NodeError::Chain`]: more than `logs_max` match, or the block can not be read.
    pub fn block_logs_json(
        &self,
        hash: &B256,
        filter: &LogFilter,
        logs_max: usize,
    ) -> Result<Option<Vec<u8>>, NodeError> {
        let Some(block) = self.chain.find_block(hash) else { return Ok(None) };
        let logs: Vec<MatchedLog> = self.chain.logs_of_block(hash, filter)?;
        if logs.len() > logs_max {
            return Err(ChainError::TooManyLogs { limit: logs_max, next_block: block.number }.into());
        }
        Ok(Some(views::logs_json(&logs)))
    }

    /// Fees of up to `block_count` blocks that end with `newest`.
    ///
    /// # Errors
    /// [`NodeError::UnknownBlock`], or a block can not be read.
    pub fn fee_history(&self, newest: u64, block_count: u64, percentiles: &[f64]) -> Result<FeeHistory, NodeError> {
        let first = self.chain.heads().first.number;
        let oldest = newest.saturating_sub(block_count.saturating_sub(1)).max(first);
        let mut history = FeeHistory { oldest_block: oldest, ..FeeHistory::default() };
        let spec = self.spec();
        for number in oldest..=newest {
            let stored = self.stored(BlockId::Number(number))?.ok_or(NodeError::UnknownBlock)?;
            let header = &stored.block.header;
            let blob = spec.rules_at(header.number, header.timestamp).blob;
            let blob_fee = blob.zip(header.excess_blob_gas).map_or(0, |(params, excess)| params.calc_blob_fee(excess));
            history.base_fee_per_gas.push(header.base_fee_per_gas.unwrap_or(0));
            history.gas.push((header.gas_used, header.gas_limit));
            history.base_fee_per_blob_gas.push(blob_fee);
            let blob_max = blob.map_or(0, |params| params.max_blob_gas_per_block());
            history.blob_gas.push((header.blob_gas_used.unwrap_or(0), blob_max));
            if !percentiles.is_empty() {
                history.rewards.push(rewards(&stored, percentiles));
            }
            if number == newest {
                let next_timestamp = header.timestamp + 1;
                let base_fee = spec.next_base_fee(header, next_timestamp).unwrap_or(0);
                let is_head = self.chain.heads().latest.number == number;
                let chosen = self.control.lock().next_base_fee.filter(|_| is_head);
                history.base_fee_per_gas.push(chosen.unwrap_or(base_fee));
                let params = spec.rules_at(header.number + 1, next_timestamp).blob;
                let excess = spec.next_excess_blob_gas(header, next_timestamp);
                let next = params.zip(excess).map_or(0, |(params, excess)| params.calc_blob_fee(excess));
                history.base_fee_per_blob_gas.push(next);
            }
        }
        Ok(history)
    }
}

fn position(stored: &StoredBlock, index: usize) -> views::Position<'_> {
    views::Position { header: &stored.block.header, block_hash: stored.hash, index }
}

/// Tips at percentiles of the gas used, as go-ethereum's gas price oracle computes them.
fn rewards(stored: &StoredBlock, percentiles: &[f64]) -> Vec<u128> {
    let base_fee = stored.block.header.base_fee_per_gas.unwrap_or(0);
    let transactions = stored.block.body.transactions.iter().zip(&stored.receipts);
    let mut tips: Vec<(u128, u64)> = transactions
        .map(|(envelope, details)| (envelope.effective_tip_per_gas(base_fee).unwrap_or(0), details.gas_used))
        .collect();
    if tips.is_empty() {
        return vec![0; percentiles.len()];
    }
    tips.sort_by_key(|(tip, _)| *tip);
    let gas_used = stored.block.header.gas_used;
    let mut index = 0;
    let mut sum = tips[0].1;
    percentiles
        .iter()
        .map(|percentile| {
            // An estimate for people, outside consensus: floats may round.
            let threshold = (gas_used as f64 * percentile / 100.0) as u64;
            while sum < threshold && index + 1 < tips.len() {
                index += 1;
                sum += tips[index].1;
            }
            tips[index].0
        })
        .collect()
}
