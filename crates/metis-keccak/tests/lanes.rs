//! Every set of instructions against alloy's keccak, one message at a time.

#![allow(non_snake_case)] // subject__condition__outcome

use metis_keccak::{BLOCK_BYTES, Block, Lanes, keccak256, keccak256_each, pad};

/// Bytes without a pattern that blocks or words could hide.
fn bytes(len: usize) -> Vec<u8> {
    (0..len as u64).map(|place| (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn assert_hashes(lanes: Lanes, messages: &[&[u8]]) {
    let mut hashes = vec![[0; 32]; messages.len()];
    lanes.hash_each(messages, &mut hashes);
    for (message, hash) in messages.iter().zip(&hashes) {
        assert_eq!(*hash, alloy_primitives::keccak256(message).0, "{} bytes by {}", message.len(), lanes.name());
    }
}

#[test]
fn test_lanes__every_length_in_every_lane__equal_alloys_keccak() {
    let bytes = bytes(700);
    for lanes in Lanes::all() {
        for len in 0..=600 {
            // As many different messages of this length as fill the lanes, and one more.
            let messages: Vec<&[u8]> = (0..=lanes.width()).map(|start| &bytes[start..start + len]).collect();
            assert_hashes(lanes, &messages);
        }
    }
}

#[test]
fn test_lanes__messages_of_all_lengths_in_any_order__equal_alloys_keccak() {
    let bytes = bytes(5_000);
    let mut messages: Vec<&[u8]> = (0..=600).map(|len| &bytes[len..2 * len]).collect();
    messages.extend([&bytes[..4_096]; 19]);
    messages.extend([&bytes[3..5_000], &[]]);
    let mut place = 1;
    for last in (1..messages.len()).rev() {
        place = place * 75 % 65_537;
        messages.swap(last, place % (last + 1));
    }
    for lanes in Lanes::all() {
        assert_hashes(lanes, &messages);
    }
}

#[test]
fn test_padded_messages__of_different_lengths_in_one_group__equal_alloys_keccak() {
    let bytes = bytes(600);
    for lanes in Lanes::all() {
        for count in 1..=lanes.width() {
            for start in 0..120 {
                let lens: Vec<usize> = (0..count).map(|lane| (start * 5 + lane * 97) % 601).collect();
                let buffers: Vec<Vec<Block>> = lens.iter().map(|len| padded(&bytes[..*len])).collect();
                let messages: Vec<&[Block]> = buffers.iter().map(Vec::as_slice).collect();
                let mut hashes = vec![[0; 32]; count];
                lanes.hash_padded(&messages, &mut hashes);
                for (len, hash) in lens.iter().zip(hashes) {
                    assert_eq!(hash, alloy_primitives::keccak256(&bytes[..*len]).0);
                }
            }
        }
    }
}

fn padded(message: &[u8]) -> Vec<Block> {
    let mut blocks = vec![[0; BLOCK_BYTES]; message.len() / BLOCK_BYTES + 1];
    blocks.as_flattened_mut()[..message.len()].copy_from_slice(message);
    pad(&mut blocks, message.len());
    blocks
}

#[test]
fn test_free_functions__nothing_and_abc__give_the_known_hashes() {
    let nothing = alloy_primitives::hex!("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    let abc = alloy_primitives::hex!("4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
    let mut hashes = [[0; 32]; 2];
    keccak256_each(&[b"", b"abc"], &mut hashes);
    assert_eq!(hashes, [nothing, abc]);
    assert_eq!(keccak256(b"abc"), abc);
}

#[test]
fn test_lanes__best__is_one_of_all() {
    assert!(Lanes::all().contains(&Lanes::best()));
    assert_eq!(Lanes::all()[0], Lanes::SCALAR);
}

#[test]
fn test_padded_messages__with_something_aside__do_it_before_each_permutation() {
    let bytes = bytes(600);
    for lanes in Lanes::all() {
        let buffers: Vec<Vec<Block>> = (0..lanes.width()).map(|_| padded(&bytes[..300])).collect();
        let messages: Vec<&[Block]> = buffers.iter().map(Vec::as_slice).collect();
        let mut hashes = vec![[0; 32]; messages.len()];
        let mut count = 0;
        lanes.hash_padded_with(&messages, &mut hashes, || count += 1);
        // 300 bytes are three blocks; without vectors a message is hashed in one go.
        assert_eq!(count, if lanes.width() == 1 { 1 } else { 3 });
        assert_eq!(hashes[0], alloy_primitives::keccak256(&bytes[..300]).0);
    }
}
