//! A publisher, its server, and a device with a store.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use inkling_base::CancelToken;
use inkling_store::http::HttpTransport;
use inkling_store::manifest::{Catalog, Envelope, Kind};
use inkling_store::store::{EnsureOptions, Store, StoreConfig, TrustedCatalog};
use inkling_store::{Digest, Download, ModelId, Role, Source, StoreError};
use inkling_store_chaos::server::Server;
use inkling_store_publish::{PublishFile, Roles, init, publish};
use tempfile::TempDir;

use crate::kit::{DAY, key, publication, ring, sign};

/// A publisher, its server, and a device.
pub(crate) struct World {
    pub(crate) published: TempDir,
    pub(crate) sources: TempDir,
    pub(crate) server: Server,
    pub(crate) store: Store,
    _device: TempDir,
}

pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn id(text: &str) -> ModelId {
    text.parse().unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        let [published, sources, device] = [(); 3].map(|()| TempDir::new().unwrap());
        let roles = Roles { release: ring(&[1], 1), rollout: None, expires: now() + 1000 * DAY };
        init(published.path(), &roles, &[key(1)]).unwrap();
        let server = Server::of_folder(published.path(), 0).unwrap();
        let mut config = StoreConfig::new(device.path());
        config.transport = Arc::new(HttpTransport::default());
        config.net.backoff = Duration::from_millis(2);
        config.net.damaged_attempts = 1;
        config.keep_free = 0;
        let root = fs::read(published.path().join("root.json")).unwrap();
        config.catalogs = vec![TrustedCatalog { url: server.url("/catalog.json"), root }];
        let store = Store::open(config).unwrap();
        Self { published, sources, server, store, _device: device }
    }

    /// A release of weights and a template.
    pub(crate) fn publish(&self, model: &str, number: u64, weights: &[u8], template: &[u8], required: bool) {
        let file = |role, name: &str, bytes: &[u8], required| {
            let path = self.sources.path().join(name);
            fs::write(&path, bytes).unwrap();
            PublishFile { role, path, required }
        };
        let files = vec![
            file(Role::Weights, "weights.gguf", weights, true),
            file(Role::Template, "chat.jinja", template, required),
        ];
        publish(&publication(self.published.path(), model, number, files, &[key(1)], now())).unwrap();
    }

    /// A release of weights that says they are those of `claimed`, also where it says what their chunks are.
    pub(crate) fn lie(&self, model: &str, number: u64, weights: &[u8], claimed: &[u8]) {
        let path = self.sources.path().join("weights.gguf");
        fs::write(&path, weights).unwrap();
        let files = vec![PublishFile { role: Role::Weights, path, required: true }];
        let folder = self.published.path();
        let named = publish(&publication(folder, model, number, files, &[key(1)], now())).unwrap().release;
        let document = fs::read_to_string(folder.join(&named.path)).unwrap();
        let digests = [weights, claimed].map(|bytes| format!("\"sha256\":\"{}\"", Digest::of(bytes)));
        let document: String = document.chars().filter(|c| !c.is_whitespace()).collect();
        assert_eq!(document.matches(&digests[0]).count(), 1);
        let document = document.replace(&digests[0], &digests[1]);
        fs::write(folder.join(&named.path), &document).unwrap();
        let path = folder.join(Kind::Catalog.file());
        let signed = Envelope::read(Kind::Catalog, &fs::read(&path).unwrap()).unwrap();
        let mut catalog: Catalog = serde_json::from_slice(signed.payload()).unwrap();
        let releases = catalog.models.iter_mut().flat_map(|model| &mut model.releases);
        for release in releases.filter(|release| **release == named) {
            (release.size, release.sha256) = (document.len() as u64, Digest::of(document.as_bytes()));
        }
        catalog.version += 1;
        fs::write(&path, sign(Kind::Catalog, &catalog, &[1])).unwrap();
    }

    pub(crate) fn served(&self, bytes: &[u8]) -> PathBuf {
        self.published.path().join("files").join(Digest::of(bytes).to_string())
    }

    pub(crate) fn begin(&self, model: &str, update: bool) -> Download {
        let mut options = EnsureOptions::default();
        options.update = update;
        self.store.ensure(Source::catalog(&self.server.url("/catalog.json"), id(model)).unwrap(), options).unwrap()
    }

    pub(crate) fn ensure(&self, model: &str) -> Result<ModelId, StoreError> {
        self.begin(model, false).wait()
    }

    /// What a file of the model holds, if there is one.
    pub(crate) fn read(&self, model: &str, role: Role) -> Option<Vec<u8>> {
        let lent = self.store.lend(&id(model), &CancelToken::new(), &|_, _| {}).unwrap();
        lent.file(role).map(|(_, path): (_, &Path)| fs::read(path).unwrap())
    }
}
