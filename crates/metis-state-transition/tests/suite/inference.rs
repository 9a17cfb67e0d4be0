//! Calls to models: what they cost, what they may not do, and who is paid.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, keccak256};
use metis_state_transition::{
    Account, AccountChange, BlockEnvironment, BlockExecutor, ChainPrecompiles, ChainSpec, ChangeSet, Code, Evm,
    ExecutionStatus, Fork, INFERENCE, InferenceError, InferenceHost, InferenceRules, Inferred, InterpreterRunner,
    ModelCost, Models, Overlay, RecoveredTransaction, Rules, StateCommitment, StateView, TransactionError,
    TransactionFault, TransactionOutcome, VECTORS, ViewError,
};
use proptest::prelude::*;

const REGISTRY: Address = address!("4d45544953000000000000000000000000000003");
const MODEL: B256 = B256::repeat_byte(0x11);
const OWNER: Address = Address::repeat_byte(0x22);
const CALLER: Address = Address::repeat_byte(0x33);
const PROXY: Address = Address::repeat_byte(0x44);
const BLOCK: u64 = 100;
const ETHER: u128 = 1_000_000_000_000_000_000;

const RULES: InferenceRules = InferenceRules {
    registry: REGISTRY,
    base_gas: 10_000,
    word_gas: 15,
    macs_per_gas: 100,
    moved_bytes_per_gas: 64,
    vector_macs_per_gas: 16,
    transaction_macs_max: 2_500_000,
    block_macs_max: 4_000_000,
};

const COST: ModelCost = ModelCost { macs: 1_000_000, moved_bytes: 6_400, input_bytes: 4, output_bytes: 2 };

/// 10,000 for MACs and 100 for bytes moved at the prices above, base, and one word of output.
const RUN_GAS: u64 = 10_000 + 10_000 + 100 + 15;

#[derive(Debug, Default)]
struct Host {
    runs: AtomicU64,
    is_empty: bool,
}

impl InferenceHost for Host {
    fn cost(&self, model: &B256) -> Option<ModelCost> {
        (*model == MODEL && !self.is_empty).then_some(COST)
    }

    fn infer(&self, _model: &B256, input: &[u8]) -> Result<Bytes, InferenceError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        if input[0] > 100 {
            return Err(InferenceError::InputOutOfRange);
        }
        Ok(vec![input[0] ^ input[1], input[2] ^ input[3]].into())
    }
}

#[derive(Debug)]
struct Nothing;

impl StateView for Nothing {
    type Error = Infallible;

    fn account(&self, _address: &Address) -> Result<Option<Account>, Infallible> {
        Ok(None)
    }

    fn code(&self, _code_hash: &B256) -> Result<Code, Infallible> {
        Ok(Code::default())
    }

    fn storage(&self, _address: &Address, _slot: &U256) -> Result<U256, Infallible> {
        Ok(U256::ZERO)
    }

    fn has_storage(&self, _address: &Address) -> Result<bool, Infallible> {
        Ok(false)
    }
}

impl StateCommitment for Nothing {
    fn state_root_after(&self, _changes: &ChangeSet) -> Result<B256, Infallible> {
        Ok(B256::ZERO)
    }
}

/// A world with one model, whose registry says what a test wants.
struct World {
    price: u64,
    active_from: u64,
    active_until: u64,
    proxy_code: Vec<u8>,
    host: Arc<Host>,
}

impl Default for World {
    fn default() -> Self {
        Self { price: 0, active_from: 1, active_until: 0, proxy_code: Vec::new(), host: Arc::default() }
    }
}

impl World {
    fn rules(&self) -> Rules {
        let mut spec = ChainSpec::at_fork(Fork::Shanghai, 1);
        spec.inference = vec![(0, RULES)];
        spec.models = Models::new(self.host.clone());
        spec.rules_at(BLOCK, 0)
    }

    fn environment() -> BlockEnvironment {
        BlockEnvironment { number: BLOCK, gas_limit: 60_000_000, ..BlockEnvironment::default() }
    }

