//! The flat state: accounts and slots by their plain keys, one look away.

mod arena;
mod layout;
mod pages;
mod table;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use arena::Arena;
pub(crate) use layout::{AccountLayout, AccountRecord, Layout, Seed, SlotLayout, VERSION_END};
pub(crate) use pages::{PAGE_BYTES, PageChanges, PageSet, PagedBytes};
pub(crate) use table::{SEGMENT_LOG2, Table};
pub use writer::TableLoad;
pub(crate) use writer::TableWriter;
