//! Where the command line keeps models, if nobody says otherwise.

use std::path::{Path, PathBuf};

use inkling::ErrorKind;

use crate::output::Failure;

/// `inkling/store` in the folder where a user's programs keep their data.
pub(crate) fn default_folder() -> Result<PathBuf, Failure> {
    let data = std::env::var_os("XDG_DATA_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let data = data.or_else(|| std::env::home_dir().map(|home| home.join(".local/share")));
    let data = data.ok_or_else(|| {
        Failure::Engine(ErrorKind::invalid("store", "there is no home folder: name one with --store").into())
    })?;
    Ok(data.join("inkling/store"))
}

/// Whether there is a store in this folder.
pub(crate) fn exists(folder: &Path) -> bool {
    folder.join("v1").is_dir()
}
