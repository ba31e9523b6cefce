//! A file into its landing.
//!
//! Three kinds of threads: *readers*, one for each request, which only read sockets; *landers*, which hash and write;
//! and the caller's, which alone decides what is asked for next, what a failure means and when it is over. Readers are
//! not joined: a socket may be silent for as long as the transport's patience lasts, and a cancelled transfer ends now.
//! They own what they use, and what they still say is not heard.
//!
//! What holds whatever the server does:
//!
//! * Bytes land only if they came as the bytes of that range: 206 with exactly this `Content-Range` and total, or 200
//!   from byte 0. Nothing is ever appended to something else.
//! * Memory is a fixed number of chunks. What is lost with a connection is one chunk at most, and of that only what was
//!   read in the last request.
//! * Every failure is counted until a chunk lands; so many in a row end it. A server that still gives bytes, however
//!   badly, is used as long as it does.

mod lander;
mod pool;
mod reader;
mod transfer;

use std::sync::Arc;
use std::sync::mpsc;

use super::Net;
use super::control::Control;
use super::link::Link;
use super::open::{Address, Failure};
use crate::{CHUNK, Landing, StoreError, WaitReason};
use lander::Queue;
use pool::Pool;
use transfer::Transfer;

/// News of a transfer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes that came over the network since the last news.
    pub bytes_new: u64,
    /// Bytes of chunks that have landed since the last news.
    pub landed_new: u64,
    /// Bytes that have arrived of chunks that have not landed yet.
    pub under_way: u64,
    /// Requests that run.
    pub connections: usize,
    /// Why nothing comes, if that is so.
    pub wait: Option<WaitReason>,
    /// The ETag by which the address itself (and not a host that it redirects to) names the file, to be kept in
    /// [`Address::etag`] for the next time.
    pub etag: Option<String>,
}

/// What a reader says.
enum Event {
    /// The answer is one that can be used.
    Opened { link: Link, etag: Option<String>, whole: bool },
    /// A chunk has arrived.
    Chunk { chunk: usize, bytes: Vec<u8> },
    /// It is over; the second is what came of the chunk that was next.
    Ended { end: Result<(), Failure>, part: Vec<u8> },
}

/// What the deciding thread hears.
enum Message {
    /// A reader's news, by its number.
    Of(u64, Event),
    /// What became of a chunk.
    Put { chunk: usize, length: u64, result: Result<(), StoreError> },
    /// The control has changed.
    Wake,
}

/// Threads that hash and write: two to keep a network busy, and one that waits for the disk.
const LANDERS: usize = 3;

impl Net {
    /// Fetches what `landing` misses of the file at `address`. Blocks; returns when every chunk has landed, when it is
    /// cancelled, or when it cannot go on. `watch` is told of traffic and waits, on this thread.
    ///
    /// # Errors
    /// [`StoreError::Download`] with what the server did, [`StoreError::Address`] for redirects that are not followed,
    /// [`StoreError::Damaged`] for a chunk that always arrives wrong, [`StoreError::Cancelled`], and whatever the landing
    /// says. What has landed stays.
    pub fn fetch(
        &self,
        address: &Address,
        landing: &dyn Landing,
        control: &Control,
        watch: &dyn Fn(&Traffic),
    ) -> Result<(), StoreError> {
        let (tell, told) = mpsc::channel();
        let waker = tell.clone();
        let _handle = control.on_change(Arc::new(move || {
            let _ = waker.send(Message::Wake);
        }));
        let readers = self.options().connections.clamp(1, 16);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let landers = LANDERS.min(cores + 1);
        let pool = Arc::new(Pool::new(2 * readers + 2 * landers, CHUNK as usize));
        let queue = Queue::default();
        std::thread::scope(|scope| {
            // Also when `watch` panics, nobody waits for ever.
            let _end = End { pool: &pool, queue: &queue };
            for _ in 0..landers {
                let tell = tell.clone();
                let (pool, queue) = (&pool, &queue);
                let builder = std::thread::Builder::new().name("inkling-land".to_owned());
                let spawned = builder.spawn_scoped(scope, move || queue.land(landing, pool, &tell));
                spawned.map_err(|error| StoreError::Internal(format!("no thread to write with: {error}")))?;
            }
            Transfer::new(self, address, landing, control, watch, &pool, &queue, tell)?.run(&told)
        })
    }
}

/// Lets the other threads end.
struct End<'a> {
    pool: &'a Pool,
    queue: &'a Queue,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.queue.close();
        self.pool.close();
    }
}
