//! Records: what is installed, what fits, what is used.

use inkling::store::{Fit, HandedOver, Installed, Loaded, Segments, Usage, Verified};

use crate::FfiHeader;

/// An installed model.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiInstalled {
    /// Its id.
    pub id: String,
    /// Where it comes from: the whole text, with the query of an address, which is not to be shown.
    pub source: String,
    /// The release that the next load takes.
    pub release: u64,
    /// Whether it has yet to prove itself.
    pub on_trial: bool,
    /// The release that a rollback would bring back.
    pub previous: Option<u64>,
    /// Bytes of its files.
    pub bytes: u64,
    /// Whether it is kept whatever happens.
    pub pinned: bool,
    /// When it was last loaded, in seconds since 1970; 0 if never.
    pub last_used: u64,
    /// Whether all files that it needs are there, as far as is known without reading them.
    pub complete: bool,
}

impl From<Installed> for FfiInstalled {
    fn from(model: Installed) -> Self {
        Self {
            id: model.id.into(),
            source: model.source.as_str().to_owned(),
            release: model.release,
            on_trial: model.on_trial,
            previous: model.previous,
            bytes: model.bytes,
            pinned: model.pinned,
            last_used: model.last_used,
            complete: model.complete,
        }
    }
}

/// Whether a model fits.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum FfiFit {
    /// It does.
    Yes {
        /// Bytes of memory that it needs.
        need_bytes: u64,
        /// Bytes that can be had, if somebody knows.
        have_bytes: Option<u64>,
        /// Bytes that remain to be downloaded.
        download_bytes: u64,
    },
    /// There is not enough memory.
    NoMemory {
        /// Bytes that it needs.
        need_bytes: u64,
        /// Bytes that can be had.
        have_bytes: u64,
        /// What would fit.
        suggestion: String,
    },
    /// There is not enough space on the disk.
    NoStorage {
        /// Bytes that it needs.
        need_bytes: u64,
        /// Bytes that can be had.
        have_bytes: u64,
        /// What would help.
        suggestion: String,
    },
}

impl From<Fit> for FfiFit {
    fn from(fit: Fit) -> Self {
        match fit {
            Fit::Yes { need_bytes, have_bytes, download_bytes } => Self::Yes { need_bytes, have_bytes, download_bytes },
            Fit::No { what: inkling::store::Short::Memory, need_bytes, have_bytes, suggestion } => {
                Self::NoMemory { need_bytes, have_bytes, suggestion }
            }
            Fit::No { what: inkling::store::Short::Storage, need_bytes, have_bytes, suggestion } => {
                Self::NoStorage { need_bytes, have_bytes, suggestion }
            }
        }
    }
}

/// A file with damaged chunks.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiDamaged {
    /// Its name.
    pub file: String,
    /// The chunks, counted from 0; none if the file is missing.
    pub chunks: Vec<u64>,
}

/// What became of a verification.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiVerified {
    /// Bytes read.
    pub bytes: u64,
    /// What is damaged; none if all is well.
    pub damaged: Vec<FfiDamaged>,
}

impl From<Verified> for FfiVerified {
    fn from(verified: Verified) -> Self {
        let damaged = verified.damaged.into_iter().map(|(file, chunks)| FfiDamaged { file, chunks });
        Self { bytes: verified.bytes, damaged: damaged.collect() }
    }
}

/// What takes how much, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiStoreUsage {
    /// Files of installed models.
    pub models: u64,
    /// What engines prepared from them.
    pub prepared: u64,
    /// Downloads that are not complete.
    pub downloads: u64,
    /// Files that no model needs, and damaged ones: a collection frees them.
    pub unused: u64,
    /// All of it.
    pub total: u64,
}

impl From<Usage> for FfiStoreUsage {
    fn from(usage: Usage) -> Self {
        let sum = |used: bool| usage.objects.iter().filter(|o| o.is_used == used).map(|o| o.bytes).sum::<u64>();
        Self {
            models: sum(true),
            prepared: usage.objects.iter().map(|object| object.panels).sum(),
            downloads: usage.staging,
            unused: sum(false) + usage.quarantine,
            total: usage.total,
        }
    }
}

/// A part of a file that is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiPart {
    /// The file, by its digest.
    pub file: String,
    /// Its first byte in the file.
    pub from: u64,
    /// Its bytes.
    pub length: u64,
    /// The address.
    pub url: String,
    /// Sent as they are; the answer must be a 206.
    pub headers: Vec<FfiHeader>,
}

/// What a model still needs.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiSegments {
    /// The model.
    pub id: String,
    /// None if all is there.
    pub parts: Vec<FfiPart>,
}

impl From<Segments> for FfiSegments {
    fn from(segments: Segments) -> Self {
        let part = |part: inkling::store::Part| FfiPart {
            file: part.file.to_string(),
            from: part.from,
            length: part.length,
            url: part.request.url,
            headers: part.request.headers.into_iter().map(|(name, value)| FfiHeader { name, value }).collect(),
        };
        Self { id: segments.id.into(), parts: segments.parts.into_iter().map(part).collect() }
    }
}

/// What became of a part that was handed over.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiHandedOver {
    /// Bytes of it that were new and right.
    pub bytes: u64,
    /// Models of which this was the last that they lacked: they are installed now.
    pub installed: Vec<String>,
}

impl From<HandedOver> for FfiHandedOver {
    fn from(handed: HandedOver) -> Self {
        Self { bytes: handed.bytes, installed: handed.installed.into_iter().map(String::from).collect() }
    }
}

/// A release that was given up while a model was loaded.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiGivenUp {
    /// The model.
    pub id: String,
    /// The release that is not used any more; `None` if the model could not be loaded this time, which says nothing about
    /// the next.
    pub release: Option<u64>,
    /// Why, in words.
    pub why: String,
}

/// Where a model from a store comes from.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiOrigin {
    /// Its id: another one than was asked for if a smaller one had to do.
    pub id: String,
    /// Its release.
    pub release: u64,
    /// Whether it has yet to prove itself.
    pub on_trial: bool,
    /// What was given up on the way: the app should know.
    pub given_up: Vec<FfiGivenUp>,
}

impl From<&Loaded> for FfiOrigin {
    fn from(loaded: &Loaded) -> Self {
        let given_up = loaded.given_up.iter().map(|given_up| FfiGivenUp {
            id: given_up.id.as_str().to_owned(),
            release: given_up.release.map(|release| release.from),
            why: given_up.why.clone(),
        });
        Self {
            id: loaded.id.as_str().to_owned(),
            release: loaded.release,
            on_trial: loaded.on_trial,
            given_up: given_up.collect(),
        }
    }
}
