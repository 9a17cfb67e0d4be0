//! Blocks in which what is usually independent is not.

use std::collections::BTreeMap;

use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, Bytes, Signature, U256, keccak256};
use metis_state_transition::Fork;
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};

use crate::{
    CHAIN_ID, Workload,
    programs::{BENEFICIARY_READER, DESTROYED, SELF_READER, TOUCH, child_factory, child_init_code, touch},
    seeded::address,
    spec_at,
    transactions::{Draft, Genesis},
};

const GAS_LIMIT: u64 = 200_000;

/// The beneficiary sends every fourth of the transfers itself, and others send to it.
pub fn beneficiary_is_sender(count: usize) -> Workload {
    let mut genesis = Genesis::new();
    let beneficiary = address("beneficiary", 0);
    genesis.funded(beneficiary);
    let mut nonce = 0;
    let candidates = (0..count).map(|number| {
        if number % 4 == 1 {
            nonce += 1;
            return Draft::transfer(address("receiver", number), 1_000).sent(beneficiary, nonce - 1);
        }
        let sender = address("sender", number);
        genesis.funded(sender);
        let to = if number % 4 == 3 { beneficiary } else { address("receiver", number) };
        Draft::transfer(to, 1).sent(sender, 0)
    });
    let candidates = candidates.collect();
    Workload {
        name: "beneficiary sends".into(),
        spec: spec_at(Fork::Osaka),
        genesis: genesis.0,
        candidates,
        beneficiary,
    }
}

/// The beneficiary is a contract that keeps what it has when it is called; another keeps what the beneficiary has.
pub fn beneficiary_is_contract(count: usize) -> Workload {
    let mut genesis = Genesis::new();
    let (beneficiary, reader) = (address("beneficiary", 0), address("reader", 0));
    genesis.contract(beneficiary, SELF_READER.into(), BTreeMap::new());
    genesis.contract(reader, BENEFICIARY_READER.into(), BTreeMap::new());
    let candidates = (0..count).map(|number| {
        let sender = address("sender", number);
        genesis.funded(sender);
        let draft = match number % 4 {
            0 => Draft::call(beneficiary, Bytes::new(), GAS_LIMIT),
            1 => Draft::call(reader, Bytes::new(), GAS_LIMIT),
            _ => Draft::transfer(address("receiver", number), 1),
        };
        draft.sent(sender, 0)
    });
    let candidates = candidates.collect();
    Workload {
        name: "beneficiary is a contract".into(),
        spec: spec_at(Fork::Osaka),
        genesis: genesis.0,
        candidates,
        beneficiary,
    }
}

/// The beneficiary is a contract that destroys itself, for good (before Cancun) with every third call, and gets fees
/// again after it.
pub fn beneficiary_is_destroyed(count: usize) -> Workload {
    let mut genesis = Genesis::new();
    let beneficiary = address("beneficiary", 0);
    genesis.contract(beneficiary, DESTROYED.into(), BTreeMap::from([(U256::from(7), U256::from(7))]));
    let candidates = (0..count).map(|number| {
        let sender = address("sender", number);
        genesis.funded(sender);
        let draft = match number % 3 {
            0 => Draft::call(beneficiary, Bytes::new(), GAS_LIMIT),
            _ => Draft::transfer(address("receiver", number), 1),
        };
        draft.sent(sender, 0)
    });
    let candidates = candidates.collect();
    let name = "beneficiary is destroyed".into();
    Workload { name, spec: spec_at(Fork::Shanghai), genesis: genesis.0, candidates, beneficiary }
}

/// A contract is created, used, destroyed and created again at its address, over and over (before Cancun, when code
/// and storage went away). In between it gets value as if it had never been.
pub fn recreations(count: usize) -> Workload {
    let mut genesis = Genesis::new();
    let factory = address("factory", 0);
    genesis.contract(factory, child_factory().into(), BTreeMap::new());
    let child = factory.create2([0; 32], keccak256(child_init_code()));
    let candidates = (0..count).map(|number| {
        let sender = address("sender", number);
        genesis.funded(sender);
        let draft = match number % 6 {
            0 => Draft::call(factory, Bytes::new(), GAS_LIMIT),
            1 | 2 => Draft::call(child, Bytes::new(), GAS_LIMIT),
            3 => Draft::call(child, Bytes::from_static(&[1]), GAS_LIMIT),
            4 => Draft::transfer(child, 5),
            _ => Draft::transfer(address("receiver", number), 1),
        };
        draft.sent(sender, 0)
    });
    let candidates = candidates.collect();
    Workload {
        name: "create, destroy, create".into(),
        spec: spec_at(Fork::Shanghai),
        genesis: genesis.0,
        candidates,
        beneficiary: address("beneficiary", 0),
    }
}

/// Accounts delegate to contracts, are called, send transactions themselves, delegate to others and take it back
/// (EIP-7702).
pub fn delegations(count: usize) -> Workload {
    let mut genesis = Genesis::new();
    let (touching, reading) = (address("touching", 0), address("reading", 0));
    genesis.contract(touching, TOUCH.into(), BTreeMap::new());
    genesis.contract(reading, SELF_READER.into(), BTreeMap::new());
    // Each authority goes through the same six steps; neighbours are steps of different ones.
    let authority_count = count.div_ceil(6);
    let authorities: Vec<Authority> = (0..authority_count).map(Authority::new).collect();
    for authority in &authorities {
        genesis.funded(authority.address);
    }
    let candidates = (0..count).map(|number| {
        let (step, authority) = (number / authority_count, &authorities[number % authority_count]);
        let sender = address("sender", number);
        genesis.funded(sender);
        let called = |input| Draft::call(authority.address, input, GAS_LIMIT);
        let authorized = |to, nonce| Draft { authorizations: vec![authority.sign(to, nonce)], ..called(Bytes::new()) };
        match step {
            0 => authorized(touching, 0).sent(sender, 0),
            1 => called(touch(number as u64 % 7, 3, authority.address, 0)).sent(sender, 0),
            // Its own transaction, with its own authorization: that one has the nonce after.
            2 => authorized(reading, 2).sent(authority.address, 1),
            3 => called(Bytes::new()).sent(sender, 0),
            4 => authorized(Address::ZERO, 3).sent(sender, 0),
            _ => Draft::transfer(authority.address, 9).sent(sender, 0),
        }
    });
    let candidates = candidates.collect();
    Workload {
        name: "delegations".into(),
        spec: spec_at(Fork::Osaka),
        genesis: genesis.0,
        candidates,
        beneficiary: address("beneficiary", 0),
    }
}

/// An account whose key is known.
pub(crate) struct Authority {
    key: SecretKey,
    pub address: Address,
}

impl Authority {
    pub(crate) fn new(number: usize) -> Self {
        // UNWRAP: a hash is out of the order's range once in 2^128.
        let key = SecretKey::from_byte_array(keccak256(format!("authority {number}")).0).unwrap();
        let public = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
        Self { key, address: Address::from_slice(&keccak256(&public[1..])[12..]) }
    }

    /// Leave to run the code of `to` for this account.
    pub(crate) fn sign(&self, to: Address, nonce: u64) -> SignedAuthorization {
        let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: to, nonce };
        let digest = Message::from_digest(authorization.signature_hash().0);
        let (id, compact) = SECP256K1.sign_ecdsa_recoverable(digest, &self.key).serialize_compact();
        let (r, s) = (U256::from_be_slice(&compact[..32]), U256::from_be_slice(&compact[32..]));
        authorization.into_signed(Signature::new(r, s, i32::from(id) == 1))
    }
}
