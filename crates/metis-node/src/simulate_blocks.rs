//! `eth_simulateV1`: blocks of calls that were never sent, one on top of the other.
//!
//! Every block is sealed as a real one would be, roots and hash included, on a state that was overridden before it.
//! Nothing is kept. Source: execution-apis `eth_simulateV1`, go-ethereum `internal/ethapi/simulate.go`.

use std::{cmp::Ordering, sync::Arc};

use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, EthereumTxEnvelope, EthereumTypedTransaction, Header, Transaction as _, TxEip4844,
};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, Signature, U256};
use metis_state_transition::{
    Account, AccountChange, Ancestors, BlockEnvironment, BlockExecutor, ChainPrecompiles, ChangeSet, Fork, InOrder,
    Overlay, ReceiptDetails, RecoveredTransaction, StateView, TransactionError, seal_block,
};
use metis_vm::{Traced, TracedPlace, Tracer, TracingRunner};

use crate::{
    BlockId, BlockOverrides, Node, NodeError, State, StateOverride,
    simulate::{override_changes, precompile_moves},
    views,
};

/// A call of a simulated block.
#[derive(Clone, Debug)]
pub struct SimulatedCall {
    /// What it does; its nonce and gas limit count only where they were given.
    pub call: RecoveredTransaction,
    /// Whether its nonce was given; else it is the sender's next.
    pub has_nonce: bool,
    /// Whether its gas limit was given; else it is what is left in the block.
    pub has_gas_limit: bool,
}

/// A block to simulate. Its number is one more than its parent's.
#[derive(Clone, Debug, Default)]
pub struct BlockCalls {
    /// Seconds since the Unix epoch; above the parent's.
    pub timestamp: u64,
    /// What replaces values of the block; number and timestamp are not looked at.
    pub block: BlockOverrides,
    /// Root of the parent beacon block, from Cancun on.
    pub parent_beacon_block_root: B256,
    /// Withdrawals, from Shanghai on.
    pub withdrawals: Vec<Withdrawal>,
    /// What is assumed of the state before the block.
    pub state: Vec<(Address, StateOverride)>,
    /// Its calls, in order.
    pub calls: Vec<SimulatedCall>,
}

/// How blocks are simulated.
#[derive(Clone, Copy, Debug)]
pub struct SimulationMode {
    /// Whether nonces and the base fee count.
    pub validates: bool,
    /// Whether transfers of native token are logged.
    pub logs_transfers: bool,
    /// Whether blocks show whole transactions.
    pub shows_transactions: bool,
    /// Gas that all calls may use together.
    pub gas_max: u64,
}

/// What a simulated call did.
#[derive(Clone, Debug)]
pub struct CallReport {
    /// Why it failed, if it did: "revert" or the slug of the exceptional halt.
    pub failure: Option<&'static str>,
    /// Returned or reverted bytes.
    pub output: Bytes,
    /// Gas it paid for.
    pub gas_used: u64,
    /// Gas it had to have: before refunds.
    pub gas_used_max: u64,
    /// Its logs as JSON.
    pub logs_json: Vec<u8>,
}

/// A simulated block.
#[derive(Clone, Debug)]
pub struct BlockReport {
    /// The block as JSON.
    pub block_json: Vec<u8>,
    /// What its calls did.
    pub calls: Vec<CallReport>,
}

/// The world between two simulated blocks.
struct Between<'a> {
    state: Overlay<&'a State>,
    parent: Header,
    parent_hash: B256,
    ancestors: Ancestors,
    gas_left: u64,
}

type Executor<'a> = BlockExecutor<Overlay<&'a State>, TracingRunner, ChainPrecompiles>;

impl Node {
    /// Simulates blocks on the state after a block.
    ///
    /// # Errors
    /// [`NodeError`]: a call may not be in its block, a precompile may not be moved, or state that is no longer kept.
    pub fn simulate_blocks(
        &self,
        id: BlockId,
        blocks: &[BlockCalls],
        mode: SimulationMode,
    ) -> Result<Vec<BlockReport>, NodeError> {
        let snapshot = self.snapshot(id)?;
        let found = self.find(id).ok_or(NodeError::UnknownBlock)?;
        let parent = self.chain.header(&found.hash)?.ok_or(NodeError::UnknownBlock)?;
        self.on_state(&snapshot, |snapshot| {
            let mut between = Between {
                state: Overlay::new(snapshot),
                parent: parent.clone(),
                parent_hash: found.hash,
                ancestors: self.ancestors(&found.hash),
                gas_left: mode.gas_max,
            };
            let mut reports = Vec::with_capacity(blocks.len());
            for block in blocks {
                let report;
                (report, between) = self.simulate_block(between, block, mode)?;
                reports.push(report);
            }
            Ok(reports)
        })
    }

