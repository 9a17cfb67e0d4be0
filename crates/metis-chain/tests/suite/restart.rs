//! A restart: real blocks are executed, logged and gone with the process; the log alone gives back
//! the state, without executing anything.

use std::sync::Arc;

use alloy_consensus::{Header, SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, hex};
use metis_chain::{
    block_log::LogConfig,
    chain::{Chain, ChainConfig, Genesis, NewBlock, StateStep},
    logs::{LogFilter, LogLimits, LogQuery},
    record::StateId,
};
use metis_db::{CommittedBlock, GenesisAccount, MemoryStore, StateSnapshot, StateStore};
use metis_disk::{Disk, FileDisk, SimulatedDisk};
use metis_state_transition::{
    Account, AccountChange, Block, BlockAttributes, ChainPrecompiles, ChainSpec, ChangeSet, Fork, InOrder,
    InterpreterRunner, Means, RecoveredTransaction, Sequentially, StateCommitment, build_block, genesis_header,
};

use crate::support::CHAIN_ID;

const SENDER: Address = address!("00000000000000000000000000000000000005e0");
const TOPIC: u8 = 0xaa;

/// `storage[calldata[0]] = block number`, and a log of the number with [`TOPIC`].
const COUNTER: [u8; 20] = hex!("435f3555435f5260aa60205fa100000000000000");

/// Deploys [`COUNTER`].
fn deployment() -> Bytes {
    [&hex!("73")[..], &COUNTER, &hex!("5f526014600cf3")].concat().into()
}

fn spec() -> ChainSpec {
    ChainSpec::at_fork(Fork::Cancun, CHAIN_ID)
}

fn genesis() -> Genesis {
    let account = Account { balance: U256::from(u128::MAX), ..Account::default() };
    let mut changes = ChangeSet::default();
    changes.accounts.insert(SENDER, AccountChange { account: Some(account), ..AccountChange::default() });
    let state_root = store_of(&changes).latest().block().state_root;
    let header = Header { gas_limit: 30_000_000, state_root, ..Header::default() };
    Genesis {
        chain_id: CHAIN_ID,
        block: Block { header: genesis_header(&spec(), header), body: Default::default() },
        changes,
    }
}

/// A store that begins with what a chain begins with.
fn store_of(first: &ChangeSet) -> MemoryStore {
    let alloc = first.accounts.iter().filter_map(|(address, change)| {
        let Account { nonce, balance, code_hash } = change.account?;
        let code = first.codes.get(&code_hash).map(|code| code.bytes()).unwrap_or_default();
        Some((*address, GenesisAccount { nonce, balance, code, storage: change.storage.clone() }))
    });
    MemoryStore::new(alloc, 64)
}

/// What a node does when it starts.
fn rebuild(chain: &Chain) -> MemoryStore {
    let mut steps = chain.states(None).unwrap();
    let store = store_of(&steps.next().unwrap().unwrap().changes);
    let mut patches = ChangeSet::default();
    for step in steps {
        let StateStep { block, is_patch, state_root, mut changes, .. } = step.unwrap();
        if is_patch {
            patches.merge(changes);
            continue;
        }
        if !patches.is_empty() {
            let block_changes = std::mem::replace(&mut changes, std::mem::take(&mut patches));
            changes.merge(block_changes);
        }
        let committed =
            CommittedBlock { number: block.number, hash: block.hash, parent_hash: block.parent_hash, state_root };
        store.commit(&store.latest(), committed, &changes).unwrap();
    }
    store
}

fn transaction(nonce: u64, to: TxKind, input: Bytes) -> RecoveredTransaction {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 300_000,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1,
        to,
        value: U256::from(u64::from(to.is_call())),
        input,
        ..TxEip1559::default()
    };
    let envelope = transaction.into_signed(Signature::new(U256::ONE, U256::ONE, false)).into();
    RecoveredTransaction { envelope, sender: SENDER }
}

/// Executes the candidates as the next block on a store's newest state.
fn build(store: &MemoryStore, parent: &Header, candidates: &[RecoveredTransaction]) -> NewBlock {
    let attributes =
        BlockAttributes { timestamp: parent.timestamp + 2, gas_limit: parent.gas_limit, ..BlockAttributes::default() };
    let snapshot = store.latest();
    let (spec, order) = (spec(), candidates.iter().collect::<Vec<_>>());
    let (runner, precompiles) = (InterpreterRunner, ChainPrecompiles::default());
    let means = Means { runner, precompiles, schedule: Sequentially, join: InOrder, keeps_record: false };
    let built = build_block(&*snapshot, &spec, parent, attributes, &order, means).unwrap();
    assert!(built.skipped.is_empty(), "{:?}", built.skipped);
    NewBlock {
        block: built.block.into(),
        senders: candidates.iter().map(|candidate| candidate.sender).collect(),
        receipts: built.outcome.receipts,
        changes: built.outcome.changes,
        parent_state: None,
    }
}

