//! What both disks promise beyond bytes: pins, and mapped files.

#![allow(non_snake_case)] // names of tests are subject__condition__outcome

use metis_disk::{Disk, FileDisk, SimulatedDisk};

fn both(check: impl Fn(&dyn Disk)) {
    let directory = tempfile::tempdir().unwrap();
    check(&FileDisk::new(directory.path()).unwrap());
    check(&SimulatedDisk::new());
}

#[test]
fn pin__held__is_not_dead() {
    both(|disk| {
        let pin = disk.pin("pin.1").unwrap();
        assert!(!disk.remove_dead_pin("pin.1").unwrap());
        assert!(disk.list().unwrap().contains(&"pin.1".to_owned()));
        drop(pin);
        assert!(!disk.list().unwrap().contains(&"pin.1".to_owned()));
    });
}

#[test]
fn pin__left_behind_by_the_dead__is_removed() {
    both(|disk| {
        drop(disk.create("pin.2").unwrap());
        assert!(disk.remove_dead_pin("pin.2").unwrap());
        assert!(!disk.list().unwrap().contains(&"pin.2".to_owned()));
    });
}

#[test]
fn map__of_a_written_file__has_its_bytes() {
    both(|disk| {
        let file = disk.create("data").unwrap();
        file.write_at(3, b"abc").unwrap();
        assert_eq!(&*disk.open_to_read("data").unwrap().map().unwrap(), b"\0\0\0abc");
    });
}
