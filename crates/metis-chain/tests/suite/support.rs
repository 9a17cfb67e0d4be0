//! Values to test with, all from one number.

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::{
    BlockBody, EthereumReceipt, EthereumTxEnvelope, Header, SignableTransaction, TxEip1559, TxEip2930, TxEip4844,
    TxEip7702, TxLegacy, TxType,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4895::Withdrawal,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Log, Signature, TxKind, U256, keccak256, logs_bloom};
use metis_chain::{
    chain::{Genesis, NewBlock},
    record::{BlockRecord, StateId},
};
use metis_state_transition::{Account, AccountChange, Block, ChangeSet, Code, ReceiptDetails};
use proptest::test_runner::Config as ProptestConfig;
use rand_xoshiro::{
    SplitMix64,
    rand_core::{Rng, SeedableRng},
};

pub const CHAIN_ID: u64 = 7133717;

pub type Envelope = EthereumTxEnvelope<TxEip4844>;

/// So many cases of a property, times `METIS_PROPERTY_FACTOR` for a longer run.
pub fn cases(count: u32) -> ProptestConfig {
    let factor = std::env::var("METIS_PROPERTY_FACTOR").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    ProptestConfig { cases: count.saturating_mul(factor), ..ProptestConfig::default() }
}

/// A stream of numbers.
#[derive(Clone, Debug)]
pub struct Source(SplitMix64);

impl Source {
    pub fn new(seed: u64) -> Self {
        Self(SplitMix64::seed_from_u64(seed))
    }

    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    pub fn coin(&mut self) -> bool {
        self.number() & 1 == 1
    }

    /// Small numbers as often as large ones.
    pub fn skewed(&mut self) -> u64 {
        self.number() >> self.below(64)
    }

    pub fn word(&mut self) -> U256 {
        match self.below(4) {
            0 => U256::ZERO,
            1 => U256::from(self.skewed()),
            _ => U256::from_be_bytes(self.hash().0),
        }
    }

    pub fn hash(&mut self) -> B256 {
        keccak256(self.number().to_be_bytes())
    }

    pub fn address(&mut self) -> Address {
        Address::from_slice(&self.hash()[..20])
    }

    pub fn bytes(&mut self, len_max: u64) -> Bytes {
        let len = if self.below(4) == 0 { 0 } else { self.below(len_max + 1) };
        (0..len).map(|_| if self.coin() { 0 } else { self.number() as u8 }).collect()
    }

    pub fn list<T>(&mut self, len_max: u64, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(len_max + 1)).map(|_| one(self)).collect()
    }
}

pub fn signature(source: &mut Source) -> Signature {
    Signature::new(U256::from(source.number()), U256::from(source.number() | 1), source.coin())
}

fn access_list(source: &mut Source) -> AccessList {
    AccessList(
        source
            .list(3, |source| AccessListItem { address: source.address(), storage_keys: source.list(3, Source::hash) }),
    )
}

pub fn transaction(source: &mut Source) -> Envelope {
    let signature = signature(source);
    let (nonce, gas_limit) = (source.skewed(), source.skewed());
    let (fee, tip) = (u128::from(source.skewed()), u128::from(source.skewed()));
    let to = if source.coin() { TxKind::Create } else { TxKind::Call(source.address()) };
    let (value, input) = (source.word(), source.bytes(100));
    let chain_id = CHAIN_ID;
    match source.below(5) {
        0 => {
            TxLegacy { chain_id: source.coin().then_some(chain_id), nonce, gas_price: fee, gas_limit, to, value, input }
                .into_signed(signature)
                .into()
        }
        1 => {
            let access_list = access_list(source);
            TxEip2930 { chain_id, nonce, gas_price: fee, gas_limit, to, value, input, access_list }
                .into_signed(signature)
                .into()
        }
        2 => TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: tip,
            to,
            value,
            access_list: access_list(source),
            input,
        }
        .into_signed(signature)
        .into(),
        3 => Envelope::Eip4844(
            TxEip4844 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: fee,
                max_priority_fee_per_gas: tip,
                to: source.address(),
                value,
                access_list: access_list(source),
                blob_versioned_hashes: source.list(4, Source::hash),
                max_fee_per_blob_gas: u128::from(source.skewed()),
                input,
            }
            .into_signed(signature),
        ),
        _ => TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: tip,
            to: source.address(),
            value,
            access_list: access_list(source),
            authorization_list: source.list(3, |source| {
                let authorization =
                    Authorization { chain_id: U256::from(source.skewed()), address: source.address(), nonce: 1 };
                let (r, s) = (U256::from(source.number()), U256::from(source.number()));
                SignedAuthorization::new_unchecked(authorization, source.below(2) as u8, r, s)
            }),
            input,
        }
        .into_signed(signature)
        .into(),
    }
}

