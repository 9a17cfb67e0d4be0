//! docs/block-log.md says what the code does.

use alloy_primitives::{B256, hex};
use metis_chain::{
    block_log::{
        ChainIdentity,
        format::{
            FORMAT_VERSION, FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, PAYLOAD_BYTES_MAX, SEGMENT_HEADER_BYTES,
            SEGMENT_MAGIC, SegmentHeader, checksum, segment_name, segment_of,
        },
    },
    record::{Record, StateId, StateRef, kind},
};

const DOCUMENT: &str = include_str!("../../../../docs/block-log.md");

/// Lines of the tables in a module's documentation.
fn tables_of(source: &str) -> Vec<&str> {
    source.lines().filter_map(|line| line.strip_prefix("//! ")).filter(|line| line.starts_with('|')).collect()
}

#[test]
fn document__tables__are_those_of_the_code() {
    let tables =
        [tables_of(include_str!("../../src/block_log/format.rs")), tables_of(include_str!("../../src/record/mod.rs"))];
    for line in tables.concat() {
        assert!(DOCUMENT.lines().any(|printed| printed == line), "docs/block-log.md lacks: {line}");
    }
    assert!(tables[0].len() > 20 && tables[1].len() > 5);
}

#[test]
fn document__numbers__are_those_of_the_code() {
    for text in [
        format!("format version {FORMAT_VERSION}"),
        format!("{SEGMENT_HEADER_BYTES} bytes"),
        format!("{FRAME_HEADER_BYTES} bytes"),
        format!("at most {PAYLOAD_BYTES_MAX} bytes"),
        format!("`{}`", segment_name(0)),
        format!("`{}`", String::from_utf8_lossy(&SEGMENT_MAGIC)),
        format!("`{}`", String::from_utf8_lossy(&FRAME_MAGIC)),
    ] {
        assert!(DOCUMENT.contains(&text), "docs/block-log.md does not say {text:?}");
    }
    assert_eq!((kind::BLOCK, kind::STATE_PATCH, kind::TRUNCATE, kind::HEAD), (1, 2, 3, 4));
    assert_eq!(segment_of("segment-0000000007.log"), Some(7));
    for other in ["segment-7.log", "segment-0000000007.log.bak", "LOCK", "segment--000000007.log"] {
        assert_eq!(segment_of(other), None);
    }
}

/// The example in the document, byte by byte.
#[test]
fn document__example__is_what_is_written() {
    let header = SegmentHeader {
        segment: 0,
        first_sequence: 1,
        identity: ChainIdentity { chain_id: 7133717, genesis_hash: B256::repeat_byte(0x11) },
        salt: 0x0123_4567_89ab_cdef,
        link: 0,
        previous_length: 0,
    };
    let record = Record::Truncate(StateRef { state: StateId(1), block_hash: B256::repeat_byte(0x11) });
    let payload = record.encode();
    let frame = FrameHeader {
        kind: record.kind(),
        payload_length: payload.len() as u32,
        sequence: 1,
        durable: SEGMENT_HEADER_BYTES as u64,
        link: 0,
        payload_checksum: checksum(header.salt, &payload),
    };
    assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    assert_eq!(FrameHeader::decode(&frame.encode(header.salt), header.salt).map(|(read, _)| read), Ok(frame));
    let dump: String = DOCUMENT
        .lines()
        .skip_while(|line| *line != "```hex")
        .skip(1)
        .take_while(|line| *line != "```")
        .map(|line| line.split_once(':').map_or("", |(_, bytes)| bytes))
        .collect();
    let printed = hex::decode(dump.replace(' ', "")).expect("hexadecimal bytes");
    let expected = [&header.encode()[..], &frame.encode(header.salt), &payload].concat();
    assert_eq!(hex::encode(&printed), hex::encode(&expected), "the example should be:\n{}", shown(&expected));
}

fn shown(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).enumerate().map(|(line, bytes)| {
        let words: Vec<String> = bytes.chunks(4).map(hex::encode).collect();
        format!("{:03x}: {}\n", line * 16, words.join(" "))
    });
    lines.collect()
}
