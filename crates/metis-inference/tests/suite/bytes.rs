//! The decoder and the proof on bytes that are no graph: an error with a place inside them, never a panic.

use metis_inference::graph::{Limits, decode, prove};
use proptest::prelude::*;

/// The example of the format's document.
fn example() -> Vec<u8> {
    let hex = "4d45544953414947010001000000000000000100000001000000010000000178010201000000020000009cffffffffffffff\
               640000000000000001020100000002000000fcffffffffffffff030000000000000001020000000001000000010301790200\
               0000";
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn test_graph__of_the_document__is_proven() {
    let proven = prove(decode(&example()).unwrap(), &Limits::default()).unwrap();

    assert_eq!((proven.cost.macs, proven.cost.moved_bytes, proven.cost.memory_bytes), (15_220, 8, 128));
    assert_eq!((proven.tensors[2].lo, proven.tensors[2].hi), (-800, 800));
}

#[test]
fn test_graph__above_a_limit__is_refused_with_its_name() {
    for (limits, field) in [
        (Limits { macs: 1, ..Limits::default() }, "macs"),
        (Limits { memory_bytes: 127, ..Limits::default() }, "memory_bytes"),
        (Limits { weights_bytes: 63, ..Limits::default() }, "weights_bytes"),
    ] {
        let error = prove(decode(&example()).unwrap(), &limits).unwrap_err();
        assert_eq!(error.field.to_string(), field);
    }
}

#[test]
fn test_graph__cut_anywhere__is_refused_where_it_ends() {
    let raw = example();
    for length in 0..raw.len() {
        assert!(decode(&raw[..length]).unwrap_err().offset <= length);
    }
}

proptest! {
    #[test]
    fn test_graph__any_bytes__are_refused_inside_them(rest in proptest::collection::vec(any::<u8>(), 0..200)) {
        let raw = [b"METISAIG\x01\x00".as_slice(), &rest].concat();
        if let Err(error) = decode(&raw) {
            prop_assert!(error.offset <= raw.len() && !error.field.to_string().is_empty());
        }
    }

    #[test]
    fn test_graph__bytes_changed__is_proven_or_refused(changes in proptest::collection::vec((0_usize..102, any::<u8>()), 1..5)) {
        let mut raw = example();
        for (place, byte) in changes {
            let place = place % raw.len();
            raw[place] = byte;
        }
        match decode(&raw) {
            Err(error) => prop_assert!(error.offset <= raw.len()),
            Ok(graph) => drop(prove(graph, &Limits::default())),
        }
    }
}
