//! Blocks for a consensus driver: built on the newest block, but no part of the chain.

use alloy_primitives::{B256, Bytes, U256};
use metis_state_transition::{Block, BlockAttributes, RecoveredTransaction};

use crate::{Node, NodeError, sidecars::BlobWithProofs};

/// A block that was built and not kept.
#[derive(Debug)]
pub struct Proposal {
    /// The block.
    pub block: Block,
    /// Tips that it pays to its fee recipient, in wei.
    pub tips: U256,
    /// Requests to the consensus layer, from Prague on (EIP-7685).
    pub requests: Option<Vec<Bytes>>,
    /// Blobs of its transactions, in order, as far as their sidecars are here.
    pub blobs: Vec<BlobWithProofs>,
}

impl Node {
    /// Builds the next block, of the pool's best or of given transactions, without keeping it.
    ///
    /// # Errors
    /// [`NodeError`], when the attributes break a rule.
    pub fn propose(
        &self,
        attributes: BlockAttributes,
        transactions: Option<Vec<&RecoveredTransaction>>,
    ) -> Result<Proposal, NodeError> {
        let mut entries = Vec::new();
        let candidates: Vec<&RecoveredTransaction> = match transactions {
            Some(transactions) => transactions,
            None => {
                entries.extend(self.candidates(&attributes, None, false)?);
                let sidecars = self.sidecars.lock();
                // Nobody could check a block whose blobs are not to be had.
                let is_checkable = |candidate: &&RecoveredTransaction| {
                    !candidate.envelope.is_eip4844() || sidecars.has(candidate.envelope.tx_hash())
                };
                entries.iter().map(|entry| &entry.transaction).filter(is_checkable).collect()
            }
        };
        let draft = {
            let _writer = self.writing()?;
            self.draft(attributes, &candidates)?
        };
        let built = draft.built;
        let base_fee = u128::from(built.block.header.base_fee_per_gas.unwrap_or(0));
        let tip = |receipt: &metis_state_transition::ReceiptDetails| {
            U256::from(receipt.effective_gas_price - base_fee) * U256::from(receipt.gas_used)
        };
        let tips = built.outcome.receipts.iter().map(tip).sum();
        let sidecars = self.sidecars.lock();
        let hashes = built.block.body.transactions.iter().map(|envelope| envelope.tx_hash());
        let blobs = hashes.flat_map(|hash| sidecars.of_transaction(hash)).collect();
        Ok(Proposal { block: built.block, tips, requests: built.outcome.requests, blobs })
    }

    /// Blobs by their versioned hashes, as far as their sidecars are here.
    pub fn blobs(&self, versioned_hashes: &[B256]) -> Vec<Option<BlobWithProofs>> {
        let sidecars = self.sidecars.lock();
        versioned_hashes.iter().map(|hash| sidecars.by_versioned_hash(hash)).collect()
    }
}
