//! A model that is ready to run: proven, its weights checked, its plan made.

use alloc::vec::Vec;

use crate::{
    graph::{DecodeError, Facts, InvalidGraph, Limits, Proven, decode, prove},
    kernels::{self, Kernel, Prepared, panels::Packed},
    memory::{ALIGNMENT_BYTES, Aligned, Memory},
    plan::Plan,
    team,
    weights::{self, InvalidWeights, range_of},
};

/// BOUND: threads of one run.
pub const THREADS_MAX: usize = 64;
/// Steps of less work than this are one thread's.
const SHARED_MACS_MIN: u128 = 1 << 14;

/// Why a model cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The graph's bytes are not one.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The graph is not valid, or costs too much.
    #[error(transparent)]
    Graph(#[from] InvalidGraph),
    /// The weights are not the graph's.
    #[error(transparent)]
    Weights(#[from] InvalidWeights),
}

/// Why a run is refused. Nothing has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInput {
    /// A tensor has another number of bytes than declared.
    #[error("{given} bytes instead of {expected}")]
    Length {
        /// Which input, or state after the inputs.
        index: usize,
        /// What is given.
        given: usize,
        /// What is declared.
        expected: usize,
    },
    /// A value outside its declared range.
    #[error("it has {lo} to {hi}, declared are {declared_lo} to {declared_hi}")]
    Range {
        /// Which input, or state after the inputs.
        index: usize,
        /// The least value.
        lo: i64,
        /// The greatest value.
        hi: i64,
        /// What is declared.
        declared_lo: i64,
        /// What is declared.
        declared_hi: i64,
    },
}

impl InvalidInput {
    /// Which input, or state after the inputs.
    pub const fn index(&self) -> usize {
        match self {
            Self::Length { index, .. } | Self::Range { index, .. } => *index,
        }
    }
}

/// How a run is computed. The result does not depend on it.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Which instructions.
    pub kernel: Kernel,
    /// How many threads; one where the crate is built without std.
    pub threads: usize,
}

/// The memory of one run at a time; runs after each other may share one.
pub struct Workspace {
    pub(crate) arena: Aligned,
    scratch: Vec<Aligned>,
}

#[cfg(feature = "std")]
impl Workspace {
    /// Threads of a run in it.
    pub(crate) fn threads(&self) -> usize {
        self.scratch.len()
    }
}

/// A model that is ready to run. `W` holds the weights' bytes, which begin at a multiple of 64.
pub struct Model<W> {
    pub(crate) proven: Proven,
    pub(crate) weights: W,
    pub(crate) plan: Plan,
    /// Constants as each kernel takes them, made when it first runs.
    #[cfg(feature = "std")]
    pub(crate) packed: [std::sync::OnceLock<Vec<Option<Packed>>>; 4],
    #[cfg(feature = "std")]
    pub(crate) traced: std::sync::OnceLock<crate::traced::Traced>,
    /// Kept from runs for later ones.
    #[cfg(feature = "std")]
    workspaces: crate::workspaces::Workspaces,
}

impl<W: AsRef<[u8]> + Sync> Model<W> {
    /// Opens a model.
    ///
    /// # Errors
    /// The graph does not decode, is not valid, costs more than the limits, or the weights are not its own. Limits are
    /// checked before memory is taken for a run.
    pub fn open(graph: &[u8], weights: W, limits: &Limits) -> Result<Self, OpenError> {
        let proven = prove(decode(graph)?, limits)?;
        weights::check(&proven.graph, weights.as_ref())?;
        if weights.as_ref().as_ptr().align_offset(ALIGNMENT_BYTES) != 0 {
            return Err(InvalidWeights::Alignment.into());
        }
        let plan = Plan::of(&proven, true, &[]);
        Ok(Self {
            proven,
            weights,
            plan,
            #[cfg(feature = "std")]
            packed: Default::default(),
            #[cfg(feature = "std")]
            traced: Default::default(),
            #[cfg(feature = "std")]
            workspaces: Default::default(),
        })
    }

