//! The pool's rules about a transaction alone are the state transition's.

use alloy_consensus::{EthereumTxEnvelope, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use metis_chain::mempool::{AddError, Mempool, MempoolConfig, PoolHead, Rejection, SenderAccount, SenderAccounts};
use metis_db::{GenesisAccount, MemoryStore, StateStore};
use metis_state_transition::{
    BlockEnvironment, BlockExecutor, ChainPrecompiles, ChainSpec, Fork, InterpreterRunner, RecoveredTransaction,
    TransactionError, TransactionFault,
};
use proptest::prelude::*;

use crate::support::{CHAIN_ID, Envelope, Source};

const SENDER: Address = Address::repeat_byte(0x5e);
const BLOCK_GAS_LIMIT: u64 = 40_000_000;

fn store(code: Bytes) -> MemoryStore {
    let account = GenesisAccount { nonce: 5, balance: U256::MAX >> 2, code, ..GenesisAccount::default() };
    MemoryStore::new([(SENDER, account)], 1)
}

fn pool_head(fork: Fork) -> PoolHead {
    let rules = ChainSpec::at_fork(fork, CHAIN_ID).rules_at(1, 12);
    PoolHead { rules, gas_limit: BLOCK_GAS_LIMIT, base_fee_per_gas: 7, blob_base_fee_per_gas: 1 }
}

/// What the state transition says of a transaction.
fn engine(store: &MemoryStore, fork: Fork, transaction: &RecoveredTransaction) -> Result<(), TransactionError> {
    let environment = BlockEnvironment {
        number: 1,
        timestamp: 12,
        beneficiary: Address::ZERO,
        gas_limit: BLOCK_GAS_LIMIT,
        base_fee_per_gas: 7,
        difficulty: U256::ZERO,
        excess_blob_gas: (fork >= Fork::Cancun).then_some(0),
        ..BlockEnvironment::default()
    };
    let rules = pool_head(fork).rules;
    let snapshot = store.latest();
    let mut executor =
        BlockExecutor::new(&*snapshot, rules, environment, InterpreterRunner, ChainPrecompiles::default());
    match executor.execute(transaction) {
        Ok(_) => Ok(()),
        Err(TransactionFault::Invalid(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

/// What the pool says of it.
fn pool(store: &MemoryStore, fork: Fork, transaction: &RecoveredTransaction) -> Result<(), TransactionError> {
    let mut pool = Mempool::new(MempoolConfig::default(), pool_head(fork));
    match pool.add(transaction.clone(), 0, &*store.latest()) {
        Ok(_) => Ok(()),
        Err(AddError::Rejected(Rejection::Invalid(error))) => Err(*error),
        Err(other) => panic!("{other}"),
    }
}

fn signed(transaction: impl Into<Unsigned>) -> RecoveredTransaction {
    with_s(transaction, U256::ONE)
}

fn with_s(transaction: impl Into<Unsigned>, s: U256) -> RecoveredTransaction {
    let signature = Signature::new(U256::ONE, s, false);
    let envelope: Envelope = match transaction.into() {
        Unsigned::Legacy(it) => it.into_signed(signature).into(),
        Unsigned::Eip2930(it) => it.into_signed(signature).into(),
        Unsigned::Eip1559(it) => it.into_signed(signature).into(),
        Unsigned::Eip4844(it) => EthereumTxEnvelope::Eip4844(it.into_signed(signature)),
        Unsigned::Eip7702(it) => it.into_signed(signature).into(),
    };
    RecoveredTransaction { envelope, sender: SENDER }
}

enum Unsigned {
    Legacy(TxLegacy),
    Eip2930(TxEip2930),
    Eip1559(TxEip1559),
    Eip4844(TxEip4844),
    Eip7702(TxEip7702),
}

macro_rules! unsigned_from {
    ($($variant:ident $kind:ty),*) => { $(impl From<$kind> for Unsigned {
        fn from(it: $kind) -> Self { Self::$variant(it) }
    })* };
}
unsigned_from!(Legacy TxLegacy, Eip2930 TxEip2930, Eip1559 TxEip1559, Eip4844 TxEip4844, Eip7702 TxEip7702);

fn access_list(source: &mut Source) -> AccessList {
    AccessList(
        source
            .list(3, |source| AccessListItem { address: source.address(), storage_keys: source.list(4, Source::hash) }),
    )
}

fn blob_hash() -> B256 {
    let mut hash = B256::repeat_byte(9);
    hash[0] = 1;
    hash
}

fn authorization(source: &mut Source) -> SignedAuthorization {
    let authorization = Authorization { chain_id: U256::ZERO, address: source.address(), nonce: 0 };
    SignedAuthorization::new_unchecked(authorization, 0, U256::ONE, U256::ONE)
}

/// A valid transaction of a kind that the fork knows, with this gas limit.
fn transaction(source: &mut Source, fork: Fork, gas_limit: u64) -> RecoveredTransaction {
    let kinds = match fork {
        fork if fork >= Fork::Prague => 5,
        fork if fork >= Fork::Cancun => 4,
        fork if fork >= Fork::London => 3,
        fork if fork >= Fork::Berlin => 2,
        _ => 1,
    };
    let target = Address::repeat_byte(0x77);
    let to = if source.coin() { TxKind::Create } else { TxKind::Call(target) };
    // STOP first, so that what is created runs and deploys nothing.
    let mut input = source.bytes(400).to_vec();
    if let Some(first) = input.first_mut() {
        *first = 0;
    }
    let (input, fee) = (Bytes::from(input), 1_000_000_000u128);
    let (chain_id, nonce, value) = (CHAIN_ID, 5, U256::from(source.below(2)));
    match source.below(kinds) {
        0 => signed(TxLegacy { chain_id: None, nonce, gas_price: fee, gas_limit, to, value, input }),
        1 => {
            let access_list = access_list(source);
            signed(TxEip2930 { chain_id, nonce, gas_price: fee, gas_limit, to, value, input, access_list })
        }
        2 => signed(TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: 2,
            to,
            value,
            access_list: access_list(source),
            input,
        }),
        3 => signed(TxEip4844 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: 1,
            to: target,
            value,
            access_list: access_list(source),
            blob_versioned_hashes: vec![blob_hash(); 1 + source.below(6) as usize],
            max_fee_per_blob_gas: 10,
            input,
        }),
        _ => signed(TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: 0,
            to: target,
            value,
            access_list: access_list(source),
            authorization_list: (0..=source.below(3)).map(|_| authorization(source)).collect(),
            input,
        }),
    }
}

proptest! {
    #![proptest_config(crate::support::cases(400))]

    /// With exactly the gas that is needed both accept it; with less both refuse it, for the same
    /// reason and with the same numbers.
    #[test]
    fn add__any_transaction_at_any_fork__needs_the_gas_that_the_engine_asks(
        seed in any::<u64>(),
        fork in 0..Fork::ALL.len(),
    ) {
        let fork = Fork::ALL[fork];
        let store = store(Bytes::new());
        let mut gas_limit = 0;
        loop {
            let transaction = transaction(&mut Source::new(seed), fork, gas_limit);
            let refused = engine(&store, fork, &transaction);
            prop_assert_eq!(&pool(&store, fork, &transaction), &refused);
            gas_limit = match refused {
                Ok(()) => break,
                Err(TransactionError::IntrinsicGasTooLow { required, .. }) if gas_limit + 1 < required => required - 1,
                Err(TransactionError::IntrinsicGasTooLow { required, .. }) => required,
                Err(TransactionError::GasBelowFloor { required, .. }) if gas_limit + 1 < required => required - 1,
                Err(TransactionError::GasBelowFloor { required, .. }) => required,
                Err(other) => panic!("{other}"),
            };
        }
        prop_assert!(gas_limit >= 21_000);
    }
}

fn base() -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce: 5,
        gas_limit: 100_000,
        max_fee_per_gas: 1_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::repeat_byte(0x77)),
        ..TxEip1559::default()
    }
}

