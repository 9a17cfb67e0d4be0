//! go-ethereum's default tracer: one JSON object per executed opcode, written as it happens.
//!
//! Nothing but the text is kept, so a trace costs its own size. Source: go-ethereum
//! `eth/tracers/logger`, execution-apis `opcode-tracer.yaml`.

use std::{collections::BTreeMap, io::Write as _};

use alloy_primitives::{Address, B256, U256, hex};
use alloy_rpc_types_trace::geth::GethDefaultTracingOptions;
use metis_state_transition::{FrameEnd, FrameStart};
use revm::{
    bytecode::opcode::{self, OpCode},
    context_interface::result::ExecutionResult,
};

use crate::{TraceSink, TraceStep};

/// Most items on the EVM's stack (Yellow Paper §9.1).
const STACK_SIZE_MAX: usize = 1024;

/// Writes `structLogs` of one transaction.
#[derive(Debug)]
pub struct StructLogger {
    options: GethDefaultTracingOptions,
    /// The elements of `structLogs`, separated by commas.
    steps: Vec<u8>,
    step_count: u64,
    size_bytes_max: usize,
    is_too_large: bool,
    /// Slots that were read or written so far, per contract: what each snapshot shows.
    storage: BTreeMap<Address, BTreeMap<U256, U256>>,
    /// Refund counters of the frames below the running one; revm counts per frame, go-ethereum per transaction.
    refunds_below: Vec<i64>,
    refund: i64,
}

impl StructLogger {
    /// A logger that stops writing at `size_bytes_max`.
    pub const fn new(options: GethDefaultTracingOptions, size_bytes_max: usize) -> Self {
        Self {
            options,
            steps: Vec::new(),
            step_count: 0,
            size_bytes_max,
            is_too_large: false,
            storage: BTreeMap::new(),
            refunds_below: Vec::new(),
            refund: 0,
        }
    }

    /// Whether the trace is larger than it may be, and therefore incomplete.
    pub const fn is_too_large(&self) -> bool {
        self.is_too_large
    }

