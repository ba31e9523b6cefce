//! Releases of models.

use std::path::{Path, PathBuf};

use inkling_gguf::Gguf;

use super::files::place;
use super::folder::{Folder, Outcome, read, write};
use super::shares::{add_offer, lasts};
use inkling_store::manifest::offers::ALL;
use inkling_store::manifest::release::LARGEST_RELEASE;
use inkling_store::manifest::{
    Catalog, CatalogModel, FORMAT, Kind, ManifestFile, ReleaseManifest, ReleaseRef, Root, SecretKey,
};
use inkling_store::seal::KeyProvider;
use inkling_store::{Digest, Golden, ModelId, Release, ReleaseFile, Role, StoreError};

/// A file to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishFile {
    /// What it is for.
    pub role: Role,
    /// Where it is.
    pub path: PathBuf,
    /// Whether the model works without it.
    pub required: bool,
}

/// A release to be published.
pub struct Publication<'a> {
    /// The folder that is served; it has a root.
    pub folder: &'a Path,
    /// The model.
    pub model: ModelId,
    /// The release: greater than those before. A number is never used for something else.
    pub number: u64,
    /// Its files.
    pub files: Vec<PublishFile>,
    /// Once this release is proven on a device, none below this is ever taken there again.
    pub floor: u64,
    /// Bytes of memory below which it is not worth trying; 0 for any.
    pub ram_min: u64,
    /// The oldest version of the engine that can run it; empty for any.
    pub sdk_min: String,
    /// What it must say before it is trusted.
    pub golden: Vec<Golden>,
    /// Tokens per second below which it is too slow to be taken; 0 for any.
    pub least_speed: f64,
    /// Encrypts the files with the key of this name.
    pub seal: Option<(&'a str, &'a dyn KeyProvider)>,
    /// Secret keys: those of the release role, and of the rollout role if there is one. Others are ignored.
    pub keys: &'a [SecretKey],
    /// To how many of ten thousand devices it is offered at first, where there are rollouts.
    pub basis_points: u32,
    /// When the catalogue expires, in seconds since 1970.
    pub catalog_expires: u64,
    /// When the rollout expires.
    pub rollout_expires: u64,
    /// The time.
    pub now: u64,
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The release, as the catalogue names it.
    pub release: ReleaseRef,
    /// The catalogue.
    pub catalog: Outcome,
    /// The rollout; `None` without rollout keys.
    pub rollout: Option<Outcome>,
    /// Bytes that a device without any of it fetches.
    pub bytes: u64,
}