fn blob(hashes: Vec<B256>) -> TxEip4844 {
    TxEip4844 {
        chain_id: CHAIN_ID,
        nonce: 5,
        gas_limit: 100_000,
        max_fee_per_gas: 1_000_000_000,
        max_fee_per_blob_gas: 10,
        blob_versioned_hashes: hashes,
        ..TxEip4844::default()
    }
}

/// One rule broken at a time: the same error from both.
#[test]
fn add__one_rule_broken__is_the_error_of_the_engine() {
    let delegation = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce: 5,
        gas_limit: 100_000,
        max_fee_per_gas: 1_000_000_000,
        ..TxEip7702::default()
    };
    let half_order =
        U256::from_str_radix("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0", 16).unwrap();
    let big = Bytes::from(vec![0u8; 2 * 24_576 + 1]);
    let cases = [
        (Fork::Osaka, signed(TxEip1559 { chain_id: 1, ..base() }), "wrong-chain-id"),
        (Fork::Osaka, signed(TxEip1559 { nonce: 4, ..base() }), "nonce-too-low"),
        (Fork::Osaka, signed(TxEip1559 { gas_limit: 16_777_217, ..base() }), "gas-limit-above-cap"),
        (Fork::Prague, signed(TxEip1559 { gas_limit: BLOCK_GAS_LIMIT + 1, ..base() }), "gas-limit-above-block"),
        (Fork::Osaka, signed(TxEip1559 { gas_limit: 20_999, ..base() }), "intrinsic-gas-too-low"),
        (
            Fork::Osaka,
            signed(TxEip1559 { max_priority_fee_per_gas: u128::MAX, ..base() }),
            "priority-fee-above-fee-cap",
        ),
        (Fork::Osaka, signed(TxEip1559 { value: U256::MAX >> 2, ..base() }), "insufficient-funds"),
        (Fork::Osaka, signed(TxEip1559 { value: U256::MAX, ..base() }), "cost-overflow"),
        (
            Fork::Osaka,
            signed(TxEip1559 { to: TxKind::Create, input: big, gas_limit: 10_000_000, ..base() }),
            "initcode-too-large",
        ),
        (Fork::Berlin, signed(base()), "type-not-active"),
        (Fork::Shanghai, signed(blob(vec![blob_hash()])), "type-not-active"),
        (
            Fork::Cancun,
            signed(TxEip7702 { authorization_list: vec![authorization(&mut Source::new(1))], ..delegation.clone() }),
            "type-not-active",
        ),
        (Fork::Osaka, signed(delegation), "no-authorizations"),
        (Fork::Osaka, signed(blob(vec![])), "no-blobs"),
        (Fork::Osaka, signed(blob(vec![B256::ZERO])), "blob-version"),
        (Fork::Osaka, signed(blob(vec![blob_hash(); 7])), "too-many-blobs"),
        (Fork::Osaka, with_s(base(), half_order + U256::ONE), "signature-s-too-high"),
    ];
    let store = store(Bytes::new());
    for (fork, transaction, slug) in cases {
        let error = pool(&store, fork, &transaction).unwrap_err();
        assert_eq!(error.slug(), slug);
        assert_eq!(Err(error), engine(&store, fork, &transaction), "{slug}");
    }
    assert_eq!(pool(&store, Fork::Osaka, &with_s(base(), half_order)), Ok(()));
}

#[test]
fn add__sender_with_code__is_refused_unless_it_is_a_delegation() {
    let contract = store(Bytes::from_static(&[0x60, 0x00]));
    let error = pool(&contract, Fork::Osaka, &signed(base())).unwrap_err();
    assert_eq!(Err(error), engine(&contract, Fork::Osaka, &signed(base())));
    let delegation = [&[0xef, 0x01, 0x00][..], &[0x11; 20]].concat();
    let delegated = store(delegation.into());
    assert_eq!(pool(&delegated, Fork::Osaka, &signed(base())), Ok(()));
    assert_eq!(engine(&delegated, Fork::Osaka, &signed(base())), Ok(()));
    let account = delegated.latest().sender_account(&SENDER).unwrap();
    assert_eq!(account, SenderAccount { nonce: 5, balance: U256::MAX >> 2, has_code: false });
}
