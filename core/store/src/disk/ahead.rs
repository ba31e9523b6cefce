//! The digest of a whole file while the file arrives: a thread reads back, from the system's cache, what has arrived
//! without a gap, so that hashing overlaps the network and the end of a download does not wait for a second pass.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::objects::read_chunk;
use super::staging::Arrivals;
use crate::{Digest, FilePlan, Hasher, VfsFile};

/// The thread. It ends when it is done, when it is dropped, or when the disk fails.
pub(super) struct Ahead {
    thread: Option<JoinHandle<()>>,
    arrivals: Arc<Arrivals>,
}

impl Ahead {
    /// Begins at the first byte. `None` if the system gives no thread; then somebody hashes at the end.
    pub(super) fn start(plan: Arc<FilePlan>, file: Arc<dyn VfsFile>, arrivals: Arc<Arrivals>) -> Option<Self> {
        arrivals.restart_hash();
        let shared = Arc::clone(&arrivals);
        let work = move || {
            let outcome = run(&plan, &*file, &shared);
            shared.hash_ended(outcome);
        };
        match std::thread::Builder::new().name("inkling-hash".to_owned()).spawn(work) {
            Ok(thread) => Some(Self { thread: Some(thread), arrivals }),
            Err(_) => {
                arrivals.hash_ended(None);
                None
            }
        }
    }
}

/// `None` if it was told to stop.
fn run(plan: &FilePlan, file: &dyn VfsFile, arrivals: &Arrivals) -> Option<io::Result<Digest>> {
    let (mut hasher, mut buffer) = (Hasher::new(), Vec::new());
    for index in 0..plan.chunks.len() {
        if !arrivals.wait_for(index) {
            return None;
        }
        match read_chunk(file, &plan.chunks, index, &mut buffer) {
            Ok(true) => hasher.update(&buffer),
            Ok(false) => return Some(Err(io::ErrorKind::UnexpectedEof.into())),
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(hasher.finish()))
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.arrivals.stop_hash();
        if let Some(thread) = self.thread.take() {
            // It says how it ended through `arrivals`.
            let _ = thread.join();
        }
    }
}
