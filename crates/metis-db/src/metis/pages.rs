//! Which pages of the state's file are whose.

use std::collections::{BTreeMap, BTreeSet};

use crate::flat::PAGE_BYTES;

/// Where a page lies in the file, and what its bytes sum to. Page 0 stands for zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PageRef {
    pub(super) page: u64,
    pub(super) checksum: u64,
}

/// First page that is not a root's.
pub(super) const FIRST_PAGE: u64 = 2;

/// Pages that nobody needs, and those that only older generations need.
#[derive(Clone, Debug)]
pub(super) struct FreePages {
    free: BTreeSet<u64>,
    /// By the last generation that has them.
    retired: BTreeMap<u64, Vec<u64>>,
    /// Pages of the file.
    pub(super) end: u64,
}

impl FreePages {
    /// All below `end` but those in use.
    pub(super) fn all_but(used: &BTreeSet<u64>, end: u64) -> Self {
        let free = (FIRST_PAGE..end).filter(|page| !used.contains(page)).collect();
        Self { free, retired: BTreeMap::new(), end }
    }

    /// One page.
    pub(super) fn take(&mut self) -> u64 {
        self.free.pop_first().unwrap_or_else(|| {
            self.end += 1;
            self.end - 1
        })
    }

    /// So many pages one after the other.
    pub(super) fn take_run(&mut self, count: u64) -> u64 {
        let mut run = 0..0;
        for page in &self.free {
            run = if *page == run.end { run.start..page + 1 } else { *page..page + 1 };
            if run.end - run.start == count {
                break;
            }
        }
        if run.end - run.start == count {
            run.clone().for_each(|page| {
                self.free.remove(&page);
            });
            return run.start;
        }
        self.end += count;
        self.end - count
    }

    /// Pages that are not in generations after `generation`.
    pub(super) fn retire(&mut self, generation: u64, pages: Vec<u64>) {
        self.retired.entry(generation).or_default().extend(pages);
    }

    /// Nothing is free: all that was may be in generations up to this one.
    pub(super) fn retire_all(&mut self, generation: u64) {
        let free = std::mem::take(&mut self.free);
        self.retire(generation, free.into_iter().collect());
    }

    /// Gives up free pages at the end; gives back where the end is then.
    pub(super) fn trim(&mut self) -> u64 {
        while self.end > FIRST_PAGE && self.free.remove(&(self.end - 1)) {
            self.end -= 1;
        }
        self.end
    }

    /// Frees what only generations before `oldest` have.
    pub(super) fn release_before(&mut self, oldest: u64) {
        let kept = self.retired.split_off(&oldest);
        let released = std::mem::replace(&mut self.retired, kept);
        self.free.extend(released.into_values().flatten());
    }
}

/// Bytes rounded up to pages.
pub(super) const fn page_count(len_bytes: usize) -> u64 {
    len_bytes.div_ceil(PAGE_BYTES) as u64
}
