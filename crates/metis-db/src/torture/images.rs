//! Power cuts: every write recorded; what was not synced dropped, reordered and torn.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use metis_disk::{Fault, SimulatedDisk};
use parking_lot::Mutex;

use super::{
    TortureReport,
    plan::{Choices, Models, open, step, take_step},
};

/// Steps of one plan.
const STEP_COUNT: u64 = 24;
/// BOUND: instants of one plan at which the power is cut.
const CUT_COUNT_MAX: u64 = 12;
/// Disks that one power cut is tried to leave.
const IMAGES_PER_CUT: u64 = 4;

/// How far a plan came on a disk that failed.
struct Reached {
    /// Steps that were acknowledged; `None` where not even the first opening was.
    acknowledged: Option<u64>,
    /// Steps that were begun.
    begun: u64,
}

fn run(disk: &SimulatedDisk, seed: u64) -> Reached {
    let Ok(store) = open(Arc::new(disk.clone()), seed) else { return Reached { acknowledged: None, begun: 0 } };
    for number in 0..STEP_COUNT {
        if take_step(&store, number, &step(seed, number)).is_err() {
            return Reached { acknowledged: Some(number), begun: number + 1 };
        }
    }
    Reached { acknowledged: Some(STEP_COUNT), begun: STEP_COUNT }
}

/// Cuts the power at many instants of `rounds` plans, and checks what each of the disks that this
/// may leave is as a store. Reports at most one failure per instant. Uses all cores; the same seed gives the same report.
pub fn torture_images(seed: u64, rounds: u64) -> TortureReport {
    let next = AtomicU64::new(0);
    let reports = Mutex::new(BTreeMap::new());
    let thread_count = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..thread_count {
            scope.spawn(|| {
                loop {
                    // ORDER: only that nobody has the same round matters.
                    let round = next.fetch_add(1, Relaxed);
                    if round >= rounds {
                        return;
                    }
                    let report = torture_plan(seed, round);
                    reports.lock().insert(round, report);
                }
            });
        }
    });
    let mut all = TortureReport { rounds, ..TortureReport::default() };
    for report in reports.into_inner().into_values() {
        all.images += report.images;
        all.failures.extend(report.failures);
    }
    all
}

fn torture_plan(seed: u64, round: u64) -> TortureReport {
    let mut report = TortureReport { rounds: 1, ..TortureReport::default() };
    let mut choices = Choices::new(seed, round);
    let plan_seed = choices.next();
    let mut models = Models::new(plan_seed);
    let whole = SimulatedDisk::new();
    run(&whole, plan_seed);
    let operation_count = whole.operation_count();
    for _ in 0..operation_count.min(CUT_COUNT_MAX) {
        let operation = choices.below(operation_count + 1);
        let fault = match choices.below(3) {
            0 => Fault::Refuse(ErrorKind::Other),
            1 => Fault::Partial(choices.below(9_000) as usize, ErrorKind::StorageFull),
            _ => Fault::Refuse(ErrorKind::StorageFull),
        };
        let outcome = cut(plan_seed, operation, fault, choices.next(), &mut models, &mut report.images);
        if let Err(problem) = outcome {
            report.failures.push(format!("round {round}, plan {plan_seed:#x}, operation {operation}: {problem}"));
        }
    }
    report
}

fn cut(
    plan_seed: u64,
    operation: u64,
    fault: Fault,
    image_seed: u64,
    models: &mut Models,
    images: &mut u64,
) -> Result<(), String> {
    let disk = SimulatedDisk::new();
    disk.fail_at(operation, fault);
    let reached = run(&disk, plan_seed);
    for index in 0..=IMAGES_PER_CUT {
        // The last one is not a power cut: the process was killed.
        let image = if index < IMAGES_PER_CUT {
            disk.crash(image_seed.wrapping_add(index))
        } else {
            disk.clear_faults();
            disk.after_kill()
        };
        *images += 1;
        let first = reached.acknowledged.unwrap_or(0);
        let context = |error: String| format!("image {index} of {image_seed:#x}: {error}");
        let store = open(Arc::new(image.clone()), plan_seed).map_err(|error| context(error.to_string()))?;
        let count = models.check(&store, first, reached.begun).map_err(context)?;
        // It goes on from there, and once more after an orderly end.
        let next = step(plan_seed, count);
        take_step(&store, count, &next).map_err(context)?;
        drop(store);
        let store = open(Arc::new(image), plan_seed).map_err(|error| context(error.to_string()))?;
        models.check(&store, count + 1, count + 1).map_err(context)?;
    }
    Ok(())
}
