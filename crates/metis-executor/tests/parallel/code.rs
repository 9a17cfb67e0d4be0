//! Contracts made of random steps that read and write what other transactions read and write.

use alloy_primitives::Address;
use metis_state_transition::Fork;

use super::dice::Dice;

const SLOTS: u64 = 4;

pub struct Assembler(pub Vec<u8>);

impl Assembler {
    pub fn op(&mut self, opcode: u8) -> &mut Self {
        self.0.push(opcode);
        self
    }

    pub fn push(&mut self, value: u64) -> &mut Self {
        let bytes = value.to_be_bytes();
        let skip = (value.leading_zeros() / 8).min(7) as usize;
        self.0.push(0x5f + (8 - skip) as u8);
        self.0.extend_from_slice(&bytes[skip..]);
        self
    }

    fn address(&mut self, address: Address) -> &mut Self {
        self.0.push(0x73);
        self.0.extend_from_slice(address.as_slice());
        self
    }
}

/// Runtime code of a few random steps. `depth` bounds how deep codes contain codes.
pub fn random(dice: &mut Dice, fork: Fork, addresses: &[Address], depth: u32) -> Vec<u8> {
    let mut code = Assembler(Vec::new());
    for _ in 0..=dice.below(5) {
        step(&mut code, dice, fork, addresses, depth);
    }
    code.0
}

fn step(code: &mut Assembler, dice: &mut Dice, fork: Fork, addresses: &[Address], depth: u32) {
    let slot = dice.below(SLOTS);
    let other = dice.below(SLOTS);
    let address = dice.pick(addresses);
    match dice.below(23) {
        // A counter that all who call it share.
        0 | 1 => code.push(1).push(slot).op(0x54).op(0x01).push(slot).op(0x55),
        // A slot of the caller's own, as tokens have.
        2 | 3 => code.op(0x33).op(0x54).push(3).op(0x01).op(0x33).op(0x55),
        // A slot that the call data names.
        4 => code.push(0).op(0x35).op(0x54).push(7).op(0x01).push(0).op(0x35).op(0x55),
        5 => code.push(other).op(0x54).push(slot).op(0x55),
        6 => code.address(address).op(0x31).push(slot).op(0x55),
        7 if fork >= Fork::Istanbul => code.op(0x47).push(slot).op(0x55),
        // BALANCE of the beneficiary.
        8 => code.op(0x41).op(0x31).push(slot).op(0x55),
        9 if fork >= Fork::Constantinople => code.address(address).op(0x3f).push(slot).op(0x55),
        10 | 11 => {
            // CALL or DELEGATECALL; whether it succeeded goes to a slot.
            let (value, gas) = (dice.pick(&[0, 0, 1, 1000]), dice.pick(&[30_000, 100_000]));
            code.push(0).push(0).push(32).push(0);
            if dice.chance(75) {
                code.push(value).address(address).push(gas).op(0xf1);
            } else {
                code.address(address).push(gas).op(0xf4);
            }
            code.push(slot).op(0x55)
        }
        12 if depth > 0 => create(code, dice, fork, addresses, depth, slot),
        13 if dice.chance(40) => code.address(address).op(0xff),
        14 => {
            // Reverts where a slot is odd: PUSH destination, JUMPI over it.
            code.push(1).push(slot).op(0x54).op(0x16).op(0x15);
            revert_unless(code)
        }
        15 => code.push(slot).op(0x54).push(0).op(0x52).push(slot).push(32).push(0).op(0xa1),
        16 if fork >= Fork::Cancun => code.push(slot).op(0x5c).push(1).op(0x01).push(slot).op(0x5d),
        17..=21 => arithmetic(code, dice, fork, slot),
        _ => code.push(dice.below(3)).push(slot).op(0x55),
    };
}

/// Reverts where the topmost word is zero.
fn revert_unless(code: &mut Assembler) -> &mut Assembler {
    // PUSH2 and JUMPI; then PUSH1 0, DUP1, REVERT.
    let destination = (code.0.len() + 4 + 4) as u16;
    code.op(0x61).0.extend_from_slice(&destination.to_be_bytes());
    code.op(0x57).push(0).op(0x80).op(0xfd).op(0x5b)
}

