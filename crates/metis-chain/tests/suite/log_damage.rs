//! What the log says of bytes that are not what it wrote.

use std::{io::ErrorKind, sync::Arc};

use alloy_primitives::B256;
use metis_chain::block_log::{
    BlockLog, ChainIdentity, Corruption, Durability, LogConfig, LogError, LogFile, RawRecord, Recovery,
    format::{FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES, segment_name},
    scan,
};
use metis_disk::{Disk, Fault, SimulatedDisk};
use proptest::prelude::*;

const IDENTITY: ChainIdentity = ChainIdentity { chain_id: 7133717, genesis_hash: B256::repeat_byte(0x11) };

fn config() -> LogConfig {
    LogConfig { durability: Durability::EveryAppend, segment_bytes: 1 << 20, unsynced_bytes_max: 1 << 20, salt: 5 }
}

fn open(disk: &SimulatedDisk, config: LogConfig) -> Result<(BlockLog, Recovery, Vec<Vec<u8>>), LogError> {
    let mut found = Vec::new();
    let (log, recovery) = BlockLog::open::<LogError>(Arc::new(disk.clone()), Some(IDENTITY), config, |frame| {
        found.push(frame.payload.to_vec());
        Ok(())
    })?;
    Ok((log, recovery, found))
}

fn with_records(config: LogConfig, payloads: &[&[u8]]) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let (mut log, recovery, _) = open(&disk, config).unwrap();
    assert!(recovery.is_new);
    for payload in payloads {
        log.append(&[RawRecord { kind: 1, payload }]).unwrap();
    }
    log.close().unwrap();
    disk
}

fn flip(disk: &SimulatedDisk, segment: u64, offset: usize) {
    disk.tamper(&segment_name(segment), |bytes| bytes[offset] ^= 0x40);
}

/// Every byte of every record but the last, one by one: damage, at the record's first byte.
#[test]
fn open__any_byte_before_the_last_record_flipped__is_corruption_there() {
    let payloads: [&[u8]; 3] = [b"one", b"two two", b"three"];
    let pristine = with_records(config(), &payloads);
    let mut begin = SEGMENT_HEADER_BYTES;
    for payload in &payloads[..2] {
        let end = begin + FRAME_HEADER_BYTES + payload.len();
        for offset in begin..end {
            let disk = pristine.after_kill();
            flip(&disk, 0, offset);
            let before = disk.contents(&segment_name(0));
            match open(&disk, config()) {
                Err(LogError::Corrupt { file: LogFile::Segment(0), offset, .. }) => assert_eq!(offset, begin as u64),
                other => panic!("byte {offset}: {other:?}"),
            }
            assert_eq!(disk.contents(&segment_name(0)), before, "damage is left as it is found");
        }
        begin = end;
    }
}

/// The last record can not be told from one that a crash tore; it goes, and that is said.
#[test]
fn open__any_byte_of_the_last_record_flipped__drops_and_reports_it() {
    let pristine = with_records(config(), &[b"one", b"last"]);
    let begin = SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + 3;
    for offset in begin..begin + FRAME_HEADER_BYTES + 4 {
        let disk = pristine.after_kill();
        flip(&disk, 0, offset);
        let (_, recovery, found) = open(&disk, config()).unwrap();
        let dropped = recovery.dropped.unwrap();
        assert_eq!((dropped.file, dropped.offset), (LogFile::Segment(0), begin as u64));
        assert_eq!(dropped.size_bytes, (FRAME_HEADER_BYTES + 4) as u64);
        assert_eq!(found, [b"one"]);
        let (_, recovery, _) = open(&disk, config()).unwrap();
        assert_eq!(recovery.dropped, None, "it is gone for good");
    }
}

#[test]
fn open__every_byte_of_a_segment_header_flipped__is_never_taken_for_another_log() {
    let pristine = with_records(config(), &[b"one"]);
    for offset in 0..SEGMENT_HEADER_BYTES {
        let disk = pristine.after_kill();
        flip(&disk, 0, offset);
        match open(&disk, config()) {
            Err(LogError::Corrupt { file: LogFile::Segment(0), offset: 0, .. }) => {}
            other => panic!("byte {offset}: {other:?}"),
        }
    }
}

