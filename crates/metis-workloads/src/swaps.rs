//! Swaps on Uniswap V3.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, I256, U256, keccak256};
use metis_state_transition::{Fork, RecoveredTransaction};

use crate::{
    Contracts, Workload,
    contracts::{Token, call_data, mapping_slot, with_immutables, word},
    seeded::address,
    spec_at,
    transactions::{Draft, Genesis},
};

/// Gas that a swap may use.
const GAS_LIMIT: u64 = 300_000;
const POOL_FEE: u64 = 3_000;
const TICK_SPACING: i32 = 60;
/// Ticks between which all liquidity lies.
const TICK_MAX: i32 = 600_000;
const LIQUIDITY: u128 = 111_111_000_000_010_412_955_141;
/// `sellToken0(uint256)` of SingleSwap.
const SELL_TOKEN_0: [u8; 4] = [0xc9, 0x2b, 0x08, 0x91];

/// Swaps, each by its own trader on its own pool of its own tokens, as in pevm's and grevm's blocks: none touches what
/// another one does.
pub fn swaps(contracts: &Contracts, count: usize) -> Workload {
    let mut genesis = Genesis::new();
    let candidates: Vec<RecoveredTransaction> = (0..count)
        .map(|number| {
            let market = Market::open(&mut genesis, contracts, number);
            let trader = address("trader", number);
            market.admit(&mut genesis, trader);
            Draft::call(market.single_swap, call_data(SELL_TOKEN_0, &[U256::from(2_000)]), GAS_LIMIT).sent(trader, 0)
        })
        .collect();
    Workload {
        name: "Uniswap V3 swaps".into(),
        spec: spec_at(Fork::Osaka),
        genesis: genesis.0,
        candidates,
        beneficiary: address("beneficiary", 0),
    }
}

/// Two tokens, their pool, and the contracts to trade on it.
struct Market {
    tokens: [Address; 2],
    single_swap: Address,
}

impl Market {
    fn open(genesis: &mut Genesis, contracts: &Contracts, number: usize) -> Self {
        let mut tokens = [address("token 0", number), address("token 1", number)];
        tokens.sort();
        let [weth, factory, router, single_swap] =
            ["weth", "factory", "router", "single swap"].map(|kind| address(kind, number));
        let init_code_hash = keccak256("the pool's creation code");
        let salt =
            keccak256([word(tokens[0]), word(tokens[1]), U256::from(POOL_FEE)].map(|w| w.to_be_bytes::<32>()).concat());
        let pool = factory.create2(salt, init_code_hash);

        genesis.contract(weth, contracts.weth.clone(), BTreeMap::new());
        for token in tokens {
            let mut storage = Token::default();
            storage.set_large_balance(pool, U256::from(LIQUIDITY));
            genesis.contract(token, contracts.token.clone(), storage.into_storage());
        }
        genesis.contract(factory, factory_code(contracts, factory), factory_storage(tokens, pool));
        let pool_immutables: [(&str, &[u8]); 4] = [
            ("261d8c5e9742e6f7f1076fa1f560894524e19cad", tokens[0].as_slice()),
            ("ce3478a9e0167a6bc5716dc39dbbbfac38f27623", tokens[1].as_slice()),
            ("cba6b9a951749b8735c603e7ffc5151849248772", factory.as_slice()),
            ("d495d5e5cab2567777fff988c4fcd71328b17c9d", pool.as_slice()),
        ];
        genesis.contract(pool, with_immutables(&contracts.pool, &pool_immutables), pool_storage());
        let router_immutables: [(&str, &[u8]); 3] = [
            ("6509f2a854ba7441039fce3b959d5badd2ffcfcd", weth.as_slice()),
            ("d787a42ee3ac477c46dd6c912e7af795d44453d5", factory.as_slice()),
            ("636fcf59d7fdf3a03833dba1c6d936c9d7c6730057c8c4c8e5059feaeab60e04", init_code_hash.as_slice()),
        ];
        let unused = BTreeMap::from([(U256::ZERO, U256::MAX)]);
        genesis.contract(router, with_immutables(&contracts.router, &router_immutables), unused);
        let swap_immutables: [(&str, &[u8]); 1] = [("e7cfcccb38ce07ba9d8d13431afe8cf6172de031", router.as_slice())];
        // Slot 0: one token; slot 1: the other and the fee above it.
        let swap_storage =
            BTreeMap::from([(U256::ZERO, word(tokens[0])), (U256::ONE, word(tokens[1]) | U256::from(POOL_FEE) << 160)]);
        genesis.contract(single_swap, with_immutables(&contracts.single_swap, &swap_immutables), swap_storage);
        Self { tokens, single_swap }
    }

