//! What a store is made of.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inkling_base::{Clock, Signals, SystemClock, SystemSignals};

use crate::net::options::NetOptions;
use crate::vfs::SystemVfs;
use crate::{Release, StoreError, Transport, TransportError, Vfs};

/// Space that the store leaves to others on a disk, unless it is told otherwise.
pub const KEEP_FREE: u64 = 256 << 20;
/// Downloads that run at a time; others wait their turn.
pub const AT_A_TIME: usize = 2;

/// A catalogue that the app trusts.
#[derive(Clone)]
pub struct TrustedCatalog {
    /// Where it is, the address that its sources name.
    pub url: String,
    /// The root document that came with the app: it says whose signatures count.
    pub root: Vec<u8>,
}

impl fmt::Debug for TrustedCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedCatalog").field("url", &crate::source::shown(&self.url)).finish_non_exhaustive()
    }
}

/// Looks at a file that is complete and says whether this engine can use it.
pub type Inspector = Arc<dyn Fn(&Path, &Release) -> Result<(), StoreError> + Send + Sync>;

/// What a store is made of.
#[derive(Clone)]
#[non_exhaustive]
pub struct StoreConfig {
    /// Its folder, which is made if need be. Nothing outside it is touched.
    pub folder: PathBuf,
    /// The platform's HTTP; without one, only files on this machine can be installed.
    pub transport: Arc<dyn Transport>,
    /// The file system.
    pub vfs: Arc<dyn Vfs>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who knows whether there is a network and what it costs.
    pub signals: Arc<dyn Signals>,
    /// How the network is used.
    pub net: NetOptions,
    /// Bytes that all models together may take; `None` for as much as there is.
    pub budget: Option<u64>,
    /// Bytes that stay free on the disk.
    pub keep_free: u64,
    /// Catalogues whose signatures are checked.
    pub catalogs: Vec<TrustedCatalog>,
    /// Take models from trusted catalogues only.
    pub only_signed: bool,
    /// Whether this engine can use a file.
    pub inspector: Inspector,
    /// The version of this engine, for releases that need a later one.
    pub version: String,
}

impl StoreConfig {
    /// A store in this folder, without a network.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            transport: Arc::new(NoNetwork),
            vfs: Arc::new(SystemVfs),
            clock: Arc::new(SystemClock::default()),
            signals: Arc::new(SystemSignals),
            net: NetOptions::default(),
            budget: None,
            keep_free: KEEP_FREE,
            catalogs: Vec::new(),
            only_signed: false,
            inspector: Arc::new(sound),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// All that the store itself can say of a model: that its file is a sound GGUF.
fn sound(path: &Path, release: &Release) -> Result<(), StoreError> {
    let name = release.weights().map_or_else(|| path.display().to_string(), |file| file.name.clone());
    let opened = inkling_gguf::Gguf::open(path);
    opened.map(|_| ()).map_err(|error| StoreError::Unusable { file: name, why: error.to_string() })
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("folder", &self.folder)
            .field("net", &self.net)
            .field("budget", &self.budget)
            .field("keep_free", &self.keep_free)
            .field("only_signed", &self.only_signed)
            .finish_non_exhaustive()
    }
}

/// The transport of whoever brought none.
struct NoNetwork;

impl Transport for NoNetwork {
    fn get(&self, _: &crate::Request) -> Result<crate::Response, TransportError> {
        Err(TransportError { why: "the store was opened without a transport".to_owned(), retryable: false })
    }
}
