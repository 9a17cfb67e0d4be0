//! Random work on a chain against a naive one: a list of states with parents, searched from end to
//! end for every question.

use std::{io::ErrorKind, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use metis_chain::{
    block_log::{Durability, LogConfig},
    chain::{BlockRef, Chain, ChainConfig, Genesis, HeadChange, NewBlock, NewHeads},
    logs::{LogFilter, LogLimits, LogQuery},
    record::StateId,
};
use metis_disk::{Fault, SimulatedDisk};
use metis_state_transition::ChangeSet;
use proptest::prelude::*;

use crate::support::{Envelope, Source, block, changes, genesis, transaction};

#[derive(Clone, Debug)]
struct ModelState {
    id: StateId,
    parent: Option<usize>,
    /// Position of the block's own state.
    block: usize,
    content: NewBlock,
    root: B256,
    changes: ChangeSet,
    is_known: bool,
}

#[derive(Clone, Debug)]
struct Model {
    states: Vec<ModelState>,
    latest: usize,
    safe: Option<usize>,
    finalized: Option<usize>,
}

impl Model {
    fn new(genesis: &Genesis) -> Self {
        let content = NewBlock {
            block: genesis.block.clone().into(),
            senders: vec![],
            receipts: vec![],
            changes: genesis.changes.clone().into(),
            parent_state: None,
        };
        let mut model = Self { states: vec![], latest: 0, safe: None, finalized: None };
        model.push(StateId(1), None, content);
        model
    }

    fn push(&mut self, id: StateId, parent: Option<usize>, content: NewBlock) -> usize {
        let (root, changes) = (content.block.header.state_root, (*content.changes).clone());
        let block = self.states.len();
        self.states.push(ModelState { id, parent, block, content, root, changes, is_known: true });
        block
    }

    fn hash(&self, state: usize) -> B256 {
        self.states[state].content.block.header.hash_slow()
    }

    fn block_ref(&self, state: usize) -> BlockRef {
        let header = &self.states[state].content.block.header;
        BlockRef {
            number: header.number,
            hash: self.hash(state),
            parent_hash: header.parent_hash,
            timestamp: header.timestamp,
        }
    }

    /// From the first state to this one.
    fn path(&self, to: usize) -> Vec<usize> {
        let mut path: Vec<usize> = std::iter::successors(Some(to), |state| self.states[*state].parent).collect();
        path.reverse();
        path
    }

    /// Blocks from the first to the one of this state.
    fn blocks(&self, to: usize) -> Vec<usize> {
        self.path(self.states[to].block).into_iter().filter(|state| self.states[*state].block == *state).collect()
    }

    fn known(&self) -> Vec<usize> {
        (0..self.states.len()).filter(|state| self.states[*state].is_known).collect()
    }

    fn known_blocks(&self) -> Vec<usize> {
        self.known().into_iter().filter(|state| self.states[*state].block == *state).collect()
    }

    fn move_to(&mut self, to: usize) -> HeadChange {
        let (before, after) = (self.blocks(self.latest), self.blocks(to));
        let common = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
        let refs = |blocks: &[usize]| blocks.iter().map(|block| self.block_ref(*block)).collect::<Vec<_>>();
        let mut change = HeadChange { removed: refs(&before[common..]), added: refs(&after[common..]) };
        change.removed.reverse();
        let clamp = |head: Option<usize>| {
            head.map(|block| if before[..common].contains(&block) { block } else { before[common - 1] })
        };
        (self.safe, self.finalized) = (clamp(self.safe), clamp(self.finalized));
        self.latest = to;
        change
    }

    fn forget_after(&mut self, state: usize) {
        for later in 0..self.states.len() {
            if later != state && self.path(later).contains(&state) {
                self.states[later].is_known = false;
            }
        }
    }

    fn check(&self, chain: &Chain, source: &mut Source) {
        let heads = chain.heads();
        assert_eq!(heads.latest, self.block_ref(self.latest));
        assert_eq!(heads.latest_state, self.states[self.latest].id);
        assert_eq!(heads.safe, self.safe.map(|block| self.block_ref(block)));
        assert_eq!(heads.finalized, self.finalized.map(|block| self.block_ref(block)));

        let canonical = self.blocks(self.latest);
        assert_eq!(chain.block_at(canonical.len() as u64), None);
        for (number, block) in canonical.iter().enumerate() {
            assert_eq!(chain.block_at(number as u64), Some(self.block_ref(*block)));
        }
        let mut transactions: Vec<(B256, Option<(B256, usize)>)> = vec![];
        for (position, state) in self.states.iter().enumerate().filter(|(at, state)| state.block == *at) {
            let hash = self.hash(position);
            if !state.is_known {
                assert_eq!(chain.find_block(&hash), None);
                continue;
            }
            assert_eq!(chain.find_block(&hash), Some(self.block_ref(position)));
            assert_eq!(chain.is_canonical(&hash), canonical.contains(&position));
            assert_eq!(chain.state_of(&hash), Some(state.id));
            let stored = chain.block(&hash).unwrap().unwrap();
            assert_eq!((&stored.block, &stored.senders), (&state.content.block, &state.content.senders));
            assert_eq!(stored.receipts, state.content.receipts);
            assert_eq!(chain.header(&hash).unwrap().as_ref(), Some(&stored.block.header));
            assert_eq!(chain.raw_block(&hash).unwrap(), Some(alloy_rlp::encode(&stored.block)));
            let difficulty: U256 =
                self.blocks(position).iter().map(|block| self.states[*block].content.block.header.difficulty).sum();
            assert_eq!(chain.total_difficulty(&hash), Some(difficulty));
            let ancestors: Vec<_> = self
                .blocks(position)
                .iter()
                .rev()
                .take(5)
                .map(|block| (self.block_ref(*block).number, self.hash(*block)))
                .collect();
            assert_eq!(chain.ancestors(&hash, 5), ancestors);
            for envelope in &stored.block.body.transactions {
                transactions.push((*envelope.tx_hash(), None));
            }
        }
        for block in &canonical {
            for (index, envelope) in self.states[*block].content.block.body.transactions.iter().enumerate() {
                let place = Some((self.hash(*block), index));
                transactions.retain(|(hash, _)| hash != envelope.tx_hash());
                transactions.push((*envelope.tx_hash(), place));
            }
        }
        for (hash, place) in transactions {
            assert_eq!(chain.find_transaction(&hash).map(|found| (found.block.hash, found.index)), place);
        }
        self.check_states(chain, source);
        for _ in 0..3 {
            self.check_logs(chain, source);
        }
    }

    fn check_states(&self, chain: &Chain, source: &mut Source) {
        let steps: Vec<_> = chain.states(None).unwrap().collect::<Result<_, _>>().unwrap();
        let path = self.path(self.latest);
        assert_eq!(steps.len(), path.len());
        for (step, position) in steps.iter().zip(&path) {
            let state = &self.states[*position];
            assert_eq!((step.state, step.state_root, step.is_patch), (state.id, state.root, state.block != *position));
            assert_eq!((&step.changes, step.block.hash), (&state.changes, self.hash(*position)));
        }
        let known = self.known();
        let (from, to) =
            (known[source.below(known.len() as u64) as usize], known[source.below(known.len() as u64) as usize]);
        let (one, other) = (self.path(from), self.path(to));
        let common = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
        let found = chain.state_path(self.states[from].id, self.states[to].id).unwrap();
        let ids = |states: &[usize]| states.iter().map(|state| self.states[*state].id).collect::<Vec<_>>();
        assert_eq!(found.ancestor, self.states[one[common - 1]].id);
        assert_eq!(found.made, ids(&other[common..]));
        assert_eq!(found.undone.into_iter().rev().collect::<Vec<_>>(), ids(&one[common..]));
    }

    fn check_logs(&self, chain: &Chain, source: &mut Source) {
        let filter = log_filter(source);
        let blocks = source.below(5)..=source.below(12);
        let mut expected = vec![];
        for block in self.blocks(self.latest) {
            let content = &self.states[block].content;
            if !blocks.contains(&content.block.header.number) {
                continue;
            }
            let mut log_index = 0;
            for (index, details) in content.receipts.iter().enumerate() {
                for log in &details.receipt.logs {
                    if filter.matches(log) {
                        let hash = *content.block.body.transactions[index].tx_hash();
                        expected.push((log.clone(), self.block_ref(block), hash, index as u32, log_index));
                    }
                    log_index += 1;
                }
            }
        }
        let found = chain.logs(LogQuery { blocks, filter }, LogLimits::default()).unwrap();
        let found: Vec<_> = found
            .into_iter()
            .map(|log| (log.log, log.block, log.transaction_hash, log.transaction_index, log.log_index))
            .collect();
        assert_eq!(found, expected);
    }
}

pub fn log_filter(source: &mut Source) -> LogFilter {
    LogFilter {
        addresses: source.list(2, |source| Address::repeat_byte(source.below(5) as u8)),
        topics: source.list(3, |source| source.list(2, |source| B256::repeat_byte(source.below(4) as u8))),
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Extend(u64),
    /// Append on any known state.
    Fork(u64),
    Insert(u64),
    SetHeads(u64),
    Truncate(u64),
    Patch,
    Reopen,
    Kill,
    Crash(u64),
    Fail(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..4u64).prop_map(Step::Extend),
        3 => any::<u64>().prop_map(Step::Fork),
        3 => any::<u64>().prop_map(Step::Insert),
        3 => any::<u64>().prop_map(Step::SetHeads),
        2 => any::<u64>().prop_map(Step::Truncate),
        2 => Just(Step::Patch),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::Crash),
        2 => (0..3u64).prop_map(Step::Fail),
    ]
}

