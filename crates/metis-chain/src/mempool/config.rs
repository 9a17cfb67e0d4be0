//! What the pool allows, and what it must know of the next block.

use metis_state_transition::Rules;

/// When a sender's funds suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Funds {
    /// Its ready transactions can all be paid together (as go-ethereum has it). What is accepted
    /// as ready will then be executable, unless the state changes otherwise.
    Together,
    /// Each can be paid by itself. Those that can not be paid together wait as queued.
    Each,
}

/// Limits and prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MempoolConfig {
    /// Most transactions.
    pub count_max: usize,
    /// Most transactions of one sender.
    pub sender_count_max: usize,
    /// Most bytes of all transactions together.
    pub bytes_max: usize,
    /// Most bytes of one.
    pub transaction_bytes_max: usize,
    /// Most bytes of a blob transaction with its sidecar.
    pub blob_transaction_bytes_max: usize,
    /// A nonce may be at most so far above the sender's next: 0 allows no gap.
    pub nonce_gap_max: u64,
    /// By how much a replacement must raise both fee caps.
    pub price_bump_percent: u8,
    /// By how much the replacement of a blob transaction must raise all three fee caps.
    pub blob_price_bump_percent: u8,
    /// Least fee cap, in wei per gas.
    pub max_fee_min: u128,
    /// Least priority fee cap, in wei per gas.
    pub max_priority_fee_min: u128,
    /// Whether funds must suffice for all of a sender's transactions.
    pub funds: Funds,
    /// So many hashes of transactions that became ready are kept for filters.
    pub announcements_max: usize,
}

impl Default for MempoolConfig {
    fn default() -> Self {
        Self {
            count_max: 32_768,
            sender_count_max: 16_384,
            bytes_max: 64 << 20,
            transaction_bytes_max: 128 << 10,
            blob_transaction_bytes_max: 1 << 20,
            nonce_gap_max: 1024,
            price_bump_percent: 10,
            blob_price_bump_percent: 100,
            max_fee_min: 0,
            max_priority_fee_min: 0,
            funds: Funds::Together,
            announcements_max: 8192,
        }
    }
}

/// What the next block will ask of transactions.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolHead {
    /// Its rules.
    pub rules: Rules,
    /// Its gas limit.
    pub gas_limit: u64,
    /// Its base fee, in wei per gas; 0 before London.
    pub base_fee_per_gas: u64,
    /// Its blob base fee, in wei per blob gas.
    pub blob_base_fee_per_gas: u128,
}
