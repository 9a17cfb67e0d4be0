//! MetisDB on disks that lose power, refuse writes and are killed.

use metis_db::torture::{check_after_kill, torture_images, write_until_killed};

#[test]
fn metis__power_cut_at_any_write__opens_with_one_committed_state() {
    let report = torture_images(1, 8);
    assert_eq!(report.failures, Vec::<String>::new());
    assert!(report.images > 400, "{}", report.images);
}

#[test]
fn metis__on_files_written_and_opened_again__has_every_step() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let mut last = 0;
    for end in [5, 40, 41] {
        write_until_killed(path, 9, last, end, |count| last = count).unwrap();
        assert_eq!(check_after_kill(path, 9, end).unwrap(), end);
    }
}

#[test]
#[ignore = "takes minutes; make test-long runs it"]
fn metis__ten_thousand_disks_after_power_cuts__each_open_with_one_committed_state() {
    let report = torture_images(11, 180);
    assert_eq!(report.failures, Vec::<String>::new());
    assert!(report.images >= 10_000, "{}", report.images);
}
