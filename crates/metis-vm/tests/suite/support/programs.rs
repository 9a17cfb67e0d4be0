//! Programs that meet every way in and out of compiled code.

use alloy_primitives::hex;

use super::world::World;

/// Address of the world's other contract, as pushed.
const TO_OTHER: &[u8] = &hex!("60c1");

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Counts memory word 0 down from 5 and writes its storage each time.
pub fn loop_with_storage() -> Vec<u8> {
    // PUSH1 5; JUMPDEST(2); DUP1 DUP1 SSTORE; PUSH1 1 SWAP1 SUB; DUP1 PUSH1 2 JUMPI; STOP
    hex!("60055b80805560019003806002570000").to_vec()
}

/// Programs by name.
pub fn all() -> Vec<(&'static str, World)> {
    let return_memory = hex!("60205260406000f3");
    vec![
        ("arithmetic", World::new(&hex!("6002600301600052600160205260406000f3"))),
        ("loop", World::new(&loop_with_storage())),
        ("storage and log", World::new(&hex!("602a600155600160026000600060a2565b60006000a000"))),
        ("revert", World::new(&hex!("60aa60005260206000fd"))),
        ("invalid opcode", World::new(&hex!("6001fe"))),
        ("undefined opcode", World::new(&hex!("60010c"))),
        ("stack underflow", World::new(&hex!("01"))),
        ("invalid jump", World::new(&hex!("600356"))),
        ("end of code", World::new(&hex!("6001600255"))),
        ("truncated push", World::new(&hex!("600160025561ff"))),
        ("call data", World::new(&hex!("36600060003760003560205260406000f3")).with_calldata(b"a few bytes of data")),
        (
            "calls with memory that grows, and their results",
            // MSTORE 0; CALL(gas, other, 0, 0, 0x40, 0x80, 0x20); MSTORE 0xa0; RETURNDATASIZE; RETURN(0, 0xc0)
            World::new(&joined(&[
                &hex!("60ff600052"),
                &hex!("6020608060406000 6000"),
                TO_OTHER,
                &hex!("5af160a0523d60c05260e06000f3"),
            ]))
            // CALLDATACOPY all, write far out in memory, read calldata again, return a word
            .with_other(&hex!("366000600037 60003561200052 600035600052 60206000f3")),
        ),
        (
            "delegatecall with call data in memory",
            World::new(&joined(&[&hex!("60ff600052 60206080 60406000"), TO_OTHER, &hex!("5af460a05260c06000f3")]))
                .with_other(&hex!("60003560005561200051506000355460005260206000f3")),
        ),
        (
            "static call that writes",
            World::new(&joined(&[&hex!("6020608060406000"), TO_OTHER, &hex!("5afa60a05260c06000f3")]))
                .with_other(&loop_with_storage()),
        ),
        (
            "static call that destroys",
            World::new(&joined(&[&hex!("6020608060406000"), TO_OTHER, &hex!("5afa60a05260c06000f3")]))
                .with_other(&hex!("33ff")),
        ),
        (
            "call with value, selfdestruct",
            World::new(&joined(&[&hex!("60006000600060006003"), TO_OTHER, &hex!("5af1600052 60206000f3")]))
                .with_other(&hex!("33ff")),
        ),
        (
            "call with more value than there is",
            World::new(&joined(&[&hex!("600060006000600061ffff"), TO_OTHER, &hex!("5af1600052 60206000f3")])),
        ),
        (
            "callcode",
            World::new(&joined(&[&hex!("60006000600060006000"), TO_OTHER, &hex!("5af260005260206000f3")]))
                .with_other(&loop_with_storage()),
        ),
        // Calls itself until the gas runs out.
        ("recursion", World::new(&hex!("60006000600060006000305af1600155"))),
        // Precompiles: identity, and one that fails (bn256 add of nonsense).
        ("precompile", World::new(&hex!("60ff60005260206040602060006004 5afa60005260606000f3"))),
        ("failing precompile", World::new(&hex!("60ff60005260206040602060006006 5afa60005260606000f3"))),
        // CREATE of init code that returns one byte, then CREATE2 of the same.
        (
            "create",
            World::new(&joined(&[
                &hex!("69600160005360016000f3600052"),
                &hex!("600a60166000f0602052"),
                &hex!("6007600a60166000f5604052"),
                &hex!("60606000f3"),
            ])),
        ),
        (
            "create of nothing, with nonce bumped",
            World::new(&hex!("600060006000f0600052600060006000f060205260406000f3")),
        ),
        ("environment", World::new(&hex!("3033343a4142434445464748495a586000526020526040526060526080526000a0"))),
        ("keccak, exp", World::new(&hex!("6020600020600052 6103e8 6003 0a 60205260406000f3"))),
        ("return", World::new(&joined(&[&hex!("6001600052 6002"), &return_memory]))),
    ]
}
