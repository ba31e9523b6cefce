//! What a store is made of, as apps say it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inkling_base::Signals;
use inkling_models::SpecOptions;
use inkling_store::net::options::NetOptions;
use inkling_store::seal::KeyProvider;
use inkling_store::store::{StoreConfig, TrustedCatalog};
use inkling_store::{Release, StoreError};

use zeroize::Zeroizing;

use crate::transport::Transport;
use crate::{ModelSource, inspect};

/// What a store is made of.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    config: StoreConfig,
    kept: Kept,
}

/// What of them is used when a model is loaded.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    pub(crate) keys: Option<Arc<dyn KeyProvider>>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("keys", &self.keys.is_some()).finish()
    }
}

impl StoreOptions {
    /// A store in this folder. Where the core has HTTP of its own (on desktops, with the feature `http`), it is used;
    /// elsewhere the app brings the platform's.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let mut config = StoreConfig::new(folder);
        #[cfg(all(feature = "http", not(any(target_os = "ios", target_os = "android"))))]
        {
            config.transport = Arc::new(inkling_store::http::HttpTransport::default());
        }
        config.inspector = Arc::new(usable);
        Self { config, kept: Kept::default() }
    }

    /// The platform's HTTP.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.config.transport = transport;
        self
    }

    /// Who knows whether there is a network and what it costs, and how much memory there is.
    pub fn signals(mut self, signals: Arc<dyn Signals>) -> Self {
        self.config.signals = signals;
        self
    }

    /// How the network is used: the hub, its token, redirects, retries.
    pub fn net(mut self, net: NetOptions) -> Self {
        self.config.net = net;
        self
    }

    /// Bytes that all models together may take; those that were not used for the longest time go first.
    pub fn budget(mut self, bytes: u64) -> Self {
        self.config.budget = Some(bytes);
        self
    }

    /// Bytes that stay free on the disk for others: 256 MiB unless this says otherwise.
    pub fn keep_free(mut self, bytes: u64) -> Self {
        self.config.keep_free = bytes;
        self
    }

    /// Trusts a catalogue: its address, and the root document that came with the app.
    pub fn catalog(mut self, url: impl Into<String>, root: impl Into<Vec<u8>>) -> Self {
        self.config.catalogs.push(TrustedCatalog { url: url.into(), root: root.into() });
        self
    }

    /// Takes models from trusted catalogues only.
    pub fn only_signed(mut self) -> Self {
        self.config.only_signed = true;
        self
    }

    /// Who has the keys of encrypted models: gives the key of a name, or says why not. Asked once for each load.
    pub fn keys(mut self, keys: impl Fn(&str) -> Result<[u8; 32], String> + Send + Sync + 'static) -> Self {
        self.kept.keys = Some(Arc::new(Keys(keys)));
        self
    }

    #[cfg(feature = "developer")]
    pub(crate) fn vfs(mut self, vfs: Arc<dyn inkling_store::Vfs>) -> Self {
        self.config.vfs = vfs;
        self
    }

    pub(crate) fn split(self) -> (StoreConfig, Kept) {
        (self.config, self.kept)
    }
}

/// A function as the store's provider of keys.
struct Keys<F>(F);

impl<F: Fn(&str) -> Result<[u8; 32], String> + Send + Sync> KeyProvider for Keys<F> {
    fn key(&self, id: &str) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        (self.0)(id).map(Zeroizing::new).map_err(|why| StoreError::Key { id: id.to_owned(), why })
    }
}

/// Whether this engine can run a file, found out before it takes anybody's place.
fn usable(path: &Path, _: &Release) -> Result<(), StoreError> {
    let unusable = |why: String| StoreError::Unusable { file: path.display().to_string(), why };
    let found = inspect::inspect(&ModelSource::file(path), &SpecOptions::default());
    let found = found.map_err(|error| unusable(error.kind().to_string()))?;
    match found.problems.first() {
        None => Ok(()),
        Some(problem) => Err(StoreError::Unsupported { what: problem.clone() }),
    }
}
