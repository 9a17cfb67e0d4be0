//! Executes a sealed block and checks everything it claims.

use alloc::{boxed::Box, format, vec::Vec};
use core::ops::ControlFlow;

use alloy_consensus::{Header, proofs};
use alloy_eips::eip7685::Requests;
use alloy_rlp::Encodable;

use super::{
    Ancestors, BlockEnvironment, BlockError, BlockExecutor, BlockOutcome, Means, Schedule,
    header::{BLOCK_SIZE_BYTES_MAX, join_roots, receipts_root, require, validate_header},
};
use crate::{Block, ChainSpec, Fork, FrameRunner, Join, PrecompileSet, RecoveredTransaction, StateCommitment};

/// Most generations between an ommer and the block that names it (Yellow Paper §11.1).
const OMMER_GENERATIONS_MAX: u64 = 6;

/// Executes `block` as the child of `parent` and checks every field and root.
///
/// `transactions` are the block's, with their recovered senders, in order.
///
/// # Errors
/// [`BlockError`] naming the first field or transaction that is wrong.
pub fn verify_block<V: StateCommitment>(
    view: V,
    spec: &ChainSpec,
    parent: &Header,
    block: &Block,
    transactions: &[RecoveredTransaction],
    ancestors: Ancestors,
    means: Means<impl FrameRunner, impl PrecompileSet, impl Schedule<V>, impl Join>,
) -> Result<BlockOutcome, BlockError<V::Error>> {
    check_header(spec, parent, &block.header)?;
    check_body(spec, block)?;
    let Means { runner, precompiles, schedule, join, keeps_record } = means;
    let means = Means { runner, precompiles, schedule, join: &join, keeps_record };
    let (outcome, view) = execute_block(view, spec, block, transactions, ancestors, means)?;
    check_outcome(&view, block, &outcome, &join)?;
    Ok(outcome)
}

/// Checks what a header says of itself and owes its parent.
///
/// # Errors
/// [`BlockError::Field`].
pub fn check_header<E: core::error::Error>(
    spec: &ChainSpec,
    parent: &Header,
    header: &Header,
) -> Result<(), BlockError<E>> {
    validate_header(spec, parent.hash_slow(), parent, header)
}

/// Executes a sealed block; gives back the view under it, unchanged. What the header says of the results is not looked
/// at: see [`check_outcome`].
///
/// # Errors
/// [`BlockError`], naming the first transaction that may not be in the block.
pub fn execute_block<V: StateCommitment>(
    view: V,
    spec: &ChainSpec,
    block: &Block,
    transactions: &[RecoveredTransaction],
    ancestors: Ancestors,
    means: Means<impl FrameRunner, impl PrecompileSet, impl Schedule<V>, impl Join>,
) -> Result<(BlockOutcome, V), BlockError<V::Error>> {
    let (header, body) = (&block.header, &block.body);
    let rules = spec.rules_at(header.number, header.timestamp);
    let environment = BlockEnvironment::of(header, ancestors);
    let mut executor = BlockExecutor::new(view, rules, environment, means.runner, means.precompiles);
    if means.keeps_record {
        executor.keep_record();
    }
    executor.begin(header.parent_hash, header.parent_beacon_block_root)?;
    let in_order: Vec<&RecoveredTransaction> = transactions.iter().collect();
    let mut refused = None;
    means.schedule.run(&mut executor, &in_order, |index, ran| match ran {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            refused = Some(BlockError::Transaction { index, error: Box::new(error) });
            ControlFlow::Break(())
        }
    })?;
    if let Some(error) = refused {
        return Err(error);
    }
    let withdrawals = body.withdrawals.as_ref().map_or(&[][..], |withdrawals| withdrawals.as_slice());
    executor.finish(withdrawals, &body.ommers)
}

/// Checks what a header says of the block's results: gas, bloom, requests, and the roots of the receipts and of the
/// state after `before`.
///
/// # Errors
/// [`BlockError::Field`], or [`BlockError::View`].
pub fn check_outcome<V: StateCommitment>(
    before: &V,
    block: &Block,
    outcome: &BlockOutcome,
    join: &impl Join,
) -> Result<(), BlockError<V::Error>> {
    let header = &block.header;
    require("gas_used", "gas of all transactions", &outcome.gas_used, &header.gas_used)?;
    if let Some(blob_gas_used) = header.blob_gas_used {
        require("blob_gas_used", "blob gas of all transactions", &outcome.blob_gas_used, &blob_gas_used)?;
    }
    require("logs_bloom", "union of the receipts' blooms", &outcome.logs_bloom(), &header.logs_bloom)?;
    let of_receipts = || receipts_root(&outcome.receipts);
    let of_state = || before.state_root_after(&outcome.changes);
    let (receipts_root, state_root) = join_roots(join, outcome.receipts.len(), of_receipts, of_state);
    require("receipts_root", "root of the receipts", &receipts_root, &header.receipts_root)?;
    if let (Some(requests), Some(hash)) = (&outcome.requests, header.requests_hash) {
        require("requests_hash", "EIP-7685", &Requests::new(requests.clone()).requests_hash(), &hash)?;
    }
    let state_root = state_root.map_err(BlockError::state)?;
    require("state_root", "root of the state after the block", &state_root, &header.state_root)
}

/// Checks that a block's body is the one that its header commits to.
///
/// # Errors
/// [`BlockError::Field`].
pub fn check_body<E: core::error::Error>(spec: &ChainSpec, block: &Block) -> Result<(), BlockError<E>> {
    let (header, body) = (&block.header, &block.body);
    let fork = spec.fork_at(header.number, header.timestamp);
    let size_bytes = block.length();
    if fork >= Fork::Osaka && size_bytes > BLOCK_SIZE_BYTES_MAX {
        return Err(BlockError::Field {
            field: "size_bytes",
            rule: "EIP-7934",
            expected: format!("<= {BLOCK_SIZE_BYTES_MAX}"),
            actual: format!("{size_bytes}"),
        });
    }
    let transactions_root = proofs::calculate_transaction_root(&body.transactions);
    require("transactions_root", "root of the transactions", &transactions_root, &header.transactions_root)?;
    require("ommers_hash", "hash of the ommers", &proofs::calculate_ommers_root(&body.ommers), &header.ommers_hash)?;
    for ommer in &body.ommers {
        if ommer.number >= header.number || header.number - ommer.number > OMMER_GENERATIONS_MAX {
            return Err(BlockError::Field {
                field: "ommers",
                rule: "one to six generations older than the block",
                expected: format!("{} to {}", header.number.saturating_sub(OMMER_GENERATIONS_MAX), header.number - 1),
                actual: format!("{}", ommer.number),
            });
        }
    }
    match (&body.withdrawals, header.withdrawals_root) {
        (Some(withdrawals), Some(root)) => {
            let expected = proofs::calculate_withdrawals_root(withdrawals);
            require("withdrawals_root", "root of the withdrawals", &expected, &root)
        }
        (None, None) => Ok(()),
        (withdrawals, _) => {
            let text = |present: bool| if present { "present" } else { "absent" }.into();
            Err(BlockError::Field {
                field: "withdrawals",
                rule: "present exactly when the header commits to them",
                expected: text(withdrawals.is_none()),
                actual: text(withdrawals.is_some()),
            })
        }
    }
}
