//! Where a model comes from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use inkling_gguf::Gguf;

use crate::Error;

/// Where a model comes from. Bytes never pass through an app: a file is mapped.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ModelSource {
    /// A GGUF file, or any part of a split one.
    File(PathBuf),
    /// A GGUF inside the program.
    Static(&'static [u8]),
    /// A GGUF in memory, which goes when nobody uses it any more.
    Memory(Arc<Gguf>),
}

impl ModelSource {
    /// A GGUF file, or any part of a split one.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::File(path.as_ref().to_owned())
    }

    /// A GGUF in memory, which is copied if it does not begin at a multiple of 64 bytes.
    pub fn memory(bytes: Vec<u8>) -> Result<Self, Error> {
        Ok(Self::Memory(Arc::new(Gguf::from_vec(bytes)?)))
    }

    /// The file, for a model that is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Static(_) | Self::Memory(_) => None,
        }
    }

    /// Opens, checks and maps the file.
    pub(crate) fn open(&self) -> Result<Arc<Gguf>, Error> {
        Ok(Arc::new(match self {
            Self::File(path) => Gguf::open(path)?,
            Self::Static(bytes) => Gguf::from_static(bytes)?,
            Self::Memory(file) => return Ok(Arc::clone(file)),
        }))
    }
}
