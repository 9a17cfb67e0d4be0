//! Which tiers a virtual machine uses.

use metis_state_transition::{FrameRunner, InterpreterRunner};

/// Makes a frame runner for each execution.
///
/// Runners are per execution because they may hold state of it (pinned code, a trace); what they
/// share (a code cache) lives in the factory.
pub trait FrameRunnerFactory: Send + Sync {
    /// The runner.
    type Runner: FrameRunner;

    /// A runner for one block or call.
    fn runner(&self) -> Self::Runner;
}

/// The virtual machine of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VirtualMachine {
    /// Tier 0 for every frame.
    #[default]
    Interpreter,
}

impl FrameRunnerFactory for VirtualMachine {
    type Runner = InterpreterRunner;

    fn runner(&self) -> InterpreterRunner {
        match self {
            Self::Interpreter => InterpreterRunner,
        }
    }
}
