//! `releases/<…>.json`: one release, its files, their chunks, and what it must say before it is trusted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::catalog::ReleaseRef;
use super::names::{check_name, check_path, folded};
use super::{check_format, untrusted};
use crate::plan::LARGEST_FILE;
use crate::seal::is_key_id;
use crate::{Chunks, Digest, FilePlan, Golden, ModelId, Release, ReleaseFile, Role, StoreError};

/// The most bytes of a release's document: the chunks of some 400 GiB.
pub const LARGEST_RELEASE: u64 = 32 << 20;
const MOST_FILES: usize = 32;
const MOST_GOLDEN: usize = 64;
const MOST_TOKENS: usize = 4096;
const LONGEST_PROMPT: usize = 64 << 10;
const LONGEST_TEXT: usize = 100;
/// No publisher cuts finer than this on the average, but for the few chunks of a header.
const LEAST_CHUNK: u64 = 16 << 10;

/// A release and how its files are had.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseManifest {
    /// The model.
    pub model: ModelId,
    /// The release, as slots keep it.
    pub release: Release,
    /// For each of the release's files, in the same order.
    pub files: Vec<ManifestFile>,
}

/// How a file is had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// Where it is, from where the catalogue is; for [`resolve`](super::resolve).
    pub path: String,
    /// Its size, digest and chunks, whose digests are known.
    pub plan: FilePlan,
}

#[derive(Serialize, Deserialize)]
struct Document {
    format: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    needs: Vec<String>,
    model: ModelId,
    number: u64,
    #[serde(default)]
    floor: u64,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    ram_min: u64,
    #[serde(default)]
    sdk_min: String,
    #[serde(default)]
    least_speed: f64,
    #[serde(default)]
    golden: Vec<Golden>,
    files: Vec<File>,
}

#[derive(Serialize, Deserialize)]
struct File {
    role: Role,
    name: String,
    #[serde(default = "yes")]
    required: bool,
    path: String,
    size: u64,
    sha256: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
    chunks: Wire,
}

/// Lengths and digests of chunks, in order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    lengths: Vec<u32>,
    sha256: Vec<Digest>,
}

fn yes() -> bool {
    true
}

impl ReleaseManifest {
    /// From the bytes of the document that a catalogue names.
    ///
    /// # Errors
    /// [`StoreError::Untrusted`] if these are not the bytes that were signed for, or if what they say makes no sense.
    pub fn read(model: &ModelId, named: &ReleaseRef, bytes: &[u8]) -> Result<Self, StoreError> {
        let at = &named.path;
        if bytes.len() as u64 != named.size || Digest::of(bytes) != named.sha256 {
            return Err(untrusted(at, "it is not the document that the catalogue names"));
        }
        let document: Document = super::read(at, bytes, LARGEST_RELEASE)?;
        check_format(at, document.format, &document.needs)?;
        if document.model != *model || document.number != named.number || document.sdk_min != named.sdk_min {
            return Err(untrusted(at, "it is of another model, number or version than the catalogue says"));
        }
        Self::of(document).map_err(|why| untrusted(at, why))
    }

    /// As it is published.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for what [`ReleaseManifest::read`] would refuse.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StoreError> {
        let invalid = |why: String| StoreError::Invalid { field: "release", why };
        let file = |(file, had): (&ReleaseFile, &ManifestFile)| {
            let chunks = &had.plan.chunks;
            File {
                role: file.role,
                name: file.name.clone(),
                required: file.required,
                path: had.path.clone(),
                size: file.size,
                sha256: file.sha256,
                sealed: file.sealed.clone(),
                chunks: Wire {
                    // No chunk is longer than a MiB.
                    lengths: (0..chunks.len()).map(|index| chunks.range(index).1 as u32).collect(),
                    sha256: (0..chunks.len()).filter_map(|index| chunks.digest(index)).collect(),
                },
            }
        };
        let release = &self.release;
        let document = Document {
            format: super::FORMAT,
            needs: Vec::new(),
            model: self.model.clone(),
            number: release.number,
            floor: release.floor,
            architecture: release.architecture.clone(),
            ram_min: release.ram_min,
            sdk_min: release.sdk_min.clone(),
            least_speed: release.least_speed,
            golden: release.golden.clone(),
            files: release.files.iter().zip(&self.files).map(file).collect(),
        };
        let bytes = serde_json::to_vec(&document).map_err(|error| invalid(error.to_string()))?;
        let again = Self::of(document).map_err(invalid)?;
        if again == *self && bytes.len() as u64 <= LARGEST_RELEASE {
            return Ok(bytes);
        }
        Err(invalid("plans and files do not belong together, or are too many".to_owned()))
    }

    fn of(document: Document) -> Result<Self, String> {
        check_document(&document)?;
        let mut release = Release {
            number: document.number,
            floor: document.floor,
            architecture: document.architecture,
            ram_min: document.ram_min,
            sdk_min: document.sdk_min,
            files: Vec::with_capacity(document.files.len()),
            golden: document.golden,
            least_speed: document.least_speed,
        };
        let mut files = Vec::with_capacity(document.files.len());
        for file in document.files {
            let chunks =
                file.chunks.read(file.size).ok_or_else(|| format!("{}: its chunks make no sense", file.name))?;
            files.push(ManifestFile {
                path: file.path,
                plan: FilePlan { sha256: file.sha256, size: file.size, chunks },
            });
            release.files.push(ReleaseFile {
                role: file.role,
                name: file.name,
                required: file.required,
                size: file.size,
                sha256: file.sha256,
                sealed: file.sealed,
            });
        }
        Ok(Self { model: document.model, release, files })
    }
}

