//! The process that is killed: work on a store, first what it was told to do, then at random. It says a line before a
//! call and one after, and at each step between ([`watch`](super::watch)).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use inkling_base::CancelToken;
use inkling_gguf::Gguf;
use inkling_store::http::HttpTransport;
use inkling_store::seal::Sealed;
use inkling_store::slot::Why;
use inkling_store::store::{Download, EnsureOptions, Lent, Store, StoreConfig, TrustedCatalog};
use inkling_store::{DownloadEvent, ModelId, Role, Source, StoreError, SystemVfs};

use super::keys::Keys;
use super::watch::{Watch, WatchedFs, WatchedHttp, say};
use crate::disk::Random;

/// Works until it is killed. `first` is what it does at the beginning: calls with commas between them, or `tight` for a
/// small budget.
///
/// # Errors
/// What should not have happened.
pub fn run(store: &Path, list: &Path, seed: u64, first: &str) -> Result<(), String> {
    let watch = Arc::new(Watch::default());
    let mut random = Random::new(seed);
    let mut config = StoreConfig::new(store);
    config.vfs = Arc::new(WatchedFs::new(SystemVfs, Arc::clone(&watch)));
    config.transport = Arc::new(WatchedHttp(Arc::clone(&watch), HttpTransport::default()));
    config.net.backoff = Duration::from_millis(2);
    config.keep_free = 0;
    let (mut sources, mut bytes) = (BTreeMap::new(), 0);
    for line in std::fs::read_to_string(list).map_err(|error| error.to_string())?.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["hub", url] => config.net.hub = url.to_owned(),
            ["bytes", number] => bytes = number.parse().map_err(|_| "no number".to_owned())?,
            ["catalog", url, root] => {
                let root = std::fs::read(root).map_err(|error| error.to_string())?;
                config.catalogs.push(TrustedCatalog { url: url.to_owned(), root });
            }
            ["source", text] => {
                let source: Source = text.parse().map_err(|error: StoreError| error.to_string())?;
                sources.insert(source.model_id().map_err(|error| error.to_string())?, source);
            }
            _ => return Err(format!("the list says {line:?}")),
        }
    }
    // Often too little for all of them.
    config.budget = random.chance(50).then(|| bytes / 2 + random.below(bytes));
    let mut first: Vec<&str> = first.split(',').filter(|call| !call.is_empty()).collect();
    if first.first() == Some(&"tight") {
        config.budget = Some(bytes / 3);
        first.remove(0);
    }
    let store = Store::open(config).map_err(|error| format!("opening: {error}"))?;
    say("opened");
    let mut worker = Worker { store, watch, sources, random };
    for call in first {
        let (what, id) = call.split_once(' ').unwrap_or((call, ""));
        let id = id.parse().or_else(|_| worker.any())?;
        worker.work(what, &id)?;
    }
    say("free");
    loop {
        let what = match worker.random.below(100) {
            0..38 => "ensure",
            38..60 => "update",
            60..75 => "lend",
            75..82 => "verify",
            82..87 => "rollback",
            87..91 => "pin",
            91..96 => "gc",
            _ => "remove",
        };
        let id = worker.any()?;
        worker.work(what, &id)?;
    }
}

struct Worker {
    store: Store,
    watch: Arc<Watch>,
    sources: BTreeMap<ModelId, Source>,
    random: Random,
}

impl Worker {
    fn any(&mut self) -> Result<ModelId, String> {
        let index = self.random.index(self.sources.len());
        self.sources.keys().nth(index).cloned().ok_or_else(|| "there are no models".to_owned())
    }

    fn work(&mut self, what: &str, id: &ModelId) -> Result<(), String> {
        let source = self.sources.get(id).cloned().ok_or_else(|| format!("{id} has no source"))?;
        self.watch.begin(what, id);
        if let Err(error) = self.call(what, id, source) {
            judge(id, &error);
        }
        self.watch.done();
        Ok(())
    }

    fn call(&mut self, what: &str, id: &ModelId, source: Source) -> Result<(), StoreError> {
        let cancel = CancelToken::new();
        match what {
            "ensure" => {
                let download = self.store.ensure(source, EnsureOptions::default())?;
                self.follow(download, id)?;
            }
            "update" => {
                let mut options = EnsureOptions::default();
                (options.update, options.insist) = (true, self.random.chance(50));
                let download = self.store.ensure(source, options)?;
                self.follow(download, id)?;
            }
            "lend" => {
                let lent = self.store.lend(id, &cancel, &|_, _| self.watch.at("verify"))?;
                self.watch.at("load");
                load(&lent)?;
                for _ in 0..self.random.below(7) {
                    lent.good()?;
                }
                if self.random.chance(5) {
                    lent.bad(Why::WrongGolden)?;
                }
            }
            "verify" => {
                for (file, chunks) in self.store.verify(id, &cancel, &|_, _| {})?.damaged {
                    say(&format!("damaged {id} {file}: chunks {chunks:?}"));
                }
            }
            "rollback" => {
                let number = self.store.rollback(id)?;
                say(&format!("rolled {id} {number}"));
            }
            "pin" => {
                let pinned = self.random.chance(30);
                self.store.pin(id, pinned)?;
                say(&format!("pinned {id} {pinned}"));
            }
            "gc" => drop(self.store.gc(Duration::ZERO)?),
            _ => {
                self.store.remove(id)?;
                say(&format!("removed {id}"));
            }
        }
        Ok(())
    }

    /// Follows a download to its end, or stops it, or lets it go on by itself.
    fn follow(&mut self, mut download: Download, id: &ModelId) -> Result<(), StoreError> {
        if self.random.chance(12) {
            say(&format!("left {id}"));
            return Ok(());
        }
        loop {
            let event = match download.next_timeout(Duration::from_millis(5)) {
                None => {
                    if self.random.chance(1) {
                        download.cancel();
                    }
                    continue;
                }
                Some(event) => event?,
            };
            match event {
                None => return Ok(()),
                Some(DownloadEvent::Ready(_)) => {
                    say(&format!("ready {id}"));
                    return Ok(());
                }
                Some(DownloadEvent::Verifying { .. }) => self.watch.heard("verify"),
                Some(DownloadEvent::Activating) => self.watch.heard("activate"),
                Some(_) => {}
            }
        }
    }
}

/// What an engine does first: the header of a plain file, all of an encrypted one.
pub(super) fn load(lent: &Lent) -> Result<(), StoreError> {
    let Some((file, path)) = lent.file(Role::Weights) else { return Ok(()) };
    if file.sealed.is_some() {
        let opened = std::fs::File::open(path).map_err(StoreError::io("opening", path))?;
        return Sealed::open(opened, path, None, &Keys)?.read_to(&mut std::io::sink());
    }
    let unusable = |error| StoreError::Unusable { file: file.name.clone(), why: format!("{error}") };
    Gguf::open(path).map(drop).map_err(unusable)
}

/// Says an error that a healthy store does not have here, or that the parent has to judge.
fn judge(id: &ModelId, error: &StoreError) {
    match error {
        StoreError::Shared(error) => judge(id, error),
        StoreError::Untrusted { .. } => say(&format!("untrusted {id} {error}")),
        StoreError::Damaged { .. } | StoreError::Unusable { .. } => say(&format!("damaged {id} {error}")),
        StoreError::Full { .. }
        | StoreError::NotFound { .. }
        | StoreError::InUse { .. }
        | StoreError::Invalid { .. }
        | StoreError::Cancelled
        | StoreError::Fetch(_)
        | StoreError::Download { .. } => {}
        _ => say(&format!("broken {id}: {error}")),
    }
}
