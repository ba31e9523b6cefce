//! What is to be installed, once its source has said what it has: a release, and where each file's bytes come from.

use std::path::PathBuf;

use crate::net::open::Address;
use crate::{Digest, FilePlan, Release, ReleaseFile};

/// A release to be installed.
pub(crate) struct Wanted {
    pub(crate) release: Release,
    /// How each of the release's files is had, in its order.
    pub(crate) files: Vec<WantedFile>,
}

/// A file to be installed.
pub(crate) struct WantedFile {
    pub(crate) file: ReleaseFile,
    pub(crate) plan: FilePlan,
    pub(crate) from: From,
}

/// Where its bytes come from.
pub(crate) enum From {
    /// A server.
    Net(Address),
    /// A file on this machine.
    Local(PathBuf),
}

impl Wanted {
    /// Digests of all files.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        self.files.iter().map(|file| file.plan.sha256).collect()
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.plan.size))
    }
}
