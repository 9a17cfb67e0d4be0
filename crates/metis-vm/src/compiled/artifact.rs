//! What a compiler hands over: the envelope around an object file. All of it is hostile input.

use alloy_primitives::{B256, keccak256};
use metis_state_transition::Fork;

use super::abi::{ABI_VERSION, MAGIC, machine_target};

/// Regions of one artifact at most: they are numbered in 16 bits.
pub const REGION_COUNT_MAX: usize = u16::MAX as usize;

/// Longest code that is compiled: twice the largest deployed code, for init code (EIP-3860), and
/// room for forks without a limit.
pub const CODE_LENGTH_MAX: usize = 1 << 20;

/// Longest name of a region's symbol.
const SYMBOL_LENGTH_MAX: usize = 255;

/// Why an artifact was not taken. Nothing of it is kept then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// It ends inside the named field.
    #[error("ends inside {0}")]
    Truncated(&'static str),
    /// There are bytes behind its end.
    #[error("{0} bytes behind the end")]
    TrailingBytes(usize),
    /// It does not begin as artifacts do.
    #[error("not an artifact")]
    Magic,
    /// Another version of the contract between compiler and engine.
    #[error("version {found} of the contract, the engine has {ABI_VERSION}")]
    Version {
        /// The artifact's.
        found: u16,
    },
    /// A field that must be zero is not.
    #[error("{0} must be zero")]
    Reserved(&'static str),
    /// No fork has this number.
    #[error("unknown fork {0}")]
    UnknownFork(u8),
    /// Made for another processor or system.
    #[error("made for another machine than {:?}", machine_target())]
    OtherTarget,
    /// An entry is out of order, beyond the code, or names a region that is not there.
    #[error("entry {index}: {problem}")]
    Entry {
        /// Position in the table.
        index: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// More of something than is allowed.
    #[error("{what}: {found}, at most {max}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much there may be.
        max: usize,
    },
    /// A region's name is not text, or no defined function of the object has it.
    #[error("region {index}: {problem}")]
    Region {
        /// Position in the table.
        index: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The object file is not one that is loaded.
    #[error("object: {0}")]
    Object(String),
    /// The operating system gives no memory for code.
    #[error("no memory for code: {0}")]
    Memory(String),
    /// The registry compiles nothing.
    #[error("the registry is off")]
    Off,
}

impl ArtifactError {
    /// Stable name of the reason.
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Truncated(_) => "truncated",
            Self::TrailingBytes(_) => "trailing-bytes",
            Self::Magic => "magic",
            Self::Version { .. } => "version",
            Self::Reserved(_) => "reserved",
            Self::UnknownFork(_) => "fork",
            Self::OtherTarget => "target",
            Self::Entry { .. } => "entry",
            Self::TooLarge { .. } => "too-large",
            Self::Region { .. } => "region",
            Self::Object(_) => "object",
            Self::Memory(_) => "memory",
            Self::Off => "off",
        }
    }
}

/// One way into compiled code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Program counter.
    pub pc: u32,
    /// Position of its region.
    pub region: u32,
}

/// A read artifact. Its envelope is well-formed; its object has not been looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact<'a> {
    /// Hash of the code that was compiled.
    pub code_hash: B256,
    /// The fork it was compiled for.
    pub fork: Fork,
    /// Length of the code in bytes.
    pub code_length: usize,
    /// Names of the regions' functions.
    pub regions: Vec<&'a [u8]>,
    /// Entries by program counter, ascending.
    pub entries: Vec<Entry>,
    /// The relocatable object.
    pub object: &'a [u8],
}

/// Hash that stands for a machine in an artifact.
pub fn target_hash() -> B256 {
    keccak256(machine_target())
}

impl<'a> Artifact<'a> {
    /// Reads an artifact for this machine.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, ArtifactError> {
        let mut reader = Reader { rest: bytes };
        if reader.bytes(4, "magic")? != MAGIC {
            return Err(ArtifactError::Magic);
        }
        let found = u16::from_le_bytes(reader.array("version")?);
        if found != ABI_VERSION {
            return Err(ArtifactError::Version { found });
        }
        if reader.array::<2>("flags")? != [0; 2] {
            return Err(ArtifactError::Reserved("flags"));
        }
        let code_hash = B256::from(reader.array::<32>("code hash")?);
        let [fork_number] = reader.array::<1>("fork")?;
        let fork = *Fork::ALL.get(usize::from(fork_number)).ok_or(ArtifactError::UnknownFork(fork_number))?;
        if reader.array::<3>("padding")? != [0; 3] {
            return Err(ArtifactError::Reserved("padding"));
        }
        let code_length = reader.count("code length", CODE_LENGTH_MAX)?;
        let region_count = reader.count("region count", REGION_COUNT_MAX)?;
        let entry_count = reader.count("entry count", code_length + 1)?;
        let object_length = reader.count("object length", usize::MAX)?;
        if machine_target().is_empty() || reader.array::<32>("target")? != target_hash() {
            return Err(ArtifactError::OtherTarget);
        }
        // No space is reserved for what may not come: counts are claims until the bytes are there.
        let mut regions = Vec::new();
        for index in 0..region_count {
            let length = reader.count("symbol length", SYMBOL_LENGTH_MAX)?;
            let symbol = reader.bytes(length, "symbol")?;
            if symbol.is_empty() || !symbol.is_ascii() {
                return Err(ArtifactError::Region { index, problem: "its name is not ASCII text" });
            }
            regions.push(symbol);
        }
        let mut entries: Vec<Entry> = Vec::new();
        for index in 0..entry_count {
            let entry = Entry { pc: reader.u32("entry's program counter")?, region: reader.u32("entry's region")? };
            let problem = if entry.region as usize >= region_count {
                Some("no such region")
            } else if entry.pc as usize > code_length {
                Some("beyond the code")
            } else if entries.last().is_some_and(|last| last.pc >= entry.pc) {
                Some("out of order")
            } else {
                None
            };
            if let Some(problem) = problem {
                return Err(ArtifactError::Entry { index, problem });
            }
            entries.push(entry);
        }
        let object = reader.bytes(object_length, "object")?;
        if !reader.rest.is_empty() {
            return Err(ArtifactError::TrailingBytes(reader.rest.len()));
        }
        Ok(Self { code_hash, fork, code_length, regions, entries, object })
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], ArtifactError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ArtifactError::Truncated(field))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ArtifactError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(ArtifactError::Truncated(field))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u32(&mut self, field: &'static str) -> Result<u32, ArtifactError> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    fn count(&mut self, what: &'static str, max: usize) -> Result<usize, ArtifactError> {
        let found = self.u32(what)? as usize;
        if found > max {
            return Err(ArtifactError::TooLarge { what, found, max });
        }
        Ok(found)
    }
}
