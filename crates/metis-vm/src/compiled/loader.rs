//! Object files become executable memory.
//!
//! One mapping per object: code first, constants behind it on pages of their own. It is written and
//! relocated while it is only writable; then code becomes read-execute and constants read-only,
//! before anything is called. No page is ever writable and executable.

use core::ffi::c_void;

use object::{
    LittleEndian as LE, SectionIndex, elf,
    elf::FileHeader64,
    read::elf::{FileHeader, Rela as _, SectionHeader, SectionTable, Sym as _, SymbolTable},
};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

use super::artifact::ArtifactError;

type Header = FileHeader64<LE>;

/// Bytes of an object that are mapped, at most.
pub const IMAGE_BYTES_MAX: usize = 32 << 20;

/// Sections an object may have: code generators write one per function and one per kind of constant.
const SECTION_COUNT_MAX: usize = 1 << 17;

/// Page size of the processors that code is loaded on.
const PAGE_BYTES: usize = 4096;

/// What fills the space between functions: a breakpoint, should anything ever jump there.
const FILLER: u8 = 0xcc;

/// An object in memory. Unmapped when dropped.
#[derive(Debug)]
pub struct Image {
    base: *mut u8,
    bytes: usize,
    code_bytes: usize,
}

// SAFETY: after `load` the memory is never written again, and unmapped only by `drop`, so threads
// may share and move it.
unsafe impl Send for Image {}
// SAFETY: as above.
unsafe impl Sync for Image {}

/// Where a section of the object lies in the image.
#[derive(Clone, Copy)]
struct Placed {
    offset: usize,
    bytes: usize,
    is_code: bool,
}

impl Image {
    /// Maps an object and finds its functions of the given names. Gives their offsets, in order.
    ///
    /// # Errors
    /// [`ArtifactError`]; nothing stays mapped then.
    pub fn load(object: &[u8], names: &[&[u8]]) -> Result<(Self, Vec<usize>), ArtifactError> {
        let header = Header::parse(object).map_err(from_object)?;
        if header.e_type(LE) != elf::ET_REL || header.e_machine(LE) != elf::EM_X86_64 || !header.is_little_endian() {
            return Err(refused("not a relocatable object for x86-64"));
        }
        let sections = header.sections(LE, object).map_err(from_object)?;
        if sections.len() > SECTION_COUNT_MAX {
            return Err(ArtifactError::TooLarge { what: "sections", found: sections.len(), max: SECTION_COUNT_MAX });
        }
        let symbols = sections.symbols(LE, object, elf::SHT_SYMTAB).map_err(from_object)?;
        let layout = Layout::of(&sections, &symbols)?;
        let mut image = Mapping::new(layout.bytes)?;
        let memory = image.writable();
        memory[..layout.code_bytes].fill(FILLER);
        for (index, placed) in layout.placed() {
            let section = sections.section(SectionIndex(index)).map_err(from_object)?;
            let data = section.data(LE, object).map_err(from_object)?;
            memory[placed.offset..placed.offset + placed.bytes].copy_from_slice(data);
        }
        let base = memory.as_ptr() as u64;
        for section in sections.iter() {
            let Some(target) = relocated_section(section, &layout)? else { continue };
            let Some((relocations, _)) = section.rela(LE, object).map_err(from_object)? else {
                return Err(refused("relocations without addends"));
            };
            for relocation in relocations {
                let symbol = layout.symbol_address(&symbols, relocation.r_sym(LE, false) as usize)?;
                relocate(memory, base, target, relocation, symbol)?;
            }
        }
        let offsets = layout.functions(&symbols, names)?;
        Ok((image.executable(layout.code_bytes)?, offsets))
    }

    /// Size of the mapping in bytes, whole pages.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Address of a place in the code.
    ///
    /// # Panics
    /// When the offset is not in the code.
    pub fn address(&self, offset: usize) -> *const c_void {
        assert!(offset < self.code_bytes, "an offset beyond the code");
        // SAFETY: the offset is inside the mapping, which lives as long as `self`.
        unsafe { self.base.add(offset).cast() }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // SAFETY: the mapping is this image's own, of this size, and no pointer into it is used
        // after its owner is gone: a running frame holds its owner.
        let _ = unsafe { munmap(self.base.cast(), self.bytes) };
    }
}

/// The sections that are mapped, and where.
struct Layout {
    /// By section index.
    sections: Vec<Option<Placed>>,
    /// Pages of code, in bytes.
    code_bytes: usize,
    /// All pages, in bytes.
    bytes: usize,
}