    fn state(&self) -> Overlay<Nothing> {
        let mut changes = ChangeSet::default();
        let first = U256::from_be_bytes(keccak256([B256::ZERO.0, MODEL.0].concat()).0);
        let fields = [
            OWNER.into_word().into(),
            U256::from(self.price),
            U256::from(self.active_from),
            U256::from(self.active_until),
        ];
        let storage = (0u64..).zip(fields).map(|(index, value)| (first + U256::from(index), value)).collect();
        let registry = Account { nonce: 1, ..Account::default() };
        changes.accounts.insert(REGISTRY, AccountChange { account: Some(registry), storage, storage_cleared: false });
        let proxy = Code::new(self.proxy_code.clone().into());
        for (address, code) in [(CALLER, Code::default()), (PROXY, proxy)] {
            let account = Account { nonce: 0, balance: U256::from(ETHER), code_hash: code.hash() };
            changes.codes.insert(code.hash(), code);
            changes.accounts.insert(address, AccountChange { account: Some(account), ..AccountChange::default() });
        }
        let mut state = Overlay::new(Nothing);
        state.apply(changes);
        state
    }

    fn try_call(
        &self,
        to: Address,
        data: Vec<u8>,
        value: u64,
        gas: u64,
    ) -> Result<TransactionOutcome, TransactionFault<Infallible>> {
        let environment = Self::environment();
        let mut evm =
            Evm::new(self.state(), &self.rules(), &environment, InterpreterRunner, ChainPrecompiles::default());
        evm.message_call(CALLER, to, data.into(), U256::from(value), gas).map(|(outcome, _)| outcome)
    }

    fn call(&self, data: Vec<u8>, value: u64) -> TransactionOutcome {
        self.try_call(INFERENCE, data, value, 10_000_000).unwrap()
    }

    fn runs(&self) -> u64 {
        self.host.runs.load(Ordering::Relaxed)
    }
}

fn word(value: u64) -> Vec<u8> {
    B256::from(U256::from(value)).to_vec()
}

fn bytes(content: &[u8]) -> Vec<u8> {
    let mut encoded = word(content.len() as u64);
    encoded.extend(content);
    encoded.resize(encoded.len().next_multiple_of(32), 0);
    encoded
}

fn infer(model: B256, input: &[u8]) -> Vec<u8> {
    [&keccak256("infer(bytes32,bytes)")[..4], &model[..], &word(64), &bytes(input)].concat()
}

fn infer_many(inputs: &[&[u8]]) -> Vec<u8> {
    let mut data = [&keccak256("inferMany(bytes32,bytes[])")[..4], &MODEL[..], &word(64)].concat();
    data.extend(word(inputs.len() as u64));
    let mut offset = 32 * inputs.len() as u64;
    for input in inputs {
        data.extend(word(offset));
        offset += bytes(input).len() as u64;
    }
    inputs.iter().for_each(|input| data.extend(bytes(input)));
    data
}

fn refusal(signature: &str, words: &[Vec<u8>]) -> Bytes {
    [&keccak256(signature)[..4], &words.concat()].concat().into()
}

#[test]
fn infer__active_model__answers_for_the_gas_of_its_graph_and_logs_it() {
    let world = World::default();
    let data = infer(MODEL, &[1, 2, 3, 4]);
    let data_gas = 15 * (data.len() as u64).div_ceil(32);
    let outcome = world.call(data, 0);
    assert_eq!(outcome.status, ExecutionStatus::Success);
    assert_eq!(outcome.output, [word(32), bytes(&[3, 7])].concat());
    assert_eq!(outcome.gas_used, data_gas + RUN_GAS);
    let expected = Inferred {
        model: MODEL,
        owner: OWNER,
        caller: CALLER,
        input_hash: keccak256([1, 2, 3, 4]),
        output_hash: keccak256([3, 7]),
        macs: COST.macs,
        price_wei: U256::ZERO,
    };
    assert_eq!(outcome.logs, [expected.log()]);
}

#[test]
fn infer__bytes_behind_the_arguments__are_ignored() {
    let world = World::default();
    let data = [infer(MODEL, &[1, 2, 3, 4]), vec![7; 100]].concat();
    assert_eq!(world.call(data, 0).output, [word(32), bytes(&[3, 7])].concat());
}

