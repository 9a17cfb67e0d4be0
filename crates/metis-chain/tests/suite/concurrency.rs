//! Readers while the chain grows and is reorganised.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use metis_chain::{
    chain::{Chain, ChainConfig},
    logs::{LogFilter, LogLimits, LogQuery},
    mempool::Mempool,
};
use metis_disk::SimulatedDisk;

use crate::support::{Source, block, genesis};

const fn is_send_and_sync<T: Send + Sync>() {}
const _: () = is_send_and_sync::<Chain>();
const _: () = is_send_and_sync::<Mempool>();

/// What a reader sees is of one instant, and what it looks up then is there.
#[test]
fn chain__read_while_it_is_reorganised__is_always_whole() {
    for chain in [
        Chain::in_memory(&genesis(), ChainConfig::default()).unwrap(),
        Chain::open(Arc::new(SimulatedDisk::new()), &genesis(), ChainConfig { hot_bytes_max: 0, ..Default::default() })
            .unwrap()
            .0,
    ] {
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    // ORDER: nothing is read on the strength of the flag.
                    while !is_done.load(Ordering::Relaxed) {
                        let heads = chain.heads();
                        let ancestors = chain.ancestors(&heads.latest.hash, usize::MAX);
                        assert_eq!(ancestors.len() as u64, heads.latest.number + 1);
                        let stored = chain.block(&heads.latest.hash).unwrap().unwrap();
                        assert_eq!(stored.block.header.number, heads.latest.number);
                        assert_eq!(stored.receipts.len(), stored.transaction_hashes.len());
                        let query = LogQuery { blocks: 0..=u64::MAX, filter: LogFilter::default() };
                        let logs = chain.logs(query, LogLimits::default()).unwrap();
                        assert!(logs.is_sorted_by_key(|log| (log.block.number, log.log_index)));
                        assert_eq!(chain.states(None).unwrap().next().unwrap().unwrap().block, heads.first);
                    }
                });
            }
            let mut source = Source::new(1);
            for round in 0..150 {
                let latest = chain.heads().latest;
                let back = if round % 5 == 4 { source.below(4).min(latest.number) } else { 0 };
                let parent = chain.block_at(latest.number - back).unwrap();
                chain.append(block(&mut source, parent.hash, parent.number + 1, 2)).unwrap();
            }
            is_done.store(true, Ordering::Relaxed);
        });
    }
}