impl Layout {
    fn of(sections: &SectionTable<'_, Header>, symbols: &SymbolTable<'_, Header>) -> Result<Self, ArtifactError> {
        for (_, symbol) in symbols.enumerate().skip(1) {
            let index = symbol.st_shndx(LE);
            if index == elf::SHN_UNDEF || index == elf::SHN_COMMON {
                let name = symbols.symbol_name(LE, symbol).map_err(from_object)?;
                return Err(ArtifactError::Object(format!("undefined symbol {:?}", String::from_utf8_lossy(name))));
            }
        }
        let mut layout = Self { sections: vec![None; sections.len()], code_bytes: 0, bytes: 0 };
        let mut end = 0;
        for code_pass in [true, false] {
            for (SectionIndex(index), section) in sections.enumerate() {
                let Some(is_code) = loaded_as(sections, section)? else { continue };
                if is_code != code_pass {
                    continue;
                }
                let (bytes, alignment) = (section.sh_size(LE), section.sh_addralign(LE).max(1));
                if !alignment.is_power_of_two() || alignment > PAGE_BYTES as u64 {
                    return Err(refused("a section with an odd alignment"));
                }
                // BOUND: checked before it is added, so nothing here overflows.
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                if bytes > IMAGE_BYTES_MAX {
                    return Err(ArtifactError::TooLarge { what: "bytes of code", found: bytes, max: IMAGE_BYTES_MAX });
                }
                let offset = usize::next_multiple_of(end, alignment as usize);
                end = offset + bytes;
                if end > IMAGE_BYTES_MAX {
                    return Err(ArtifactError::TooLarge { what: "bytes of code", found: end, max: IMAGE_BYTES_MAX });
                }
                layout.sections[index] = Some(Placed { offset, bytes, is_code });
            }
            end = end.next_multiple_of(PAGE_BYTES);
            if code_pass {
                layout.code_bytes = end;
            }
        }
        layout.bytes = end;
        if layout.code_bytes == 0 {
            return Err(refused("no code"));
        }
        Ok(layout)
    }

    fn placed(&self) -> impl Iterator<Item = (usize, Placed)> {
        self.sections.iter().enumerate().filter_map(|(index, placed)| Some((index, (*placed)?)))
    }

    /// Offset of a symbol in the image.
    fn symbol_address(&self, symbols: &SymbolTable<'_, Header>, index: usize) -> Result<usize, ArtifactError> {
        let symbol = symbols.symbol(object::SymbolIndex(index)).map_err(from_object)?;
        let section = symbols.symbol_section(LE, symbol, object::SymbolIndex(index)).map_err(from_object)?;
        let placed = section.and_then(|SectionIndex(index)| self.sections.get(index).copied().flatten());
        let placed = placed.ok_or_else(|| refused("a relocation against something that is not mapped"))?;
        let value = usize::try_from(symbol.st_value(LE)).unwrap_or(usize::MAX);
        if value > placed.bytes {
            return Err(refused("a symbol beyond its section"));
        }
        Ok(placed.offset + value)
    }

    fn functions(&self, symbols: &SymbolTable<'_, Header>, names: &[&[u8]]) -> Result<Vec<usize>, ArtifactError> {
        let mut defined = std::collections::HashMap::new();
        for (index, symbol) in symbols.enumerate() {
            if symbol.st_type() == elf::STT_FUNC {
                defined.insert(symbols.symbol_name(LE, symbol).map_err(from_object)?, index.0);
            }
        }
        let mut offsets = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            let problem = |problem| ArtifactError::Region { index, problem };
            let symbol = *defined.get(name).ok_or(problem("the object does not define this function"))?;
            let offset = self.symbol_address(symbols, symbol)?;
            let is_code = self
                .placed()
                .any(|(_, placed)| placed.is_code && (placed.offset..placed.offset + placed.bytes).contains(&offset));
            if !is_code {
                return Err(problem("not in the object's code"));
            }
            offsets.push(offset);
        }
        Ok(offsets)
    }
}

type Section = elf::SectionHeader64<LE>;

