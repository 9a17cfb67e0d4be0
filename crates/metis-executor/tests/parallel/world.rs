//! Random worlds, and blocks of random transactions in them.

use std::sync::Arc;

use alloy_consensus::{
    EthereumTxEnvelope, Header, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4895::Withdrawal,
    eip7702::Authorization,
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use metis_db::{GenesisAccount, MemorySnapshot, MemoryStore, StateStore};
use metis_state_transition::{
    Ancestors, BlockAttributes, ChainSpec, Fork, RecoveredTransaction, StateCommitment, genesis_header,
};

use super::{code, dice::Dice};

const CHAIN_ID: u64 = 1;

/// A state, and candidates for its next block.
pub struct World {
    pub fork: Fork,
    pub spec: ChainSpec,
    pub snapshot: Arc<MemorySnapshot>,
    pub parent: Header,
    pub attributes: BlockAttributes,
    pub candidates: Vec<RecoveredTransaction>,
}

const FORKS: [Fork; 9] = [
    Fork::Byzantium,
    Fork::Constantinople,
    Fork::Istanbul,
    Fork::Berlin,
    Fork::London,
    Fork::Shanghai,
    Fork::Cancun,
    Fork::Prague,
    Fork::Osaka,
];

fn numbered(kind: u8, number: u64) -> Address {
    let mut bytes = [0; 20];
    bytes[0] = kind;
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Address::from(bytes)
}

/// An account that has signed its code to another one: whoever this signature recovers to.
fn authorization(contract: Address, nonce: u64, number: u64) -> Option<alloy_eips::eip7702::SignedAuthorization> {
    let fields = Authorization { chain_id: U256::ZERO, address: contract, nonce };
    let signature = Signature::new(U256::from(number + 3), U256::from(7), false);
    let signed = fields.into_signed(signature);
    signed.recover_authority().ok().map(|_| signed)
}

impl World {
    pub fn random(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let fork = dice.pick(&FORKS);
        let senders: Vec<Address> = (1..=2 + dice.below(8)).map(|number| numbered(0xaa, number)).collect();
        let contracts: Vec<Address> = (1..=1 + dice.below(6)).map(|number| numbered(0xcc, number)).collect();
        let strangers: Vec<Address> = (1..=3).map(|number| numbered(0xee, number)).collect();
        let precompiles = [numbered(0, 2), numbered(0, 4)];
        let beneficiary = match dice.below(4) {
            0 => senders[0],
            1 => contracts[0],
            2 => strangers[0],
            _ => numbered(0xbb, 1),
        };
        let mut addresses = [&senders[..], &contracts, &strangers, &precompiles, &[beneficiary]].concat();
        let authorizations: Vec<_> =
            (0..3).filter_map(|number| authorization(dice.pick(&contracts), dice.below(2), number)).collect();
        addresses.extend(authorizations.iter().filter_map(|signed| signed.recover_authority().ok()));

        let mut genesis = Vec::new();
        for sender in &senders {
            // Some can pay for everything, some for little, and one has more than any chain gives out.
            let balance = match dice.below(8) {
                0 => U256::from(10u64.pow(15)),
                1 => U256::MAX - U256::from(dice.below(1000)),
                _ => U256::from(10u64).pow(U256::from(20)),
            };
            genesis.push((*sender, GenesisAccount { balance, ..GenesisAccount::default() }));
        }
        for contract in &contracts {
            let code: Bytes = code::random(&mut dice, fork, &addresses, 2).into();
            let storage = (0..dice.below(3)).map(|slot| (U256::from(slot), U256::from(dice.below(3)))).collect();
            let balance = U256::from(dice.pick(&[0, 0, 5, 100_000]));
            genesis.push((*contract, GenesisAccount { nonce: 1, balance, code, storage }));
        }
        if fork >= Fork::Prague {
            // The contracts whose requests a block collects: they answer nothing.
            let stop = Bytes::from_static(&[0]);
            for address in [
                alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
                alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            ] {
                genesis.push((address, GenesisAccount { nonce: 1, code: stop.clone(), ..GenesisAccount::default() }));
            }
        }
        let store = MemoryStore::new(genesis, 0);
        let snapshot = store.latest();
        let spec = ChainSpec::at_fork(fork, CHAIN_ID);
        let gas_limit = dice.pick(&[30_000_000, 30_000_000, 3_000_000]);
        let state_root = snapshot.state_root_after(&Default::default()).unwrap();
        let parent = genesis_header(&spec, Header { gas_limit, state_root, ..Header::default() });
        let withdrawals = (0..dice.below(3)).map(|index| Withdrawal {
            index,
            validator_index: 0,
            address: dice.pick(&addresses),
            amount: dice.below(2),
        });
        let attributes = BlockAttributes {
            timestamp: 12,
            beneficiary,
            gas_limit,
            withdrawals: withdrawals.collect(),
            ancestors: Ancestors::default().with(0, parent.hash_slow()),
            ..BlockAttributes::default()
        };
        let mut nonces = vec![0u64; senders.len()];
        let count = 1 + dice.below(60);
        let candidates = (0..count)
            .map(|_| {
                let who = dice.below(senders.len() as u64) as usize;
                // Now and then a transaction that may not be in a block: the next one has its nonce.
                let is_bad = dice.chance(10);
                let nonce = match dice.below(3) {
                    0 if is_bad => nonces[who].saturating_sub(1),
                    1 if is_bad => nonces[who] + 1,
                    _ => nonces[who],
                };
                nonces[who] += u64::from(!is_bad);
                let envelope = transaction(&mut dice, fork, nonce, is_bad, &addresses, &contracts, &authorizations);
                RecoveredTransaction { envelope, sender: senders[who] }
            })
            .collect();
        Self { fork, spec, snapshot, parent, attributes, candidates }
    }
}

impl World {
    /// What the transactions see of the block.
    pub fn environment(&self) -> metis_state_transition::BlockEnvironment {
        metis_state_transition::BlockEnvironment {
            number: 1,
            timestamp: self.attributes.timestamp,
            beneficiary: self.attributes.beneficiary,
            gas_limit: self.attributes.gas_limit,
            base_fee_per_gas: 1_000_000,
            excess_blob_gas: Some(0),
            ancestors: self.attributes.ancestors.clone(),
            ..Default::default()
        }
    }
}

fn transaction(
    dice: &mut Dice,
    fork: Fork,
    nonce: u64,
    is_bad: bool,
    addresses: &[Address],
    contracts: &[Address],
    authorizations: &[alloy_eips::eip7702::SignedAuthorization],
) -> EthereumTxEnvelope<TxEip4844> {
    let gas_limit = if is_bad { 21_000 } else { dice.pick(&[80_000, 300_000, 300_000, 1_000_000]) };
    let value = U256::from(dice.pick(&[0, 0, 1, 1_000_000]));
    let price = if is_bad { 500 } else { dice.pick(&[1_000_000_000u128, 2_000_000_000]) };
    let tip = dice.pick(&[0u128, 0, 1, 1_000_000]);
    let target = if dice.chance(60) { dice.pick(contracts) } else { dice.pick(addresses) };
    let (to, input): (TxKind, Bytes) = if dice.chance(8) {
        (TxKind::Create, code::init_code(&code::random(dice, fork, addresses, 1), dice).into())
    } else if dice.chance(70) {
        (TxKind::Call(target), B256::from(U256::from(dice.below(3))).to_vec().into())
    } else {
        (TxKind::Call(target), Bytes::new())
    };
    let listed = AccessListItem { address: target, storage_keys: vec![B256::from(U256::from(dice.below(3)))] };
    let access_list = AccessList(if dice.chance(30) { vec![listed] } else { Vec::new() });
    let signature = Signature::new(U256::ONE, U256::ONE, false);
    match dice.below(5) {
        0 if fork >= Fork::Berlin => {
            let fields =
                TxEip2930 { chain_id: CHAIN_ID, nonce, gas_price: price, gas_limit, to, value, access_list, input };
            fields.into_signed(signature).into()
        }
        1 | 2 if fork >= Fork::London => {
            let fields = TxEip1559 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit,
                max_fee_per_gas: price,
                max_priority_fee_per_gas: tip,
                to,
                value,
                access_list,
                input,
            };
            fields.into_signed(signature).into()
        }
        3 if fork >= Fork::Prague && !authorizations.is_empty() => {
            let authorization_list = vec![authorizations[dice.below(authorizations.len() as u64) as usize].clone()];
            let fields = TxEip7702 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit,
                max_fee_per_gas: price,
                max_priority_fee_per_gas: tip,
                to: target,
                value,
                access_list,
                authorization_list,
                input,
            };
            fields.into_signed(signature).into()
        }
        4 if fork >= Fork::Cancun && dice.chance(40) => {
            let mut blob = B256::repeat_byte(7);
            blob[0] = 1;
            let fields = TxEip4844 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit,
                max_fee_per_gas: price,
                max_priority_fee_per_gas: tip,
                to: target,
                value,
                access_list,
                blob_versioned_hashes: vec![blob; 1 + dice.below(3) as usize],
                max_fee_per_blob_gas: 10,
                input,
            };
            fields.into_signed(signature).into()
        }
        _ => {
            let fields = TxLegacy { chain_id: Some(CHAIN_ID), nonce, gas_price: price, gas_limit, to, value, input };
            fields.into_signed(signature).into()
        }
    }
}
