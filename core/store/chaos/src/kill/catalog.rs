//! A signed catalogue in a folder, as a publisher keeps it: models with several releases of which each changes a little,
//! one of them encrypted. It is made with the store's own tools for publishers, because what is tried here is who reads it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use inkling_store::manifest::{Keyring, Kind, ReleaseManifest, SecretKey};
use inkling_store::{Chunks, Digest, ModelId, Role, StoreError};
use inkling_store_publish::{
    Publication, PublishFile, Published, Roles, Share, init, publish, retire, rotate, set_rollout,
};

use super::keys::Keys;
use super::models::{Served, gguf};
use crate::disk::Random;

const DAY: u64 = 86_400;
/// Releases of a model that are in the catalogue at a time.
const KEPT: usize = 3;
/// Tensors of a model; a release changes a tenth of them, and the template.
const TENSORS: usize = 20;

/// The documents of one moment.
#[derive(Clone)]
pub struct Documents {
    /// Its version.
    pub catalog_version: u64,
    /// Its version.
    pub rollout_version: u64,
    /// `catalog.json`.
    pub catalog: Arc<[u8]>,
    /// `rollout.json`.
    pub rollout: Arc<[u8]>,
}

/// A model of the catalogue.
pub struct Made {
    /// Its id.
    pub id: ModelId,
    /// The newest release.
    pub number: u64,
    /// Its weights.
    pub weights: Digest,
    /// Whether everybody is offered it.
    pub for_all: bool,
    is_sealed: bool,
    tensors: Vec<Vec<u8>>,
    releases: Vec<(u64, Vec<Digest>)>,
}

/// The publisher.
pub struct Catalog {
    /// What is served.
    pub folder: PathBuf,
    /// Its models.
    pub models: Vec<Made>,
    /// All that was ever served, oldest first.
    pub history: Vec<Documents>,
    sources: PathBuf,
    keys: Vec<SecretKey>,
    now: u64,
    roots: u64,
    random: Random,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Catalog {
    /// A catalogue of models with weights of about these sizes; every second one is encrypted.
    pub fn make(folder: &Path, sizes: &[u64], seed: u64) -> Result<Self, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(text)?.as_secs();
        let (mut random, keys) = (Random::new(seed ^ 0xca7a), vec![key(1), key(2), key(11)]);
        let mut models = Vec::new();
        for (at, size) in sizes.iter().enumerate() {
            let is_sealed = at % 2 == 1;
            let id = format!("{}-{at}", if is_sealed { "sealed" } else { "signed" }).parse().map_err(text)?;
            let length = (size / TENSORS as u64 / 32 * 32) as usize;
            let tensors = (0..TENSORS).map(|_| random.bytes(length)).collect();
            let (weights, releases) = (Digest::of(b""), Vec::new());
            models.push(Made { id, number: 0, weights, for_all: true, is_sealed, tensors, releases });
        }
        let (folder, sources) = (folder.join("served"), folder.join("sources"));
        std::fs::create_dir_all(&sources).map_err(text)?;
        let history = Vec::new();
        let catalog = Self { folder, models, history, sources, keys, now, roots: 0, random };
        init(&catalog.folder, &catalog.roles().map_err(text)?, &catalog.keys).map_err(text)?;
        Ok(catalog)
    }

    fn roles(&self) -> Result<Roles, StoreError> {
        Ok(Roles {
            release: Keyring::new(vec![key(1).public(), key(2).public()], 2)?,
            rollout: Some(Keyring::new(vec![key(11).public()], 1)?),
            expires: self.now + (1000 + self.roots) * DAY,
        })
    }

