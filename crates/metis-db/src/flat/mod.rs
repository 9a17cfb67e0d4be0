//! The flat state: accounts and slots by their plain keys, one look away.

mod arena;
mod layout;
mod lines;
mod pages;
mod restore;
mod table;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use layout::{AccountLayout, AccountRecord, Layout, Seed, SlotLayout, VERSION_END};
pub(crate) use lines::SEGMENT_LOG2_MIN;
pub(crate) use pages::{PAGE_BYTES, PageChanges, PageSet, PagedBytes};
pub(crate) use restore::Shape;
pub(crate) use table::{SEGMENT_LOG2, Table};
pub use writer::TableLoad;
pub(crate) use writer::TableWriter;
