//! Random work on a disk that refuses, loses, reorders and tears writes: after every crash the log
//! opens and holds a prefix of what was appended, with everything that was said to be durable.

use std::{io::ErrorKind, sync::Arc};

use alloy_primitives::B256;
use metis_chain::block_log::{BlockLog, ChainIdentity, Durability, LogConfig, LogError, RawRecord};
use metis_disk::{Fault, SimulatedDisk};
use proptest::prelude::*;

const IDENTITY: ChainIdentity = ChainIdentity { chain_id: 7133717, genesis_hash: B256::repeat_byte(0x11) };

type Payload = (u8, Vec<u8>);

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Payload>),
    Sync,
    Tick(u64),
    /// The operation after so many others fails.
    Fail(u64, Fault),
    Reopen,
    Kill,
    Crash(u64),
}

fn payload() -> impl Strategy<Value = Payload> {
    (any::<u8>(), prop_oneof![0..4usize, 30..600usize, 3000..6000usize])
        .prop_map(|(kind, size)| (kind, (0..size).map(|at| (at as u8) ^ kind).collect()))
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Refuse(ErrorKind::StorageFull)),
        Just(Fault::Refuse(ErrorKind::Other)),
        (0..400usize).prop_map(|count| Fault::Partial(count, ErrorKind::StorageFull)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(payload(), 1..4).prop_map(Step::Append),
        1 => Just(Step::Sync),
        2 => (0..40u64).prop_map(Step::Tick),
        3 => (0..6u64, fault()).prop_map(|(after, fault)| Step::Fail(after, fault)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
        2 => any::<u64>().prop_map(Step::Crash),
    ]
}

fn durability() -> impl Strategy<Value = Durability> {
    prop_oneof![Just(Durability::EveryAppend), Just(Durability::Group { interval_ms: 10 }), Just(Durability::None),]
}

/// What a correct log may hold.
#[derive(Default)]
struct Model {
    accepted: Vec<Payload>,
    /// So many of them must survive a power cut.
    durable_count: usize,
    /// Appends that failed, and how many records were there before them: parts of them may turn up.
    failed: Vec<(usize, Vec<Payload>)>,
    now_ms: u64,
}

impl Model {
    fn check_after_crash(&mut self, found: Vec<Payload>) {
        let common = found.iter().zip(&self.accepted).take_while(|(got, expected)| got == expected).count();
        assert!(common >= self.durable_count, "{common} of {} durable records are there", self.durable_count);
        let is_explained = (self.durable_count..=common).any(|count| {
            let rest = &found[count..];
            rest.is_empty() || self.failed.iter().any(|(at, records)| *at == count && records.starts_with(rest))
        });
        assert!(is_explained || found.len() == common, "records that nobody appended here");
        self.durable_count = found.len();
        self.accepted = found;
        self.failed.clear();
    }
}

fn open(disk: &SimulatedDisk, config: LogConfig) -> (BlockLog, Vec<Payload>) {
    disk.clear_faults();
    let mut found = Vec::new();
    let opened = BlockLog::open::<LogError>(Arc::new(disk.clone()), Some(IDENTITY), config, |frame| {
        assert_eq!(frame.sequence, found.len() as u64 + 1);
        found.push((frame.kind, frame.payload.to_vec()));
        Ok(())
    });
    (opened.expect("a log that crashed opens").0, found)
}

fn run(durability: Durability, segment_bytes: u64, steps: Vec<Step>) {
    let config = LogConfig { durability, segment_bytes, unsynced_bytes_max: 4000, salt: 42 };
    let mut disk = SimulatedDisk::new();
    let (mut log, _) = open(&disk, config);
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Append(records) => {
                let raw: Vec<_> = records.iter().map(|(kind, payload)| RawRecord { kind: *kind, payload }).collect();
                match log.append(&raw) {
                    Ok(appended) => {
                        for (place, (_, payload)) in appended.iter().zip(&records) {
                            assert_eq!(log.reader().read(place.location).unwrap(), *payload);
                        }
                        model.accepted.extend(records);
                        if durability == Durability::EveryAppend {
                            model.durable_count = model.accepted.len();
                        }
                    }
                    Err(_) => model.failed.push((model.accepted.len(), records)),
                }
            }
            Step::Sync => {
                if log.sync().is_ok() {
                    model.durable_count = model.accepted.len();
                }
            }
            Step::Tick(passed_ms) => {
                model.now_ms += passed_ms;
                if log.tick(model.now_ms).is_ok_and(|is_durable| is_durable) {
                    model.durable_count = model.accepted.len();
                }
            }
            Step::Fail(after, fault) => disk.fail_at(disk.operation_count() + after, fault),
            Step::Reopen => {
                disk.clear_faults();
                log.close().unwrap();
                let (reopened, found) = open(&disk, config);
                log = reopened;
                assert_eq!(found, model.accepted);
                model.durable_count = found.len();
                model.failed.clear();
            }
            Step::Kill => {
                let left = disk.after_kill();
                let accepted = model.accepted.len();
                model.durable_count = accepted;
                (log, model.accepted) = {
                    let (reopened, found) = open(&left, config);
                    model.check_after_crash(found);
                    (reopened, std::mem::take(&mut model.accepted))
                };
                disk = left;
            }
            Step::Crash(seed) => {
                let left = disk.crash(seed);
                let (reopened, found) = open(&left, config);
                model.check_after_crash(found);
                log = reopened;
                disk = left;
            }
        }
    }
}

proptest! {
    #![proptest_config(crate::support::cases(768))]

    #[test]
    fn log__after_any_crash__holds_a_prefix_with_all_that_was_durable(
        durability in durability(),
        segment_bytes in prop_oneof![Just(200u64), Just(2000), Just(1 << 20)],
        steps in prop::collection::vec(step(), 1..50),
    ) {
        run(durability, segment_bytes, steps);
    }

    #[test]
    fn log__reopened_between_crashes__crashes_again_without_loss(
        seeds in prop::collection::vec(any::<u64>(), 1..8),
        sizes in prop::collection::vec(0..2000usize, 8),
    ) {
        let steps = seeds.iter().zip(sizes).flat_map(|(seed, size)| {
            [Step::Append(vec![(1, vec![7; size])]), Step::Append(vec![(2, vec![])]), Step::Crash(*seed), Step::Crash(!*seed)]
        });
        run(Durability::EveryAppend, 3000, steps.collect());
    }
}
