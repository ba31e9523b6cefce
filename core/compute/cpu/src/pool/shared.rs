//! Memory that the workers of a job share, each writing its own part.

use std::cell::UnsafeCell;
use std::ops::Range;

/// A slice of plain numbers that workers write to in disjoint parts.
///
/// Invariant: nobody reads what another worker writes before both have met; which phase writes what is for the user
/// to say, at each call.
pub(crate) struct Shared<T>(Box<[UnsafeCell<T>]>);

// SAFETY: the methods that reach the elements through `&self` are unsafe, and their contracts exclude data races.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T: Copy + Default> Shared<T> {
    /// `len` zeros.
    pub(crate) fn new(len: usize) -> Self {
        Self(std::iter::repeat_with(UnsafeCell::default).take(len).collect())
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> u64 {
        size_of_val(&*self.0) as u64
    }

    /// Some elements, to read.
    ///
    /// # Safety
    /// While the result lives nobody writes to them, and whoever wrote before has met this worker.
    pub(crate) unsafe fn read(&self, range: Range<usize>) -> &[T] {
        let cells = &self.0[range];
        // SAFETY: `UnsafeCell<T>` has the layout of `T`; no writer by this function's contract.
        unsafe { std::slice::from_raw_parts(cells.as_ptr().cast(), cells.len()) }
    }

    /// Some elements, to write.
    ///
    /// # Safety
    /// While the result lives nobody else reads or writes them.
    #[allow(clippy::mut_from_ref, reason = "that is what a cell is for")]
    pub(crate) unsafe fn write(&self, range: Range<usize>) -> &mut [T] {
        let cells = &self.0[range];
        // SAFETY: `UnsafeCell<T>` has the layout of `T` and allows writing; nobody else is there by the contract.
        unsafe { std::slice::from_raw_parts_mut(UnsafeCell::raw_get(cells.as_ptr()).cast(), cells.len()) }
    }
}

/// A slice of the caller's that workers write to in disjoint parts.
pub(crate) struct SharedSlice<'a, T>(&'a [UnsafeCell<T>]);

// SAFETY: as for `Shared`.
unsafe impl<T: Send + Sync> Sync for SharedSlice<'_, T> {}

impl<'a, T> SharedSlice<'a, T> {
    /// Shares `slice` for as long as this lives.
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        let pointer: *mut [T] = slice;
        // SAFETY: `UnsafeCell<T>` has the layout of `T`, and the exclusive borrow lives as long as the result.
        Self(unsafe { &*(pointer as *const [UnsafeCell<T>]) })
    }

    /// As [`Shared::write`].
    ///
    /// # Safety
    /// As [`Shared::write`].
    #[allow(clippy::mut_from_ref, reason = "that is what a cell is for")]
    pub(crate) unsafe fn write(&self, range: Range<usize>) -> &mut [T] {
        let cells = &self.0[range];
        // SAFETY: as in `Shared::write`.
        unsafe { std::slice::from_raw_parts_mut(UnsafeCell::raw_get(cells.as_ptr()).cast(), cells.len()) }
    }
}
