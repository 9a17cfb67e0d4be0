//! The protocol's own calls: beacon roots, block hashes, and the requests of EIP-7685.

use alloc::vec::Vec;

use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, address, b256};
use revm::context_interface::result::{EVMError, ExecutionResult};

use super::{BlockError, BlockRecord, BlockState, ReceiptDetails};
use crate::{Accesses, ChangeSet, Evm, FrameRunner, PrecompileSet, StateView, transaction::accesses_of};

/// Sender of system calls.
const SYSTEM_ADDRESS: Address = address!("fffffffffffffffffffffffffffffffffffffffe");

/// Gas of a system call (EIP-4788, EIP-2935, EIP-7002, EIP-7251).
const SYSTEM_CALL_GAS_LIMIT: u64 = 30_000_000;

const DEPOSIT_REQUEST_TYPE: u8 = 0;
const WITHDRAWAL_REQUEST_TYPE: u8 = 1;
const CONSOLIDATION_REQUEST_TYPE: u8 = 2;

/// Public key, withdrawal credentials, amount, signature, index (EIP-6110).
const DEPOSIT_REQUEST_SIZE_BYTES: usize = 48 + 32 + 8 + 96 + 8;

/// `DepositEvent(bytes,bytes,bytes,bytes,bytes)` (EIP-6110).
const DEPOSIT_EVENT_TOPIC: B256 = b256!("649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");

/// What the protocol's own changes are made with.
pub(super) struct Protocol<'a, V: StateView, R, P> {
    pub(super) evm: &'a mut Evm<BlockState<V>, R, P>,
    pub(super) record: Option<&'a mut BlockRecord>,
}

impl<V: StateView, R: FrameRunner, P: PrecompileSet> Protocol<'_, V, R, P> {
    /// Makes changes, and notes them with what was loaded for them.
    pub(super) fn apply(&mut self, accesses: Accesses, changes: ChangeSet) -> SystemResult<(), V> {
        let state = self.evm.view_mut();
        if let Some(record) = &mut self.record {
            let step = record.last_mut();
            step.access(accesses);
            step.add(state, &changes).map_err(BlockError::state)?;
        }
        state.apply(changes);
        Ok(())
    }
}

type SystemResult<T, V> = Result<T, BlockError<<V as StateView>::Error>>;

/// EIP-4788: stores the parent beacon block root where contracts can read it.
pub(super) fn store_beacon_root<V: StateView, R: FrameRunner, P: PrecompileSet>(
    protocol: &mut Protocol<'_, V, R, P>,
    root: B256,
) -> SystemResult<(), V> {
    call_if_deployed(protocol, BEACON_ROOTS_ADDRESS, root.0.into())
}

/// EIP-2935: stores the parent's hash where contracts can read it.
pub(super) fn store_parent_hash<V: StateView, R: FrameRunner, P: PrecompileSet>(
    protocol: &mut Protocol<'_, V, R, P>,
    parent_hash: B256,
) -> SystemResult<(), V> {
    call_if_deployed(protocol, HISTORY_STORAGE_ADDRESS, parent_hash.0.into())
}

/// EIP-7685: the block's requests in type order, empty ones left out.
pub(super) fn collect_requests<V: StateView, R: FrameRunner, P: PrecompileSet>(
    protocol: &mut Protocol<'_, V, R, P>,
    deposits: &[u8],
) -> SystemResult<Vec<Bytes>, V> {
    let mut requests = Vec::new();
    let mut push = |kind: u8, data: &[u8]| {
        if !data.is_empty() {
            requests.push([&[kind], data].concat().into());
        }
    };
    push(DEPOSIT_REQUEST_TYPE, deposits);
    push(WITHDRAWAL_REQUEST_TYPE, &call_required(protocol, WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS)?);
    push(CONSOLIDATION_REQUEST_TYPE, &call_required(protocol, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS)?);
    Ok(requests)
}

