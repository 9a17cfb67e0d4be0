//! Which tiers a virtual machine uses.

use std::sync::Arc;

use metis_state_transition::FrameRunnerFactory;

use crate::compiled::{Registry, TieredRunner};

/// The virtual machine of a network.
#[derive(Clone, Debug, Default)]
pub enum VirtualMachine {
    /// Tier 0 for every frame.
    #[default]
    Interpreter,
    /// Tier 1 for what a registry holds compiled, tier 0 for the rest.
    Compiled(Arc<Registry>),
}

impl FrameRunnerFactory for VirtualMachine {
    type Runner = TieredRunner;

    fn runner(&self) -> TieredRunner {
        match self {
            Self::Interpreter => TieredRunner::interpreter(),
            Self::Compiled(registry) => TieredRunner::new(registry),
        }
    }
}
