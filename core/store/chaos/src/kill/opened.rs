//! The store as its users see it after a kill: the parent opens it, lists it, loads what is listed, and tries to bring an
//! older catalogue in. What it writes stays in memory ([`overlay`](super::overlay)), so that the next child finds what the
//! kill left.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use inkling_base::CancelToken;
use inkling_store::http::HttpTransport;
use inkling_store::store::{EnsureOptions, Store, StoreConfig, TrustedCatalog};
use inkling_store::{Body, Request, Response, Source, StoreError, Transport, TransportError};

use super::catalog::Documents;
use super::child::load;
use super::damage::Damage;
use super::look::{Seen, chosen};
use super::overlay::Overlay;
use super::words::is_spent;
use crate::disk::{Random, record};

/// The parent's network: a server, of which two documents may be older ones.
#[derive(Default)]
pub struct Replaying {
    http: HttpTransport,
    old: Mutex<Option<Documents>>,
}

struct Bytes(io::Cursor<Arc<[u8]>>);

impl Body for Bytes {
    fn read(&mut self, limit: usize) -> Result<Vec<u8>, TransportError> {
        let mut bytes = vec![0; limit.min(self.0.get_ref().len())];
        let read = io::Read::read(&mut self.0, &mut bytes)
            .map_err(|error| TransportError { why: error.to_string(), retryable: false })?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

impl Transport for Replaying {
    fn get(&self, request: &Request) -> Result<Response, TransportError> {
        let old = self.old.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let document = old.and_then(|old| match request.url.rsplit('/').next() {
            Some("catalog.json") => Some(old.catalog),
            Some("rollout.json") => Some(old.rollout),
            _ => None,
        });
        let Some(bytes) = document else { return self.http.get(request) };
        let headers = vec![("Content-Length".to_owned(), bytes.len().to_string())];
        Ok(Response { status: 200, headers, body: Box::new(Bytes(io::Cursor::new(bytes))) })
    }
}

/// A store that the parent has open.
pub struct Opened {
    store: Store,
    network: Arc<Replaying>,
    catalog: String,
}

impl Opened {
    /// Opens it.
    pub fn open(folder: &Path, catalog: &str, root: &[u8], network: &Arc<Replaying>) -> Result<Self, String> {
        let network = Arc::clone(network);
        let mut config = StoreConfig::new(folder);
        config.vfs = Arc::new(Overlay::default());
        config.transport = Arc::clone(&network) as Arc<dyn Transport>;
        config.net.backoff = Duration::from_millis(2);
        config.keep_free = 0;
        // What is installed here has no file that could be read.
        config.inspector = Arc::new(|_, _| Ok(()));
        config.catalogs.push(TrustedCatalog { url: catalog.to_owned(), root: root.to_vec() });
        let store = Store::open(config).map_err(|error| format!("it does not open: {error}"))?;
        Ok(Self { store, network, catalog: catalog.to_owned() })
    }

    /// Loads everything that is listed; gives how many models that were. What the parent damaged may be found damaged.
    pub fn load_all(&self, seen: &Seen, damage: &Damage) -> Result<u64, String> {
        let mut loads = 0;
        for model in self.store.list().map_err(|error| format!("it cannot be listed: {error}"))? {
            let id = model.id.as_str();
            let slot = seen.slots.get(id).ok_or_else(|| format!("{id} is listed and has no slot"))?;
            let is_hurt = record::named(slot).iter().filter_map(|file| file.parse().ok()).any(|file| damage.has(&file));
            if chosen(slot) != Some(model.release) {
                return Err(format!("{id} is listed with release {}, its slot says {slot}", model.release));
            }
            let lent = self.store.lend(&model.id, &CancelToken::new(), &|_, _| {});
            match lent.and_then(|lent| load(&lent).map(|()| lent)) {
                Ok(lent) if lent.release.number == model.release || is_hurt || is_spent(slot) => loads += 1,
                Ok(lent) => return Err(format!("{id}: {} was loaded, not {}", lent.release.number, model.release)),
                Err(_) if is_hurt => {}
                Err(StoreError::NotFound { .. }) if is_spent(slot) => {}
                Err(error) => return Err(format!("{id} does not load: {error}")),
            }
        }
        Ok(loads)
    }

    /// Offers documents that are older than those which were accepted: none may be.
    pub fn replay(&self, history: &[Documents], seen: &Seen, random: &mut Random) -> Result<bool, String> {
        let [_, catalog, rollout] = seen.trust;
        let old: Vec<_> =
            history.iter().filter(|old| old.catalog_version < catalog || old.rollout_version < rollout).collect();
        let Some(old) = old.get(random.index(old.len())) else { return Ok(false) };
        // Only one of them is old, half of the time.
        let mut served = (*old).clone();
        if let Some(newest) = history.last().filter(|_| random.chance(50)) {
            if old.rollout_version < rollout {
                served.catalog = Arc::clone(&newest.catalog);
            } else {
                served.rollout = Arc::clone(&newest.rollout);
            }
        }
        *self.network.old.lock().unwrap_or_else(PoisonError::into_inner) = Some(served);
        let outcome = self.update("signed-0");
        *self.network.old.lock().unwrap_or_else(PoisonError::into_inner) = None;
        match outcome {
            Err(error) if is_untrusted(&error) => Ok(true),
            other => Err(format!("an older catalogue was offered: {other:?}")),
        }
    }

    fn update(&self, id: &str) -> Result<(), StoreError> {
        let mut options = EnsureOptions::default();
        (options.update, options.insist) = (true, true);
        self.store.ensure(Source::catalog(&self.catalog, id.parse()?)?, options)?.wait().map(drop)
    }

    /// Updates a model with nobody in the way; the release that it has then.
    pub fn undisturbed(&self, id: &str) -> Result<u64, String> {
        self.update(id).map_err(|error| format!("an update of {id}: {error}"))?;
        let list = self.store.list().map_err(|error| error.to_string())?;
        let found = list.iter().find(|model| model.id.as_str() == id && model.complete);
        found.map(|model| model.release).ok_or_else(|| format!("{id} was updated and is not there"))
    }
}

fn is_untrusted(error: &StoreError) -> bool {
    match error {
        StoreError::Shared(error) => is_untrusted(error),
        other => matches!(other, StoreError::Untrusted { .. }),
    }
}
