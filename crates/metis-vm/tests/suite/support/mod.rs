//! A compiler for tests: every opcode becomes a call of `step`, in hand-assembled x86-64 inside a
//! hand-made ELF object. Slow and exact: what differs from tier 0 is the engine's own mistake.

pub mod elf;
pub mod programs;
pub mod world;

use alloy_primitives::{B256, keccak256};
use metis_state_transition::Fork;
use metis_vm::compiled::abi::{ABI_VERSION, DEOPTIMISE, JUMP, MAGIC, machine_target};

use elf::Object;

/// Name of the only region.
pub const REGION: &str = "region_0";

const JUMPDEST: u8 = 0x5b;

/// An artifact in parts, so that tests can bend each.
#[derive(Clone, Debug)]
pub struct Parts {
    pub magic: [u8; 4],
    pub version: u16,
    pub flags: u16,
    pub code_hash: B256,
    pub fork: u8,
    pub code_length: u32,
    pub target: B256,
    pub symbols: Vec<Vec<u8>>,
    pub entries: Vec<(u32, u32)>,
    pub object: Vec<u8>,
}

impl Parts {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.magic);
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend(self.code_hash);
        bytes.extend([self.fork, 0, 0, 0]);
        bytes.extend(self.code_length.to_le_bytes());
        bytes.extend((self.symbols.len() as u32).to_le_bytes());
        bytes.extend((self.entries.len() as u32).to_le_bytes());
        bytes.extend((self.object.len() as u32).to_le_bytes());
        bytes.extend(self.target);
        for symbol in &self.symbols {
            bytes.extend((symbol.len() as u32).to_le_bytes());
            bytes.extend(symbol);
        }
        for (pc, region) in &self.entries {
            bytes.extend(pc.to_le_bytes());
            bytes.extend(region.to_le_bytes());
        }
        bytes.extend(&self.object);
        bytes
    }
}

pub fn fork_number(fork: Fork) -> u8 {
    Fork::ALL.iter().position(|known| *known == fork).unwrap() as u8
}

/// Starts of instructions, in order.
pub fn instructions(code: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut pc = 0;
    while pc < code.len() {
        starts.push(pc);
        pc += match code[pc] {
            push @ 0x60..=0x7f => usize::from(push - 0x60) + 2,
            _ => 1,
        };
    }
    starts
}

fn is_call(opcode: u8) -> bool {
    matches!(opcode, 0xf0 | 0xf1 | 0xf2 | 0xf4 | 0xf5 | 0xfa)
}

/// How [`compile`] treats jumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jumps {
    /// Give up before each: tier 0 jumps, and enters again at the JUMPDEST.
    Deoptimise,
    /// Name the next instruction and return `JUMP` at every JUMPDEST that is run into: a trampoline.
    Trampoline,
}

/// Compiles code for tests, with an entry at 0, at every JUMPDEST and behind every call.
pub fn compile(code: &[u8], fork: Fork, jumps: Jumps) -> Parts {
    let starts = instructions(code);
    let mut entries: Vec<usize> = vec![0];
    for &pc in &starts {
        if code[pc] == JUMPDEST && pc != 0 {
            entries.push(pc);
        }
        if is_call(code[pc]) {
            entries.push(pc + 1);
        }
    }
    entries.sort_unstable();
    entries.dedup();
    let text = assemble(code, &starts, &entries, jumps);
    let object = Object::new(text).function(REGION, 0).encode();
    Parts {
        magic: MAGIC,
        version: ABI_VERSION,
        flags: 0,
        code_hash: keccak256(code),
        fork: fork_number(fork),
        code_length: code.len() as u32,
        target: keccak256(machine_target()),
        symbols: vec![REGION.into()],
        entries: entries.into_iter().map(|pc| (pc as u32, 0)).collect(),
        object,
    }
}

#[derive(Default)]
struct Assembler {
    text: Vec<u8>,
    /// Positions of 32-bit displacements and the labels they go to.
    fixes: Vec<(usize, Label)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Leave,
    Exit,
    At(usize),
}

impl Assembler {
    fn bytes(&mut self, bytes: &[u8]) {
        self.text.extend(bytes);
    }

    fn displacement(&mut self, label: Label) {
        self.fixes.push((self.text.len(), label));
        self.bytes(&[0; 4]);
    }

    /// step(context, pc), and leave where it says so.
    fn step(&mut self, pc: usize) {
        self.bytes(&[0xbe]); // mov esi, pc
        self.bytes(&(pc as u32).to_le_bytes());
        self.bytes(&[0x48, 0x89, 0xdf]); // mov rdi, rbx
        self.bytes(&[0xff, 0x53, 96]); // call [rbx + step]
        self.bytes(&[0x85, 0xc0, 0x0f, 0x85]); // test eax, eax; jnz
        self.displacement(Label::Leave);
    }

    /// Return a status at a program counter.
    fn give_up(&mut self, status: u32, pc: usize) {
        self.bytes(&[0x48, 0xc7, 0x43, 40]); // mov qword [rbx + pc], imm32
        self.bytes(&(pc as u32).to_le_bytes());
        self.bytes(&[0xb8]); // mov eax, status
        self.bytes(&status.to_le_bytes());
        self.bytes(&[0xe9]); // jmp
        self.displacement(Label::Exit);
    }
}

fn assemble(code: &[u8], starts: &[usize], entries: &[usize], jumps: Jumps) -> Vec<u8> {
    let mut labels = std::collections::HashMap::new();
    let mut assembler = Assembler::default();
    assembler.bytes(&[0x53, 0x48, 0x89, 0xfb]); // push rbx; mov rbx, rdi
    for &entry in entries {
        assembler.bytes(&[0x81, 0xfe]); // cmp esi, entry
        assembler.bytes(&(entry as u32).to_le_bytes());
        assembler.bytes(&[0x0f, 0x84]); // je
        assembler.displacement(Label::At(entry));
    }
    assembler.bytes(&[0x0f, 0x0b]); // ud2: not an entry
    for (index, &pc) in starts.iter().enumerate() {
        let opcode = code[pc];
        let is_run_into = index > 0 && opcode == JUMPDEST;
        if is_run_into && jumps == Jumps::Trampoline {
            assembler.give_up(JUMP, pc);
        }
        labels.insert(pc, assembler.text.len());
        match opcode {
            0x56 | 0x57 => assembler.give_up(DEOPTIMISE, pc),
            _ => assembler.step(pc),
        }
    }
    // Behind the end is STOP.
    labels.insert(code.len(), assembler.text.len());
    assembler.step(code.len());
    let leave = assembler.text.len();
    assembler.bytes(&[0x31, 0xc0]); // xor eax, eax
    let exit = assembler.text.len();
    assembler.bytes(&[0x5b, 0xc3]); // pop rbx; ret
    for (position, label) in assembler.fixes {
        let to = match label {
            Label::Leave => leave,
            Label::Exit => exit,
            Label::At(pc) => labels[&pc],
        };
        let displacement = to as i32 - (position as i32 + 4);
        assembler.text[position..position + 4].copy_from_slice(&displacement.to_le_bytes());
    }
    assembler.text
}