    /// The steps of the plan, with constants as a kernel takes them.
    fn prepared(&self, kernel: Kernel) -> Vec<Prepared<'_>> {
        #[cfg(feature = "std")]
        {
            let packed = self.packed[kernel as usize].get_or_init(|| {
                self.plan.steps.iter().map(|step| kernels::pack(kernel, step, self.weights.as_ref())).collect()
            });
            let steps = self.plan.steps.iter().zip(packed);
            steps.map(|(step, packed)| Prepared { step, packed: packed.as_ref() }).collect()
        }
        #[cfg(not(feature = "std"))]
        {
            let _ = (kernel, kernels::pack);
            unpacked(&self.plan)
        }
    }

    /// The bytes of the weights.
    pub fn weights(&self) -> &[u8] {
        self.weights.as_ref()
    }

    /// What is proven of the graph.
    pub const fn proven(&self) -> &Proven {
        &self.proven
    }

    /// Bytes of the arena of a run.
    pub const fn arena_bytes(&self) -> usize {
        self.plan.arena_bytes
    }

    /// Memory for runs of so many threads.
    pub fn workspace(&self, threads: usize) -> Workspace {
        workspace(&self.plan, threads)
    }

    /// Lends a workspace for runs of so many threads: one kept from an earlier run, or a new one.
    #[cfg(feature = "std")]
    pub fn with_workspace<R>(&self, threads: usize, work: impl FnOnce(&mut Workspace) -> R) -> R {
        self.workspaces.lend(threads, || self.workspace(threads), work)
    }

    /// Runs once. `given` are the inputs, then the states, each little-endian; a state that is None is zeros.
    ///
    /// # Errors
    /// An input or a state is not what the graph declares.
    ///
    /// # Panics
    /// The workspace is another model's or for fewer threads, or `given` are not as many as inputs and states.
    pub fn run(&self, how: How, given: &[Option<&[u8]>], workspace: &mut Workspace) -> Result<(), InvalidInput> {
        self.run_plan(&self.plan, &self.prepared(how.kernel), how, given, workspace, &mut |_, _| ())
    }

    /// Runs once, operator by operator: `observe` is called with each node's number and results, in order, and is what
    /// a trace of the run is made from.
    ///
    /// # Errors
    /// An input or a state is not what the graph declares.
    ///
    /// # Panics
    /// `given` are not as many as inputs and states.
    pub fn run_observed(
        &self,
        kernel: Kernel,
        given: &[Option<&[u8]>],
        observe: &mut dyn FnMut(usize, &[&[u8]]),
    ) -> Result<Finished, InvalidInput> {
        let plan = Plan::of(&self.proven, false, &[]);
        let mut workspace = workspace(&plan, 1);
        self.run_plan(
            &plan,
            &unpacked(&plan),
            How { kernel, threads: 1 },
            given,
            &mut workspace,
            &mut |memory, step| {
                let node = plan.steps[step].node;
                let end = self.proven.first_results.get(node + 1).map_or(self.proven.tensors.len(), |next| *next);
                let results: Vec<&[u8]> = (self.proven.first_results[node]..end)
                    // SAFETY: one thread runs, and no step at the time.
                    .map(|number| unsafe { memory.bytes(&plan.slot(&self.proven, number)) })
                    .collect();
                observe(node, &results);
            },
        )?;
        let (outputs, states) = (self.given_back(&plan, &mut workspace), self.given_on(&plan, &mut workspace));
        Ok(Finished { outputs, states })
    }

    /// What the last run in a workspace gave: the outputs' bytes in order.
    pub fn outputs(&self, workspace: &mut Workspace) -> Vec<Vec<u8>> {
        self.given_back(&self.plan, workspace)
    }

    /// The states that the last run in a workspace leaves, in order.
    pub fn states(&self, workspace: &mut Workspace) -> Vec<Vec<u8>> {
        self.given_on(&self.plan, workspace)
    }

    pub(crate) fn given_back(&self, plan: &Plan, workspace: &mut Workspace) -> Vec<Vec<u8>> {
        let memory = Memory::new(self.weights.as_ref(), &mut workspace.arena);
        let outputs = self.proven.graph.outputs.iter().map(|output| output.tensor as usize);
        // SAFETY: no step runs, for the workspace is borrowed.
        outputs.map(|number| unsafe { memory.bytes(&plan.slot(&self.proven, number)) }.to_vec()).collect()
    }

    pub(crate) fn given_on(&self, plan: &Plan, workspace: &mut Workspace) -> Vec<Vec<u8>> {
        let memory = Memory::new(self.weights.as_ref(), &mut workspace.arena);
        let updates = self.proven.graph.updates.iter().map(|number| *number as usize);
        // SAFETY: as above.
        updates.map(|number| unsafe { memory.bytes(&plan.slot(&self.proven, number)) }.to_vec()).collect()
    }

    pub(crate) fn run_plan(
        &self,
        plan: &Plan,
        steps: &[Prepared<'_>],
        how: How,
        given: &[Option<&[u8]>],
        workspace: &mut Workspace,
        after: &mut dyn FnMut(&Memory<'_>, usize),
    ) -> Result<(), InvalidInput> {
        assert_eq!(given.len(), self.proven.graph.first_constant(), "as many tensors as inputs and states");
        assert_eq!(workspace.arena.bytes().len(), plan.arena_bytes, "the workspace of another model");
        let threads = how.threads.clamp(1, workspace.scratch.len());
        let Workspace { arena, scratch } = workspace;
        let memory = Memory::new(self.weights.as_ref(), arena);
        for (index, bytes) in given.iter().enumerate() {
            // SAFETY: nothing runs yet.
            let to = unsafe { memory.bytes_mut(&plan.slot(&self.proven, index)) };
            take(index, &self.proven.tensors[index], *bytes, to)?;
        }
        if threads == 1 {
            for (number, step) in steps.iter().enumerate() {
                kernels::run(how.kernel, *step, memory, scratch[0].bytes_mut(), 0, 1);
                after(&memory, number);
            }
            return Ok(());
        }
        team::run(&mut scratch[..threads], |scratch, part, wait| {
            let mut is_after_shared = false;
            let mut is_after_own = false;
            for step in steps {
                let is_shared = step.step.macs >= SHARED_MACS_MIN;
                if is_after_shared || (is_shared && is_after_own) {
                    wait();
                }
                (is_after_shared, is_after_own) = (is_shared, !is_shared);
                if is_shared {
                    kernels::run(how.kernel, *step, memory, scratch.bytes_mut(), part, threads);
                } else if part == 0 {
                    kernels::run(how.kernel, *step, memory, scratch.bytes_mut(), 0, 1);
                }
            }
        });
        Ok(())
    }
}

/// What an observed run gave: bytes of outputs and states, in order.
pub struct Finished {
    /// The outputs.
    pub outputs: Vec<Vec<u8>>,
    /// The states for the next run.
    pub states: Vec<Vec<u8>>,
}

/// The steps of a plan, their constants as they are.
fn unpacked(plan: &Plan) -> Vec<Prepared<'_>> {
    plan.steps.iter().map(|step| Prepared { step, packed: None }).collect()
}

pub(crate) fn workspace(plan: &Plan, threads: usize) -> Workspace {
    let threads = threads.clamp(1, THREADS_MAX);
    let scratch = (0..threads).map(|_| Aligned::zeroed(plan.scratch_bytes)).collect();
    Workspace { arena: Aligned::zeroed(plan.arena_bytes), scratch }
}

/// Copies an input or a state to where the plan has it, and checks its range.
fn take(index: usize, facts: &Facts, given: Option<&[u8]>, to: &mut [u8]) -> Result<(), InvalidInput> {
    let Some(bytes) = given else {
        to.fill(0);
        return Ok(());
    };
    if bytes.len() != to.len() {
        return Err(InvalidInput::Length { index, given: bytes.len(), expected: to.len() });
    }
    let (lo, hi) = range_of(facts, bytes);
    let Facts { lo: declared_lo, hi: declared_hi, .. } = *facts;
    if lo < declared_lo || hi > declared_hi {
        return Err(InvalidInput::Range { index, lo, hi, declared_lo, declared_hi });
    }
    to.copy_from_slice(bytes);
    Ok(())
}
