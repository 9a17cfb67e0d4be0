//! Transactions and accounts of workloads.

use std::collections::BTreeMap;

use alloy_consensus::{EthereumTxEnvelope, SignableTransaction, TxEip1559, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE};
use alloy_eips::{
    eip2930::AccessList,
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE},
    eip7702::SignedAuthorization,
};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use metis_db::GenesisAccount;
use metis_state_transition::RecoveredTransaction;

use crate::{CHAIN_ID, GAS_PRICE_WEI};

/// What every sender has: enough for all that it does.
pub(crate) const BALANCE_WEI: u128 = 1_000_000_000_000_000_000_000;

/// A call or creation before its nonce is known.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub to: TxKind,
    pub value: U256,
    pub input: Bytes,
    pub gas_limit: u64,
    pub access_list: AccessList,
    pub authorizations: Vec<SignedAuthorization>,
}

impl Draft {
    pub(crate) fn transfer(to: Address, value: u64) -> Self {
        Self { value: U256::from(value), ..Self::call(to, Bytes::new(), 21_000) }
    }

    pub(crate) fn call(to: Address, input: Bytes, gas_limit: u64) -> Self {
        Self {
            to: TxKind::Call(to),
            value: U256::ZERO,
            input,
            gas_limit,
            access_list: AccessList::default(),
            authorizations: Vec::new(),
        }
    }

    /// The transaction, sent by `sender`. Nobody signs: a stand-in keeps the hashes of senders apart.
    pub(crate) fn sent(self, sender: Address, nonce: u64) -> RecoveredTransaction {
        let signature = Signature::new(U256::from_be_slice(sender.as_slice()), U256::ONE, false);
        let Self { to, value, input, gas_limit, access_list, authorizations: authorization_list } = self;
        let envelope: EthereumTxEnvelope<TxEip4844> = match to {
            TxKind::Call(to) if !authorization_list.is_empty() => {
                let fields = TxEip7702 {
                    chain_id: CHAIN_ID,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: GAS_PRICE_WEI,
                    max_priority_fee_per_gas: GAS_PRICE_WEI / 10,
                    to,
                    value,
                    access_list,
                    authorization_list,
                    input,
                };
                fields.into_signed(signature).into()
            }
            to if !access_list.is_empty() => {
                let fields = TxEip1559 {
                    chain_id: CHAIN_ID,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: GAS_PRICE_WEI,
                    max_priority_fee_per_gas: GAS_PRICE_WEI / 10,
                    to,
                    value,
                    access_list,
                    input,
                };
                fields.into_signed(signature).into()
            }
            to => {
                let chain_id = Some(CHAIN_ID);
                let fields = TxLegacy { chain_id, nonce, gas_price: GAS_PRICE_WEI, gas_limit, to, value, input };
                fields.into_signed(signature).into()
            }
        };
        RecoveredTransaction { envelope, sender }
    }
}

/// The state before a block.
#[derive(Clone, Debug)]
pub(crate) struct Genesis(pub BTreeMap<Address, GenesisAccount>);

impl Genesis {
    /// What the protocol itself calls in every block (EIP-4788, EIP-2935, EIP-7002, EIP-7251).
    pub(crate) fn new() -> Self {
        let mut genesis = Self(BTreeMap::new());
        for (address, code) in [
            (BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE.clone()),
            (HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE.clone()),
            (WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone()),
            (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE.clone()),
        ] {
            genesis.contract(address, code, BTreeMap::new());
        }
        genesis
    }

    /// An account that can send.
    pub(crate) fn funded(&mut self, address: Address) {
        let balance = U256::from(BALANCE_WEI);
        self.0.insert(address, GenesisAccount { balance, ..GenesisAccount::default() });
    }

    pub(crate) fn contract(&mut self, address: Address, code: Bytes, storage: BTreeMap<U256, U256>) {
        self.0.insert(address, GenesisAccount { nonce: 1, code, storage, ..GenesisAccount::default() });
    }
}
