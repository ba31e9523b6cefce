//! Sequences over shared pages: who owns what, and for how long.

use std::any::Any;

use crate::{Batch, ComputeError, PAGE_POSITIONS};

/// A page of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageId(u32);

impl PageId {
    /// Its number, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A sequence of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceId(u32);

/// Where a back end keeps the bytes of pages.
pub trait PageStore: Send + Any {
    /// Gives the page memory if it has none.
    fn make_resident(&mut self, page: PageId) -> Result<(), ComputeError>;
    /// Takes the page's memory back.
    fn release(&mut self, page: PageId);
    /// Copies one resident page to another.
    fn copy(&mut self, from: PageId, to: PageId);
    /// Bytes of a page.
    fn page_bytes(&self) -> usize;
    /// For the back end that made the store.
    fn as_any(&self) -> &dyn Any;
    /// For the back end that made the store.
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

#[derive(Debug, Default)]
struct Sequence {
    open: bool,
    len: usize,
    pages: Vec<PageId>,
}

/// Keys and values of many sequences.
pub struct KvCache {
    store: Box<dyn PageStore>,
    page_limit: usize,
    /// How many sequences hold each page; 0 is free.
    holders: Vec<u32>,
    free: Vec<PageId>,
    sequences: Vec<Sequence>,
}

impl KvCache {
    /// An empty cache over `store` for at most `positions` positions (rounded up to whole pages).
    pub fn new(store: Box<dyn PageStore>, positions: usize) -> Self {
        Self {
            store,
            page_limit: positions.div_ceil(PAGE_POSITIONS),
            holders: Vec::new(),
            free: Vec::new(),
            sequences: Vec::new(),
        }
    }

    /// The store, for the back end that made it; `None` if another did.
    pub fn store<S: PageStore>(&self) -> Option<&S> {
        self.store.as_any().downcast_ref()
    }

    /// As [`KvCache::store`], to write to.
    pub fn store_mut<S: PageStore>(&mut self) -> Option<&mut S> {
        self.store.as_any_mut().downcast_mut()
    }

    /// Positions that all sequences together can hold.
    pub fn capacity(&self) -> usize {
        self.page_limit * PAGE_POSITIONS
    }

    /// Bytes of the pages that are in use.
    pub fn bytes(&self) -> u64 {
        (self.pages_in_use() * self.store.page_bytes()) as u64
    }

    fn pages_in_use(&self) -> usize {
        self.holders.len() - self.free.len()
    }

    /// Opens an empty sequence.
    pub fn open(&mut self) -> SequenceId {
        let fresh = Sequence { open: true, ..Sequence::default() };
        if let Some(index) = self.sequences.iter().position(|sequence| !sequence.open) {
            self.sequences[index] = fresh;
            SequenceId(index as u32)
        } else {
            self.sequences.push(fresh);
            SequenceId((self.sequences.len() - 1) as u32)
        }
    }

    /// Opens a sequence that starts with all of `of`, sharing its pages.
    pub fn fork(&mut self, of: SequenceId) -> Result<SequenceId, ComputeError> {
        let source = self.sequence(of)?;
        let (len, pages) = (source.len, source.pages[..source.len.div_ceil(PAGE_POSITIONS)].to_vec());
        for page in &pages {
            self.holders[page.index()] += 1;
        }
        let fork = self.open();
        let target = &mut self.sequences[fork.0 as usize];
        target.len = len;
        target.pages = pages;
        Ok(fork)
    }

    /// Closes a sequence; pages that nobody else holds are freed. Closing twice is harmless.
    pub fn close(&mut self, sequence: SequenceId) {
        if let Some(entry) = self.sequences.get_mut(sequence.0 as usize) {
            let pages = std::mem::take(&mut entry.pages);
            entry.open = false;
            entry.len = 0;
            pages.into_iter().for_each(|page| self.drop_page(page));
        }
    }

    /// Positions that a sequence holds; 0 for one that is not open.
    pub fn len(&self, sequence: SequenceId) -> usize {
        self.sequence(sequence).map_or(0, |entry| entry.len)
    }

    /// Whether a sequence holds nothing.
    pub fn is_empty(&self, sequence: SequenceId) -> bool {
        self.len(sequence) == 0
    }

