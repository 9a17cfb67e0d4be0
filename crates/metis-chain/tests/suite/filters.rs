//! Filters, polled by clients that know nothing of the chain but their filter's id.

use alloy_primitives::{Address, B256};
use metis_chain::{
    chain::{Chain, ChainConfig, NewBlock, NewHeads},
    logs::{FilterChanges, FilterError, FilterId, FilterKind, Filters, FiltersConfig, LogFilter, MatchedLog},
    mempool::{Mempool, MempoolConfig},
};
use proptest::prelude::*;

use crate::{
    chain_model::log_filter,
    mempool_model::{Accounts, head, sender, transfer},
    support::{Source, block, genesis},
};

struct Bench {
    chain: Chain,
    pool: Mempool,
    filters: Filters,
    source: Source,
}

impl Bench {
    fn new(seed: u64, config: FiltersConfig) -> Self {
        Self {
            chain: Chain::in_memory(&genesis(), ChainConfig::default()).unwrap(),
            pool: Mempool::new(MempoolConfig::default(), head(10)),
            filters: Filters::new(config),
            source: Source(seed),
        }
    }

    fn block(&mut self) -> NewBlock {
        let latest = self.chain.heads().latest;
        block(&mut self.source, latest.hash, latest.number + 1, 3)
    }

    fn mine(&mut self) -> B256 {
        let block = self.block();
        self.chain.append(block).unwrap().change.added[0].hash
    }

    fn install(&mut self, kind: FilterKind) -> FilterId {
        let id = FilterId(u128::MAX - self.filters.len() as u128);
        self.filters.install(id, kind, &self.chain, &self.pool, 0).unwrap();
        id
    }

    fn poll(&mut self, id: FilterId) -> FilterChanges {
        self.filters.poll(id, &self.chain, &self.pool, 0).unwrap()
    }

    fn blocks(&mut self, id: FilterId) -> Vec<B256> {
        match self.poll(id) {
            FilterChanges::Blocks(hashes) => hashes,
            other => panic!("{other:?}"),
        }
    }

    fn logs(&mut self, id: FilterId) -> Vec<MatchedLog> {
        match self.poll(id) {
            FilterChanges::Logs(logs) => logs,
            other => panic!("{other:?}"),
        }
    }
}

fn all_logs() -> FilterKind {
    FilterKind::Logs { blocks: 0..=u64::MAX, filter: LogFilter::default() }
}

#[test]
fn block_filter__blocks_since_the_last_poll__are_reported_once() {
    let mut bench = Bench::new(1, FiltersConfig::default());
    bench.mine();
    let id = bench.install(FilterKind::Blocks);
    assert_eq!(bench.blocks(id), Vec::<B256>::new());
    let hashes = [bench.mine(), bench.mine()];
    assert_eq!(bench.blocks(id), hashes);
    assert_eq!(bench.blocks(id), Vec::<B256>::new());
}

#[test]
fn block_filter__reorganised__reports_the_blocks_that_came() {
    let mut bench = Bench::new(2, FiltersConfig::default());
    let id = bench.install(FilterKind::Blocks);
    bench.mine();
    bench.blocks(id);
    let first = bench.chain.heads().first;
    let other = block(&mut bench.source, first.hash, 1, 1);
    let hash = bench.chain.append(other).unwrap().change.added[0].hash;
    assert_eq!(bench.blocks(id), [hash]);
    bench.chain.truncate(bench.chain.state_of(&first.hash).unwrap()).unwrap();
    assert_eq!(bench.blocks(id), Vec::<B256>::new());
    let again = bench.mine();
    assert_eq!(bench.blocks(id), [again]);
}

#[test]
fn log_filter__block_leaves_the_chain_and_comes_back__says_removed_then_added() {
    let mut bench = Bench::new(3, FiltersConfig::default());
    let id = bench.install(all_logs());
    let hash = loop {
        let hash = bench.mine();
        if bench.logs(id).len() > 1 {
            break hash;
        }
    };
    let logs = bench.chain.logs_of_block(&hash, &LogFilter::default()).unwrap();
    let parent = bench.chain.find_block(&hash).unwrap().parent_hash;
    bench.chain.set_heads(NewHeads { latest: Some(parent), ..NewHeads::default() }).unwrap();
    let mut removed: Vec<_> = logs.iter().cloned().map(|log| MatchedLog { is_removed: true, ..log }).collect();
    removed.reverse();
    assert_eq!(bench.logs(id), removed);
    bench.chain.set_heads(NewHeads { latest: Some(hash), ..NewHeads::default() }).unwrap();
    assert_eq!(bench.logs(id), logs);
    assert_eq!(bench.logs(id), []);
}

#[test]
fn log_filter__many_logs__come_in_pieces_without_loss() {
    let mut bench = Bench::new(4, FiltersConfig { poll_items_max: 3, ..FiltersConfig::default() });
    let id = bench.install(all_logs());
    let blocks = bench.install(FilterKind::Blocks);
    let hashes: Vec<B256> = (0..30).map(|_| bench.mine()).collect();
    let expected: Vec<_> =
        hashes.iter().flat_map(|hash| bench.chain.logs_of_block(hash, &LogFilter::default()).unwrap()).collect();
    assert!(expected.len() > 10);
    let (mut found, mut found_blocks) = (vec![], vec![]);
    for _ in 0..40 {
        found.extend(bench.logs(id));
        let some = bench.blocks(blocks);
        assert!(some.len() <= 3);
        found_blocks.extend(some);
    }
    assert_eq!((found, found_blocks), (expected, hashes));
}