/// Whether a section is mapped as code (`true`), as constants (`false`), or not at all.
fn loaded_as(sections: &SectionTable<'_, Header>, section: &Section) -> Result<Option<bool>, ArtifactError> {
    let flags = section.sh_flags(LE) as u32;
    if flags & elf::SHF_ALLOC == 0 || section.sh_size(LE) == 0 {
        return Ok(None);
    }
    // Unwinding tables: nothing unwinds through compiled code.
    if sections.section_name(LE, section).map_err(from_object)? == b".eh_frame" {
        return Ok(None);
    }
    if section.sh_type(LE) != elf::SHT_PROGBITS {
        return Err(refused("a section of zeros or of an unknown kind"));
    }
    if flags & elf::SHF_WRITE != 0 {
        return Err(refused("a writable section"));
    }
    if flags & (elf::SHF_TLS | elf::SHF_COMPRESSED) != 0 {
        return Err(refused("a thread-local or compressed section"));
    }
    Ok(Some(flags & elf::SHF_EXECINSTR != 0))
}

/// The mapped section that a section's relocations are for; `None` where it has none that matter.
fn relocated_section(section: &Section, layout: &Layout) -> Result<Option<Placed>, ArtifactError> {
    match section.sh_type(LE) {
        elf::SHT_RELA | elf::SHT_REL => Ok(layout.sections.get(section.sh_info(LE) as usize).copied().flatten()),
        elf::SHT_RELR | elf::SHT_CREL => Err(refused("packed relocations")),
        _ => Ok(None),
    }
}

/// Applies one relocation (System V ABI for x86-64, table 4.9).
fn relocate(
    memory: &mut [u8],
    base: u64,
    target: Placed,
    relocation: &elf::Rela64<LE>,
    symbol: usize,
) -> Result<(), ArtifactError> {
    let kind = relocation.r_type(LE, false);
    let width = match kind {
        elf::R_X86_64_64 => 8,
        elf::R_X86_64_PC32 | elf::R_X86_64_PLT32 => 4,
        other => return Err(ArtifactError::Object(format!("relocation of kind {other}"))),
    };
    let offset = usize::try_from(relocation.r_offset(LE)).unwrap_or(usize::MAX);
    if target.bytes < width || offset > target.bytes - width {
        return Err(refused("a relocation beyond its section"));
    }
    let place = target.offset + offset;
    let addend = relocation.r_addend(LE);
    // Within the image: what the code refers to is its own. PC-relative operands end behind the
    // relocated field, so their addend is about -4.
    let referred = (symbol as i64).checked_add(addend).filter(|to| (-16..=memory.len() as i64).contains(to));
    let referred = referred.ok_or_else(|| refused("a relocation that leaves the object"))?;
    let field = &mut memory[place..place + width];
    if width == 8 {
        field.copy_from_slice(&base.wrapping_add_signed(referred).to_le_bytes());
    } else {
        // Both ends are in the image, far less than 2 GiB apart.
        field.copy_from_slice(&((referred - place as i64) as i32).to_le_bytes());
    }
    Ok(())
}

/// Memory that is being written.
struct Mapping {
    base: *mut u8,
    bytes: usize,
}

impl Mapping {
    fn new(bytes: usize) -> Result<Self, ArtifactError> {
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing.
        let base = unsafe {
            mmap_anonymous(core::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        };
        let base = base.map_err(|error| ArtifactError::Memory(error.to_string()))?;
        Ok(Self { base: base.cast(), bytes })
    }

    fn writable(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is this value's own, `bytes` long, readable, writable and zeroed.
        unsafe { core::slice::from_raw_parts_mut(self.base, self.bytes) }
    }

    /// Ends writing: code becomes executable, the rest read-only.
    fn executable(self, code_bytes: usize) -> Result<Image, ArtifactError> {
        let image = Image { base: self.base, bytes: self.bytes, code_bytes };
        // From here on `image` unmaps.
        core::mem::forget(self);
        let constants_bytes = image.bytes - code_bytes;
        // SAFETY: whole pages of the image's own mapping, which no reference points to any more.
        let protected = unsafe {
            mprotect(image.base.cast(), code_bytes, MprotectFlags::READ | MprotectFlags::EXEC).and_then(|()| {
                if constants_bytes == 0 {
                    return Ok(());
                }
                mprotect(image.base.add(code_bytes).cast(), constants_bytes, MprotectFlags::READ)
            })
        };
        protected.map_err(|error| ArtifactError::Memory(error.to_string()))?;
        Ok(image)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: as for `Image`; `executable` forgets the mapping that it hands on.
        let _ = unsafe { munmap(self.base.cast(), self.bytes) };
    }
}

fn refused(problem: &str) -> ArtifactError {
    ArtifactError::Object(problem.into())
}

fn from_object(error: object::Error) -> ArtifactError {
    ArtifactError::Object(error.to_string())
}
