//! The log on a real file system.

use std::sync::Arc;

use alloy_primitives::B256;
use metis_chain::block_log::{BlockLog, ChainIdentity, Durability, LogConfig, LogError, RawRecord, log_exists, scan};
use metis_disk::{Disk, FileDisk};

const IDENTITY: ChainIdentity = ChainIdentity { chain_id: 7133717, genesis_hash: B256::repeat_byte(0x11) };

fn open(disk: &Arc<FileDisk>, config: LogConfig) -> Result<(BlockLog, Vec<Vec<u8>>), LogError> {
    let mut found = Vec::new();
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    let (log, _) = BlockLog::open::<LogError>(disk, Some(IDENTITY), config, |frame| {
        found.push(frame.payload.to_vec());
        Ok(())
    })?;
    Ok((log, found))
}

#[test]
fn file_disk__records_over_several_segments__are_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(FileDisk::new(directory.path().join("deep/er")).unwrap());
    assert!(!log_exists(&*disk).unwrap());
    for durability in [Durability::EveryAppend, Durability::Group { interval_ms: 0 }, Durability::None] {
        let config = LogConfig { durability, segment_bytes: 3000, ..LogConfig::default() };
        let (mut log, before) = open(&disk, config).unwrap();
        for number in 0..20u8 {
            log.append(&[RawRecord { kind: 1, payload: &[number; 200] }]).unwrap();
        }
        assert!(log.tick(1).unwrap() || durability == Durability::None);
        log.close().unwrap();
        let (_, after) = open(&disk, config).unwrap();
        assert_eq!(after.len(), before.len() + 20);
        assert_eq!(after[before.len() + 7], vec![7u8; 200]);
    }
    let report = scan::<LogError>(&*disk, |_| Ok(())).unwrap();
    assert_eq!((report.record_count, report.torn, report.identity), (60, None, IDENTITY));
    assert!(report.segment_count > 3);
}

#[test]
fn file_disk__in_use__names_the_process_that_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(FileDisk::new(directory.path()).unwrap());
    let (log, _) = open(&disk, LogConfig::default()).unwrap();
    match open(&disk, LogConfig::default()) {
        Err(error @ LogError::Locked { holder }) => {
            assert_eq!(holder, Some(std::process::id()));
            assert!(error.to_string().contains(&format!("(pid {})", std::process::id())));
        }
        other => panic!("{other:?}"),
    }
    drop(log);
    open(&disk, LogConfig::default()).unwrap();
}

#[test]
fn secret_salt__of_two_logs__differs() {
    let salt = || LogConfig::default().with_secret_salt().salt;
    assert_ne!(salt(), salt());
}