#[test]
fn pending_filter__transactions_that_become_ready__are_reported_once() {
    let mut bench = Bench::new(5, FiltersConfig::default());
    let mut accounts = Accounts::default();
    let account =
        metis_chain::mempool::SenderAccount { balance: alloy_primitives::U256::from(u64::MAX), ..Default::default() };
    accounts.0.insert(sender(0), account);
    let add = |bench: &mut Bench, nonce| {
        bench.pool.add(transfer(sender(0), nonce, 20, 1, 0), 0, &accounts).unwrap().transaction.hash
    };
    add(&mut bench, 0);
    let id = bench.install(FilterKind::PendingTransactions);
    let waiting = add(&mut bench, 2);
    assert_eq!(bench.poll(id), FilterChanges::PendingTransactions(vec![]));
    let first = add(&mut bench, 1);
    assert_eq!(bench.poll(id), FilterChanges::PendingTransactions(vec![first, waiting]));
    assert_eq!(bench.poll(id), FilterChanges::PendingTransactions(vec![]));
}

#[test]
fn filters__not_polled_for_too_long__expire_by_the_callers_clock() {
    let mut bench = Bench::new(6, FiltersConfig { idle_ms_max: 100, count_max: 2, ..FiltersConfig::default() });
    let (one, other) = (bench.install(FilterKind::Blocks), bench.install(all_logs()));
    assert!(matches!(
        bench.filters.install(FilterId(3), FilterKind::Blocks, &bench.chain, &bench.pool, 50),
        Err(FilterError::TooMany { max: 2 })
    ));
    bench.filters.poll(one, &bench.chain, &bench.pool, 100).unwrap();
    assert_eq!(bench.filters.expire(150), 1);
    assert!(matches!(
        bench.filters.poll(other, &bench.chain, &bench.pool, 150),
        Err(FilterError::Unknown { id }) if id == other
    ));
    assert!(matches!(bench.filters.log_query(one, 150), Err(FilterError::NotOfLogs { .. })));
    assert!(bench.filters.uninstall(one) && !bench.filters.uninstall(one));
    assert!(bench.filters.is_empty());
    let third = FilterId(3);
    bench.filters.install(third, all_logs(), &bench.chain, &bench.pool, 200).unwrap();
    assert!(matches!(
        bench.filters.install(third, FilterKind::Blocks, &bench.chain, &bench.pool, 200),
        Err(FilterError::Taken { id }) if id == third
    ));
    assert!(third != one && third != other, "ids are not used again");
    assert_eq!(bench.filters.log_query(third, 200).unwrap().blocks, 0..=u64::MAX);
}

/// Logs of the chain that match, by the plain way.
fn matching(chain: &Chain, filter: &LogFilter, numbers: &std::ops::RangeInclusive<u64>) -> Vec<MatchedLog> {
    let blocks = (0..=chain.heads().latest.number).filter(|number| numbers.contains(number));
    blocks.flat_map(|number| chain.logs_of_block(&chain.block_at(number).unwrap().hash, filter).unwrap()).collect()
}

proptest! {
    #![proptest_config(crate::support::cases(96))]

    /// A client that applies what it is told has at any time the logs that a query gives.
    #[test]
    fn log_filter__any_reorganisations__keeps_a_client_up_to_date(
        seed in any::<u64>(),
        begin in 0..4u64,
        end in 2..12u64,
        steps in prop::collection::vec((0..5u8, any::<u64>()), 1..30),
    ) {
        let mut bench = Bench::new(seed, FiltersConfig { poll_items_max: 5, ..FiltersConfig::default() });
        let filter = log_filter(&mut bench.source);
        let numbers = begin..=end;
        let id = bench.install(FilterKind::Logs { blocks: numbers.clone(), filter: filter.clone() });
        let mut known: Vec<MatchedLog> = vec![];
        let mut blocks = vec![bench.chain.heads().first.hash];
        for (step, choice) in steps {
            let some = blocks[(choice % blocks.len() as u64) as usize];
            match step {
                0 | 1 => blocks.push(bench.mine()),
                2 => {
                    let parent = bench.chain.find_block(&some).unwrap();
                    let side = block(&mut bench.source, some, parent.number + 1, 2);
                    blocks.push(side.block.header.hash_slow());
                    bench.chain.append(side).unwrap();
                }
                3 => {
                    bench.chain.set_heads(NewHeads { latest: Some(some), ..NewHeads::default() }).unwrap();
                }
                _ => {
                    let mut settled = false;
                    while !settled {
                        let logs = bench.logs(id);
                        settled = logs.is_empty();
                        for log in logs {
                            if log.is_removed {
                                let was = MatchedLog { is_removed: false, ..log };
                                prop_assert_eq!(known.pop(), Some(was), "newest first");
                            } else {
                                known.push(log);
                            }
                        }
                    }
                    prop_assert_eq!(&known, &matching(&bench.chain, &filter, &numbers));
                }
            }
        }
    }
}

#[test]
fn log_filter__address_and_topics__match_as_go_ethereum_does() {
    use alloy_primitives::{Bytes, Log};
    let (one, two) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let log = Log::new_unchecked(Address::repeat_byte(9), vec![one, two], Bytes::new());
    let matches = |topics: Vec<Vec<B256>>| LogFilter { addresses: vec![], topics }.matches(&log);
    assert!(matches(vec![]) && matches(vec![vec![], vec![two]]) && matches(vec![vec![two, one]]));
    assert!(!matches(vec![vec![two]]) && !matches(vec![vec![], vec![], vec![]]));
    let of = |address| LogFilter { addresses: vec![address], topics: vec![] }.matches(&log);
    assert!(of(Address::repeat_byte(9)) && !of(Address::ZERO));
}