#[test]
fn infer__one_gas_too_few__runs_nothing() {
    let world = World::default();
    let data = infer(MODEL, &[1, 2, 3, 4]);
    let enough = world.call(data.clone(), 0).gas_used;
    assert_eq!(world.runs(), 1);
    let outcome = world.try_call(INFERENCE, data.clone(), 0, enough - 1).unwrap();
    assert_eq!(outcome.status, ExecutionStatus::Halt("out-of-gas"));
    assert_eq!(world.runs(), 1);
    assert_eq!(world.try_call(INFERENCE, data, 0, enough).unwrap().status, ExecutionStatus::Success);
}

#[test]
fn infer__model_not_active__is_refused() {
    let refused = refusal("ModelNotActive(bytes32)", &[MODEL.to_vec()]);
    let given = infer(MODEL, &[1, 2, 3, 4]);
    for (active_from, active_until) in [(0, 0), (BLOCK + 1, 0), (1, BLOCK), (1, 2)] {
        let world = World { active_from, active_until, ..World::default() };
        let outcome = world.call(given.clone(), 0);
        assert_eq!((outcome.status, &outcome.output), (ExecutionStatus::Revert, &refused));
        assert_eq!(world.runs(), 0);
    }
    for (active_from, active_until) in [(BLOCK, 0), (1, BLOCK + 1)] {
        let world = World { active_from, active_until, ..World::default() };
        assert_eq!(world.call(given.clone(), 0).status, ExecutionStatus::Success);
    }
    let unknown = World::default().call(infer(B256::repeat_byte(9), &[]), 0);
    assert_eq!(unknown.output, refusal("ModelNotActive(bytes32)", &[B256::repeat_byte(9).to_vec()]));
}

#[test]
fn infer__wrong_payment__is_refused_and_nothing_is_kept() {
    let world = World { price: 5, ..World::default() };
    for paid in [0, 4, 6] {
        let outcome = world.call(infer(MODEL, &[1, 2, 3, 4]), paid);
        assert_eq!(outcome.status, ExecutionStatus::Revert);
        assert_eq!(outcome.output, refusal("WrongPayment(uint256,uint256)", &[word(5), word(paid)]));
    }
    assert_eq!(world.runs(), 0);
    assert_eq!(world.call(infer(MODEL, &[1, 2, 3, 4]), 5).status, ExecutionStatus::Success);
    let many = world.call(infer_many(&[&[1, 2, 3, 4], &[5, 6, 7, 8]]), 5);
    assert_eq!(many.output, refusal("WrongPayment(uint256,uint256)", &[word(10), word(5)]));
}

/// Code that hands its call data on by an opcode that takes gas, address, (value,) and memory ranges.
fn forwarding(opcode: u8, value: Option<u8>) -> Vec<u8> {
    // calldatacopy(0, 0, calldatasize()); call(gas(), INFERENCE, value, 0, calldatasize(), 0, 0)
    let mut code = vec![0x36, 0x5f, 0x5f, 0x37, 0x5f, 0x5f, 0x36, 0x5f];
    code.extend(value.map(|value| [0x60, value]).into_iter().flatten());
    code.push(0x73);
    code.extend(INFERENCE);
    // returndatacopy(0, 0, returndatasize()); return(0, returndatasize())
    code.extend([0x5a, opcode, 0x50, 0x3d, 0x5f, 0x5f, 0x3e, 0x3d, 0x5f, 0xf3]);
    code
}

#[test]
fn infer__value_that_does_not_arrive__is_no_payment() {
    const CALLCODE: u8 = 0xf2;
    const DELEGATECALL: u8 = 0xf4;
    for (opcode, value) in [(CALLCODE, Some(5)), (DELEGATECALL, None)] {
        let world = World { price: 5, proxy_code: forwarding(opcode, value), ..World::default() };
        let outcome = world.try_call(PROXY, infer(MODEL, &[1, 2, 3, 4]), 5, 10_000_000).unwrap();
        assert_eq!(outcome.output, refusal("WrongPayment(uint256,uint256)", &[word(5), word(0)]), "{opcode:x}");
    }
}

