//! What the parent serves: files that are sound models for whoever reads their headers. Some never change, one of a hub is
//! replaced by a later version from time to time, and some are in a signed [`catalog`](super::catalog).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use inkling_gguf::{GgufWriter, TensorType};
use inkling_store::{Chunks, Digest, ModelId, Source};

use super::catalog::Catalog;
use crate::disk::Random;
use crate::server::Server;

/// A file.
#[derive(Clone)]
pub struct Served {
    /// The model that it is of.
    pub id: ModelId,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// Its path at the server.
    pub path: String,
    /// How it is cut, with digests where its publisher says them.
    pub chunks: Chunks,
}

impl Served {
    fn plain(id: &str, bytes: Vec<u8>, path: impl FnOnce(&Digest) -> String) -> Result<(Digest, Self), String> {
        let (digest, chunks) = (Digest::of(&bytes), Chunks::plain(bytes.len() as u64));
        let id = id.parse().map_err(|_| format!("{id} is no id"))?;
        Ok((digest, Self { id, bytes: bytes.into(), path: path(&digest), chunks }))
    }
}

/// All of them.
pub struct Models {
    /// By digest: all that is served, and what is not any more but may still be in the store.
    pub files: BTreeMap<Digest, Served>,
    /// The signed ones.
    pub catalog: Catalog,
    plain: Vec<Digest>,
    versions: Vec<Digest>,
    version: usize,
}

const REPO: &str = "o/r";
const FILE: &str = "changing.gguf";

impl Models {
    /// Files of about these sizes, and signed models of those; the catalogue is kept in `folder`.
    ///
    /// # Errors
    /// If none can be written.
    pub fn make(folder: &Path, sizes: &[u64], signed: &[u64], seed: u64) -> Result<Self, String> {
        let mut random = Random::new(seed);
        let (mut files, mut plain, mut versions) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (at, size) in sizes.iter().enumerate() {
            let bytes = gguf(&[random.bytes((size / 32 * 32) as usize)], "")?;
            let (digest, file) = Served::plain(&format!("model-{at}"), bytes, |_| format!("/model-{at}.gguf"))?;
            files.insert(digest, file);
            plain.push(digest);
        }
        for _ in 0..4 {
            let bytes = gguf(&[random.bytes(9 << 20)], "")?;
            let (digest, file) = Served::plain("changing", bytes, |digest| format!("/cdn/{digest}"))?;
            files.insert(digest, file);
            versions.push(digest);
        }
        let mut catalog = Catalog::make(folder, signed, seed)?;
        for at in 0..signed.len() {
            catalog.publish(at, &mut files)?;
        }
        Ok(Self { files, catalog, plain, versions, version: 0 })
    }

    /// Puts all on a server of the catalogue's folder.
    pub fn serve(&self, server: &Server) {
        for file in self.plain.iter().filter_map(|digest| self.files.get(digest)) {
            server.add(&file.path, Arc::clone(&file.bytes));
        }
        self.publish_version(server);
    }

    fn publish_version(&self, server: &Server) {
        if let Some(file) = self.versions.get(self.version).and_then(|digest| self.files.get(digest)) {
            server.add_hub(REPO, FILE, "main", None, Arc::clone(&file.bytes));
        }
    }

    /// Replaces the hub's by its next version.
    pub fn renew(&mut self, server: &Server) {
        self.version = (self.version + 1) % self.versions.len();
        self.publish_version(server);
    }

    /// Publishes the next release of a signed model, and forgets files that neither the catalogue nor the store has.
    pub fn release(&mut self, at: usize, stored: &BTreeSet<Digest>) -> Result<(), String> {
        self.catalog.publish(at, &mut self.files)?;
        let known: BTreeSet<&Digest> = self.plain.iter().chain(&self.versions).collect();
        let gone: Vec<Digest> =
            self.files.keys().filter(|file| !known.contains(file) && !self.catalog.has(file)).copied().collect();
        for file in gone {
            self.catalog.drop_file(&file);
            if !stored.contains(&file) {
                self.files.remove(&file);
            }
        }
        Ok(())
    }

    /// Ids of all models, and the most bytes that one of its files has.
    pub fn ids(&self) -> BTreeMap<ModelId, u64> {
        let mut ids = BTreeMap::new();
        for file in self.files.values() {
            let size = ids.entry(file.id.clone()).or_default();
            *size = file.bytes.len().max(*size as usize) as u64;
        }
        ids
    }

    /// What a child is told: where things are, and how many bytes they have together.
    ///
    /// # Errors
    /// If the root cannot be written.
    pub fn list(&self, server: &Server, folder: &Path) -> Result<String, String> {
        // The first one, as an app has it that was built long ago.
        let root = folder.join("root.json");
        std::fs::copy(self.catalog.folder.join("root/1.json"), &root).map_err(|error| error.to_string())?;
        let url = server.url("/catalog.json");
        let bytes: u64 = self.ids().values().sum();
        let mut list = format!("hub {}\nbytes {bytes}\ncatalog {url} {}\n", server.base(), root.display());
        let mut add = |source: Result<Source, inkling_store::StoreError>| {
            source.map(|source| list += &format!("source {source}\n")).map_err(|error| error.to_string())
        };
        add(Source::hub(REPO, FILE))?;
        for (digest, file) in self.plain.iter().filter_map(|digest| Some((digest, self.files.get(digest)?))) {
            add(Source::url(&server.url(&file.path), *digest, file.bytes.len() as u64))?;
        }
        for model in &self.catalog.models {
            add(Source::catalog(&url, model.id.clone()))?;
        }
        Ok(list)
    }

    /// Bytes sent of each.
    pub fn counts(&self, server: &Server) -> BTreeMap<Digest, u64> {
        self.files.iter().map(|(digest, file)| (*digest, server.count(&file.path).bytes)).collect()
    }
}

/// A file with these tensors and this template.
pub(super) fn gguf(tensors: &[Vec<u8>], template: &str) -> Result<Vec<u8>, String> {
    let write = || -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let mut writer = GgufWriter::new();
        writer.set("general.architecture", "test")?;
        writer.set("tokenizer.chat_template", template)?;
        for (at, tensor) in tensors.iter().enumerate() {
            writer.tensor(&format!("tensor-{at}"), TensorType::F32, &[tensor.len() as u64 / 4])?;
        }
        let mut data = writer.write_to(Vec::new())?;
        for tensor in tensors {
            data.push(tensor)?;
        }
        Ok(data.finish()?)
    };
    write().map_err(|error| error.to_string())
}
