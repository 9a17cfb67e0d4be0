//! A node on disks that lose power or refuse: what was acknowledged is there, and the state is the blocks'.

use std::{
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, U256};
use metis_db::GenesisAccount;
use metis_disk::{Disk, Fault, SimulatedDisk};
use metis_node::{BlockId, Durability, Imported, Node, NodeConfig, NodeDisks, NodeError, StateStoreKind};
use metis_state_transition::{Block, BlockAttributes, ChainSpec, Fork};

const PERSON: Address = Address::repeat_byte(0xa1);
const GAS_LIMIT: u64 = 30_000_000;

/// The disks of a node, in memory.
#[derive(Clone, Debug, Default)]
struct Disks {
    log: SimulatedDisk,
    state: SimulatedDisk,
}

impl Disks {
    fn operation_count(&self) -> u64 {
        self.log.operation_count() + self.state.operation_count()
    }

    /// What a power cut could leave of both.
    fn crash(&self, seed: u64) -> Self {
        Self { log: self.log.crash(seed), state: self.state.crash(seed ^ 0x9e37) }
    }
}

fn config(is_archive: bool) -> NodeConfig {
    NodeConfig {
        is_archive,
        durability: Durability::EveryBlock,
        state_store: StateStoreKind::Metis { secret: [7; 4] },
        kept_block_count: 4,
        workers: 1,
        ..NodeConfig::default()
    }
}

fn open(disks: Option<&Disks>) -> Result<Node, NodeError> {
    open_as(disks, false)
}

fn open_as(disks: Option<&Disks>, is_archive: bool) -> Result<Node, NodeError> {
    let account = GenesisAccount { balance: U256::from(10), ..GenesisAccount::default() };
    // The root of this one account, as an empty chain's first commit would find it.
    let store = metis_db::MemoryStore::new([(PERSON, account.clone())], 0);
    let state_root = metis_db::StateSnapshot::block(&*metis_db::StateStore::latest(&store)).state_root;
    let header = Header {
        gas_limit: GAS_LIMIT,
        base_fee_per_gas: Some(1_000_000_000),
        withdrawals_root: Some(alloy_consensus::EMPTY_ROOT_HASH),
        state_root,
        ..Header::default()
    };
    let mut block = Block { header, ..Block::default() };
    block.body.withdrawals = Some(Vec::new().into());
    let disks = disks.map(|disks| NodeDisks {
        log: Arc::new(disks.log.clone()) as Arc<dyn Disk>,
        state: Some(Arc::new(disks.state.clone())),
        path: None,
    });
    let spec = ChainSpec::at_fork(Fork::Shanghai, 1);
    Node::open_on(disks.as_ref(), spec, block, vec![(PERSON, account)], &config(is_archive))
}

/// Does the thing with this number: the same for every node that is where it is.
fn step(node: &Node, number: u64) -> Result<(), NodeError> {
    match number % 11 {
        5 => node.checkpoint(&|| 0),
        7 => node.set_storage(PERSON, U256::from(number % 3), U256::from(number)),
        9 => {
            let head = node.heads().latest.number;
            if head > 2 { node.rewind(2).map(|_| ()) } else { Ok(()) }
        }
        _ => {
            let withdrawal =
                Withdrawal { index: 0, validator_index: 0, address: Address::with_last_byte(number as u8), amount: 3 };
            let attributes = BlockAttributes {
                timestamp: 1_000 + number * 10,
                gas_limit: GAS_LIMIT,
                withdrawals: vec![withdrawal],
                ..BlockAttributes::default()
            };
            node.build_from(attributes, &[]).map(|_| ())
        }
    }
}

/// All that there is to see: head, every account, and a proof of the newest root.
fn seen(node: &Node) -> (B256, Vec<u8>, Vec<u8>) {
    let hash = node.heads().latest.hash;
    let slots = [0, 1, 2].map(U256::from);
    (hash, node.accounts_json().unwrap(), node.proof_json(PERSON, &slots, BlockId::Hash(hash)).unwrap())
}

/// What an archive shows besides: accounts and a slot at every block.
fn old_states(node: &Node) -> Vec<(U256, U256, U256)> {
    let receiver = Address::with_last_byte(2);
    let at = |number| {
        let id = BlockId::Number(number);
        let storage = node.storage(PERSON, U256::from(1), id).unwrap();
        (node.balance(PERSON, id).unwrap(), node.balance(receiver, id).unwrap(), storage)
    };
    (0..=node.heads().latest.number).map(at).collect()
}

/// What a node without disks shows after 0, 1, 2, … steps.
fn models(step_count: u64) -> Vec<(B256, Vec<u8>, Vec<u8>)> {
    let node = open(None).unwrap();
    let mut models = vec![seen(&node)];
    for number in 0..step_count {
        step(&node, number).unwrap();
        models.push(seen(&node));
    }
    models
}