    fn simulate_block<'a>(
        &self,
        before: Between<'a>,
        block: &BlockCalls,
        mode: SimulationMode,
    ) -> Result<(BlockReport, Between<'a>), NodeError> {
        let Between { mut state, parent, parent_hash, ancestors, mut gas_left } = before;
        let rules = self.spec().rules_at(parent.number + 1, block.timestamp);
        let fork = rules.fork;
        let header = self.simulated_header(&parent, parent_hash, block, fork, mode);
        let moves = precompile_moves(fork, &block.state)?;
        let assumed = override_changes(&state, &block.state)?;
        state.apply(assumed);

        let mut environment = BlockEnvironment::of(&header, ancestors.clone());
        environment.assumed_blob_base_fee = block.block.blob_base_fee;
        let mut executor: Executor<'a> =
            BlockExecutor::new(state, rules, environment, TracingRunner::new(0), ChainPrecompiles::default());
        let evm = executor.evm_mut();
        evm.relax_for_simulation(mode.validates);
        evm.rearrange_precompiles(moves);
        executor.begin(parent_hash, header.parent_beacon_block_root)?;
        let mut calls = Vec::with_capacity(block.calls.len());
        let mut transactions = Vec::with_capacity(block.calls.len());
        let mut next_log_index = 0;
        for (index, call) in block.calls.iter().enumerate() {
            let transaction = filled(&mut executor, call, gas_left)?;
            check(&mut executor, &transaction, &header, mode)?;
            let tracer = Tracer::Logs { has_transfers: mode.logs_transfers, next_index: next_log_index };
            let place = TracedPlace {
                transaction_hash: Some(*transaction.envelope.tx_hash()),
                index: Some(index),
                block_hash: None,
            };
            executor.evm_mut().runner_mut().watch(&tracer, place)?;
            let gas_refunded = run(&mut executor, &transaction, mode)?;
            let mut logs = Vec::new();
            if let Some(Traced::Logs(found, next)) = executor.evm_mut().runner_mut().take() {
                (logs, next_log_index) = (found, next);
            }
            // UNWRAP: the receipt was added by `execute`.
            let receipt = executor.receipts().last().unwrap();
            gas_left = gas_left.saturating_sub(receipt.gas_used);
            calls.push((receipt.clone(), receipt.gas_used + gas_refunded, logs));
            transactions.push(transaction);
        }
        let withdrawals = (fork >= Fork::Shanghai).then(|| block.withdrawals.clone());
        let (outcome, mut state) = executor.finish(withdrawals.as_deref().unwrap_or_default(), &[])?;
        let senders: Vec<Address> = transactions.iter().map(|transaction| transaction.sender).collect();
        let envelopes = transactions.into_iter().map(|transaction| transaction.envelope).collect();
        let sealed = seal_block(header, fork, &state, &outcome, envelopes, withdrawals, &InOrder)?;
        state.apply(Arc::unwrap_or_clone(outcome.changes));

        let hash = sealed.header.hash_slow();
        let report = |(index, (receipt, gas_used_max, logs)): (usize, (ReceiptDetails, u64, Vec<_>))| {
            let transaction_hash = *sealed.body.transactions[index].tx_hash();
            let position = views::Position { header: &sealed.header, block_hash: hash, index };
            let logs_json = views::indexed_logs_json(logs, transaction_hash, position);
            let (failure, output, gas_used) = (receipt.failure, receipt.output, receipt.gas_used);
            CallReport { failure, output, gas_used, gas_used_max, logs_json }
        };
        let calls = calls.into_iter().enumerate().map(report).collect();
        let block_json = if mode.shows_transactions {
            views::full_block_json(&sealed, hash, None, &senders)
        } else {
            views::block_json(&sealed, hash, None)
        };
        let ancestors = ancestors.with(sealed.header.number, hash);
        let after = Between { state, parent: sealed.header, parent_hash: hash, ancestors, gas_left };
        Ok((BlockReport { block_json, calls }, after))
    }

    fn simulated_header(
        &self,
        parent: &Header,
        parent_hash: B256,
        block: &BlockCalls,
        fork: Fork,
        mode: SimulationMode,
    ) -> Header {
        let (assumed, timestamp) = (&block.block, block.timestamp);
        // Where nonces and fees do not count, a base fee would only be in the way.
        let base_fee = || if mode.validates { self.spec().next_base_fee(parent, timestamp) } else { Some(0) };
        Header {
            parent_hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: assumed.beneficiary.unwrap_or(parent.beneficiary),
            difficulty: if fork >= Fork::Paris { U256::ZERO } else { parent.difficulty },
            number: parent.number + 1,
            gas_limit: assumed.gas_limit.unwrap_or(parent.gas_limit),
            timestamp,
            mix_hash: assumed.prev_randao.unwrap_or_default(),
            base_fee_per_gas: (fork >= Fork::London).then(|| assumed.base_fee_per_gas.or_else(base_fee)).flatten(),
            excess_blob_gas: self.spec().next_excess_blob_gas(parent, timestamp),
            parent_beacon_block_root: (fork >= Fork::Cancun).then_some(block.parent_beacon_block_root),
            ..Header::default()
        }
    }
}