fn commit(store: &MemoryStore, new: &NewBlock) {
    let Header { number, parent_hash, state_root, .. } = new.block.header;
    let block = CommittedBlock { number, hash: new.block.header.hash_slow(), parent_hash, state_root };
    store.commit(&store.latest(), block, &new.changes).unwrap();
}

/// Runs a chain of blocks that deploy, transfer and write, and returns its state and its contract.
fn run(chain: &Chain) -> (MemoryStore, Address) {
    let store = store_of(&genesis().changes);
    let mut parent = genesis().block.header;
    let contract = SENDER.create(0);
    let mut nonce = 0;
    for number in 1..=12u64 {
        let mut candidates = vec![transaction(
            nonce,
            if number == 1 { TxKind::Create } else { TxKind::Call(contract) },
            if number == 1 { deployment() } else { B256::from(U256::from(number % 5)).into() },
        )];
        candidates.push(transaction(
            nonce + 1,
            TxKind::Call(Address::with_last_byte(0xf0 + number as u8 % 3)),
            Bytes::new(),
        ));
        nonce += 2;
        let new = build(&store, &parent, &candidates);
        commit(&store, &new);
        parent = new.block.header.clone();
        chain.append(new).unwrap();
    }
    (store, contract)
}

fn check_restart(disk: Arc<dyn Disk>) {
    let config =
        ChainConfig { log: LogConfig { segment_bytes: 4_000, ..LogConfig::default() }, ..ChainConfig::default() };
    let (chain, recovery) = Chain::open(Arc::clone(&disk), &genesis(), config).unwrap();
    assert!(recovery.is_new);
    let (store, contract) = run(&chain);
    let before = chain.heads();
    drop(chain);

    let (chain, recovery) = Chain::open(disk, &genesis(), config).unwrap();
    assert_eq!((recovery.is_new, recovery.record_count, recovery.dropped), (false, 13, None));
    assert_eq!(chain.heads(), before);
    let again = rebuild(&chain);
    let (was, is) = (store.latest(), again.latest());
    assert_eq!(is.block(), was.block());
    assert_eq!(is.addresses(), was.addresses());
    assert_eq!(is.slots(&contract), was.slots(&contract));
    assert_eq!(is.slots(&contract).len(), 5);
    let query = LogQuery { blocks: 0..=99, filter: LogFilter { addresses: vec![contract], ..LogFilter::default() } };
    let logs = chain.logs(query, LogLimits::default()).unwrap();
    assert_eq!(logs.len(), 11);
    assert!(logs.iter().all(|log| log.log.data.topics() == [B256::with_last_byte(TOPIC)]));
    let last = chain.block(&before.latest.hash).unwrap().unwrap();
    assert_eq!(last.senders, [SENDER; 2]);
    assert_eq!(last.receipts.last().unwrap().receipt.cumulative_gas_used, last.block.header.gas_used);

    // It goes on from there.
    let next = build(&again, &last.block.header, &[transaction(24, TxKind::Call(contract), Bytes::new())]);
    commit(&again, &next);
    chain.append(next).unwrap();
    assert_eq!(chain.heads().latest.number, 13);
}

#[test]
fn restart__on_a_simulated_disk__gives_back_state_and_index() {
    check_restart(Arc::new(SimulatedDisk::new()));
}

#[test]
fn restart__on_a_file_system__gives_back_state_and_index() {
    let directory = tempfile::tempdir().unwrap();
    check_restart(Arc::new(FileDisk::new(directory.path()).unwrap()));
}

/// A balance is set between two blocks: the block after stands on it, also after a restart.
#[test]
fn restart__state_was_patched__gives_back_the_patched_state() {
    let disk = Arc::new(SimulatedDisk::new());
    let (chain, _) = Chain::open(disk.clone(), &genesis(), ChainConfig::default()).unwrap();
    let gift = Address::repeat_byte(0x61);
    let account = Account { balance: U256::from(77), ..Account::default() };
    let mut patch = ChangeSet::default();
    patch.accounts.insert(gift, AccountChange { account: Some(account), ..AccountChange::default() });
    let root = store_of(&genesis().changes).latest().state_root_after(&patch).unwrap();
    chain.patch_state(&patch, root).unwrap();

    // What the block is executed on: the state with the patch, as the first one of a store.
    let mut patched = genesis().changes;
    patched.merge(patch);
    let store = store_of(&patched);
    assert_eq!(store.latest().block().state_root, root);
    let spend = transaction(0, TxKind::Call(gift), Bytes::new());
    let new = build(&store, &genesis().block.header, &[spend]);
    commit(&store, &new);
    assert_eq!(chain.append(new).unwrap().state, StateId(3));
    drop(chain);

    let (chain, _) = Chain::open(disk, &genesis(), ChainConfig::default()).unwrap();
    let again = rebuild(&chain);
    assert_eq!(again.latest().block().state_root, store.latest().block().state_root);
    let steps: Vec<_> = chain.states(None).unwrap().map(|step| step.unwrap()).collect();
    assert_eq!(steps.iter().map(|step| step.is_patch).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(steps[1].state_root, root);
}
