//! One transaction at a time watched by a tracer; the others run as if nobody could watch.
//!
//! The tracers are those of `revm-inspectors` (reth's and anvil's), except [`StructLogger`], which writes as it
//! goes, and [`TransferLogs`]. They only look: what they would change of a frame is not taken over.

use std::fmt;

use alloy_primitives::{B256, map::HashSet};
use alloy_rpc_types_eth::TransactionInfo;
use alloy_rpc_types_trace::{
    geth::{GethDebugTracerType, GethDebugTracingOptions, GethTrace},
    otterscan::InternalOperation,
    parity::{LocalizedTransactionTrace, TraceResults, TraceType},
};
use metis_state_transition::{
    ConcludedTransaction, EvmFrame, FrameEnd, FrameHost, FrameRunner, FrameStart, Instructions, StateView, ViewError,
};
use revm::{
    Inspector,
    context_interface::{Block as _, JournalTr},
    handler::FrameResult,
    inspector::{
        handler::{frame_end, frame_start},
        inspect_instructions,
    },
    interpreter::{FrameInput, InterpreterAction, interpreter::EthInterpreter, interpreter_action::FrameInit},
};
use revm_inspectors::{
    otterscan::InternalOperationsInspector,
    tracing::{DebugInspector, DebugInspectorError, TracingInspector, TracingInspectorConfig, TransactionContext},
};

use crate::{
    StructLogger, TraceSink, TransferLogs,
    trace::{StepCopies, run_stepwise},
    transfer_logs::IndexedLog,
};

/// Why there is no such tracer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TracerError {
    /// Its configuration is not one.
    #[error("tracerConfig: {0}")]
    Config(String),
    /// No tracer has this name; JavaScript is not run.
    #[error("no tracer is called {0:?}")]
    Unknown(String),
}

/// Who watches a transaction.
#[derive(Clone, Debug)]
pub enum Tracer {
    /// One of go-ethereum's, by name; answers with JSON.
    Geth(Box<GethDebugTracingOptions>),
    /// Parity's call traces, with their place in the chain.
    Calls,
    /// What Parity's `trace_replay…` and `trace_call` answer.
    Parity(HashSet<TraceType>),
    /// Otterscan's internal operations.
    InternalOperations,
    /// Logs, with transfers of native token among them where wanted.
    Logs {
        /// Whether transfers are logged.
        has_transfers: bool,
        /// Index of the first log.
        next_index: u64,
    },
}

/// What a tracer saw.
#[derive(Debug)]
pub enum Traced {
    /// [`Tracer::Geth`]: the trace is in [`TracingRunner::text`].
    Text,
    /// [`Tracer::Calls`].
    Calls(Vec<LocalizedTransactionTrace>),
    /// [`Tracer::Parity`].
    Parity(Box<TraceResults>),
    /// [`Tracer::InternalOperations`].
    InternalOperations(Vec<InternalOperation>),
    /// [`Tracer::Logs`]: the logs, and the index that the next one has.
    Logs(Vec<IndexedLog>, u64),
    /// The trace would be larger than it may be.
    TooLarge,
}

/// Where a transaction stands; nothing for a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracedPlace {
    /// Its hash.
    pub transaction_hash: Option<B256>,
    /// Its position in the block.
    pub index: Option<usize>,
    /// Hash of the block.
    pub block_hash: Option<B256>,
}

enum Watcher {
    StructLogs(Box<StructLogger>),
    Geth(Box<DebugInspector>),
    Calls(Box<TracingInspector>),
    Parity(Box<TracingInspector>, HashSet<TraceType>),
    InternalOperations(InternalOperationsInspector),
    Logs(TransferLogs),
}

/// Tier 0, with a tracer on the transaction that [`Self::watch`] was called before.
pub struct TracingRunner {
    /// What tracers of go-ethereum wrote, one trace after the other; callers may write between them.
    pub text: Vec<u8>,
    size_bytes_max: usize,
    watcher: Option<Watcher>,
    place: TracedPlace,
    traced: Option<Traced>,
    copies: StepCopies,
    /// Logs in the journal that the watcher has been told of.
    seen_log_count: usize,
}

impl fmt::Debug for TracingRunner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TracingRunner").field("is_watching", &self.watcher.is_some()).finish_non_exhaustive()
    }
}

