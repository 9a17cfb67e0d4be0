//! Registers of row programs: as few as values are needed at one time.

use alloc::{vec, vec::Vec};

use super::rows::{Home, Instruction, Side, Value};

impl Instruction {
    /// The value that it gives, and those that it takes.
    fn uses(&self) -> (Option<usize>, [Option<usize>; 3]) {
        let row = |side: Side| match side {
            Side::Row(value) => Some(value),
            Side::Splat(_) => None,
        };
        match *self {
            Self::Load { to, .. } => (Some(to), [None; 3]),
            Self::Store { from, .. } => (None, [Some(from), None, None]),
            Self::Pair { to, a, b, .. } | Self::Rescale { to, a, b, .. } => (Some(to), [Some(a), row(b), None]),
            Self::Divide { to, a, b, .. } | Self::Compare { to, a, b, .. } => (Some(to), [Some(a), Some(b), None]),
            Self::Select { to, c, a, b } => (Some(to), [Some(c), Some(a), Some(b)]),
            Self::Convert { to, from }
            | Self::Clip { to, from, .. }
            | Self::Lookup { to, from, .. }
            | Self::QuantiseRows { to, from, .. }
            | Self::LayerNorm { to, from, .. } => (Some(to), [Some(from), None, None]),
            Self::Softmax { to, from, mask, .. } => (Some(to), [Some(from), mask, None]),
        }
    }
}

/// Gives each value that is in no tensor a register that nobody else needs at the time; returns how many there are.
pub(super) fn assign_registers(instructions: &[Instruction], values: &mut [Value]) -> usize {
    let mut last_use = vec![0; values.len()];
    for (at, instruction) in instructions.iter().enumerate() {
        let (to, from) = instruction.uses();
        for value in from.into_iter().chain([to]).flatten() {
            last_use[value] = at;
        }
    }
    let mut free: Vec<usize> = Vec::new();
    let mut count = 0;
    for (at, instruction) in instructions.iter().enumerate() {
        let (to, from) = instruction.uses();
        if let Some(to) = to
            && matches!(values[to].home, Home::Register(_))
        {
            let register = free.pop().unwrap_or_else(|| {
                count += 1;
                count - 1
            });
            values[to].home = Home::Register(register);
        }
        let mut ended: Vec<usize> =
            from.into_iter().chain([to]).flatten().filter(|&value| last_use[value] == at).collect();
        ended.sort_unstable();
        ended.dedup();
        for value in ended {
            if let Home::Register(register) = values[value].home {
                free.push(register);
            }
        }
    }
    count
}