#[test]
fn open__tail_cut_anywhere__keeps_the_records_before_the_cut() {
    let payloads: [&[u8]; 2] = [b"one", b"two"];
    let pristine = with_records(config(), &payloads);
    let full = pristine.contents(&segment_name(0)).unwrap().len();
    let end_of_first = SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + 3;
    for len in SEGMENT_HEADER_BYTES..full {
        let disk = pristine.after_kill();
        disk.tamper(&segment_name(0), |bytes| bytes.truncate(len));
        let (mut log, _, found) = open(&disk, config()).unwrap();
        assert_eq!(found.len(), usize::from(len >= end_of_first));
        log.append(&[RawRecord { kind: 1, payload: b"after" }]).unwrap();
        drop(log);
        assert_eq!(open(&disk, config()).unwrap().2.last().unwrap(), b"after");
    }
}

#[test]
fn open__damage_in_an_older_segment__is_corruption_even_at_its_end() {
    let config = LogConfig { segment_bytes: 200, ..config() };
    let disk = with_records(config, &[&[1; 100], &[2; 100], &[3; 100]]);
    let last_of_first_segment = SEGMENT_HEADER_BYTES;
    flip(&disk, 0, last_of_first_segment + FRAME_HEADER_BYTES + 50);
    let problem = match open(&disk, config) {
        Err(LogError::Corrupt { file: LogFile::Segment(0), problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(problem, Corruption::PayloadChecksum);
}

#[test]
fn open__a_segment_missing__names_it() {
    let config = LogConfig { segment_bytes: 200, ..config() };
    for missing in 0..2u64 {
        let disk = with_records(config, &[&[1; 100], &[2; 100], &[3; 100]]);
        disk.remove(&segment_name(missing)).unwrap();
        match open(&disk, config) {
            Err(LogError::MissingSegment { file }) => assert_eq!(file, LogFile::Segment(missing)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn open__two_segments_swapped_or_of_another_log__is_corruption() {
    let config = LogConfig { segment_bytes: 200, ..config() };
    let disk = with_records(config, &[&[1; 100], &[2; 100], &[3; 100]]);
    let other = with_records(LogConfig { salt: 6, ..config }, &[&[1; 100], &[2; 100], &[3; 100]]);
    let (first, foreign) = (disk.contents(&segment_name(0)).unwrap(), other.contents(&segment_name(1)).unwrap());
    for replacement in [first, foreign] {
        let disk = disk.after_kill();
        disk.tamper(&segment_name(1), |bytes| replacement.clone_into(bytes));
        assert!(matches!(open(&disk, config), Err(LogError::Corrupt { file: LogFile::Segment(1), offset: 0, .. })));
    }
}

/// A payload that looks like a frame of the log does not make a torn tail look like damage.
#[test]
fn open__forged_frame_in_a_torn_payload__does_not_stop_the_node() {
    let elsewhere = with_records(LogConfig { salt: 1, ..config() }, &[b"x", &[7; 500], b"y"]);
    let forged = elsewhere.contents(&segment_name(0)).unwrap();
    let disk = with_records(config(), &[b"one", &forged]);
    disk.tamper(&segment_name(0), |bytes| {
        let tail = SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + 3;
        bytes[tail + 5] ^= 1;
    });
    let (_, recovery, found) = open(&disk, config()).unwrap();
    assert_eq!(found, [b"one"]);
    assert!(recovery.dropped.is_some());
}

#[test]
fn open__newer_format_version__is_refused_by_number() {
    let disk = with_records(config(), &[b"one"]);
    disk.tamper(&segment_name(0), |bytes| {
        bytes[8] = 2;
        let sum = metis_chain::block_log::format::checksum(0, &bytes[..120]);
        bytes[120..128].copy_from_slice(&sum.to_le_bytes());
    });
    match open(&disk, config()) {
        Err(LogError::UnsupportedVersion { found: 2, supported: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn open__another_chain__names_both() {
    let disk = with_records(config(), &[b"one"]);
    let other = ChainIdentity { chain_id: 1, ..IDENTITY };
    let opened = BlockLog::open::<LogError>(Arc::new(disk), Some(other), config(), |_| Ok(()));
    match opened {
        Err(LogError::OtherChain { expected, found }) => assert_eq!((expected, found), (other, IDENTITY)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn open__empty_directory_without_identity__is_not_there() {
    let disk = Arc::new(SimulatedDisk::new());
    assert!(matches!(BlockLog::open::<LogError>(disk.clone(), None, config(), |_| Ok(())), Err(LogError::NotThere)));
    assert!(matches!(scan::<LogError>(&*disk, |_| Ok(())), Err(LogError::NotThere)));
}

#[test]
fn append__disk_full__says_so_and_goes_on_once_there_is_room() {
    for fault in [Fault::Refuse(ErrorKind::StorageFull), Fault::Partial(20, ErrorKind::StorageFull)] {
        for operation in 0..4 {
            let disk = SimulatedDisk::new();
            let (mut log, ..) = open(&disk, config()).unwrap();
            let first = log.append(&[RawRecord { kind: 1, payload: b"one" }]).unwrap();
            disk.fail_at(disk.operation_count() + operation, fault);
            let refused = log.append(&[RawRecord { kind: 1, payload: b"two" }]);
            if operation < 2 {
                assert!(refused.unwrap_err().is_disk_full());
                assert_eq!(log.next_sequence(), 2);
            }
            disk.clear_faults();
            assert_eq!(log.reader().read(first[0].location).unwrap(), b"one");
            log.append(&[RawRecord { kind: 1, payload: b"three" }]).unwrap();
            log.close().unwrap();
            let (_, recovery, found) = open(&disk, config()).unwrap();
            assert_eq!(recovery.dropped, None);
            assert_eq!(found.last().unwrap(), b"three");
            assert_eq!(found.len(), if operation < 2 { 2 } else { 3 });
        }
    }
}

#[test]
fn read__bytes_that_changed_since__is_corruption() {
    let disk = SimulatedDisk::new();
    let (mut log, ..) = open(&disk, config()).unwrap();
    let place = log.append(&[RawRecord { kind: 1, payload: b"one" }]).unwrap()[0].location;
    for offset in SEGMENT_HEADER_BYTES..SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + 3 {
        flip(&disk, 0, offset);
        assert!(matches!(log.reader().read(place), Err(LogError::Corrupt { .. })), "byte {offset}");
        flip(&disk, 0, offset);
    }
    assert_eq!(log.reader().read(place).unwrap(), b"one");
}

#[test]
fn open__already_open__is_refused_until_closed() {
    let disk = SimulatedDisk::new();
    let (log, ..) = open(&disk, config()).unwrap();
    assert!(matches!(open(&disk, config()), Err(LogError::Locked { .. })));
    log.close().unwrap();
    open(&disk, config()).unwrap();
}

proptest! {
    #![proptest_config(crate::support::cases(512))]

    /// Whatever is done to the files: an error, or the records up to some place.
    #[test]
    fn open__files_edited_at_random__gives_a_prefix_or_an_error(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..150), 1..10),
        edits in prop::collection::vec((0..4u64, any::<u32>(), any::<u8>(), 0..5u8), 1..6),
    ) {
        let config = LogConfig { segment_bytes: 400, ..config() };
        let slices: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        let disk = with_records(config, &slices);
        for (segment, place, value, edit) in edits {
            disk.tamper(&segment_name(segment), |bytes| {
                let at = place as usize % bytes.len().max(1);
                match edit {
                    _ if bytes.is_empty() => bytes.push(value),
                    0 | 1 => bytes[at] ^= value,
                    2 => bytes.truncate(at),
                    3 => bytes.insert(at, value),
                    _ => bytes.extend_from_within(at..),
                }
            });
        }
        let before: Vec<_> = (0..4).map(|segment| disk.contents(&segment_name(segment))).collect();
        match open(&disk, config) {
            Ok((log, recovery, found)) => {
                drop(log);
                prop_assert!(payloads.starts_with(&found));
                prop_assert_eq!(recovery.record_count, found.len() as u64);
                prop_assert_eq!(open(&disk, config).unwrap().2, found);
            }
            Err(_) => {
                let after: Vec<_> = (0..4).map(|segment| disk.contents(&segment_name(segment))).collect();
                prop_assert_eq!(before, after);
            }
        }
    }
}