/// The call as it is run: what was not given is filled in, and its signature is empty.
fn filled(
    executor: &mut Executor<'_>,
    given: &SimulatedCall,
    gas_left: u64,
) -> Result<RecoveredTransaction, NodeError> {
    let sender = given.call.sender;
    let available = executor.parts().1.gas_left();
    let gas_limit = if given.has_gas_limit { given.call.envelope.gas_limit() } else { available };
    if gas_limit > available {
        return Err(TransactionError::GasLimitAboveBlock { gas_limit, available }.into());
    }
    let gas_limit = gas_limit.min(gas_left);
    let nonce = match given.has_nonce {
        true => given.call.envelope.nonce(),
        false => nonce_of(executor, &sender)?,
    };
    let mut typed = given.call.envelope.clone().into_typed_transaction();
    set_nonce_and_gas(&mut typed, nonce, gas_limit);
    let unsigned = Signature::new(U256::ZERO, U256::ZERO, false);
    Ok(RecoveredTransaction { envelope: EthereumTxEnvelope::new_unhashed(typed, unsigned), sender })
}

fn set_nonce_and_gas(typed: &mut EthereumTypedTransaction<TxEip4844>, nonce: u64, gas_limit: u64) {
    use EthereumTypedTransaction as Typed;
    macro_rules! set {
        ($fields:expr) => {{
            $fields.nonce = nonce;
            $fields.gas_limit = gas_limit;
        }};
    }
    match typed {
        Typed::Legacy(fields) => set!(fields),
        Typed::Eip2930(fields) => set!(fields),
        Typed::Eip1559(fields) => set!(fields),
        Typed::Eip4844(fields) => set!(fields),
        Typed::Eip7702(fields) => set!(fields),
    }
}

/// Rules about nonces and the base fee, in go-ethereum's order: the first that is broken is told. Where they do not
/// count, the base fee still does for whoever names a price.
fn check(
    executor: &mut Executor<'_>,
    transaction: &RecoveredTransaction,
    header: &Header,
    mode: SimulationMode,
) -> Result<(), NodeError> {
    let envelope = &transaction.envelope;
    if mode.validates {
        let (nonce, expected) = (envelope.nonce(), nonce_of(executor, &transaction.sender)?);
        match nonce.cmp(&expected) {
            Ordering::Less => return Err(TransactionError::NonceTooLow { nonce, expected }.into()),
            Ordering::Greater => return Err(TransactionError::NonceTooHigh { nonce, expected }.into()),
            Ordering::Equal if nonce == u64::MAX => return Err(TransactionError::NonceIsMax.into()),
            Ordering::Equal => {}
        }
    }
    let (max_fee, base_fee) = (envelope.max_fee_per_gas(), header.base_fee_per_gas.unwrap_or(0));
    let names_price = max_fee > 0 || envelope.max_priority_fee_per_gas().is_some_and(|tip| tip > 0);
    if (mode.validates || names_price) && max_fee < u128::from(base_fee) {
        return Err(TransactionError::FeeCapBelowBaseFee { max_fee, base_fee }.into());
    }
    Ok(())
}

/// Runs a call; gives back the gas that was refunded.
fn run(
    executor: &mut Executor<'_>,
    transaction: &RecoveredTransaction,
    mode: SimulationMode,
) -> Result<u64, NodeError> {
    let sender = transaction.sender;
    if mode.validates || nonce_of(executor, &sender)? != u64::MAX {
        return Ok(executor.execute(transaction)?);
    }
    // Only an override leads here. The rules stop at the largest nonce; go-ethereum, where nonces do not count, goes on
    // with 0 after it.
    let mut typed = transaction.envelope.clone().into_typed_transaction();
    set_nonce_and_gas(&mut typed, 0, transaction.envelope.gas_limit());
    let envelope = EthereumTxEnvelope::new_unhashed(typed, *transaction.envelope.signature());
    let gas_refunded = executor.execute(&RecoveredTransaction { envelope, sender })?;
    let view = executor.evm_mut().view_mut();
    let account = view.account(&sender)?.unwrap_or_default();
    let mut wrapped = ChangeSet::default();
    let account = Some(Account { nonce: 0, ..account });
    wrapped.accounts.insert(sender, AccountChange { account, ..AccountChange::default() });
    view.apply(wrapped);
    Ok(gas_refunded)
}

fn nonce_of(executor: &mut Executor<'_>, address: &Address) -> Result<u64, NodeError> {
    Ok(executor.evm_mut().view().account(address)?.unwrap_or_default().nonce)
}