impl Tracer {
    /// Reads go-ethereum's options: `{"tracer": …, "tracerConfig": …}` or those of its default tracer.
    ///
    /// # Errors
    /// [`TracerError`].
    pub fn from_json(options: &[u8]) -> Result<Self, TracerError> {
        let options: GethDebugTracingOptions =
            serde_json::from_slice(options).map_err(|error| TracerError::Config(error.to_string()))?;
        let tracer = Self::Geth(Box::new(options));
        // Whatever is wrong with them is said before anything runs.
        tracer.watcher(usize::MAX)?;
        Ok(tracer)
    }

    fn watcher(&self, size_bytes_max: usize) -> Result<Watcher, TracerError> {
        let inspector = |config| Box::new(TracingInspector::new(config));
        Ok(match self {
            Self::Geth(options) => match &options.tracer {
                None => Watcher::StructLogs(Box::new(StructLogger::new(options.config, size_bytes_max))),
                Some(tracer) if tracer.as_str().is_empty() => {
                    Watcher::StructLogs(Box::new(StructLogger::new(options.config, size_bytes_max)))
                }
                Some(GethDebugTracerType::JsTracer(name)) => return Err(TracerError::Unknown(name.clone())),
                Some(_) => Watcher::Geth(Box::new(DebugInspector::new((**options).clone()).map_err(refused)?)),
            },
            Self::Calls => Watcher::Calls(inspector(TracingInspectorConfig::default_parity())),
            Self::Parity(types) => {
                Watcher::Parity(inspector(TracingInspectorConfig::from_parity_config(types)), types.clone())
            }
            Self::InternalOperations => Watcher::InternalOperations(InternalOperationsInspector::default()),
            Self::Logs { has_transfers, next_index } => Watcher::Logs(TransferLogs::new(*has_transfers, *next_index)),
        })
    }
}

fn refused(error: DebugInspectorError) -> TracerError {
    TracerError::Config(error.to_string())
}

/// Calls a method on whichever inspector there is; the struct logger is none.
macro_rules! inspector {
    ($watcher:expr, $inspector:ident => $work:expr) => {
        match $watcher {
            Watcher::StructLogs(_) => {}
            Watcher::Geth($inspector) => $work,
            Watcher::Calls($inspector) | Watcher::Parity($inspector, _) => $work,
            Watcher::InternalOperations($inspector) => $work,
            Watcher::Logs($inspector) => $work,
        }
    };
}

impl TracingRunner {
    /// A runner whose traces may be `size_bytes_max` of text together.
    pub fn new(size_bytes_max: usize) -> Self {
        Self {
            text: Vec::new(),
            size_bytes_max,
            watcher: None,
            place: TracedPlace::default(),
            traced: None,
            copies: StepCopies::default(),
            seen_log_count: 0,
        }
    }

    /// Watches the next transaction.
    ///
    /// # Errors
    /// [`TracerError`].
    pub fn watch(&mut self, tracer: &Tracer, place: TracedPlace) -> Result<(), TracerError> {
        self.watcher = Some(tracer.watcher(self.size_bytes_max.saturating_sub(self.text.len()))?);
        self.place = place;
        self.seen_log_count = 0;
        Ok(())
    }

    /// What was seen of the transaction; `None` when it was not run to its end.
    pub fn take(&mut self) -> Option<Traced> {
        self.watcher = None;
        self.traced.take()
    }

    /// Tells the watcher of logs that no opcode made: of precompiles, or of moving value.
    fn report_logs<H: FrameHost>(&mut self, host: &mut H) {
        let logs = host.journal().logs();
        if logs.len() <= self.seen_log_count {
            return;
        }
        let unseen = logs[self.seen_log_count..].to_vec();
        self.seen_log_count = logs.len();
        if let Some(watcher) = &mut self.watcher {
            for log in unseen {
                inspector!(watcher, inspector => Inspector::<H, EthInterpreter>::log(inspector, host, log.clone()));
            }
        }
    }
}

impl FrameRunner for TracingRunner {
    fn run<H: FrameHost>(
        &mut self,
        frame: &mut EvmFrame,
        Instructions { table, gas }: Instructions<'_, H>,
        host: &mut H,
    ) -> InterpreterAction {
        let interpreter = &mut frame.interpreter;
        let action = match &mut self.watcher {
            None => return interpreter.run_plain(table, gas, host),
            Some(Watcher::StructLogs(logger)) => {
                return run_stepwise(&mut **logger, &mut self.copies, frame, Instructions { table, gas }, host);
            }
            Some(Watcher::Geth(inspector)) => inspect_instructions(host, interpreter, &mut **inspector, table, gas),
            Some(Watcher::Calls(inspector) | Watcher::Parity(inspector, _)) => {
                inspect_instructions(host, interpreter, &mut **inspector, table, gas)
            }
            Some(Watcher::InternalOperations(inspector)) => {
                inspect_instructions(host, interpreter, inspector, table, gas)
            }
            Some(Watcher::Logs(inspector)) => inspect_instructions(host, interpreter, inspector, table, gas),
        };
        self.seen_log_count = host.journal().logs().len();
        action
    }