#[test]
fn infer__static_call_of_a_free_model__answers_and_logs() {
    let world = World { proxy_code: forwarding(0xfa, None), ..World::default() };
    let outcome = world.try_call(PROXY, infer(MODEL, &[1, 2, 3, 4]), 0, 10_000_000).unwrap();
    assert_eq!(outcome.output, [word(32), bytes(&[3, 7])].concat());
    assert_eq!(Inferred::of(&outcome.logs[0]).unwrap().caller, PROXY);
}

#[test]
fn infer__input_of_wrong_size_or_range__is_refused() {
    let world = World::default();
    let outcome = world.call(infer(MODEL, &[1, 2, 3]), 0);
    assert_eq!(outcome.output, refusal("WrongInputSize(uint256,uint256)", &[word(4), word(3)]));
    assert_eq!(world.runs(), 0);
    let outcome = world.call(infer_many(&[&[1, 2, 3, 4], &[101, 2, 3, 4]]), 0);
    assert_eq!(outcome.output, refusal("InputOutOfRange(uint256)", &[word(1)]));
    assert!(outcome.logs.is_empty());
}

#[test]
fn infer_many__runs__equal_those_one_by_one() {
    let world = World::default();
    let outcome = world.call(infer_many(&[&[1, 2, 3, 4], &[5, 6, 7, 9]]), 0);
    let answers = [word(32), word(2), word(64), word(128), bytes(&[3, 7]), bytes(&[3, 14])].concat();
    assert_eq!(outcome.output, answers);
    assert_eq!(outcome.logs.len(), 2);
    let none = world.call(infer_many(&[]), 0);
    assert_eq!(none.output, [word(32), word(0)].concat());
    // 1,000,000 MACs each, 2,500,000 allowed.
    let three = world.call(infer_many(&[&[1u8, 2, 3, 4] as &[u8]; 3]), 0);
    assert_eq!(three.output, refusal("TooManyMacs(uint256,uint256)", &[word(3_000_000), word(2_500_000)]));
}

#[test]
fn infer__model_that_is_not_here__is_a_fault_and_no_outcome() {
    let world = World { host: Arc::new(Host { is_empty: true, ..Host::default() }), ..World::default() };
    let fault = world.try_call(INFERENCE, infer(MODEL, &[1, 2, 3, 4]), 0, 10_000_000).unwrap_err();
    assert!(matches!(fault, TransactionFault::View(ViewError::MissingModel(MODEL))), "{fault}");
}

#[test]
fn model_info__active_or_not__says_what_the_registry_says() {
    let ask = [&keccak256("modelInfo(bytes32)")[..4], &MODEL[..]].concat();
    let info = World { price: 5, ..World::default() }.call(ask.clone(), 0);
    let owner = OWNER.into_word().to_vec();
    let cost = [word(1_000_000), word(6_400), word(4), word(2), word(RUN_GAS)];
    assert_eq!(info.output, [[word(2), owner.clone(), word(5)].concat(), cost.concat()].concat());
    let info = World { active_from: 0, ..World::default() }.call(ask, 0);
    assert_eq!(info.output, [[word(1), owner, word(0)].concat(), word(0).repeat(5)].concat());
}

#[test]
fn addresses__chain_without_inference__are_empty_accounts() {
    let mut rules = World::default().rules();
    rules.inference = None;
    let mut evm = Evm::new(Nothing, &rules, &World::environment(), InterpreterRunner, ChainPrecompiles::default());
    let (outcome, _) = evm.message_call(CALLER, INFERENCE, vec![1].into(), U256::ZERO, 100_000).unwrap();
    assert_eq!((outcome.status, outcome.gas_used), (ExecutionStatus::Success, 0));
}

fn transaction(nonce: u64, data: Vec<u8>, value: u64) -> RecoveredTransaction {
    let transaction = TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit: 1_000_000,
        to: TxKind::Call(INFERENCE),
        value: U256::from(value),
        input: data.into(),
        ..TxEip1559::default()
    };
    let envelope = transaction.into_signed(Signature::new(U256::from(5), U256::from(6), true)).into();
    RecoveredTransaction { envelope, sender: CALLER }
}