    /// Publishes the next release of a model, offered to all or to every second device, and retires an old one. Its files
    /// are added to `files`.
    pub fn publish(&mut self, at: usize, files: &mut BTreeMap<Digest, Served>) -> Result<(), String> {
        let model = &mut self.models[at];
        // Everybody gets a first one.
        let for_all = model.number == 0 || self.random.chance(85);
        if model.number > 0 {
            for _ in 0..TENSORS / 10 {
                let index = self.random.index(TENSORS);
                model.tensors[index] = self.random.bytes(model.tensors[index].len());
            }
        }
        model.number += 1;
        let sources = self.sources.join(model.id.as_str());
        std::fs::create_dir_all(&sources).map_err(text)?;
        let template = "x".repeat(self.random.index(200));
        let template = format!("{{# release {} {template} #}}", model.number);
        let weights = sources.join("weights.gguf");
        std::fs::write(&weights, gguf(&model.tensors, &template)?).map_err(text)?;
        std::fs::write(sources.join("chat.jinja"), &template).map_err(text)?;
        let mut parts = vec![(Role::Weights, weights, true), (Role::Template, sources.join("chat.jinja"), true)];
        if !model.is_sealed {
            // The same in each release.
            let adapter = sources.join("lora.gguf");
            std::fs::write(&adapter, vec![7; 700_000]).map_err(text)?;
            parts.push((Role::Adapter, adapter, false));
        }
        let parts = parts.into_iter().map(|(role, path, required)| PublishFile { role, path, required }).collect();
        let what = Publication {
            folder: &self.folder,
            model: model.id.clone(),
            number: model.number,
            files: parts,
            floor: 0,
            ram_min: 0,
            sdk_min: String::new(),
            golden: Vec::new(),
            least_speed: 0.0,
            seal: model.is_sealed.then_some(("chaos", &Keys)),
            keys: &self.keys,
            basis_points: if for_all { 10_000 } else { 5_000 },
            catalog_expires: self.now + 90 * DAY,
            rollout_expires: self.now + 14 * DAY,
            now: self.now,
        };
        let published = publish(&what).map_err(text)?;
        let manifest = self.manifest(at, &published)?;
        let model = &mut self.models[at];
        (model.for_all, model.weights) = (for_all, manifest.files[0].plan.sha256);
        model.releases.push((model.number, manifest.files.iter().map(|file| file.plan.sha256).collect()));
        for file in &manifest.files {
            let bytes = std::fs::read(self.folder.join(&file.path)).map_err(text)?;
            let path = format!("/{}", file.path);
            let chunks: Chunks = file.plan.chunks.clone();
            files.insert(file.plan.sha256, Served { id: model.id.clone(), bytes: bytes.into(), path, chunks });
        }
        if self.models[at].releases.len() > KEPT {
            let model = &mut self.models[at];
            let (number, _) = model.releases.remove(0);
            retire(&self.folder, &model.id, number, &self.keys, (self.now + 90 * DAY, self.now)).map_err(text)?;
        }
        self.remember()
    }

    fn manifest(&self, at: usize, published: &Published) -> Result<ReleaseManifest, String> {
        let bytes = std::fs::read(self.folder.join(&published.release.path)).map_err(text)?;
        ReleaseManifest::read(&self.models[at].id, &published.release, &bytes).map_err(text)
    }

    /// Changes to whom the newest release of a model is offered: nobody new, or all.
    pub fn offer(&mut self, at: usize) -> Result<(), String> {
        let halted = self.random.chance(30);
        let model = &mut self.models[at];
        model.for_all = !halted;
        let share = Share { basis_points: Some(10_000), halted: Some(halted), seed: None };
        let times = (self.now + 14 * DAY, self.now);
        set_rollout(&self.folder, (&model.id, model.number), &share, &self.keys, times).map_err(text)?;
        self.remember()
    }

    /// The next root, which only lives longer.
    pub fn rotate(&mut self) -> Result<(), String> {
        self.roots += 1;
        rotate(&self.folder, &self.roles().map_err(text)?, &self.keys).map(drop).map_err(text)
    }

    fn remember(&mut self) -> Result<(), String> {
        let read = |kind: Kind| -> Result<(u64, Arc<[u8]>), String> {
            let bytes = std::fs::read(self.folder.join(kind.file())).map_err(text)?;
            let envelope = inkling_store::manifest::Envelope::read(kind, &bytes).map_err(text)?;
            let payload: serde_json::Value = serde_json::from_slice(envelope.payload()).map_err(text)?;
            Ok((payload["version"].as_u64().ok_or("no version")?, bytes.into()))
        };
        let ((catalog_version, catalog), (rollout_version, rollout)) = (read(Kind::Catalog)?, read(Kind::Rollout)?);
        self.history.push(Documents { catalog_version, rollout_version, catalog, rollout });
        Ok(())
    }

    /// Whether a file belongs to a release that is in the catalogue.
    pub fn has(&self, file: &Digest) -> bool {
        self.models.iter().flat_map(|model| &model.releases).any(|(_, files)| files.contains(file))
    }

    /// Removes a file that no release has any more.
    pub fn drop_file(&self, file: &Digest) {
        // If it stays, it only takes room.
        let _ = std::fs::remove_file(self.folder.join("files").join(file.to_string()));
    }
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}