    const OBSERVES_FRAMES: bool = true;

    fn enter<H: FrameHost>(&mut self, host: &mut H, init: &FrameInit) {
        // A frame that failed took its logs back.
        self.seen_log_count = host.journal().logs().len();
        let Some(watcher) = &mut self.watcher else { return };
        if let Watcher::StructLogs(logger) = watcher
            && let Some(start) = FrameStart::of(init)
        {
            logger.enter(&start);
        }
        let mut input = init.frame_input.clone();
        inspector!(watcher, inspector => {
            frame_start::<H, EthInterpreter>(host, inspector, &mut input);
        });
    }

    fn started<H: FrameHost>(&mut self, host: &mut H, frame: &mut EvmFrame) {
        self.report_logs(host);
        if let Some(watcher) = &mut self.watcher {
            inspector!(watcher, inspector => inspector.initialize_interp(&mut frame.interpreter, host));
        }
    }

    fn exit<H: FrameHost>(&mut self, host: &mut H, input: &FrameInput, result: &FrameResult) {
        self.report_logs(host);
        let Some(watcher) = &mut self.watcher else { return };
        if let Watcher::StructLogs(logger) = watcher {
            logger.exit(&FrameEnd::of(result));
        }
        let mut result = result.clone();
        inspector!(watcher, inspector => {
            frame_end::<H, EthInterpreter>(host, inspector, input, &mut result);
        });
    }

    fn conclude<V: StateView>(&mut self, concluded: ConcludedTransaction<'_, V>) -> Result<(), ViewError<V::Error>> {
        let Some(watcher) = self.watcher.take() else { return Ok(()) };
        let ConcludedTransaction { transaction, block, result, before } = concluded;
        let TracedPlace { transaction_hash, index, block_hash } = self.place;
        let traced = match watcher {
            Watcher::StructLogs(mut logger) if !logger.is_too_large() => {
                logger.finish(&result.result, &mut self.text);
                Traced::Text
            }
            Watcher::StructLogs(_) => Traced::TooLarge,
            Watcher::Geth(mut inspector) => {
                let context = TransactionContext { block_hash, tx_index: index, tx_hash: transaction_hash };
                let mut database = before;
                match inspector.get_result(Some(context), transaction, block, result, &mut database) {
                    Ok(mut trace) => {
                        drop_failed_logs(&mut trace);
                        self.write(&trace)
                    }
                    Err(DebugInspectorError::Database(error)) => return Err(error),
                    // The options were checked when the watcher was made.
                    Err(_) => Traced::TooLarge,
                }
            }
            Watcher::Calls(inspector) => {
                let info = TransactionInfo {
                    hash: transaction_hash,
                    index: index.map(|index| index as u64),
                    block_hash,
                    block_number: Some(block.number().saturating_to()),
                    ..TransactionInfo::default()
                };
                Traced::Calls(inspector.into_parity_builder().into_localized_transaction_traces(info))
            }
            Watcher::Parity(inspector, types) => {
                let results = inspector.into_parity_builder().into_trace_results_with_state(result, &types, before)?;
                Traced::Parity(Box::new(results))
            }
            Watcher::InternalOperations(inspector) => Traced::InternalOperations(inspector.into_operations()),
            Watcher::Logs(inspector) => {
                let (logs, next_index) = inspector.finish();
                Traced::Logs(logs, next_index)
            }
        };
        self.traced = Some(traced);
        Ok(())
    }
}

impl TracingRunner {
    /// Appends a trace to the text.
    fn write(&mut self, trace: &GethTrace) -> Traced {
        // UNWRAP: traces have string keys only, and writing to memory does not fail.
        serde_json::to_writer(&mut self.text, trace).unwrap();
        if self.text.len() > self.size_bytes_max { Traced::TooLarge } else { Traced::Text }
    }
}

/// A transaction that failed has no logs. The library drops those of failed frames below the first alone.
fn drop_failed_logs(trace: &mut GethTrace) {
    match trace {
        GethTrace::CallTracer(frame) if frame.error.is_some() => frame.logs.clear(),
        GethTrace::MuxTracer(traces) => traces.0.values_mut().for_each(drop_failed_logs),
        _ => {}
    }
}