struct Bench {
    disk: Option<SimulatedDisk>,
    config: ChainConfig,
    chain: Option<Chain>,
    model: Model,
    source: Source,
    /// Transactions that may be on any branch.
    shared: Vec<Envelope>,
}

impl Bench {
    fn new(is_on_disk: bool, seed: u64) -> Self {
        let log = LogConfig {
            durability: Durability::EveryAppend,
            segment_bytes: 4000,
            unsynced_bytes_max: 1 << 20,
            salt: 3,
        };
        let config = ChainConfig { log, side_block_window: 1_000, hot_bytes_max: 20_000 };
        let mut source = Source::new(seed);
        let shared = (0..8).map(|_| transaction(&mut source)).collect();
        let disk = is_on_disk.then(SimulatedDisk::new);
        let mut bench = Self { disk, config, chain: None, model: Model::new(&genesis()), source, shared };
        bench.open();
        bench
    }

    fn open(&mut self) {
        // The directory is free once the chain before is gone.
        self.chain = None;
        self.chain = Some(match &self.disk {
            Some(disk) => {
                disk.clear_faults();
                Chain::open(Arc::new(disk.clone()), &genesis(), self.config).unwrap().0
            }
            None => Chain::in_memory(&genesis(), self.config).unwrap(),
        });
    }