    /// Appends the whole answer for the transaction to `out`.
    pub fn finish(&mut self, result: &ExecutionResult, out: &mut Vec<u8>) {
        let (gas, failed) = (result.tx_gas_used(), !result.is_success());
        let output = result.output().map(|bytes| bytes.as_ref()).unwrap_or_default();
        write_text(out, format_args!(r#"{{"gas":{gas},"failed":{failed},"returnValue":"#));
        write_hex(out, output);
        out.extend_from_slice(br#","structLogs":["#);
        out.append(&mut self.steps);
        out.extend_from_slice(b"]}");
    }

    fn write_step(&mut self, step: &TraceStep<'_>) {
        if self.step_count > 1 {
            self.steps.push(b',');
        }
        // DEVIATES: where gas runs out, go-ethereum names the price it could not pay; the interpreter knows
        // only its static part.
        let cost = if step.halt.is_some() { step.gas_cost.max(step.static_gas) } else { step.gas_cost };
        write_text(&mut self.steps, format_args!(r#"{{"pc":{},"op":""#, step.program_counter));
        match step.name {
            Some(name) => self.steps.extend_from_slice(name.as_bytes()),
            None => write_text(&mut self.steps, format_args!("opcode {:#x} not defined", step.opcode)),
        }
        let (gas, depth) = (step.gas, step.depth);
        write_text(&mut self.steps, format_args!(r#"","gas":{gas},"gasCost":{cost},"depth":{depth}"#));
        if let Some(error) = refusal(step) {
            write_text(&mut self.steps, format_args!(r#","error":"{error}""#));
        }
        if !self.options.disable_stack.unwrap_or_default() {
            self.steps.extend_from_slice(br#","stack":["#);
            for (position, value) in step.stack.iter().enumerate() {
                let comma = if position == 0 { "" } else { "," };
                write_text(&mut self.steps, format_args!(r#"{comma}"{value:#x}""#));
            }
            self.steps.push(b']');
        }
        if self.options.is_return_data_enabled() && !step.return_data.is_empty() {
            self.steps.extend_from_slice(br#","returnData":"#);
            write_hex(&mut self.steps, step.return_data);
        }
        if !step.memory.is_empty() {
            self.write_memory(step.memory);
        }
        if !self.options.disable_storage.unwrap_or_default() {
            self.write_storage(step);
        }
        let refund = self.refunds_below.iter().sum::<i64>() + step.refund;
        if refund > 0 {
            write_text(&mut self.steps, format_args!(r#","refund":{refund}"#));
        }
        self.steps.push(b'}');
    }

    fn write_memory(&mut self, memory: &[u8]) {
        self.steps.extend_from_slice(br#","memory":["#);
        // The interpreter's memory grows by words: no chunk is shorter.
        for (position, word) in memory.chunks(32).enumerate() {
            if position > 0 {
                self.steps.push(b',');
            }
            write_hex(&mut self.steps, word);
        }
        self.steps.push(b']');
    }

    /// The contract's slots seen so far, after an opcode that reads or writes one.
    fn write_storage(&mut self, step: &TraceStep<'_>) {
        let (slot, value) = match (step.opcode, step.stack) {
            (opcode::SLOAD, [.., slot]) if step.halt.is_none() => (*slot, step.result.unwrap_or_default()),
            (opcode::SSTORE, [.., value, slot]) => (*slot, *value),
            _ => return,
        };
        let slots = self.storage.entry(step.target).or_default();
        slots.insert(slot, value);
        self.steps.extend_from_slice(br#","storage":{"#);
        for (position, (slot, value)) in slots.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            let (slot, value) = (B256::from(*slot), B256::from(*value));
            write_text(&mut self.steps, format_args!(r#"{comma}"{slot}":"{value}""#));
        }
        self.steps.push(b'}');
    }
}

impl TraceSink for StructLogger {
    fn wants_memory(&self) -> bool {
        self.options.is_memory_enabled()
    }

    fn step(&mut self, step: &TraceStep<'_>) {
        self.refund = step.refund;
        let limit = self.options.limit.unwrap_or_default();
        if self.is_too_large || (limit != 0 && self.step_count >= limit) {
            return;
        }
        self.step_count += 1;
        self.write_step(step);
        if self.steps.len() > self.size_bytes_max {
            self.is_too_large = true;
            self.steps = Vec::new();
        }
    }

    fn enter(&mut self, _start: &FrameStart) {
        self.refunds_below.push(std::mem::take(&mut self.refund));
    }

    fn exit(&mut self, _end: &FrameEnd<'_>) {
        self.refund = self.refunds_below.pop().unwrap_or_default();
    }
}

/// Why the opcode was not begun, in go-ethereum's words. What fails while it runs is not told: go-ethereum has
/// written the step by then.
fn refusal(step: &TraceStep<'_>) -> Option<String> {
    let halt = step.halt?;
    let (inputs, outputs) =
        OpCode::new(step.opcode).map_or((0, 0), |op| (usize::from(op.inputs()), usize::from(op.outputs())));
    match halt {
        "stack underflow" => Some(format!("stack underflow ({} <=> {inputs})", step.stack.len())),
        "stack overflow" => {
            let most = STACK_SIZE_MAX + inputs - outputs;
            Some(format!("stack limit reached {} ({most})", step.stack.len()))
        }
        _ if halt.starts_with("out of gas") => Some("out of gas".into()),
        _ => None,
    }
}

fn write_text(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // UNWRAP: writing to memory does not fail.
    out.write_fmt(text).unwrap();
}

fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(b"\"0x");
    let start = out.len();
    out.resize(start + bytes.len() * 2, 0);
    // UNWRAP: the slice has two digits per byte.
    hex::encode_to_slice(bytes, &mut out[start..]).unwrap();
    out.push(b'"');
}