    /// Forgets everything from position `len` on. Does nothing to a shorter sequence.
    pub fn truncate(&mut self, sequence: SequenceId, len: usize) {
        let Some(entry) = self.sequences.get_mut(sequence.0 as usize).filter(|entry| entry.open) else { return };
        entry.len = entry.len.min(len);
        let keep = entry.len.div_ceil(PAGE_POSITIONS);
        let dropped = entry.pages.split_off(keep.min(entry.pages.len()));
        dropped.into_iter().for_each(|page| self.drop_page(page));
    }

    /// The pages of a sequence in order; position `p` lies in page `p / PAGE_POSITIONS` at `p % PAGE_POSITIONS`.
    /// Empty for a sequence that is not open.
    pub fn pages(&self, sequence: SequenceId) -> &[PageId] {
        self.sequence(sequence).map_or(&[], |entry| &entry.pages)
    }

    /// Makes room for `batch` and for it alone: checks that its runs continue their sequences, gives every new
    /// position a page, and copies pages that are shared. Lengths do not change until [`KvCache::commit`].
    ///
    /// Back ends call it first thing in `forward`.
    pub fn prepare(&mut self, batch: &Batch<'_>) -> Result<(), ComputeError> {
        let mut fresh = 0;
        for (index, run) in batch.runs.iter().enumerate() {
            let entry = self.sequence(run.sequence)?;
            if entry.len != run.start {
                return Err(ComputeError::BadBatch { why: "a run must start where its sequence ends" });
            }
            if batch.runs[..index].iter().any(|other| other.sequence == run.sequence) {
                return Err(ComputeError::BadBatch { why: "a sequence may appear in one run only" });
            }
            let needed = (run.start + run.count).div_ceil(PAGE_POSITIONS);
            fresh += needed.saturating_sub(entry.pages.len()) + usize::from(self.shared_tail(entry).is_some());
        }
        if self.pages_in_use() + fresh > self.page_limit {
            let used = (self.pages_in_use() + fresh) * PAGE_POSITIONS;
            return Err(ComputeError::CacheFull { limit: self.capacity(), used });
        }
        for run in batch.runs {
            self.extend(run.sequence, run.start + run.count)?;
        }
        Ok(())
    }

    /// Makes the batch's positions part of their sequences. Back ends call it when the pass has succeeded.
    pub fn commit(&mut self, batch: &Batch<'_>) {
        for run in batch.runs {
            if let Some(entry) = self.sequences.get_mut(run.sequence.0 as usize) {
                entry.len = run.start + run.count;
            }
        }
    }

    /// Index of the last page if the next position would be written into it while another sequence holds it too.
    fn shared_tail(&self, entry: &Sequence) -> Option<usize> {
        let tail = (!entry.len.is_multiple_of(PAGE_POSITIONS)).then_some(entry.len / PAGE_POSITIONS)?;
        (self.holders[entry.pages[tail].index()] > 1).then_some(tail)
    }

    fn extend(&mut self, sequence: SequenceId, len: usize) -> Result<(), ComputeError> {
        if let Some(tail) = self.shared_tail(self.sequence(sequence)?) {
            let old = self.sequences[sequence.0 as usize].pages[tail];
            let own = self.take_page()?;
            self.store.copy(old, own);
            self.sequences[sequence.0 as usize].pages[tail] = own;
            self.drop_page(old);
        }
        while self.sequences[sequence.0 as usize].pages.len() < len.div_ceil(PAGE_POSITIONS) {
            let page = self.take_page()?;
            self.sequences[sequence.0 as usize].pages.push(page);
        }
        Ok(())
    }

    fn take_page(&mut self) -> Result<PageId, ComputeError> {
        let page = self.free.last().copied().unwrap_or(PageId(self.holders.len() as u32));
        self.store.make_resident(page)?;
        if self.free.pop().is_none() {
            self.holders.push(0);
        }
        self.holders[page.index()] = 1;
        Ok(page)
    }

    fn drop_page(&mut self, page: PageId) {
        let holders = &mut self.holders[page.index()];
        *holders -= 1;
        if *holders == 0 {
            self.store.release(page);
            self.free.push(page);
        }
    }

    fn sequence(&self, sequence: SequenceId) -> Result<&Sequence, ComputeError> {
        self.sequences
            .get(sequence.0 as usize)
            .filter(|entry| entry.open)
            .ok_or(ComputeError::UnknownSequence(sequence.0))
    }
}