impl Wire {
    fn read(self, size: u64) -> Option<Chunks> {
        let most = size / LEAST_CHUNK + 4096;
        if self.lengths.len() as u64 > most || self.sha256.len() != self.lengths.len() {
            return None;
        }
        // Fewer than 2^32 lengths below 2^32.
        let end = |end: &mut u64, length: u32| {
            *end += u64::from(length);
            Some(*end)
        };
        Chunks::new(size, self.lengths.into_iter().scan(0, |at, length| end(at, length)).collect(), self.sha256)
    }
}

/// Characters of a prompt that an error shows.
const SHOWN: usize = 60;

fn check_document(document: &Document) -> Result<(), String> {
    let no = |why: &str| Err(why.to_owned());
    if document.number == 0 {
        return no("releases are counted from 1");
    }
    if document.floor > document.number {
        return no("its floor is above itself");
    }
    if document.architecture.len() > LONGEST_TEXT || document.architecture.chars().any(char::is_control) {
        return no("its architecture is no name");
    }
    check_version(&document.sdk_min)?;
    if !document.least_speed.is_finite() || document.least_speed < 0.0 {
        return no("its least speed is no speed");
    }
    if document.golden.len() > MOST_GOLDEN {
        return Err(format!("it has {} golden prompts, at most {MOST_GOLDEN} are possible", document.golden.len()));
    }
    document.golden.iter().try_for_each(check_golden)?;
    check_files(&document.files)
}

fn check_golden(golden: &Golden) -> Result<(), String> {
    let tokens = golden.tokens.len();
    let why = match golden.prompt.len() {
        bytes if bytes > LONGEST_PROMPT => format!("has {bytes} bytes, at most {LONGEST_PROMPT} are possible"),
        _ if tokens == 0 => "has an answer without tokens: choose one that the model answers".to_owned(),
        _ if tokens > MOST_TOKENS => format!("has an answer of {tokens} tokens, at most {MOST_TOKENS} are possible"),
        _ => return Ok(()),
    };
    Err(format!("its golden prompt {} {why}", shown(&golden.prompt)))
}

/// The beginning of a prompt, in quotes.
fn shown(prompt: &str) -> String {
    let start: String = prompt.chars().take(SHOWN).collect();
    if start.len() < prompt.len() { format!("{:?}", start + "…") } else { format!("{start:?}") }
}

fn check_files(files: &[File]) -> Result<(), String> {
    if files.len() > MOST_FILES {
        return Err(format!("it has {} files, at most {MOST_FILES} are possible", files.len()));
    }
    let weights: Vec<_> = files.iter().filter(|file| file.role == Role::Weights).collect();
    if weights.len() != 1 || !weights[0].required {
        return Err(format!("it has {} files of weights; exactly one is needed, and required", weights.len()));
    }
    let (mut names, mut total) = (BTreeSet::new(), 0_u64);
    for file in files {
        let shown: String = file.name.chars().take(100).collect();
        let no = |why: &str| Err(format!("{shown:?}: {why}"));
        check_name(&file.name).or_else(no)?;
        check_path(&file.path).or_else(no)?;
        if !names.insert(folded(&file.name)) {
            return no("two files have this name, perhaps in other letters");
        }
        if file.size == 0 || file.size > LARGEST_FILE {
            return no(&format!("its size is {} bytes", file.size));
        }
        // At most 32 files below 2^40.
        total += file.size;
        if file.sealed.as_deref().is_some_and(|key| !is_key_id(key)) {
            return no("its key has no name");
        }
    }
    if total > LARGEST_FILE { Err(format!("its files have {total} bytes together")) } else { Ok(()) }
}

/// Empty, or three numbers with dots between them.
pub(super) fn check_version(version: &str) -> Result<(), &'static str> {
    let sound = version.is_empty() || crate::rollout::version_numbers(version).is_some();
    if sound { Ok(()) } else { Err("sdk_min is three numbers as 0.1.0, or nothing") }
}
