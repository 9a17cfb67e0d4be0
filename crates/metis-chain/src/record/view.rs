//! A block record of which only what is asked for is decoded.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, keccak256};
use metis_state_transition::{Block, ChangeSet, ReceiptDetails, decode_block, decode_header};

use super::{BlockRecord, RecordError, StateId, changes, receipt, wire::Items};

/// The parts of a block record, as bytes. Making one costs nothing; each method decodes one part.
#[derive(Clone, Copy, Debug)]
pub struct BlockView<'a> {
    /// The state it was executed on.
    pub parent_state: StateId,
    /// It becomes the newest block of the canonical chain.
    pub is_latest: bool,
    /// Hash of its header.
    pub hash: B256,
    /// State root after it.
    pub state_root: B256,
    /// RLP of the block.
    pub block: &'a [u8],
    senders: &'a [u8],
    receipts: Items<'a>,
    changes: Items<'a>,
}

impl<'a> BlockView<'a> {
    /// The parts of a payload.
    ///
    /// # Errors
    /// [`RecordError`], when it does not consist of a block record's parts.
    pub fn new(payload: &'a [u8]) -> Result<Self, RecordError> {
        let mut items = Items::of(payload)?;
        let view = Self {
            parent_state: StateId(items.value()?),
            is_latest: items.value()?,
            hash: B256::from(items.fixed()?),
            state_root: B256::from(items.fixed()?),
            block: items.raw()?,
            senders: items.bytes()?,
            receipts: items.list()?,
            changes: items.list()?,
        };
        items.end()?;
        Ok(view)
    }

    /// The whole record.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn record(&self) -> Result<BlockRecord, RecordError> {
        let (block, senders, receipts) = self.block_and_receipts()?;
        Ok(BlockRecord {
            parent_state: self.parent_state,
            is_latest: self.is_latest,
            hash: self.hash,
            block,
            senders,
            receipts,
            changes: self.changes()?,
        })
    }

    /// Everything but the changes.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn block_and_receipts(&self) -> Result<(Block, Vec<Address>, Vec<ReceiptDetails>), RecordError> {
        let block = decode_block(self.block)?;
        if block.header.state_root != self.state_root {
            return Err(RecordError::StateRoot);
        }
        let (chunks, rest) = self.senders.as_chunks::<20>();
        let receipts = receipt::read_receipts(self.receipts)?;
        let transactions = block.body.transactions.len();
        if chunks.len() != transactions || !rest.is_empty() || receipts.len() != transactions {
            return Err(RecordError::Counts { transactions, senders: chunks.len(), receipts: receipts.len() });
        }
        Ok((block, chunks.iter().map(Address::from).collect(), receipts))
    }

    /// What the block changed.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn changes(&self) -> Result<ChangeSet, RecordError> {
        changes::read_changes(self.changes)
    }

    /// What its transactions did.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn receipts(&self) -> Result<Vec<ReceiptDetails>, RecordError> {
        receipt::read_receipts(self.receipts)
    }

    /// RLP of the header.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn raw_header(&self) -> Result<&'a [u8], RecordError> {
        Items::of(self.block)?.raw()
    }

    /// The header.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn header(&self) -> Result<Header, RecordError> {
        Ok(decode_header(self.raw_header()?)?)
    }

    /// Hashes of the transactions, in order.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn transaction_hashes(&self) -> Result<Vec<B256>, RecordError> {
        let mut hashes = Vec::new();
        self.visit_transactions(|_, encoded| hashes.push(keccak256(encoded)))?;
        Ok(hashes)
    }

    /// Shows every transaction in order: position and EIP-2718 encoding, which is what is hashed.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn visit_transactions(&self, mut visit: impl FnMut(usize, &[u8])) -> Result<(), RecordError> {
        let mut parts = Items::of(self.block)?;
        parts.raw()?;
        let mut transactions = parts.list()?;
        let mut position = 0;
        while !transactions.is_empty() {
            let raw = transactions.raw()?;
            // A typed transaction stands in a byte string, which is not part of its encoding.
            let is_list = raw.first().is_some_and(|first| *first >= alloy_rlp::EMPTY_LIST_CODE);
            visit(position, if is_list { raw } else { Items::bytes_of(raw)? });
            position += 1;
        }
        Ok(())
    }

    /// Shows every log in order, without decoding receipts: position of its transaction, address,
    /// topics, data.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn visit_logs(&self, mut visit: impl FnMut(usize, Address, &[B256], &[u8])) -> Result<(), RecordError> {
        receipt::visit_logs(self.receipts, &mut visit)
    }
}