/// The files of a folder, with roles that their names and contents suggest: `mmproj`, `lora` or `adapter`, `draft`; what
/// ends in `.jinja` is a template; the rest is the weights, of which there must be one.
pub fn files_in(folder: &Path) -> Result<Vec<PublishFile>, StoreError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(StoreError::io("reading", folder))? {
        let path = entry.map_err(StoreError::io("reading", folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let gguf = name.ends_with(".gguf");
        let role = match () {
            () if !path.is_file() || name.starts_with('.') => continue,
            () if name.ends_with(".jinja") => Role::Template,
            () if gguf && name.contains("mmproj") => Role::Projector,
            () if gguf && (name.contains("lora") || name.contains("adapter")) => Role::Adapter,
            () if gguf && name.contains("draft") => Role::Draft,
            () if gguf => Role::Weights,
            () => continue,
        };
        files.push(PublishFile { role, path, required: matches!(role, Role::Weights | Role::Template) });
    }
    files.sort_by(|a, b| (a.role, &a.path).cmp(&(b.role, &b.path)));
    Ok(files)
}

/// Publishes a release: copies its files, writes its document, and signs a catalogue that names it, and where there are
/// rollout keys a rollout that offers it. A release that is there already is left as it is, its share too.
pub fn publish(what: &Publication<'_>) -> Result<Published, StoreError> {
    let here = Folder(what.folder);
    let (root, _) = here.root()?;
    if what.basis_points > ALL {
        let why = "a share is at most 10,000 basis points".to_owned();
        return Err(StoreError::Invalid { field: "basis_points", why });
    }
    let manifest = manifest(what)?;
    let bytes = manifest.to_bytes()?;
    let named = ReleaseRef {
        number: what.number,
        sdk_min: what.sdk_min.clone(),
        path: format!("releases/{}-{}.json", what.model, what.number),
        size: bytes.len() as u64,
        sha256: Digest::of(&bytes),
    };
    let document = what.folder.join(&named.path);
    // A number that meant something else must not mean this for those who have seen it.
    if read(&document, LARGEST_RELEASE)?.is_some_and(|there| there != bytes) {
        let why = format!("release {} of {} is there already and is another one", what.number, what.model);
        return Err(StoreError::Invalid { field: "number", why });
    }
    write(&document, &bytes)?;
    let add = |catalog: &mut Catalog| {
        let known = catalog.models.iter_mut().find(|model| model.id == what.model);
        match known {
            Some(model) if model.releases.contains(&named) => {}
            Some(model) => model.releases.push(named.clone()),
            None => catalog.models.push(CatalogModel { id: what.model.clone(), releases: vec![named.clone()] }),
        }
    };
    let catalog = edit_catalog(&here, &root, what.keys, (what.catalog_expires, what.now), add)?;
    let rollout = add_offer(&here, &root, what)?;
    Ok(Published { release: named, catalog, rollout, bytes: manifest.release.size() })
}

/// Takes a release out of the catalogue. Devices that have it keep it; its files can be removed from the folder once no
/// served catalogue names them.
pub fn retire(
    folder: &Path,
    model: &ModelId,
    number: u64,
    keys: &[SecretKey],
    (expires, now): (u64, u64),
) -> Result<Outcome, StoreError> {
    let here = Folder(folder);
    let (root, _) = here.root()?;
    edit_catalog(&here, &root, keys, (expires, now), |catalog| {
        for found in catalog.models.iter_mut().filter(|found| found.id == *model) {
            found.releases.retain(|release| release.number != number);
        }
    })
}

/// Makes the next catalogue if `edit` changes it or if it would expire too soon.
pub(super) fn edit_catalog(
    here: &Folder<'_>,
    root: &Root,
    keys: &[SecretKey],
    (expires, now): (u64, u64),
    edit: impl FnOnce(&mut Catalog),
) -> Result<Outcome, StoreError> {
    let envelope = here.envelope(Kind::Catalog)?;
    let old = here.catalog()?;
    let nothing = Catalog { format: FORMAT, needs: Vec::new(), version: 0, expires, models: Vec::new() };
    let mut new = old.clone().unwrap_or(nothing);
    edit(&mut new);
    let signed = envelope.is_some_and(|envelope| envelope.verify("", &root.release).is_ok());
    let lives = signed && new.version >= root.catalog_floor && lasts(new.expires, expires, now);
    if lives && old.as_ref() == Some(&new) {
        return Ok(Outcome::Unchanged);
    }
    new.version = new.version.saturating_add(1).max(root.catalog_floor).max(1);
    new.expires = expires;
    new.check().map_err(|why| StoreError::Invalid { field: "catalog", why })?;
    here.put(Kind::Catalog, new.version, &new, &[&root.release], keys)
}

fn manifest(what: &Publication<'_>) -> Result<ReleaseManifest, StoreError> {
    let mut release = Release {
        number: what.number,
        floor: what.floor,
        architecture: String::new(),
        ram_min: what.ram_min,
        sdk_min: what.sdk_min.clone(),
        files: Vec::new(),
        golden: what.golden.clone(),
        least_speed: what.least_speed,
    };
    let mut files = Vec::new();
    for file in &what.files {
        let name = file.path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
            let why = format!("{} has no name that is text", file.path.display());
            StoreError::Invalid { field: "files", why }
        })?;
        if file.role == Role::Weights {
            let unusable =
                |error: &dyn std::fmt::Display| StoreError::Unusable { file: name.to_owned(), why: error.to_string() };
            let gguf = Gguf::open(&file.path).map_err(|error| unusable(&error))?;
            if gguf.paths().count() > 1 {
                return Err(unusable(&"it is split in parts: join them first"));
            }
            let architecture = gguf.metadata().require_str("general.architecture");
            release.architecture = architecture.map_err(|error| unusable(&error))?.to_owned();
        }
        let (path, plan) = place(what.folder, &file.path, what.seal)?;
        release.files.push(ReleaseFile {
            role: file.role,
            name: name.to_owned(),
            required: file.required,
            size: plan.size,
            sha256: plan.sha256,
            sealed: what.seal.map(|(key, _)| key.to_owned()),
        });
        files.push(ManifestFile { path, plan });
    }
    Ok(ReleaseManifest { model: what.model.clone(), release, files })
}