/// The requests of deposits, one after the other, from the events that ask for them (EIP-6110).
pub(super) fn deposits<E: core::error::Error>(
    contract: Address,
    receipts: &[ReceiptDetails],
) -> Result<Vec<u8>, BlockError<E>> {
    let mut data = Vec::new();
    for log in receipts.iter().flat_map(|details| &details.receipt.logs) {
        if log.address == contract && log.topics().first() == Some(&DEPOSIT_EVENT_TOPIC) {
            data.extend(deposit_request(&log.data.data).ok_or(BlockError::Deposit)?);
        }
    }
    Ok(data)
}

/// The five fields of a deposit event, checked against the one ABI layout they may have
/// (EIP-6110, `is_valid_deposit_event_data`).
fn deposit_request(data: &[u8]) -> Option<Vec<u8>> {
    // (offset of the field's length word, length of the field): pubkey, withdrawal credentials,
    // amount, signature, index.
    const FIELDS: [(usize, usize); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];
    if data.len() != 576 {
        return None;
    }
    let word = |at: usize| -> Option<usize> {
        let bytes = &data[at..at + 32];
        bytes[..24].iter().all(|byte| *byte == 0).then(|| {
            // UNWRAP: the slice is 8 bytes long.
            u64::from_be_bytes(bytes[24..].try_into().unwrap()) as usize
        })
    };
    let mut request = Vec::with_capacity(DEPOSIT_REQUEST_SIZE_BYTES);
    for (index, (offset, length)) in FIELDS.into_iter().enumerate() {
        if word(index * 32)? != offset || word(offset)? != length {
            return None;
        }
        request.extend_from_slice(&data[offset + 32..offset + 32 + length]);
    }
    Some(request)
}

/// A call whose contract a chain may lack, and whose failure is ignored (EIP-4788, EIP-2935).
fn call_if_deployed<V: StateView, R: FrameRunner, P: PrecompileSet>(
    protocol: &mut Protocol<'_, V, R, P>,
    contract: Address,
    data: Bytes,
) -> SystemResult<(), V> {
    if has_code(protocol.evm, contract)? {
        call(protocol, contract, data)?;
    }
    Ok(())
}

/// A call whose absence or failure makes the block invalid (EIP-7002, EIP-7251).
fn call_required<V: StateView, R: FrameRunner, P: PrecompileSet>(
    protocol: &mut Protocol<'_, V, R, P>,
    contract: Address,
) -> SystemResult<Bytes, V> {
    if !has_code(protocol.evm, contract)? {
        return Err(BlockError::SystemContractMissing { contract });
    }
    match call(protocol, contract, Bytes::new())? {
        ExecutionResult::Success { output, .. } => Ok(output.into_data()),
        _ => Err(BlockError::SystemCallFailed { contract }),
    }
}

fn has_code<V: StateView, R, P>(evm: &Evm<BlockState<V>, R, P>, contract: Address) -> SystemResult<bool, V>
where
    R: FrameRunner,
    P: PrecompileSet,
{
    let account = evm.view().account(&contract).map_err(BlockError::state)?;
    Ok(account.is_some_and(|account| account.code_hash != KECCAK256_EMPTY))
}

fn call<V: StateView, R: FrameRunner, P: PrecompileSet>(
    protocol: &mut Protocol<'_, V, R, P>,
    contract: Address,
    data: Bytes,
) -> SystemResult<ExecutionResult, V> {
    let (result, state) = protocol
        .evm
        .protocol_call(SYSTEM_ADDRESS, contract, data, U256::ZERO, SYSTEM_CALL_GAS_LIMIT)
        .map_err(|error| match error {
            EVMError::Database(error) => BlockError::View(error),
            other => BlockError::Engine(alloc::format!("system call to {contract}: {other}")),
        })?;
    let mut accesses = if protocol.record.is_some() { accesses_of(&state) } else { Accesses::new() };
    // SPEC: EIP-7928: who calls for the protocol is not mentioned for that.
    accesses.remove(&SYSTEM_ADDRESS);
    protocol.apply(accesses, ChangeSet::from_journal(state))?;
    Ok(result)
}
