//! Loaded code of one contract.

use super::{
    abi::Region,
    artifact::{Artifact, ArtifactError},
    loader::Image,
};

/// Machine code of one contract for one fork. Unmapped when the last owner is gone.
#[derive(Debug)]
pub struct Code {
    image: Image,
    code_length: usize,
    /// Which program counters are entries, 64 to a block.
    blocks: Box<[Block]>,
    /// Of each entry, in order: its region's function.
    functions: Box<[Region]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Block {
    /// Bit `i`: the `i`-th program counter of the block is an entry.
    entries: u64,
    /// Entries in all blocks before.
    before: u32,
}

impl Code {
    /// Maps an artifact's code.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub fn load(artifact: &Artifact<'_>) -> Result<Self, ArtifactError> {
        let (image, offsets) = Image::load(artifact.object, &artifact.regions)?;
        let regions: Vec<Region> = offsets
            .into_iter()
            .map(|offset| {
                // SAFETY: a function of the object, and the contract says that regions have this
                // signature. Machine code is not verified: what compiles it is trusted, and what
                // carries it here is authenticated.
                unsafe { core::mem::transmute::<*const core::ffi::c_void, Region>(image.address(offset)) }
            })
            .collect();
        let mut blocks = vec![Block::default(); artifact.code_length / 64 + 1].into_boxed_slice();
        for entry in &artifact.entries {
            blocks[entry.pc as usize / 64].entries |= 1 << (entry.pc % 64);
        }
        let mut before = 0;
        for block in &mut blocks {
            block.before = before;
            before += block.entries.count_ones();
        }
        let functions = artifact.entries.iter().map(|entry| regions[entry.region as usize]).collect();
        Ok(Self { image, code_length: artifact.code_length, blocks, functions })
    }

    /// The function to call for a program counter, if it is an entry.
    #[inline]
    pub fn entry(&self, pc: usize) -> Option<Region> {
        let block = self.blocks.get(pc / 64)?;
        let bit = 1 << (pc % 64);
        if block.entries & bit == 0 {
            return None;
        }
        let index = block.before + (block.entries & (bit - 1)).count_ones();
        Some(self.functions[index as usize])
    }

    /// Length of the bytecode in bytes.
    pub const fn code_length(&self) -> usize {
        self.code_length
    }

    /// Memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.image.bytes()
            + size_of_val::<[Block]>(&self.blocks)
            + size_of_val::<[Region]>(&self.functions)
            + size_of::<Self>()
    }
}
