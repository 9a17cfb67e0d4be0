//! Oracle: the plain interpreter. A traced run does the same, and what it reports adds up.

use alloy_primitives::{Address, Bytes, U256, address, hex};
use metis_db::{GenesisAccount, MemoryStore, StateStore};
use metis_state_transition::{
    BlockEnvironment, ChainPrecompiles, ChainSpec, ChangeSet, Evm, ExecutionStatus, Fork, FrameEnd, FrameRunner,
    FrameStart, InterpreterRunner, TransactionOutcome,
};
use metis_vm::{TraceRunner, TraceSink, TraceStep};

const CALLER: Address = address!("00000000000000000000000000000000000000ca");
const CODE: Address = address!("00000000000000000000000000000000000000c0");
const GAS_LIMIT: u64 = 200_000;

#[derive(Debug, Default)]
struct Observed {
    steps: usize,
    last_gas: u64,
    open_frames: usize,
    kinds: Vec<&'static str>,
    ends: Vec<String>,
    halts: Vec<&'static str>,
    depth_max: usize,
}

struct Sink<'a>(&'a mut Observed);

impl TraceSink for Sink<'_> {
    fn step(&mut self, step: &TraceStep<'_>) {
        let seen = &mut *self.0;
        seen.steps += 1;
        seen.last_gas = step.gas;
        seen.depth_max = seen.depth_max.max(step.depth);
        seen.halts.extend(step.halt);
        assert!(step.gas_cost <= step.gas, "an opcode took more gas than there was");
    }

    fn enter(&mut self, start: &FrameStart) {
        self.0.open_frames += 1;
        self.0.kinds.push(start.kind);
    }

    fn exit(&mut self, end: &FrameEnd<'_>) {
        self.0.open_frames -= 1;
        self.0.ends.push(format!("{:?}", end.result));
    }
}

fn run(code: &[u8], runner: impl FrameRunner) -> (TransactionOutcome, ChangeSet) {
    let account = GenesisAccount { nonce: 1, code: Bytes::copy_from_slice(code), ..GenesisAccount::default() };
    let snapshot = MemoryStore::new([(CODE, account)], 0).latest();
    let environment = BlockEnvironment { number: 1, timestamp: 1, gas_limit: GAS_LIMIT, ..BlockEnvironment::default() };
    let rules = ChainSpec::at_fork(Fork::Osaka, 1).rules_at(1, 1);
    let mut evm = Evm::new(&*snapshot, &rules, &environment, runner, ChainPrecompiles::default());
    evm.message_call(CALLER, CODE, Bytes::new(), U256::ZERO, GAS_LIMIT).unwrap()
}

fn traced(code: &[u8]) -> (TransactionOutcome, ChangeSet, Observed) {
    let mut observed = Observed::default();
    let (outcome, changes) = run(code, TraceRunner::new(Sink(&mut observed)));
    (outcome, changes, observed)
}

/// Programs and what their runs are made of.
const PROGRAMS: [(&str, &[u8]); 6] = [
    ("arithmetic", &hex!("6002600301600052600160205260406000f3")),
    ("storage and log", &hex!("602a600155600160026000600060a2565b60006000a000")),
    ("revert", &hex!("60aa60005260206000fd")),
    ("invalid opcode", &hex!("6001fe")),
    // CREATE of an empty contract, then a STATICCALL to the identity precompile.
    ("create and precompile", &hex!("600060006000f0506020600060206000600461fffffa00")),
    // Calls itself until the gas runs out.
    ("recursion", &hex!("60006000600060006000305af100")),
];

#[test]
fn trace__of_any_program__changes_nothing() {
    for (name, code) in PROGRAMS {
        let (outcome, changes) = run(code, InterpreterRunner);
        let (traced_outcome, traced_changes, observed) = traced(code);
        assert_eq!(traced_outcome, outcome, "{name}");
        assert_eq!(traced_changes, changes, "{name}");
        assert_eq!(observed.open_frames, 0, "{name}: a frame was entered and not left");
        assert_eq!(observed.kinds.len(), observed.ends.len(), "{name}");
        assert!(observed.steps > 0, "{name}");
    }
}

#[test]
fn trace__of_calls_and_creations__reports_each_frame() {
    let (_, _, observed) = traced(PROGRAMS[4].1);
    assert_eq!(observed.kinds, ["CALL", "CREATE", "STATICCALL"]);
}

#[test]
fn trace__of_recursion__goes_as_deep_as_gas_allows() {
    let (outcome, _, observed) = traced(PROGRAMS[5].1);
    assert_eq!(outcome.status, ExecutionStatus::Success);
    assert!(observed.depth_max > 2);
    assert!(observed.halts.contains(&"out of gas"));
}

#[test]
fn trace__of_a_halt__names_it_once() {
    let (outcome, _, observed) = traced(PROGRAMS[3].1);
    assert_eq!(outcome.status, ExecutionStatus::Halt("invalid-opcode"));
    assert_eq!(observed.halts, ["invalid opcode"]);
    assert_eq!(outcome.gas_used, GAS_LIMIT);
}