    fn block_on(&mut self, state: usize) -> NewBlock {
        let parent = self.model.block_ref(state);
        let mut new = block(&mut self.source, parent.hash, parent.number + 1, 3);
        let on_branch: Vec<B256> = self
            .model
            .blocks(state)
            .iter()
            .flat_map(|block| {
                self.model.states[*block].content.block.body.transactions.iter().map(|envelope| *envelope.tx_hash())
            })
            .collect();
        let envelope = self.shared[self.source.below(8) as usize].clone();
        if !on_branch.contains(envelope.tx_hash()) {
            new.receipts.push(crate::support::receipt(&mut self.source, envelope.tx_type(), 2));
            new.senders.push(self.source.address());
            Arc::make_mut(&mut new.block).body.transactions.push(envelope);
        }
        if state != self.model.latest {
            new.parent_state = Some(self.model.states[state].id);
        }
        new
    }

    fn pick(&self, of: &[usize], choice: u64) -> usize {
        of[(choice % of.len() as u64) as usize]
    }

    /// Does a step on both, if the chain does it; nothing happens if it fails.
    fn step(&mut self, step: Step) {
        let chain = self.chain.take().unwrap();
        self.do_step(step, chain);
        if self.chain.is_none() {
            self.open();
        }
        let mut source = self.source.clone();
        self.model.check(self.chain.as_ref().unwrap(), &mut source);
    }