/// Few addresses and topics, so that logs share them.
pub fn log(source: &mut Source) -> Log {
    let address = Address::repeat_byte(source.below(4) as u8);
    let topics = source.list(4, |source| B256::repeat_byte(source.below(3) as u8));
    Log::new_unchecked(address, topics, source.bytes(40))
}

pub fn receipt(source: &mut Source, tx_type: TxType, logs_max: u64) -> ReceiptDetails {
    let logs = source.list(logs_max, log);
    ReceiptDetails {
        bloom: logs_bloom(&logs),
        receipt: EthereumReceipt { tx_type, success: source.coin(), cumulative_gas_used: source.skewed(), logs },
        state_root: source.coin().then(|| source.hash()),
        gas_used: source.skewed(),
        effective_gas_price: u128::from(source.number()) * u128::from(source.skewed()),
        blob_gas_used: source.skewed(),
        contract_address: source.coin().then(|| source.address()),
        failure: [None, Some("revert"), Some("out-of-gas")][source.below(3) as usize],
        output: source.bytes(60),
    }
}

pub fn changes(source: &mut Source) -> ChangeSet {
    let accounts: BTreeMap<_, _> = source
        .list(4, |source| {
            let account = source.coin().then(|| Account {
                nonce: source.skewed(),
                balance: source.word(),
                code_hash: source.hash(),
            });
            let storage = source.list(3, |source| (source.word(), source.word())).into_iter().collect();
            (source.address(), AccountChange { account, storage_cleared: source.coin(), storage })
        })
        .into_iter()
        .collect();
    let code = |source: &mut Source| {
        let code = Code::new(source.bytes(50));
        (code.hash(), code)
    };
    ChangeSet { accounts, codes: source.list(2, code).into_iter().collect() }
}

/// A block on a parent with transactions that are all different, and what they are said to have
/// done. Not executed: nothing here depends on that.
pub fn block(source: &mut Source, parent_hash: B256, number: u64, transactions_max: u64) -> NewBlock {
    let transactions = source.list(transactions_max, transaction);
    let receipts: Vec<_> = transactions.iter().map(|envelope| receipt(source, envelope.tx_type(), 3)).collect();
    let header = Header {
        parent_hash,
        number,
        timestamp: number.saturating_mul(2),
        difficulty: U256::from(source.below(3)),
        state_root: source.hash(),
        extra_data: source.bytes(32),
        gas_limit: source.skewed(),
        base_fee_per_gas: Some(source.skewed()),
        withdrawals_root: Some(B256::ZERO),
        ..Header::default()
    };
    let withdrawals = source.list(2, |source| Withdrawal {
        index: source.skewed(),
        validator_index: source.skewed(),
        address: source.address(),
        amount: source.skewed(),
    });
    let body = BlockBody { transactions, ommers: Vec::new(), withdrawals: Some(withdrawals.into()) };
    let senders = body.transactions.iter().map(|_| source.address()).collect();
    NewBlock {
        block: Block { header, body }.into(),
        senders,
        receipts,
        changes: changes(source).into(),
        parent_state: None,
    }
}

pub fn block_record(source: &mut Source) -> BlockRecord {
    let parent_hash = source.hash();
    let number = source.skewed();
    let NewBlock { block, senders, receipts, changes, .. } = self::block(source, parent_hash, number, 6);
    BlockRecord {
        parent_state: StateId(source.skewed()),
        is_latest: source.coin(),
        hash: source.hash(),
        block: Arc::unwrap_or_clone(block),
        senders,
        receipts,
        changes: (*changes).clone(),
    }
}

pub fn genesis() -> Genesis {
    let header = Header { gas_limit: 30_000_000, state_root: B256::repeat_byte(1), ..Header::default() };
    let account = Account { nonce: 1, balance: U256::from(1_000_000u64), ..Account::default() };
    let mut changes = ChangeSet::default();
    changes
        .accounts
        .insert(Address::repeat_byte(0xaa), AccountChange { account: Some(account), ..AccountChange::default() });
    Genesis { chain_id: CHAIN_ID, block: Block { header, body: BlockBody::default() }, changes }
}
