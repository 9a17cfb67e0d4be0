//! Who runs the transactions between a block's beginning and its end.

use alloc::{boxed::Box, vec::Vec};
use core::ops::ControlFlow;

use alloy_consensus::Transaction as _;

use super::{
    BlockEnvironment, BlockError, BlockExecutor, BlockRecord, ReceiptDetails, SkippedTransaction,
    outcome::invalid_or_error,
};
use crate::{
    ChangeSet, FrameRunner, Join, PrecompileSet, RecoveredTransaction, Rules, StateCommitment, StateView,
    TransactionError,
};

/// Runs the transactions of a block that has begun.
///
/// Building and verifying differ only in what follows from an invalid transaction, so both run their transactions
/// through this trait and say by the verdict whether the block goes on.
///
/// ```text
/// for each transaction, in order:  admit → run → book → file      an error on the way is the verdict
/// ```
///
/// Implementations must equal [`Sequentially`] in verdicts, books, changes and errors.
pub trait Schedule<V: StateCommitment> {
    /// Runs `transactions` in their order. `verdict` is told of each, in order, whether it is in the block or why it
    /// may not be; after it breaks, no further one is.
    ///
    /// # Errors
    /// [`BlockError::View`] or [`BlockError::Engine`], of the first transaction in order that could not be run.
    fn run<R: FrameRunner, P: PrecompileSet>(
        &self,
        block: &mut BlockExecutor<V, R, P>,
        transactions: &[&RecoveredTransaction],
        verdict: impl FnMut(usize, Result<(), TransactionError>) -> ControlFlow<()> + Send,
    ) -> Result<(), BlockError<V::Error>>;
}

/// Tells a view what a transaction will read, as far as that is known before it runs: its sender, who it is sent to, and
/// what its access list has.
pub fn announce(view: &impl StateView, transaction: &RecoveredTransaction) {
    view.prefetch(&transaction.sender, &[]);
    if let Some(to) = transaction.envelope.to() {
        view.prefetch(&to, &[]);
    }
    for item in transaction.envelope.access_list().into_iter().flat_map(|list| list.iter()) {
        view.prefetch(&item.address, &item.storage_keys);
    }
}

/// Transactions that are announced ahead: what they read arrives while a few others run.
const ANNOUNCED_COUNT: usize = 4;

/// One transaction after the other, on this thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequentially;

impl<V: StateCommitment> Schedule<V> for Sequentially {
    fn run<R: FrameRunner, P: PrecompileSet>(
        &self,
        block: &mut BlockExecutor<V, R, P>,
        transactions: &[&RecoveredTransaction],
        mut verdict: impl FnMut(usize, Result<(), TransactionError>) -> ControlFlow<()> + Send,
    ) -> Result<(), BlockError<V::Error>> {
        block.ledger_mut().expect(transactions.len());
        transactions.iter().take(ANNOUNCED_COUNT).for_each(|transaction| announce(block.base(), transaction));
        for (index, transaction) in transactions.iter().enumerate() {
            if let Some(later) = transactions.get(index + ANNOUNCED_COUNT) {
                announce(block.base(), later);
            }
            let ran = match block.execute(transaction) {
                Ok(_) => Ok(()),
                Err(fault) => Err(invalid_or_error(fault)?),
            };
            if verdict(index, ran).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// What transactions did that were run as those of one block, but without the block around them.
#[derive(Debug, Default)]
pub struct RanTransactions {
    /// All state changes.
    pub changes: ChangeSet,
    /// Receipts of those that may be in the block, in order.
    pub receipts: Vec<ReceiptDetails>,
    /// The others, in order.
    pub skipped: Vec<SkippedTransaction>,
    /// What each of the first accessed and changed, where that was asked for.
    pub record: Option<Box<BlockRecord>>,
}

/// Runs transactions as those of one block: no calls of the protocol, no rewards, no roots.
///
/// # Errors
/// [`BlockError::View`] or [`BlockError::Engine`].
pub fn run_transactions<V: StateCommitment>(
    view: V,
    rules: Rules,
    environment: BlockEnvironment,
    transactions: &[&RecoveredTransaction],
    means: Means<impl FrameRunner, impl PrecompileSet, impl Schedule<V>, impl Join>,
) -> Result<RanTransactions, BlockError<V::Error>> {
    let mut block = BlockExecutor::new(view, rules, environment, means.runner, means.precompiles);
    if means.keeps_record {
        block.keep_record();
    }
    let mut skipped = Vec::new();
    means.schedule.run(&mut block, transactions, |index, ran| {
        if let Err(error) = ran {
            skipped.push(SkippedTransaction { index, error: Box::new(error) });
        }
        ControlFlow::Continue(())
    })?;
    let (changes, receipts, record) = block.into_parts();
    Ok(RanTransactions { changes, receipts, skipped, record })
}

/// With what a block is run; all of it may change how fast, none of it may change what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Means<R, P, S, J> {
    /// Runs the frames of the protocol's calls, and of transactions where the schedule has no runners of its own.
    pub runner: R,
    /// Precompiles besides the fork's own.
    pub precompiles: P,
    /// Who runs the transactions.
    pub schedule: S,
    /// Who computes the roots.
    pub join: J,
    /// Whether the outcome says what each step accessed and changed.
    pub keeps_record: bool,
}