#[test]
fn node__power_cut_after_any_operation__opens_at_what_was_acknowledged_or_what_was_under_way() {
    let step_count = 44;
    let models = models(step_count);
    // Which operations there are is only known when all were done once.
    let whole = Disks::default();
    let node = open(Some(&whole)).unwrap();
    let begun = (whole.log.operation_count(), whole.state.operation_count());
    (0..step_count).for_each(|number| step(&node, number).unwrap());
    drop(node);
    let cuts = (begun.0..whole.log.operation_count())
        .map(|at| (true, at))
        .chain((begun.1..whole.state.operation_count()).map(|at| (false, at)));
    let mut image_count = 0;
    for (is_of_log, at) in cuts {
        let disks = Disks::default();
        let node = open(Some(&disks)).unwrap();
        let disk = if is_of_log { &disks.log } else { &disks.state };
        for later in at..at + 1_000 {
            disk.fail_at(later, Fault::Refuse(ErrorKind::Other));
        }
        // The power is gone with the first operation that does not come through.
        let acknowledged = (0..step_count).take_while(|number| step(&node, *number).is_ok()).count();
        for seed in 0..3 {
            let left = disks.crash(seed);
            let opened = open(Some(&left)).unwrap();
            let got = seen(&opened);
            let candidates = &models[acknowledged..models.len().min(acknowledged + 2)];
            assert!(
                candidates.contains(&got),
                "cut at {at} of the log's {is_of_log}, seed {seed}, after {acknowledged}"
            );
            assert_eq!(opened.state_report().problem, None);
            image_count += 1;
        }
    }
    assert!(image_count > 300, "{image_count}");
}

#[test]
fn import_blocks__power_cut_after_any_operation__keeps_those_before_the_one_that_failed() {
    let maker = open(None).unwrap();
    let mut models = vec![seen(&maker)];
    let mut blocks = Vec::new();
    for number in 0..4 {
        step(&maker, number).unwrap();
        models.push(seen(&maker));
        blocks.push(maker.stored(BlockId::Number(number + 1)).unwrap().unwrap().block.clone());
    }
    let import = |node: &Node| node.import_blocks(blocks.iter().cloned().map(Ok));
    let whole = Disks::default();
    let node = open(Some(&whole)).unwrap();
    let begun = whole.log.operation_count();
    assert_eq!(import(&node).unwrap(), [Imported::Head; 4]);
    assert_eq!(import(&node).unwrap(), [Imported::Known; 4]);
    for at in begun..whole.log.operation_count() {
        let disks = Disks::default();
        let node = open(Some(&disks)).unwrap();
        for later in at..at + 100 {
            disks.log.fail_at(later, Fault::Refuse(ErrorKind::Other));
        }
        let kept = import(&node).unwrap_err().index;
        assert_eq!(seen(&node), models[kept], "cut at {at}");
        for seed in 0..3 {
            let got = seen(&open(Some(&disks.crash(seed))).unwrap());
            assert!(models[kept..=kept + 1].contains(&got), "cut at {at}, seed {seed}, after {kept}");
        }
        disks.log.clear_faults();
        import(&node).unwrap();
        assert_eq!(seen(&node), models[4], "after the disk came back at {at}");
    }
}

#[test]
fn node__that_archives__after_any_power_cut_reads_every_block_as_it_was() {
    let step_count = 55;
    let model = open_as(None, true).unwrap();
    let mut models = vec![(seen(&model), old_states(&model))];
    for number in 0..step_count {
        step(&model, number).unwrap();
        models.push((seen(&model), old_states(&model)));
    }
    let whole = Disks::default();
    let node = open_as(Some(&whole), true).unwrap();
    let begun = whole.state.operation_count();
    (0..step_count).for_each(|number| step(&node, number).unwrap());
    assert_eq!(old_states(&node), models[step_count as usize].1);
    drop(node);
    for at in begun..whole.state.operation_count() {
        let disks = Disks::default();
        let node = open_as(Some(&disks), true).unwrap();
        (at..at + 1_000).for_each(|later| disks.state.fail_at(later, Fault::Refuse(ErrorKind::Other)));
        let acknowledged = (0..step_count).take_while(|number| step(&node, *number).is_ok()).count();
        for seed in 0..3 {
            let opened = open_as(Some(&disks.crash(seed)), true).unwrap();
            let got = (seen(&opened), old_states(&opened));
            let candidates = &models[acknowledged..models.len().min(acknowledged + 2)];
            assert!(candidates.contains(&got), "cut at {at}, seed {seed}, after {acknowledged}");
            assert_eq!(opened.state_report().problem, None);
        }
    }
}

#[test]
fn node__whose_state_cannot_be_written__goes_on_and_makes_it_again() {
    let models = models(22);
    let disks = Disks::default();
    let node = open(Some(&disks)).unwrap();
    let first = disks.state.operation_count();
    for later in first..first + 1_000 {
        disks.state.fail_at(later, Fault::Refuse(ErrorKind::StorageFull));
    }
    for number in 0..22 {
        match step(&node, number) {
            Err(NodeError::Store(_)) if number % 11 == 5 => {}
            done => done.unwrap(),
        }
        assert_eq!(seen(&node), models[number as usize + 1]);
    }
    assert!(matches!(node.close(), Err(NodeError::Store(_))));
    drop(node);
    disks.state.clear_faults();
    let before = disks.operation_count();
    let again = open(Some(&disks)).unwrap();
    assert_eq!(seen(&again), models[22]);
    assert!(again.state_report().replayed_count > 0);
    again.close().unwrap();
    assert!(disks.operation_count() > before);
    assert_eq!(open(Some(&disks)).unwrap().state_report().replayed_count, 0);
}

#[test]
fn node__whose_state_is_written_beside_its_blocks__opens_at_the_newest_block_whenever_it_is_killed() {
    let models = models(66);
    let disks = Disks::default();
    let node = open(Some(&disks)).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                node.checkpoint(&|| 0).unwrap();
            }
        });
        for number in 0..66 {
            step(&node, number).unwrap();
            let left = disks.crash(number);
            assert_eq!(seen(&open(Some(&left)).unwrap()), models[number as usize + 1]);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    node.close().unwrap();
    drop(node);
    let again = open(Some(&disks)).unwrap();
    assert_eq!(seen(&again), models[66]);
    assert_eq!(again.state_report().replayed_count, 0);
}
