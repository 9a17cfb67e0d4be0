//! One code in the registry.

use std::sync::{
    Arc,
    atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use alloy_primitives::B256;
use metis_state_transition::Fork;
use parking_lot::{Mutex, MutexGuard};
use revm::primitives::hardfork::SpecId;

use super::{abi::Cause, code::Code, registry::fork_of};

/// How far a code has come.
#[derive(Debug)]
pub enum State {
    /// Interpreted.
    Cold,
    /// Interpreted; said to be hot, and with a compiler or on its way there.
    Hot,
    /// Compiled.
    Ready(Arc<Code>),
    /// Interpreted for good, and why.
    Refused(Box<str>),
}

/// What is known of one code under one rule set.
#[derive(Debug)]
pub struct Entry {
    pub code_hash: B256,
    pub spec: SpecId,
    state: Mutex<State>,
    /// Whether the state is other than cold; may be a moment late.
    is_hot: AtomicBool,
    /// Gas since the code was last cold: what it is ranked by.
    heat: AtomicU64,
    gas_interpreted: AtomicU64,
    gas_compiled: AtomicU64,
    frames_interpreted: AtomicU64,
    frames_compiled: AtomicU64,
    deoptimisations: [AtomicU64; Cause::ALL.len()],
}

/// What one runner counted of a code since it last told the registry.
#[derive(Debug, Default)]
pub struct Tally {
    pub gas_interpreted: u64,
    pub gas_compiled: u64,
    pub frames_interpreted: u64,
    pub frames_compiled: u64,
    pub deoptimisations: [u64; Cause::ALL.len()],
}

/// What is known of one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeReport {
    /// Its hash.
    pub code_hash: B256,
    /// The fork it runs under; of forks with one rule set, the newest.
    pub fork: Fork,
    /// `cold`, `hot`, `compiled` or `refused`.
    pub state: &'static str,
    /// Why it was refused.
    pub refusal: Option<String>,
    /// Gas that its frames spent in tier 0.
    pub gas_interpreted: u64,
    /// Gas that its frames spent in compiled code.
    pub gas_compiled: u64,
    /// Frames that began in tier 0.
    pub frames_interpreted: u64,
    /// Frames that began in compiled code.
    pub frames_compiled: u64,
    /// How often compiled code gave up, by [`Cause`].
    pub deoptimisations: [u64; Cause::ALL.len()],
    /// Memory of its machine code in bytes.
    pub code_bytes: u64,
}

impl Entry {
    pub fn new(code_hash: B256, spec: SpecId) -> Self {
        Self {
            code_hash,
            spec,
            state: Mutex::new(State::Cold),
            is_hot: AtomicBool::new(false),
            heat: AtomicU64::new(0),
            gas_interpreted: AtomicU64::new(0),
            gas_compiled: AtomicU64::new(0),
            frames_interpreted: AtomicU64::new(0),
            frames_compiled: AtomicU64::new(0),
            deoptimisations: Default::default(),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Changes the state. `guard` is this entry's own.
    pub fn set(&self, guard: &mut MutexGuard<'_, State>, state: State) {
        self.is_hot.store(!matches!(state, State::Cold), Release);
        **guard = state;
    }

    pub fn is_hot(&self) -> bool {
        self.is_hot.load(Acquire)
    }

    pub fn code(&self) -> Option<Arc<Code>> {
        match &*self.state() {
            State::Ready(code) => Some(Arc::clone(code)),
            _ => None,
        }
    }

    pub fn heat(&self) -> u64 {
        self.heat.load(Relaxed)
    }

    /// Machine code is dropped to make room: to be compiled again the code must earn it again.
    pub fn cool_down(&self) {
        let mut state = self.state();
        self.heat.store(0, Relaxed);
        self.set(&mut state, State::Cold);
    }

    pub fn may_be_forgotten(&self) -> bool {
        matches!(*self.state(), State::Cold | State::Refused(_))
    }

    /// Adds a tally, which is then empty, and gives the heat.
    pub fn record(&self, tally: &mut Tally) -> u64 {
        let Tally { gas_interpreted, gas_compiled, frames_interpreted, frames_compiled, deoptimisations } =
            core::mem::take(tally);
        let add = |sum: &AtomicU64, value: u64| {
            if value != 0 {
                sum.fetch_add(value, Relaxed);
            }
        };
        add(&self.gas_interpreted, gas_interpreted);
        add(&self.gas_compiled, gas_compiled);
        add(&self.frames_interpreted, frames_interpreted);
        add(&self.frames_compiled, frames_compiled);
        for (sum, value) in self.deoptimisations.iter().zip(deoptimisations) {
            add(sum, value);
        }
        let gas = gas_interpreted.saturating_add(gas_compiled);
        // BOUND: gas limits are below 2^64, and sums of what was really executed stay far below it.
        self.heat.fetch_add(gas, Relaxed).wrapping_add(gas)
    }

    pub fn report(&self) -> CodeReport {
        let state = self.state();
        let (name, refusal, code_bytes) = match &*state {
            State::Cold => ("cold", None, 0),
            State::Hot => ("hot", None, 0),
            State::Ready(code) => ("compiled", None, code.bytes() as u64),
            State::Refused(reason) => ("refused", Some(String::from(&**reason)), 0),
        };
        CodeReport {
            code_hash: self.code_hash,
            fork: fork_of(self.spec),
            state: name,
            refusal,
            gas_interpreted: self.gas_interpreted.load(Relaxed),
            gas_compiled: self.gas_compiled.load(Relaxed),
            frames_interpreted: self.frames_interpreted.load(Relaxed),
            frames_compiled: self.frames_compiled.load(Relaxed),
            deoptimisations: core::array::from_fn(|index| self.deoptimisations[index].load(Relaxed)),
            code_bytes,
        }
    }
}
