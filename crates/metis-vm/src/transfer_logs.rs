//! Logs of a simulated transaction, with transfers of native token among them as if it were a token.
//!
//! Source: execution-apis, `eth_simulateV1` with `traceTransfers`; go-ethereum `logtracer.go`.

use alloy_primitives::{Address, B256, Log, LogData, U256, address, b256};
use revm::{
    Inspector,
    context_interface::{ContextTr, JournalTr},
    interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter},
};

/// Whom transfers of native token are logged by (ERC-7528).
const NATIVE_TOKEN: Address = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");

/// `Transfer(address,address,uint256)`.
const TRANSFER_TOPIC: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// A log and its index in the block.
///
/// Logs of frames that failed use up indexes although nobody sees them, as in go-ethereum.
pub type IndexedLog = (u64, Log);

/// Collects logs frame by frame; those of a frame that fails are dropped.
#[derive(Debug, Default)]
pub struct TransferLogs {
    has_transfers: bool,
    next_index: u64,
    frames: Vec<Vec<IndexedLog>>,
    logs: Vec<IndexedLog>,
}

impl TransferLogs {
    /// Collects from `next_index` on, with or without transfers.
    pub const fn new(has_transfers: bool, next_index: u64) -> Self {
        Self { has_transfers, next_index, frames: Vec::new(), logs: Vec::new() }
    }

    /// The logs, and the index that the block's next log has.
    pub fn finish(self) -> (Vec<IndexedLog>, u64) {
        (self.logs, self.next_index)
    }

    fn push(&mut self, log: Log) {
        let index = self.next_index;
        self.next_index += 1;
        self.frames.last_mut().unwrap_or(&mut self.logs).push((index, log));
    }

    fn transfer(&mut self, from: Address, to: Address, value: U256) {
        if !self.has_transfers || value.is_zero() {
            return;
        }
        let topics = vec![TRANSFER_TOPIC, from.into_word(), to.into_word()];
        let data = LogData::new_unchecked(topics, value.to_be_bytes_vec().into());
        self.push(Log { address: NATIVE_TOKEN, data });
    }

    fn close(&mut self, is_success: bool) {
        let Some(mut logs) = self.frames.pop() else { return };
        if is_success {
            self.frames.last_mut().unwrap_or(&mut self.logs).append(&mut logs);
        }
    }
}

impl<CTX: ContextTr> Inspector<CTX> for TransferLogs {
    fn log(&mut self, _context: &mut CTX, log: Log) {
        self.push(log);
    }

    fn log_full(&mut self, _interpreter: &mut Interpreter, _context: &mut CTX, log: Log) {
        self.push(log);
    }

    fn call(&mut self, _context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.frames.push(Vec::new());
        if let Some(value) = inputs.transfer_value() {
            self.transfer(inputs.transfer_from(), inputs.transfer_to(), value);
        }
        None
    }

    fn call_end(&mut self, _context: &mut CTX, _inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.close(outcome.result.result.is_ok());
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.frames.push(Vec::new());
        // Failing to read the state ends the transaction elsewhere.
        if let Ok(caller) = context.journal_mut().load_account(inputs.caller()) {
            let nonce = caller.data.info.nonce;
            self.transfer(inputs.caller(), inputs.created_address(nonce), inputs.value());
        }
        None
    }

    fn create_end(&mut self, _context: &mut CTX, _inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.close(outcome.result.result.is_ok());
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.transfer(contract, target, value);
    }
}
