//! Runs that leave a trace.

use alloc::vec::Vec;

use crate::{
    kernels::{self, Prepared},
    memory::Memory,
    model::{How, InvalidInput, Model, Workspace, workspace},
    plan::Plan,
    trace::{self, Digest},
    workspaces::Workspaces,
};

/// What a traced run needs, made when a model first runs so.
pub(crate) struct Traced {
    plan: Plan,
    points: Vec<usize>,
    workspaces: Workspaces,
}

impl<W: AsRef<[u8]> + Sync> Model<W> {
    fn traced(&self) -> &Traced {
        self.traced.get_or_init(|| {
            let points = trace::points(&self.proven);
            Traced { plan: Plan::of(&self.proven, true, &points), points, workspaces: Workspaces::default() }
        })
    }

    /// The numbers of the tensors that a trace commits to.
    pub fn points(&self) -> &[usize] {
        &self.traced().points
    }

    /// Lends memory for traced runs of so many threads: what is committed to stays until the run has ended.
    pub fn with_traced_workspace<R>(&self, threads: usize, work: impl FnOnce(&mut Workspace) -> R) -> R {
        let Traced { plan, workspaces, .. } = self.traced();
        workspaces.lend(threads, || workspace(plan, threads), work)
    }

    /// Runs once, as [`Model::run`] does, and gives the commitment of each point.
    ///
    /// # Errors
    /// An input or a state is not what the graph declares.
    ///
    /// # Panics
    /// The workspace is not one of [`Model::with_traced_workspace`] for as many threads, or `given` are not as many as inputs
    /// and states.
    pub fn run_traced(
        &self,
        how: How,
        given: &[Option<&[u8]>],
        workspace: &mut Workspace,
    ) -> Result<Vec<Digest>, InvalidInput> {
        let Traced { plan, points, .. } = self.traced();
        // The steps are those of other runs, only places differ: constants are packed once for both.
        let packed = self.packed[how.kernel as usize].get_or_init(|| {
            self.plan.steps.iter().map(|step| kernels::pack(how.kernel, step, self.weights.as_ref())).collect()
        });
        let steps = plan.steps.iter().zip(packed).map(|(step, packed)| Prepared { step, packed: packed.as_ref() });
        self.run_plan(plan, &steps.collect::<Vec<_>>(), how, given, workspace, &mut |_, _| ())?;
        let memory = Memory::new(self.weights.as_ref(), &mut workspace.arena);
        let tensors: Vec<_> = points
            .iter()
            // SAFETY: the run has ended, and the workspace is borrowed.
            .map(|&number| (self.proven.tensors[number], unsafe { memory.bytes(&plan.slot(&self.proven, number)) }))
            .collect();
        Ok(trace::commitments(&tensors, how.threads))
    }

    /// What the last traced run in a workspace gave: the bytes of outputs and of states, in order.
    pub fn traced_results(&self, workspace: &mut Workspace) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let plan = &self.traced().plan;
        (self.given_back(plan, workspace), self.given_on(plan, workspace))
    }

    /// The bytes of a tensor that the last traced run in a workspace committed to; None where that is no point.
    pub fn point(&self, workspace: &mut Workspace, number: usize) -> Option<Vec<u8>> {
        let Traced { plan, points, .. } = self.traced();
        points.binary_search(&number).ok()?;
        let memory = Memory::new(self.weights.as_ref(), &mut workspace.arena);
        // SAFETY: no step runs, for the workspace is borrowed.
        Some(unsafe { memory.bytes(&plan.slot(&self.proven, number)) }.to_vec())
    }
}
