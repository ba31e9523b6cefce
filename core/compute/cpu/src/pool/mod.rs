//! The thread pool: one job at a time, run by every worker; phases of a job meet at a barrier.
//!
//! A whole forward pass is one job, so that a token costs one wake-up and a few barriers. Waiting is a bounded spin
//! (as long as a wake-up would take, shorter where cores are shared with others), then sleep; with more threads than
//! cores nobody spins. The caller is worker 0.
//!
//! Invariant: [`Pool::run`] returns only when every worker has left the job, also when one of them panicked, so a
//! job may borrow from the caller.

mod barrier;
mod gate;
mod shared;

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use barrier::Barrier;
use gate::{For, Gate, Patience};
pub(crate) use shared::{Shared, SharedSlice};

/// More threads than any device has cores worth using.
pub(crate) const MAX_THREADS: usize = 64;

/// What a job is told: who it is, and how to meet the others.
pub(crate) struct Worker<'a> {
    /// From 0; 0 is the caller of [`Pool::run`].
    pub(crate) index: usize,
    /// How many run the job.
    pub(crate) count: usize,
    barrier: &'a Barrier,
}

impl Worker<'_> {
    /// Waits until all workers are here. What they wrote before is visible after.
    ///
    /// If another worker panicked, this unwinds too.
    pub(crate) fn meet(&self) {
        if self.count > 1 {
            self.barrier.wait(self.count);
        }
    }
}

