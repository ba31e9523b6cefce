//! Pages in ordinary memory, for back ends that compute on the CPU.

use std::any::Any;

use crate::{ComputeError, KvLayout, PageId, PageStore};

/// Every page starts on a cache line.
const ALIGN: usize = 64;

/// A page's bytes: `bytes[start..]` is aligned. A `Vec` that never grows stays where it is, so no `unsafe` is needed.
struct Page {
    bytes: Vec<u8>,
    start: usize,
}

/// Pages in ordinary memory, each an allocation of its own so that freed ones go back to the system.
pub struct HostPages {
    layout: KvLayout,
    pages: Vec<Option<Page>>,
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

    /// The page's [`KvLayout::page_bytes`] bytes, aligned to 64.
    ///
    /// # Panics
    /// If the page is not resident; pages of a live sequence are.
    pub fn page(&self, page: PageId) -> &[u8] {
        match &self.pages[page.index()] {
            Some(page) => &page.bytes[page.start..][..self.layout.page_bytes()],
            None => panic!("page {page:?} is not resident"),
        }
    }

    /// As [`HostPages::page`], to write to.
    ///
    /// # Panics
    /// As [`HostPages::page`].
    pub fn page_mut(&mut self, page: PageId) -> &mut [u8] {
        match &mut self.pages[page.index()] {
            Some(page) => &mut page.bytes[page.start..][..self.layout.page_bytes()],
            None => panic!("page {page:?} is not resident"),
        }
    }

    fn fresh_page(&self) -> Result<Page, ComputeError> {
        let size = self.layout.page_bytes() + ALIGN - 1;
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(size)
            .map_err(|_| ComputeError::OutOfMemory { need_bytes: size as u64, have_bytes: 0 })?;
        bytes.resize(size, 0);
        let start = bytes.as_ptr().addr().wrapping_neg() % ALIGN;
        Ok(Page { bytes, start })
    }
}

impl PageStore for HostPages {
    fn make_resident(&mut self, page: PageId) -> Result<(), ComputeError> {
        if self.pages.len() <= page.index() {
            self.pages.resize_with(page.index() + 1, || None);
        }
        if self.pages[page.index()].is_none() {
            self.pages[page.index()] = Some(self.fresh_page()?);
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
        if self.pages[to.index()].is_some() {
            let bytes = self.layout.page_bytes();
            self.page_mut(to).copy_from_slice(&source.bytes[source.start..][..bytes]);
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
