//! Pages in ordinary memory, for back ends that compute on the CPU.

use std::any::Any;

use crate::{ComputeError, KvLayout, PageId, PageStore};

/// 64 bytes that start on a cache line: the unit that makes a page aligned without `unsafe`.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Pages in ordinary memory, each an allocation of its own so that freed ones go back to the system.
pub struct HostPages {
    layout: KvLayout,
    pages: Vec<Option<Box<[Line]>>>,
}

impl HostPages {
    /// No pages yet.
    pub fn new(layout: KvLayout) -> Self {
        Self { layout, pages: Vec::new() }
    }

    /// The layout of every page.
    pub fn layout(&self) -> &KvLayout {
        &self.layout
    }

    /// Start of the page's [`KvLayout::page_bytes`] bytes, aligned to 64.
    ///
    /// # Panics
    /// If the page is not resident; pages of a live sequence are.
    pub fn page_ptr(&self, page: PageId) -> *const u8 {
        self.lines(page).as_ptr().cast()
    }

    /// As [`HostPages::page_ptr`], to write to.
    ///
    /// # Panics
    /// As [`HostPages::page_ptr`].
    pub fn page_mut_ptr(&mut self, page: PageId) -> *mut u8 {
        match &mut self.pages[page.index()] {
            Some(lines) => lines.as_mut_ptr().cast(),
            None => panic!("page {page:?} is not resident"),
        }
    }

    fn lines(&self, page: PageId) -> &[Line] {
        match &self.pages[page.index()] {
            Some(lines) => lines,
            None => panic!("page {page:?} is not resident"),
        }
    }

    /// The page's bytes, for back ends that prefer safety to speed.
    pub fn page(&self, page: PageId) -> &[u8] {
        let lines = self.lines(page);
        // SAFETY: `Line` is 64 plain bytes without padding, so the slice covers exactly the lines' memory.
        unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), std::mem::size_of_val(lines)) }
    }

    /// As [`HostPages::page`], to write to.
    pub fn page_mut(&mut self, page: PageId) -> &mut [u8] {
        let bytes = self.lines(page).len() * 64;
        // SAFETY: as in `page`, and the unique borrow of `self` makes the slice unique.
        unsafe { std::slice::from_raw_parts_mut(self.page_mut_ptr(page), bytes) }
    }
}

impl PageStore for HostPages {
    fn make_resident(&mut self, page: PageId) -> Result<(), ComputeError> {
        if self.pages.len() <= page.index() {
            self.pages.resize_with(page.index() + 1, || None);
        }
        let slot = &mut self.pages[page.index()];
        if slot.is_none() {
            let lines = self.layout.page_bytes().div_ceil(64);
            let mut fresh = Vec::new();
            fresh
                .try_reserve_exact(lines)
                .map_err(|_| ComputeError::OutOfMemory { need_bytes: (lines * 64) as u64, have_bytes: 0 })?;
            fresh.resize(lines, Line([0; 64]));
            *slot = Some(fresh.into_boxed_slice());
        }
        Ok(())
    }

    fn release(&mut self, page: PageId) {
        if let Some(slot) = self.pages.get_mut(page.index()) {
            *slot = None;
        }
    }

    fn copy(&mut self, from: PageId, to: PageId) {
        if from == to {
            return;
        }
        let Some(source) = self.pages[from.index()].take() else { return };
        if let Some(target) = &mut self.pages[to.index()] {
            target.copy_from_slice(&source);
        }
        self.pages[from.index()] = Some(source);
    }

    fn page_bytes(&self) -> usize {
        self.layout.page_bytes()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
