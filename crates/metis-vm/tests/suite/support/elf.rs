//! ELF64 relocatable objects, as plain as they come, and bent where a test wants it.

use std::collections::HashMap;

pub const SHF_WRITE: u64 = 1;
pub const SHF_ALLOC: u64 = 2;
pub const SHF_EXECINSTR: u64 = 4;
pub const SHF_TLS: u64 = 1 << 10;
pub const SHT_PROGBITS: u32 = 1;
pub const SHT_SYMTAB: u32 = 2;
pub const SHT_STRTAB: u32 = 3;
pub const SHT_RELA: u32 = 4;
pub const SHT_NOBITS: u32 = 8;
pub const R_X86_64_64: u32 = 1;
pub const R_X86_64_PC32: u32 = 2;
pub const R_X86_64_PLT32: u32 = 4;

/// Section numbers of what every object has.
pub const TEXT: u16 = 1;
pub const UNDEFINED: u16 = 0;

const STT_NOTYPE: u8 = 0;
const STT_FUNC: u8 = 2;
const STB_GLOBAL: u8 = 1;

#[derive(Clone, Debug)]
struct Section {
    name: String,
    kind: u32,
    flags: u64,
    data: Vec<u8>,
    alignment: u64,
    /// Claimed size, for sections without content.
    size: u64,
    link: u32,
    info: u32,
}

#[derive(Clone, Debug)]
pub struct Object {
    pub machine: u16,
    pub file_type: u16,
    sections: Vec<Section>,
    symbols: Vec<(String, u8, u16, u64)>,
    relocations: HashMap<u16, Vec<(u64, u32, u32, i64)>>,
}

impl Object {
    pub fn new(text: Vec<u8>) -> Self {
        let mut object =
            Self { machine: 62, file_type: 1, sections: Vec::new(), symbols: Vec::new(), relocations: HashMap::new() };
        object.add_section(".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, text);
        object
    }

    /// Adds a section and gives its number.
    pub fn add_section(&mut self, name: &str, kind: u32, flags: u64, data: Vec<u8>) -> u16 {
        let size = data.len() as u64;
        self.sections.push(Section { name: name.into(), kind, flags, data, alignment: 16, size, link: 0, info: 0 });
        self.sections.len() as u16
    }

    pub fn set_alignment(&mut self, section: u16, alignment: u64) {
        self.sections[usize::from(section) - 1].alignment = alignment;
    }

    pub fn set_size(&mut self, section: u16, size: u64) {
        self.sections[usize::from(section) - 1].size = size;
    }

    /// Adds a function of the code section.
    pub fn function(mut self, name: &str, offset: u64) -> Self {
        self.add_symbol(name, STT_FUNC, TEXT, offset);
        self
    }

    pub fn data_symbol(&mut self, name: &str, section: u16, offset: u64) -> u32 {
        self.add_symbol(name, STT_NOTYPE, section, offset)
    }

    fn add_symbol(&mut self, name: &str, kind: u8, section: u16, offset: u64) -> u32 {
        self.symbols.push((name.into(), kind, section, offset));
        self.symbols.len() as u32
    }

    pub fn relocate(&mut self, section: u16, offset: u64, kind: u32, symbol: u32, addend: i64) {
        self.relocations.entry(section).or_default().push((offset, kind, symbol, addend));
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut sections = self.sections.clone();
        let (mut names, mut symbol_table) = (vec![0], vec![0; 24]);
        for (name, kind, section, value) in &self.symbols {
            symbol_table.extend((names.len() as u32).to_le_bytes());
            names.extend(name.bytes());
            names.push(0);
            symbol_table.extend([STB_GLOBAL << 4 | kind, 0]);
            symbol_table.extend(section.to_le_bytes());
            symbol_table.extend(value.to_le_bytes());
            symbol_table.extend(0u64.to_le_bytes());
        }
        let symbol_table_number = sections.len() as u32 + 1;
        let plain = |name: &str, kind, data: Vec<u8>, link, info| Section {
            name: name.into(),
            kind,
            flags: 0,
            size: data.len() as u64,
            data,
            alignment: 8,
            link,
            info,
        };
        sections.push(plain(".symtab", SHT_SYMTAB, symbol_table, symbol_table_number + 1, 1));
        sections.push(plain(".strtab", SHT_STRTAB, names, 0, 0));
        let mut relocated: Vec<_> = self.relocations.iter().collect();
        relocated.sort_by_key(|(section, _)| **section);
        for (section, relocations) in relocated {
            let mut data = Vec::new();
            for (offset, kind, symbol, addend) in relocations {
                data.extend(offset.to_le_bytes());
                data.extend((u64::from(*symbol) << 32 | u64::from(*kind)).to_le_bytes());
                data.extend(addend.to_le_bytes());
            }
            sections.push(plain(".rela", SHT_RELA, data, symbol_table_number, u32::from(*section)));
        }
        let mut section_names = vec![0];
        let mut name_offsets = Vec::new();
        for section in &sections {
            name_offsets.push(section_names.len() as u32);
            section_names.extend(section.name.bytes());
            section_names.push(0);
        }
        name_offsets.push(section_names.len() as u32);
        section_names.extend(b".shstrtab\0");
        sections.push(plain(".shstrtab", SHT_STRTAB, section_names, 0, 0));

        let mut file = vec![0; 64];
        let mut headers = vec![0; 64];
        for (section, name) in sections.iter().zip(name_offsets) {
            while !file.len().is_multiple_of(16) {
                file.push(0);
            }
            let offset = file.len() as u64;
            file.extend(&section.data);
            headers.extend(name.to_le_bytes());
            headers.extend(section.kind.to_le_bytes());
            headers.extend(section.flags.to_le_bytes());
            headers.extend(0u64.to_le_bytes());
            headers.extend(offset.to_le_bytes());
            headers.extend(section.size.to_le_bytes());
            headers.extend(section.link.to_le_bytes());
            headers.extend(section.info.to_le_bytes());
            headers.extend(section.alignment.to_le_bytes());
            let entry_size: u64 = if matches!(section.kind, SHT_SYMTAB | SHT_RELA) { 24 } else { 0 };
            headers.extend(entry_size.to_le_bytes());
        }
        while !file.len().is_multiple_of(16) {
            file.push(0);
        }
        let section_headers = file.len() as u64;
        file.extend(headers);
        let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        header.extend(self.file_type.to_le_bytes());
        header.extend(self.machine.to_le_bytes());
        header.extend(1u32.to_le_bytes());
        header.extend([0; 16]);
        header.extend(section_headers.to_le_bytes());
        header.extend(0u32.to_le_bytes());
        header.extend(64u16.to_le_bytes());
        header.extend([0; 4]);
        header.extend(64u16.to_le_bytes());
        header.extend((sections.len() as u16 + 1).to_le_bytes());
        header.extend((sections.len() as u16).to_le_bytes());
        file[..64].copy_from_slice(&header);
        file
    }
}
