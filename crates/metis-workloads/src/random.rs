//! Random blocks: few accounts and contracts, so that everything meets everything.

use std::collections::BTreeMap;

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use metis_state_transition::Fork;

use crate::{
    Workload,
    odd::Authority,
    programs::{BENEFICIARY_READER, CHILD, DESTROYED, SELF_READER, TOUCH, child_factory, child_init_code, touch},
    seeded::{Seeded, address},
    spec_at,
    transactions::{Draft, Genesis},
};

const FORKS: [Fork; 4] = [Fork::Shanghai, Fork::Cancun, Fork::Prague, Fork::Osaka];
const AUTHORITY_COUNT: usize = 3;

/// A block of up to 64 candidates of every kind; some may not be in any block.
pub fn random(seed: u64) -> Workload {
    let mut seeded = Seeded::new(seed);
    let mut world = World::new(&mut seeded);
    let count = 1 + seeded.below(64);
    let candidates = (0..count).map(|_| world.transaction(&mut seeded)).collect();
    let beneficiary = *seeded.pick(&[&world.senders[..], &world.contracts, &[address("beneficiary", 0)]].concat());
    Workload {
        name: format!("random {seed}"),
        spec: spec_at(world.fork),
        genesis: world.genesis.0,
        candidates,
        beneficiary,
    }
}

struct World {
    fork: Fork,
    genesis: Genesis,
    senders: Vec<Address>,
    authorities: Vec<Authority>,
    contracts: Vec<Address>,
    /// Of candidates so far; what is not valid leaves a gap behind it.
    nonces: BTreeMap<Address, u64>,
}

impl World {
    fn new(seeded: &mut Seeded) -> Self {
        let mut genesis = Genesis::new();
        let authorities: Vec<Authority> = (0..AUTHORITY_COUNT).map(Authority::new).collect();
        let mut senders: Vec<Address> = (0..1 + seeded.below(12) as usize).map(|n| address("sender", n)).collect();
        senders.extend(authorities.iter().map(|authority| authority.address));
        for sender in &senders {
            genesis.funded(*sender);
        }
        if seeded.percent(30) {
            // One who cannot pay for much.
            if let Some(account) = genesis.0.get_mut(&senders[0]) {
                account.balance = U256::from(1_000_000_000_000_000_u64);
            }
        }
        let codes: [Vec<u8>; 6] = [
            TOUCH.into(),
            TOUCH.into(),
            BENEFICIARY_READER.into(),
            SELF_READER.into(),
            DESTROYED.into(),
            child_factory(),
        ];
        let mut contracts = Vec::new();
        for (number, code) in codes.into_iter().enumerate() {
            let at = address("contract", number);
            let storage = BTreeMap::from([(U256::from(seeded.below(4)), U256::from(seeded.next()))]);
            genesis.contract(at, code.into(), storage);
            contracts.push(at);
        }
        contracts.push(contracts[5].create2([0; 32], keccak256(child_init_code())));
        Self { fork: *seeded.pick(&FORKS), genesis, senders, authorities, contracts, nonces: BTreeMap::new() }
    }

    fn anybody(&self, seeded: &mut Seeded) -> Address {
        match seeded.below(10) {
            0..4 => *seeded.pick(&self.senders),
            4..8 => *seeded.pick(&self.contracts),
            _ => address("stranger", seeded.below(4) as usize),
        }
    }

    fn transaction(&mut self, seeded: &mut Seeded) -> metis_state_transition::RecoveredTransaction {
        let sender = *seeded.pick(&self.senders);
        let mut draft = match seeded.below(10) {
            0..3 => Draft::transfer(self.anybody(seeded), seeded.below(1_000)),
            3 => self.creation(seeded),
            _ => self.call(seeded),
        };
        if seeded.percent(20) {
            draft.access_list = self.access_list(seeded);
            draft.gas_limit += 30_000;
        }
        if self.fork >= Fork::Prague && seeded.percent(15) && draft.to.is_call() {
            draft.authorizations = (0..1 + seeded.below(2)).map(|_| self.authorization(seeded, sender)).collect();
            draft.gas_limit += 60_000;
        }
        if seeded.percent(4) {
            // More than anyone has.
            draft.value = U256::from(u128::MAX);
        }
        if seeded.percent(4) {
            draft.gas_limit = 21_000 + seeded.below(20_000);
        }
        let next = self.nonces.entry(sender).or_default();
        let nonce = match seeded.below(40) {
            0 => *next + 1 + seeded.below(3),
            1 => next.saturating_sub(1),
            _ => {
                *next += 1;
                *next - 1
            }
        };
        draft.sent(sender, nonce)
    }

    fn call(&self, seeded: &mut Seeded) -> Draft {
        let to = *seeded.pick(&[&self.contracts[..], &[self.authorities[0].address]].concat());
        let input = match seeded.below(4) {
            0 => Bytes::new(),
            1 => Bytes::from_static(&[1]),
            _ => touch(seeded.below(4), seeded.below(100), self.anybody(seeded), seeded.below(2)),
        };
        let value = if seeded.percent(50) { seeded.below(1_000) } else { 0 };
        Draft { value: U256::from(value), ..Draft::call(to, input, 300_000) }
    }

    fn creation(&self, seeded: &mut Seeded) -> Draft {
        let init = match seeded.below(3) {
            0 => child_init_code(),
            // Writes storage, then leaves code of one byte that means nothing.
            1 => [&[0x60, 7, 0x5f, 0x55, 0x60, 1, 0x5f, 0xf3][..], CHILD].concat(),
            _ => vec![0xfe],
        };
        Draft { to: TxKind::Create, ..Draft::call(Address::ZERO, init.into(), 200_000) }
    }

    fn access_list(&self, seeded: &mut Seeded) -> AccessList {
        let item = AccessListItem {
            address: self.anybody(seeded),
            storage_keys: (0..seeded.below(3)).map(|_| B256::from(U256::from(seeded.below(4)))).collect(),
        };
        AccessList(vec![item])
    }

    fn authorization(&self, seeded: &mut Seeded, sender: Address) -> alloy_eips::eip7702::SignedAuthorization {
        let authority = seeded.pick(&self.authorities);
        let to = if seeded.percent(25) { Address::ZERO } else { *seeded.pick(&self.contracts) };
        let next = self.nonces.get(&authority.address).copied().unwrap_or(0);
        // A sender's own nonce is raised before its authorizations are looked at.
        authority.sign(to, next + u64::from(sender == authority.address))
    }
}