    fn do_step(&mut self, step: Step, chain: Chain) {
        match step {
            Step::Extend(count) => {
                let mut blocks = vec![self.block_on(self.model.latest)];
                for _ in 1..count {
                    let header = &blocks.last().unwrap().block.header;
                    let (hash, number) = (header.hash_slow(), header.number + 1);
                    blocks.push(block(&mut self.source, hash, number, 2));
                }
                if let Ok(changed) = chain.append_all(blocks.clone()) {
                    let mut change = HeadChange::default();
                    for (position, content) in blocks.into_iter().enumerate() {
                        let id = StateId(changed.state.0 + position as u64 + 1 - count);
                        let state = self.model.push(id, Some(self.model.latest), content);
                        change.added.extend(self.model.move_to(state).added);
                    }
                    assert_eq!(changed.change, change);
                }
            }
            Step::Fork(choice) => {
                let parent = self.pick(&self.model.known(), choice);
                let content = self.block_on(parent);
                if let Ok(changed) = chain.append(content.clone()) {
                    let state = self.model.push(changed.state, Some(parent), content);
                    assert_eq!(changed.change, self.model.move_to(state));
                    let reinjected = chain.transactions_to_reinject(&changed.change).unwrap();
                    assert!(
                        reinjected
                            .iter()
                            .all(|transaction| chain.find_transaction(transaction.envelope.tx_hash()).is_none())
                    );
                }
            }
            Step::Insert(choice) => {
                let parent = self.pick(&self.model.known(), choice);
                let content = self.block_on(parent);
                if let Ok(id) = chain.insert(content.clone()) {
                    self.model.push(id, Some(parent), content);
                }
            }
            Step::SetHeads(choice) => {
                let blocks = self.model.known_blocks();
                let latest_block = self.model.states[self.model.latest].block;
                let to = if choice % 3 == 0 { latest_block } else { self.pick(&blocks, choice) };
                let path = self.model.blocks(to);
                let (safe, finalized) = (self.pick(&path, choice >> 8), self.pick(&path, choice >> 16));
                let heads = NewHeads {
                    latest: (choice % 5 > 0 || to != latest_block).then(|| self.model.hash(to)),
                    safe: (choice & 32 > 0).then(|| self.model.hash(safe)),
                    finalized: (choice & 64 > 0).then(|| self.model.hash(finalized)),
                };
                if let Ok(change) = chain.set_heads(heads) {
                    let target = if to == latest_block { self.model.latest } else { to };
                    assert_eq!(change, self.model.move_to(target));
                    if choice & 32 > 0 {
                        self.model.safe = Some(safe);
                    }
                    if choice & 64 > 0 {
                        self.model.finalized = Some(finalized);
                    }
                }
            }
            Step::Truncate(choice) => {
                let to = self.pick(&self.model.known(), choice);
                if let Ok(change) = chain.truncate(self.model.states[to].id) {
                    assert_eq!(change, self.model.move_to(to));
                    self.model.forget_after(to);
                }
            }
            Step::Patch => {
                let (changes, root) = (changes(&mut self.source), self.source.hash());
                if let Ok(id) = chain.patch_state(&changes, root) {
                    let below = self.model.states[self.model.latest].clone();
                    let parent = Some(self.model.latest);
                    self.model.states.push(ModelState { id, parent, root, changes, is_known: true, ..below });
                    self.model.latest = self.model.states.len() - 1;
                }
            }
            Step::Reopen => {
                if let Some(disk) = &self.disk {
                    disk.clear_faults();
                    chain.close().unwrap();
                    return;
                }
            }
            Step::Kill | Step::Crash(_) => {
                if let Some(disk) = &self.disk {
                    self.disk = Some(match step {
                        // A failed append may leave its bytes behind, so clear up before.
                        Step::Crash(seed) => {
                            disk.clear_faults();
                            chain.sync().unwrap();
                            disk.crash(seed)
                        }
                        _ => {
                            disk.clear_faults();
                            chain.sync().unwrap();
                            disk.after_kill()
                        }
                    });
                    return;
                }
            }
            Step::Fail(after) => {
                if let Some(disk) = &self.disk {
                    disk.fail_at(disk.operation_count() + after, Fault::Refuse(ErrorKind::StorageFull));
                }
            }
        }
        self.chain = Some(chain);
    }
}

proptest! {
    #![proptest_config(crate::support::cases(128))]

    #[test]
    fn chain__any_work_with_reorganisations_and_crashes__equals_a_naive_chain(
        seed in any::<u64>(),
        is_on_disk in prop::bool::weighted(0.7),
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let mut bench = Bench::new(is_on_disk, seed);
        for step in steps {
            bench.step(step);
        }
    }
}