#[test]
fn block__inferences_of_a_priced_model__pay_its_owner_once_at_the_end() {
    let world = World { price: 5, ..World::default() };
    let mut block = BlockExecutor::new(
        world.state(),
        world.rules(),
        World::environment(),
        InterpreterRunner,
        ChainPrecompiles::default(),
    );
    block.execute(&transaction(0, infer(MODEL, &[1, 2, 3, 4]), 5)).unwrap();
    // Wrong input: reverted, the payment goes back.
    block.execute(&transaction(1, infer(MODEL, &[1]), 5)).unwrap();
    block.execute(&transaction(2, infer_many(&[&[1, 2, 3, 4], &[1, 2, 3, 5]]), 10)).unwrap();
    assert_eq!(block.changes().accounts.get(&OWNER), None);
    let (outcome, _) = block.finish(&[], &[]).unwrap();
    let balance = |address| outcome.changes.accounts[&address].account.unwrap_or_default().balance;
    assert_eq!(balance(OWNER), U256::from(15));
    assert_eq!(balance(INFERENCE), U256::ZERO);
    assert_eq!(balance(CALLER), U256::from(ETHER - 15));
}

#[test]
fn block__more_macs_than_it_may_have__refuses_the_transaction_that_brings_them() {
    let world = World::default();
    let mut block = BlockExecutor::new(
        world.state(),
        world.rules(),
        World::environment(),
        InterpreterRunner,
        ChainPrecompiles::default(),
    );
    let two = infer_many(&[&[1u8, 2, 3, 4] as &[u8]; 2]);
    block.execute(&transaction(0, two.clone(), 0)).unwrap();
    block.execute(&transaction(1, infer(MODEL, &[1, 2, 3, 4]), 0)).unwrap();
    let before = block.changes();
    let fault = block.execute(&transaction(2, two, 0)).unwrap_err();
    let expected = TransactionError::TooManyMacs { macs: 2_000_000, available: 1_000_000 };
    assert!(matches!(fault, TransactionFault::Invalid(error) if error == expected));
    assert_eq!(block.changes(), before);
    block.execute(&transaction(2, infer(MODEL, &[1, 2, 3, 4]), 0)).unwrap();
}

/// Call data near a valid call: one piece of it changed.
fn near(data: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    (Just(data), any::<prop::sample::Index>(), any::<u8>(), 0..3u8).prop_map(|(mut data, place, byte, way)| {
        let place = place.index(data.len());
        match way {
            0 => data[place] = byte,
            1 => data.truncate(place),
            _ => data.insert(place, byte),
        }
        data
    })
}

proptest! {
    #[test]
    fn calls__any_bytes__end_cleanly_and_run_only_what_is_well_formed(
        data in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            near(infer(MODEL, &[1, 2, 3, 4])),
            near(infer_many(&[&[1, 2, 3, 4], &[5, 6, 7, 8]])),
            near([&keccak256("cosine(uint8,bytes,bytes)")[..4], &word(1), &word(96), &word(160), &bytes(&[1, 2]), &bytes(&[3, 4])].concat()),
            near([&keccak256("matmulInt8(uint32,uint32,uint32,bytes,bytes)")[..4], &word(1), &word(2), &word(1), &word(160), &word(224), &bytes(&[1, 2]), &bytes(&[3, 4])].concat()),
        ],
        gas in 0..60_000u64,
    ) {
        for address in [INFERENCE, VECTORS] {
            let world = World::default();
            let outcome = world.try_call(address, data.clone(), 0, gas).unwrap();
            prop_assert!(outcome.gas_used <= gas);
            if outcome.status != ExecutionStatus::Success {
                prop_assert!(outcome.logs.is_empty());
            }
            let ran = world.runs() > 0;
            let canonical = data.starts_with(&keccak256("infer(bytes32,bytes)")[..4])
                || data.starts_with(&keccak256("inferMany(bytes32,bytes[])")[..4]);
            prop_assert!(!ran || canonical);
        }
    }
}