    /// Gives a trader tokens that the market may take.
    fn admit(&self, genesis: &mut Genesis, trader: Address) {
        genesis.funded(trader);
        let amount = U256::from(1_000_000_000_000_000_000_u64);
        for token in self.tokens {
            let mut entries = Token::default();
            entries.set_large_balance(trader, amount);
            entries.set_allowance(trader, self.single_swap, amount);
            if let Some(account) = genesis.0.get_mut(&token) {
                account.storage.extend(entries.into_storage());
            }
        }
    }
}

fn factory_code(contracts: &Contracts, factory: Address) -> Bytes {
    let immutables: [(&str, &[u8]); 1] = [("0b748751e6f8b1a38c9386a19d9f8966b3593a9e", factory.as_slice())];
    with_immutables(&contracts.factory, &immutables)
}

/// Slot 4: tick spacing by fee; slot 5: pools by their tokens and fee.
fn factory_storage(tokens: [Address; 2], pool: Address) -> BTreeMap<U256, U256> {
    let fee = U256::from(POOL_FEE);
    let [a, b] = tokens.map(word);
    BTreeMap::from([
        (mapping_slot(4, &[fee]), U256::from(TICK_SPACING)),
        (mapping_slot(5, &[a, b, fee]), word(pool)),
        (mapping_slot(5, &[b, a, fee]), word(pool)),
    ])
}

/// A pool at price 1 with one position from -[`TICK_MAX`] to [`TICK_MAX`].
fn pool_storage() -> BTreeMap<U256, U256> {
    let mut storage = BTreeMap::new();
    // Slot 0: unlocked, one observation, square root of the price 2^96.
    let unlocked = U256::ONE << 240;
    let observations = U256::ONE << 216 | U256::ONE << 200;
    storage.insert(U256::ZERO, unlocked | observations | U256::ONE << 96);
    storage.insert(U256::from(4), U256::from(LIQUIDITY));
    // Slot 8: the first observation, at second 1.
    storage.insert(U256::from(8), U256::ONE << 248 | U256::ONE);
    for (tick, net) in [(-TICK_MAX, signed(LIQUIDITY as i128)), (TICK_MAX, signed(-(LIQUIDITY as i128)))] {
        let entry = mapping_slot(5, &[tick_word(tick)]);
        // Gross liquidity below, net liquidity as 128 bits above.
        storage.insert(entry, U256::from(LIQUIDITY) | net << 128);
        storage.insert(entry + U256::from(3), U256::ONE << 248 | U256::ONE << 216);
        let place = tick / TICK_SPACING;
        let bitmap = mapping_slot(6, &[tick_word(place >> 8)]);
        storage.insert(bitmap, U256::ONE << (place & 0xff));
    }
    storage
}

fn signed(number: i128) -> U256 {
    U256::from(number.cast_unsigned())
}

/// A tick as Solidity hashes it: with its sign over the whole word.
fn tick_word(tick: i32) -> U256 {
    // UNWRAP: 256 bits hold 32.
    B256::from(I256::try_from(tick).unwrap().into_raw()).into()
}
