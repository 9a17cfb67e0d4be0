//! What can be said of a transaction before any account is looked at.

use alloy_primitives::{U256, uint};
use revm::{
    context::ContextTr,
    database_interface::EmptyDB,
    handler::validation::{validate_initial_tx_gas_with_gas_params, validate_tx_env},
};

use super::{RecoveredTransaction, TransactionError, error::refusal, transaction_env};
use crate::{BlockEnvironment, Fork, Rules, evm::context_over};

/// Half of secp256k1's curve order (EIP-2).
const HALF_CURVE_ORDER: U256 = uint!(0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0_U256);

/// Checks a transaction by all rules of a block that neither look at accounts nor at the block's
/// fees: those that execution checks first, by the same code.
///
/// # Errors
/// [`TransactionError`], the one that execution would give.
pub fn check_transaction(
    transaction: &RecoveredTransaction,
    rules: &Rules,
    block_gas_limit: u64,
) -> Result<(), TransactionError> {
    check_signature(transaction, rules.fork)?;
    let block = BlockEnvironment { gas_limit: block_gas_limit, ..BlockEnvironment::default() };
    let mut context = context_over(EmptyDB::new(), rules, &block);
    context.tx = transaction_env(transaction);
    let (spec_id, config) = (rules.fork.spec_id(), context.cfg.clone());
    validate_tx_env(&mut context, spec_id)
        .and_then(|()| {
            let cap = config.tx_gas_limit_cap.unwrap_or(u64::MAX);
            validate_initial_tx_gas_with_gas_params(context.tx(), spec_id, &config.gas_params, false, false, cap, None)
        })
        .map(|_| ())
        .map_err(|error| {
            // UNWRAP: both checks refuse by a rule of Ethereum, never in words of their own.
            refusal(transaction, error, &context.block, config.chain_id).unwrap()
        })
}

/// EIP-2, from Homestead on; revm does not see signatures.
pub(super) fn check_signature(transaction: &RecoveredTransaction, fork: Fork) -> Result<(), TransactionError> {
    if fork >= Fork::Homestead && transaction.envelope.signature().s() > HALF_CURVE_ORDER {
        return Err(TransactionError::SignatureSTooHigh);
    }
    Ok(())
}
