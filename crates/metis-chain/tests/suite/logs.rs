//! Queries for logs: limits, streaming, and blocks that are no longer in memory.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, Log};
use metis_chain::{
    chain::{Chain, ChainConfig, ChainError, NewBlock},
    logs::{LogFilter, LogLimits, LogQuery},
};

use crate::support::{Source, block, genesis, receipt, transaction};

/// A chain whose every third block has two logs of one address, the others none.
fn chain(config: ChainConfig) -> Chain {
    let chain = Chain::in_memory(&genesis(), config).unwrap();
    let mut source = Source::new(9);
    for number in 1..=30u64 {
        let mut new: NewBlock = block(&mut source, chain.heads().latest.hash, number, 0);
        if number % 3 == 0 {
            let envelope = transaction(&mut source);
            let mut details = receipt(&mut source, envelope.tx_type(), 0);
            let address = Address::repeat_byte((number % 2) as u8 + 1);
            details.receipt.logs = vec![Log::new_unchecked(address, vec![B256::repeat_byte(3)], Bytes::new()); 2];
            details.bloom = alloy_primitives::logs_bloom(&details.receipt.logs);
            (new.senders, new.receipts) = (vec![Address::ZERO], vec![details]);
            Arc::make_mut(&mut new.block).body.transactions = vec![envelope];
        }
        chain.append(new).unwrap();
    }
    chain
}

fn query(filter: LogFilter) -> LogQuery {
    LogQuery { blocks: 0..=u64::MAX, filter }
}

#[test]
fn logs__too_many_blocks_or_logs__say_where_the_limit_was_passed() {
    let chain = chain(ChainConfig::default());
    let limits = |logs_max, blocks_max| chain.logs(query(LogFilter::default()), LogLimits { logs_max, blocks_max });
    assert_eq!(limits(20, 10).unwrap().len(), 20);
    assert!(matches!(limits(20, 9), Err(ChainError::TooManyBlocks { limit: 9, next_block: 30 })));
    assert!(matches!(limits(19, 10), Err(ChainError::TooManyLogs { limit: 19, next_block: 30 })));
    assert!(matches!(limits(3, 10), Err(ChainError::TooManyLogs { limit: 3, next_block: 6 })));
}

#[test]
fn scan_logs__address_of_half_the_blocks__reads_only_those() {
    let chain = chain(ChainConfig { hot_bytes_max: 0, ..ChainConfig::default() });
    let filter = LogFilter { addresses: vec![Address::repeat_byte(1)], topics: vec![vec![B256::repeat_byte(3)]] };
    let scan = chain.scan_logs(query(filter));
    assert_eq!(scan.remaining_block_count(), 5);
    let found: Vec<_> = scan.map(|step| step.unwrap()).collect();
    assert!(found.iter().all(|(block, logs)| block.number % 6 == 0 && logs.len() == 2));
    let none = LogFilter { addresses: vec![Address::repeat_byte(7)], ..LogFilter::default() };
    assert_eq!(chain.scan_logs(query(none)).remaining_block_count(), 0);
}

#[test]
fn scan_logs__chain_reorganised_meanwhile__answers_for_what_it_was() {
    let chain = chain(ChainConfig::default());
    let expected = chain.logs(query(LogFilter::default()), LogLimits::default()).unwrap();
    let mut scan = chain.scan_logs(query(LogFilter::default()));
    let mut found = scan.next().unwrap().unwrap().1;
    let first = chain.heads().first;
    chain.append(block(&mut Source::new(1), first.hash, 1, 0)).unwrap();
    found.extend(scan.flat_map(|step| step.unwrap().1));
    assert_eq!(found, expected);
    assert_eq!(chain.logs(query(LogFilter::default()), LogLimits::default()).unwrap(), []);
}

#[test]
fn logs__range_outside_or_upside_down__is_empty() {
    let chain = chain(ChainConfig::default());
    #[allow(clippy::reversed_empty_ranges)]
    for blocks in [31..=40, 20..=10, u64::MAX..=u64::MAX] {
        let found = chain.logs(LogQuery { blocks, filter: LogFilter::default() }, LogLimits::default());
        assert_eq!(found.unwrap(), []);
    }
    assert!(matches!(
        chain.logs_of_block(&B256::repeat_byte(4), &LogFilter::default()),
        Err(ChainError::UnknownBlock { .. })
    ));
}
