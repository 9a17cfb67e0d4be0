//! The operations that formulas are made of: their gas does not depend on the words.

use alloy_primitives::{I256, U256};
use revm::bytecode::opcode::{ADD, AND, DIV, EQ, GT, ISZERO, LT, MUL, NOT, OR, SGT, SHL, SHR, SLT, SUB, XOR};

/// Words that an operation takes; `None` where it makes no term.
pub(super) const fn operand_count(opcode: u8) -> Option<usize> {
    match opcode {
        ISZERO | NOT => Some(1),
        ADD | MUL | SUB | DIV | LT | GT | SLT | SGT | EQ | AND | OR | XOR | SHL | SHR => Some(2),
        _ => None,
    }
}

/// An operation on the topmost word and, where it takes two, the one below (Yellow Paper, appendix H).
pub(super) fn compute(opcode: u8, top: U256, below: U256) -> Option<U256> {
    let (a, b) = (top, below);
    Some(match opcode {
        ADD => a.wrapping_add(b),
        MUL => a.wrapping_mul(b),
        SUB => a.wrapping_sub(b),
        DIV => a.checked_div(b).unwrap_or_default(),
        LT => U256::from(a < b),
        GT => U256::from(a > b),
        SLT => U256::from(I256::from_raw(a) < I256::from_raw(b)),
        SGT => U256::from(I256::from_raw(a) > I256::from_raw(b)),
        EQ => U256::from(a == b),
        ISZERO => U256::from(a.is_zero()),
        AND => a & b,
        OR => a | b,
        XOR => a ^ b,
        NOT => !a,
        // Shifts by 256 and more leave nothing.
        SHL => shift_of(a).map_or(U256::ZERO, |bits| b << bits),
        SHR => shift_of(a).map_or(U256::ZERO, |bits| b >> bits),
        _ => return None,
    })
}

fn shift_of(word: U256) -> Option<usize> {
    usize::try_from(word).ok().filter(|bits| *bits < 256)
}
