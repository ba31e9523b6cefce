//! A small HTTP/1.1 server on this machine that serves bytes or a folder, with ranges, ETags and keep-alive, as fast as
//! the machine copies, and that does wrong what it is told to ([`Rule`]).
//!
//! It counts what it sends, so that tests can say how much was fetched twice. Under `/-/` it can be steered by whoever
//! cannot call it: `/-/counts`, `/-/rule?RULE`, `/-/clear`.

mod answer;
mod fault;

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inkling_store::Digest;

pub use fault::{Fault, Phase, Rule};

/// What has been asked for and sent, of one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Requests.
    pub requests: u64,
    /// Bytes of bodies.
    pub bytes: u64,
}

/// Something that is served.
#[derive(Clone)]
pub(crate) enum Entry {
    /// Bytes, with their ETag.
    Bytes(Arc<[u8]>, String),
    /// A file in a repository: where its bytes are, their digest and number.
    Hub { to: String, sha256: Digest, size: u64, commit: Option<String> },
}

#[derive(Default)]
pub(crate) struct State {
    entries: HashMap<String, Entry>,
    rules: Vec<Rule>,
    counts: HashMap<String, Count>,
    /// What the hub says in a header, whatever is true.
    lies: HashMap<String, String>,
    /// Addresses with this in their query are good; all others have expired. Raised by [`Server::expire`].
    signature: u64,
    connections: HashMap<u64, TcpStream>,
}

#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    folder: Option<PathBuf>,
    /// Bytes a second of each connection; 0 for as fast as it goes.
    throttle: AtomicU64,
    /// Bodies end after so many bytes, and the connection with them; 0 for never.
    stopping: AtomicBool,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server. Dropping it ends all its connections.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Server {
    /// A server of what will be [added](Server::add).
    pub fn start() -> io::Result<Self> {
        Self::over(None, 0)
    }

    /// A server of the files in a folder.
    pub fn of_folder(folder: impl Into<PathBuf>, port: u16) -> io::Result<Self> {
        Self::over(Some(folder.into()), port)
    }

    fn over(folder: Option<PathBuf>, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { folder, ..Shared::default() });
        let served = Arc::clone(&shared);
        std::thread::Builder::new().name("server".to_owned()).spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if served.stopping.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&served);
                // A server that cannot serve one connection hangs up on it.
                let _ = std::thread::Builder::new().name("served".to_owned()).spawn(move || {
                    let number = number as u64;
                    if let Ok(kept) = stream.try_clone() {
                        shared.state().connections.insert(number, kept);
                    }
                    let _ = answer::serve(&shared, stream);
                    shared.state().connections.remove(&number);
                });
            }
        })?;
        Ok(Self { shared, address })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its address, without a `/` at the end.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address of a path that begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base())
    }

    /// Serves bytes under a path that begins with `/`, in place of others if there were any.
    pub fn add(&self, path: &str, bytes: impl Into<Arc<[u8]>>) {
        let bytes = bytes.into();
        let etag = format!("\"{:.16}\"", Digest::of(&bytes).to_string());
        self.shared.state().entries.insert(path.to_owned(), Entry::Bytes(bytes, etag));
    }

    /// Serves what was added under a path no longer; what the folder has there is served again.
    pub fn remove(&self, path: &str) {
        self.shared.state().entries.remove(path);
    }

    /// Serves a file of a repository as a hub does: its address redirects to a signed one that may
    /// [expire](Server::expire). At `commit`, too, if there is one.
    pub fn add_hub(&self, repo: &str, file: &str, revision: &str, commit: Option<&str>, bytes: impl Into<Arc<[u8]>>) {
        let bytes = bytes.into();
        let (sha256, size) = (Digest::of(&bytes), bytes.len() as u64);
        let to = format!("/cdn/{sha256}");
        self.add(&to, bytes);
        let commit = commit.map(str::to_owned);
        for revision in [Some(revision), commit.as_deref()].into_iter().flatten() {
            let entry = Entry::Hub { to: to.clone(), sha256, size, commit: commit.clone() };
            let path = format!("/{repo}/resolve/{revision}/{file}");
            self.shared.state().entries.insert(path, entry);
        }
    }

    /// The hub says this in a header of each answer that has it, whatever is true.
    pub fn lie(&self, header: &str, value: &str) {
        self.shared.state().lies.insert(header.to_owned(), value.to_owned());
    }

    /// Makes all signed addresses that were handed out worthless.
    pub fn expire(&self) {
        self.shared.state().signature += 1;
    }

    /// Adds a rule. The first that covers a request strikes.
    pub fn rule(&self, rule: Rule) {
        self.shared.state().rules.push(rule);
    }

    /// Does everything right from now on.
    pub fn clear(&self) {
        let mut state = self.shared.state();
        state.rules.clear();
        state.lies.clear();
    }

    /// Bytes a second of each connection; 0 for as fast as it goes.
    pub fn throttle(&self, rate: u64) {
        self.shared.throttle.store(rate, Ordering::Relaxed);
    }

    /// What was asked for and sent, of one path.
    pub fn count(&self, path: &str) -> Count {
        self.shared.state().counts.get(path).copied().unwrap_or_default()
    }

    /// Of all paths together.
    pub fn total(&self) -> Count {
        self.shared.state().counts.values().fold(Count::default(), |sum, count| Count {
            requests: sum.requests + count.requests,
            bytes: sum.bytes + count.bytes,
        })
    }

    /// Ends all connections, as a server does that is restarted.
    pub fn hang_up(&self) {
        for stream in self.shared.state().connections.values() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.hang_up();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}