type Job = *const (dyn Fn(&Worker<'_>) + Sync);

struct Inner {
    /// `number of the job << 8 | workers that run it`; 0 workers is the end.
    start: Gate,
    finished: AtomicU64,
    all_finished: Gate,
    job: UnsafeCell<Option<Job>>,
    barrier: Barrier,
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

// SAFETY: `job` is written by `Pool::run` alone, while no worker runs a job (it waits for `all_finished`), and read
// by workers after they have seen the new value of `start`, which is released after the write. The pointer itself is
// to a `Sync` closure. Everything else is `Sync` by itself.
unsafe impl Sync for Inner {}
// SAFETY: as above; a pointer to a `Sync` closure may go to another thread.
unsafe impl Send for Inner {}

/// Threads that wait for jobs.
pub(crate) struct Pool {
    inner: Arc<Inner>,
    handles: Vec<JoinHandle<()>>,
    /// Workers that take part in a job, the caller included.
    active: usize,
    job_number: u64,
}

impl Pool {
    /// A pool whose jobs run on `threads` threads, at least 1 and at most [`MAX_THREADS`], the caller included.
    pub(crate) fn new(threads: usize) -> Self {
        let patience = Arc::new(Patience::new());
        let inner = Inner {
            start: Gate::new(&patience, For::Work),
            finished: AtomicU64::new(0),
            all_finished: Gate::new(&patience, For::Workers),
            job: UnsafeCell::new(None),
            barrier: Barrier::new(&patience),
            panic: Mutex::new(None),
        };
        let mut pool = Self { inner: Arc::new(inner), handles: Vec::new(), active: 1, job_number: 0 };
        pool.set_threads(threads);
        pool
    }

    /// Workers that take part in the next job.
    pub(crate) fn threads(&self) -> usize {
        self.active
    }

    /// Changes their number. Threads that the system refuses are done without; those too many sleep.
    pub(crate) fn set_threads(&mut self, threads: usize) {
        let wanted = threads.clamp(1, MAX_THREADS);
        while self.handles.len() + 1 < wanted {
            let inner = Arc::clone(&self.inner);
            let index = self.handles.len() + 1;
            let seen = self.job_number << 8;
            let thread = std::thread::Builder::new().name(format!("inkling-cpu-{index}"));
            match thread.spawn(move || work(&inner, index, seen)) {
                Ok(handle) => self.handles.push(handle),
                Err(_) => break,
            }
        }
        self.active = wanted.min(self.handles.len() + 1);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let may_spin = self.active <= cores;
        for gate in [&self.inner.start, &self.inner.all_finished, self.inner.barrier.gate()] {
            gate.allow_spinning(may_spin);
        }
    }

    /// Runs `job` on every worker and waits for all of them. A panic of any of them goes on in the caller.
    pub(crate) fn run(&mut self, job: &(dyn Fn(&Worker<'_>) + Sync)) {
        let inner = &*self.inner;
        let count = self.active;
        self.job_number += 1;
        inner.barrier.reset();
        inner.finished.store(0, Ordering::Relaxed);
        // SAFETY: no worker runs a job now, see `Inner`. The lifetime that is forgotten here is kept by waiting below.
        unsafe {
            *inner.job.get() = Some(std::mem::transmute::<&(dyn Fn(&Worker<'_>) + Sync), Job>(job));
        }
        let ticket = self.job_number << 8 | count as u64;
        inner.start.set(ticket);
        let own = catch_unwind(AssertUnwindSafe(|| job(&Worker { index: 0, count, barrier: &inner.barrier })));
        if own.is_err() {
            inner.barrier.poison();
        }
        if count > 1 {
            inner.all_finished.wait_until(|finished| finished == ticket);
        }
        let theirs = inner.panic.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        match (theirs, own) {
            (Some(panic), _) | (None, Err(panic)) => resume_unwind(panic),
            (None, Ok(())) => {}
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.inner.start.set((self.job_number + 1) << 8);
        for handle in self.handles.drain(..) {
            // A worker catches the panics of its jobs, so there is nothing to learn from its result.
            let _ = handle.join();
        }
    }
}

fn work(inner: &Inner, index: usize, mut seen: u64) {
    loop {
        let ticket = inner.start.wait_until(|ticket| ticket >> 8 != seen >> 8);
        seen = ticket;
        let count = (ticket & 0xff) as usize;
        if count == 0 {
            return;
        }
        if index >= count {
            continue;
        }
        // SAFETY: this worker is one of the job's, so `run` waits for it: the pointer was written before `ticket`
        // was set, and both it and what it points to stay until `finished` has counted this worker.
        let job = unsafe { (*inner.job.get()).map(|job| &*job) };
        let worker = Worker { index, count, barrier: &inner.barrier };
        if let Some(job) = job
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(&worker)))
        {
            inner.barrier.poison();
            let mut first = inner.panic.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if !panic.is::<barrier::Poisoned>() && first.is_none() {
                *first = Some(panic);
            }
        }
        if inner.finished.fetch_add(1, Ordering::AcqRel) + 2 == count as u64 {
            inner.all_finished.set(ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn every_worker_runs_and_meets_the_others() {
        for threads in [1, 2, 3, 7, 64] {
            let mut pool = Pool::new(threads);
            let counts: Vec<AtomicUsize> = (0..3).map(|_| AtomicUsize::new(0)).collect();
            for round in 1..=20 {
                pool.run(&|worker| {
                    for phase in &counts {
                        phase.fetch_add(1, Ordering::Relaxed);
                        worker.meet();
                        assert_eq!(phase.load(Ordering::Relaxed), worker.count * round);
                        worker.meet();
                    }
                });
            }
            assert_eq!(pool.threads(), threads);
        }
    }

    #[test]
    fn the_number_of_threads_may_change_between_jobs() {
        let mut pool = Pool::new(4);
        for threads in [1, 5, 2, 8, 3, 0, 10_000] {
            pool.set_threads(threads);
            let seen = AtomicUsize::new(0);
            pool.run(&|worker| {
                seen.fetch_add(1, Ordering::Relaxed);
                worker.meet();
            });
            assert_eq!(seen.load(Ordering::Relaxed), threads.clamp(1, MAX_THREADS));
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let mut pool = Pool::new(4);
        for guilty in [0, 2] {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                pool.run(&|worker| {
                    if worker.index == guilty {
                        resume_unwind(Box::new("a broken kernel"));
                    }
                    worker.meet();
                });
            }));
            assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"a broken kernel"));
            let seen = AtomicUsize::new(0);
            pool.run(&|worker| {
                worker.meet();
                seen.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(seen.load(Ordering::Relaxed), 4);
        }
    }
}
