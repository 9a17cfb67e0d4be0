//! EIP-3155 lines to a Python callable.

use std::fmt::Write as _;

use metis_vm::{TraceRunner, TraceSink, TraceStep};
use pyo3::{prelude::*, types::PyBytes};

/// Hands each step to a Python callable as one JSON line. The first error it raises is kept, and
/// nothing is handed to it afterwards.
pub struct PythonTrace<'a, 'py> {
    callback: &'a Bound<'py, PyAny>,
    pub error: &'a mut Option<PyErr>,
}

impl<'a, 'py> PythonTrace<'a, 'py> {
    pub const fn runner(callback: &'a Bound<'py, PyAny>, error: &'a mut Option<PyErr>) -> TraceRunner<Self> {
        TraceRunner::new(Self { callback, error })
    }
}

impl TraceSink for PythonTrace<'_, '_> {
    fn step(&mut self, step: &TraceStep<'_>) {
        if self.error.is_some() {
            return;
        }
        let line = json_line(step);
        if let Err(error) = self.callback.call1((PyBytes::new(self.callback.py(), line.as_bytes()),)) {
            *self.error = Some(error);
        }
    }
}

/// The step as EIP-3155 writes it.
fn json_line(step: &TraceStep<'_>) -> String {
    let mut line = String::with_capacity(256);
    // UNWRAP: writing to a string cannot fail.
    write!(
        line,
        r#"{{"pc":{},"op":{},"gas":"{:#x}","gasCost":"{:#x}","memSize":{},"stack":["#,
        step.program_counter, step.opcode, step.gas, step.gas_cost, step.memory_size_bytes
    )
    .unwrap();
    for (position, value) in step.stack.iter().enumerate() {
        let comma = if position == 0 { "" } else { "," };
        write!(line, r#"{comma}"{value:#x}""#).unwrap();
    }
    write!(
        line,
        r#"],"depth":{},"returnData":"{}","refund":{},"opName":"{}""#,
        step.depth,
        step.return_data,
        step.refund,
        step.name.unwrap_or("UNKNOWN")
    )
    .unwrap();
    if let Some(halt) = step.halt {
        write!(line, r#","error":"{halt}""#).unwrap();
    }
    line.push('}');
    line
}
