//! Builds the next block from candidates.

use alloc::{boxed::Box, vec::Vec};
use core::ops::ControlFlow;

use alloy_consensus::{BlockBody, EMPTY_OMMER_ROOT_HASH, EthereumTxEnvelope, Header, TxEip4844, proofs};
use alloy_eips::{
    eip4895::{Withdrawal, Withdrawals},
    eip7685::Requests,
};
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::Encodable;

use super::{
    Ancestors, BlockEnvironment, BlockError, BlockExecutor, BlockOutcome, Means, Schedule,
    header::{join_roots, receipts_root, validate_choices},
};
use crate::{
    Block, ChainSpec, Fork, FrameRunner, Join, PrecompileSet, RecoveredTransaction, StateCommitment, TransactionError,
};

/// What the builder decides about the next block; everything else follows from it.
#[derive(Clone, Debug, Default)]
pub struct BlockAttributes {
    /// Seconds since the Unix epoch; above the parent's.
    pub timestamp: u64,
    /// Receives priority fees.
    pub beneficiary: Address,
    /// Gas limit, within 1/1024 of the parent's.
    pub gas_limit: u64,
    /// Randomness, from Paris on.
    pub prev_randao: B256,
    /// At most 32 bytes.
    pub extra_data: Bytes,
    /// From Cancun on.
    pub parent_beacon_block_root: B256,
    /// From Shanghai on.
    pub withdrawals: Vec<Withdrawal>,
    /// Ancestors that BLOCKHASH may be asked for.
    pub ancestors: Ancestors,
    /// Base fee instead of the one of EIP-1559. For development chains: other nodes refuse the block.
    pub base_fee_per_gas: Option<u64>,
    /// The gas limit need not be within 1/1024 of the parent's. For development chains, too.
    pub is_any_gas_limit: bool,
}

/// A candidate that could not be included.
#[derive(Debug)]
pub struct SkippedTransaction {
    /// Its position among the candidates.
    pub index: usize,
    /// Why.
    pub error: Box<TransactionError>,
}

/// A sealed block, what it did, and who was left out.
#[derive(Debug)]
pub struct BuiltBlock {
    /// The block.
    pub block: Block,
    /// Positions of the included candidates, in block order.
    pub included: Vec<usize>,
    /// Receipts and changes; the changes are not yet committed anywhere.
    pub outcome: BlockOutcome,
    /// Candidates left out.
    pub skipped: Vec<SkippedTransaction>,
}

/// Builds the child of `parent` from `candidates`, in their order, skipping those that may not be
/// included.
///
/// # Errors
/// [`BlockError`], when the attributes break a rule or the state cannot be read.
pub fn build_block<V: StateCommitment>(
    view: V,
    spec: &ChainSpec,
    parent: &Header,
    attributes: BlockAttributes,
    candidates: &[&RecoveredTransaction],
    means: Means<impl FrameRunner, impl PrecompileSet, impl Schedule<V>, impl Join>,
) -> Result<BuiltBlock, BlockError<V::Error>> {
    let Means { runner, precompiles, schedule, join, keeps_record } = means;
    let parent_hash = parent.hash_slow();
    let rules = spec.rules_at(parent.number + 1, attributes.timestamp);
    let fork = rules.fork;
    let header = header_of(spec, parent, parent_hash, &attributes, fork);
    validate_choices(spec, parent, &header, fork, attributes.is_any_gas_limit)?;

    let environment = BlockEnvironment::of(&header, attributes.ancestors);
    let withdrawals = (fork >= Fork::Shanghai).then_some(attributes.withdrawals);
    let mut executor = BlockExecutor::new(view, rules, environment, runner, precompiles);
    if keeps_record {
        executor.keep_record();
    }
    executor.begin(parent_hash, header.parent_beacon_block_root)?;
    let size_bytes = header.length() + withdrawals.as_ref().map_or(0, Encodable::length) + 64;
    executor.ledger_mut().limit_size(size_bytes);

    let mut included = Vec::with_capacity(candidates.len());
    let mut skipped = Vec::new();
    schedule.run(&mut executor, candidates, |index, ran| {
        match ran {
            Ok(()) => included.push(index),
            Err(error) => skipped.push(SkippedTransaction { index, error: Box::new(error) }),
        }
        ControlFlow::Continue(())
    })?;

    let (outcome, view) = executor.finish(withdrawals.as_deref().unwrap_or_default(), &[])?;
    let transactions: Vec<_> = included.iter().map(|index| candidates[*index].envelope.clone()).collect();
    let block = seal_block(header, fork, &view, &outcome, transactions, withdrawals, &join)?;
    Ok(BuiltBlock { block, included, outcome, skipped })
}

/// Completes a header with what the block's transactions did to the state before it.
///
/// # Errors
/// [`BlockError::View`].
pub fn seal_block<V: StateCommitment>(
    mut header: Header,
    fork: Fork,
    before: &V,
    outcome: &BlockOutcome,
    transactions: Vec<EthereumTxEnvelope<TxEip4844>>,
    withdrawals: Option<Vec<Withdrawal>>,
    join: &impl Join,
) -> Result<Block, BlockError<V::Error>> {
    let of_body = || (proofs::calculate_transaction_root(&transactions), receipts_root(&outcome.receipts));
    let of_state = || before.state_root_after(&outcome.changes);
    let ((transactions_root, receipts_root), state_root) = join_roots(join, transactions.len(), of_body, of_state);
    header.state_root = state_root.map_err(BlockError::state)?;
    header.transactions_root = transactions_root;
    header.receipts_root = receipts_root;
    header.logs_bloom = outcome.logs_bloom();
    header.gas_used = outcome.gas_used;
    header.withdrawals_root = withdrawals.as_deref().map(proofs::calculate_withdrawals_root);
    header.blob_gas_used = (fork >= Fork::Cancun).then_some(outcome.blob_gas_used);
    header.requests_hash = outcome.requests.clone().map(|requests| Requests::new(requests).requests_hash());
    let body = BlockBody { transactions, ommers: Vec::new(), withdrawals: withdrawals.map(Withdrawals::new) };
    Ok(Block { header, body })
}

fn header_of(spec: &ChainSpec, parent: &Header, parent_hash: B256, attributes: &BlockAttributes, fork: Fork) -> Header {
    Header {
        parent_hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: attributes.beneficiary,
        // A chain before the merge keeps its difficulty: nobody mines here.
        difficulty: if fork >= Fork::Paris { Default::default() } else { parent.difficulty },
        number: parent.number + 1,
        gas_limit: attributes.gas_limit,
        timestamp: attributes.timestamp,
        extra_data: attributes.extra_data.clone(),
        mix_hash: attributes.prev_randao,
        base_fee_per_gas: spec
            .next_base_fee(parent, attributes.timestamp)
            .map(|base_fee| attributes.base_fee_per_gas.unwrap_or(base_fee)),
        excess_blob_gas: spec.next_excess_blob_gas(parent, attributes.timestamp),
        parent_beacon_block_root: (fork >= Fork::Cancun).then_some(attributes.parent_beacon_block_root),
        ..Header::default()
    }
}
