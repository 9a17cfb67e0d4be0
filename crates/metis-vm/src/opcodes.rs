//! What each opcode is under a fork's rules, for compilers and for readers of bytecode.

use metis_state_transition::Fork;
use revm::{
    bytecode::opcode::{self as op, OpCode},
    interpreter::instructions::gas_table_spec,
};

/// One opcode under one fork's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpcodeDescription {
    /// Its name; empty where the byte is no opcode of any fork.
    pub name: &'static str,
    /// Gas that is charged before anything else of it happens.
    pub static_gas: u16,
    /// Words it takes from the stack, for DUP and SWAP words it looks at.
    pub inputs: u8,
    /// Words it leaves in their place.
    pub outputs: u8,
    /// Whether the fork has it.
    pub is_active: bool,
}

/// Every opcode of a fork, by its byte.
pub fn opcode_table(fork: Fork) -> [OpcodeDescription; 256] {
    let static_gas = gas_table_spec(fork.spec_id());
    core::array::from_fn(|byte| {
        let since = introduced(byte as u8);
        let opcode = OpCode::new(byte as u8);
        OpcodeDescription {
            name: opcode.map_or("", OpCode::as_str),
            static_gas: static_gas[byte],
            inputs: opcode.map_or(0, |opcode| opcode.inputs()),
            outputs: opcode.map_or(0, |opcode| opcode.outputs()),
            is_active: since.is_some_and(|since| fork >= since),
        }
    })
}

/// The fork that introduced an opcode; `None` where no fork has it.
fn introduced(byte: u8) -> Option<Fork> {
    let opcode = OpCode::new(byte)?;
    Some(match opcode.get() {
        op::DELEGATECALL => Fork::Homestead,
        op::RETURNDATASIZE | op::RETURNDATACOPY | op::STATICCALL | op::REVERT => Fork::Byzantium,
        op::SHL | op::SHR | op::SAR | op::EXTCODEHASH | op::CREATE2 => Fork::Constantinople,
        op::CHAINID | op::SELFBALANCE => Fork::Istanbul,
        op::BASEFEE => Fork::London,
        op::PUSH0 => Fork::Shanghai,
        op::TLOAD | op::TSTORE | op::MCOPY | op::BLOBHASH | op::BLOBBASEFEE => Fork::Cancun,
        op::CLZ => Fork::Osaka,
        // Of forks that are not implemented.
        op::SLOTNUM | op::DUPN | op::SWAPN | op::EXCHANGE => return None,
        _ => Fork::Frontier,
    })
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case)] // subject__condition__outcome

    use revm::{
        bytecode::Bytecode,
        interpreter::{
            InputsImpl, InstructionResult, Interpreter, SharedMemory,
            host::DummyHost,
            instructions::instruction_table,
            interpreter::{EthInterpreter, ExtBytecode},
        },
    };

    use super::*;

    /// Whether the interpreter knows an opcode, and the gas it takes when the stack is empty.
    fn ask_interpreter(fork: Fork, byte: u8) -> (bool, u64) {
        const GAS: u64 = 1 << 30;
        let spec = fork.spec_id();
        let code = ExtBytecode::new(Bytecode::new_legacy([byte, 0].into()));
        let memory = SharedMemory::new();
        let mut interpreter = Interpreter::<EthInterpreter>::new(memory, code, InputsImpl::default(), false, spec, GAS);
        let mut host = DummyHost::new(spec);
        let result = interpreter.step(&instruction_table(), &gas_table_spec(spec), &mut host);
        let unknown = matches!(result, Err(InstructionResult::NotActivated | InstructionResult::OpcodeNotFound));
        (!unknown, GAS - interpreter.gas.remaining())
    }

    #[test]
    fn opcode_table__of_each_fork__agrees_with_the_interpreter() {
        for fork in Fork::ALL {
            for (byte, described) in opcode_table(fork).iter().enumerate() {
                if byte as u8 == op::DIFFICULTY {
                    // Of every fork; the interpreter's dummy host has none to give.
                    continue;
                }
                let (is_known, gas) = ask_interpreter(fork, byte as u8);
                assert_eq!(described.is_active, is_known, "{fork:?} {byte:#04x} {}", described.name);
                if described.is_active && described.inputs > 0 {
                    assert_eq!(u64::from(described.static_gas), gas, "{fork:?} {byte:#04x} {}", described.name);
                }
            }
        }
    }
}