/// Computes with words of slots, decides by them, stores them: what may be followed, and what may not.
fn arithmetic<'a>(code: &'a mut Assembler, dice: &mut Dice, fork: Fork, slot: u64) -> &'a mut Assembler {
    // ADD, MUL, SUB, DIV, LT, GT, SLT, SGT, EQ, AND, OR, XOR, SHL, SHR; and MOD, SIGNEXTEND, BYTE, SAR.
    const PAIRS: [u8; 24] = [
        1, 1, 1, 1, 3, 3, 3, 2, 4, 0x10, 0x11, 0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 6, 0xb, 0x1a, 0x1b, 0x1c,
    ];
    code.push(slot).op(0x54);
    let mut height = 1;
    for _ in 0..2 + dice.below(12) {
        match dice.below(10) {
            0 | 1 => {
                code.push(dice.pick(&[0, 1, 2, 5, 255, 256]));
                height += 1;
            }
            2 => {
                code.push(dice.below(SLOTS)).op(0x54);
                height += 1;
            }
            3 | 4 => {
                code.op(0x80 + dice.below(height) as u8);
                height += 1;
            }
            5 if height > 1 => {
                code.op(0x90 + dice.below(height - 1) as u8);
            }
            6 => {
                code.op(dice.pick(&[0x15, 0x15, 0x19]));
            }
            _ if height > 1 => {
                let pair = dice.pick(&PAIRS);
                let is_shift = pair > 0x1a;
                code.op(if is_shift && fork < Fork::Constantinople { 1 } else { pair });
                height -= 1;
            }
            _ => {
                code.op(0x80).push(dice.below(SLOTS)).op(0x55);
            }
        }
    }
    match dice.below(9) {
        0 => revert_unless(code),
        1 => code.op(0x80).push(0).op(0x52).push(slot).push(32).push(0).op(0xa1),
        // The word as a key, in an event, as what is paid, and as what is hashed or left in memory.
        2 => code.op(0x54).push(slot).op(0x55),
        3 => code.push(7).op(0x90).op(0x55),
        4 => code.push(0).push(0).op(0xa1),
        5 => code.push(0).op(0x90).push(0).op(0x90).push(0).op(0x90).push(0).op(0x90).op(0x30).push(9).op(0xf1),
        _ => code.push(slot).op(0x55),
    }
}

/// CREATE or CREATE2 of a contract that was or will be created by others too; its address goes to a slot.
fn create<'a>(
    code: &'a mut Assembler,
    dice: &mut Dice,
    fork: Fork,
    addresses: &[Address],
    depth: u32,
    slot: u64,
) -> &'a mut Assembler {
    let init = init_code(&random(dice, fork, addresses, depth - 1), dice);
    for (word, bytes) in init.chunks(32).enumerate() {
        let mut padded = [0u8; 32];
        padded[..bytes.len()].copy_from_slice(bytes);
        code.op(0x7f).0.extend_from_slice(&padded);
        code.push(32 * word as u64).op(0x52);
    }
    if fork >= Fork::Constantinople && dice.chance(60) {
        code.push(dice.below(2)).push(init.len() as u64).push(0).push(dice.pick(&[0, 0, 1])).op(0xf5);
    } else {
        code.push(init.len() as u64).push(0).push(dice.pick(&[0, 0, 1])).op(0xf0);
    }
    code.push(slot).op(0x55)
}

/// Init code that writes a slot, sometimes destroys itself, and deploys `runtime`.
pub fn init_code(runtime: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut init = Assembler(Vec::new());
    if dice.chance(50) {
        init.push(dice.below(3)).push(dice.below(SLOTS)).op(0x55);
    }
    if dice.chance(15) {
        init.op(0x33).op(0xff);
        return init.0;
    }
    // CODECOPY of what comes behind: PUSH1 size, DUP1, PUSH1 offset, PUSH1 0, CODECOPY, PUSH1 0, RETURN.
    let offset = init.0.len() + 2 + 1 + 2 + 2 + 1 + 2 + 1;
    let (size, offset) = (runtime.len().min(255) as u8, offset as u8);
    init.0.extend_from_slice(&[0x60, size, 0x80, 0x60, offset, 0x60, 0, 0x39, 0x60, 0, 0xf3]);
    init.0.extend_from_slice(&runtime[..usize::from(size)]);
    init.0
}
