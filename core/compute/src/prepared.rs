//! Weights that a back end has prepared and keeps in a file: where, and what is said when that is not possible.
//!
//! Some back ends run on weights in an order of their own. Making it takes about as long as reading the model, and
//! in memory it is as large as the model; kept in a file it is made once and mapped like the model. Only the back end
//! knows what the file holds: it must notice by itself when the file is damaged or was made from other weights.

use std::fmt;
use std::path::PathBuf;

use inkling_gguf::Gguf;

/// What is added to a model's file name.
const SUFFIX: &str = ".inkling-panels";

/// Where prepared weights are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WeightCache {
    /// Nowhere: they are prepared at every load and held in memory.
    Off,
    /// Beside the model: `model.gguf.inkling-panels`.
    #[default]
    Beside,
    /// In this folder, which is made if need be. Models of the same file name take turns there, so give models that
    /// live in folders of their own such folders here too.
    Folder(PathBuf),
}

impl WeightCache {
    /// The file for the prepared weights of `model`; `None` if there is to be none, as for a model in memory.
    pub fn file(&self, model: &Gguf) -> Option<PathBuf> {
        let first = model.paths().next()?;
        let mut name = first.file_name()?.to_owned();
        name.push(SUFFIX);
        match self {
            Self::Off => None,
            Self::Beside => Some(first.with_file_name(name)),
            Self::Folder(folder) => Some(folder.join(name)),
        }
    }
}

/// What did not keep a model from being loaded, but costs something each time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadWarning {
    /// Prepared weights could not be written to a file: they are held in memory, and made again by the next load.
    WeightsNotKept {
        /// The file that was to hold them.
        path: PathBuf,
        /// Why it does not.
        why: String,
    },
    /// The file was damaged and has been made again, where [`LoadWarning::WeightsNotKept`] does not follow.
    WeightsDamaged {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        why: String,
    },
    /// The model's file is another than before with the same weights, which cannot be noted down: each load compares
    /// all of it.
    WeightsNotMarked {
        /// The file of the prepared weights.
        path: PathBuf,
        /// Why it cannot be written to.
        why: String,
    },
}

impl fmt::Display for LoadWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WeightsNotKept { path, why } => write!(
                f,
                "{} could not be written ({why}): the weights take memory that the system cannot take back, and the \
                 next load packs them again",
                path.display()
            ),
            Self::WeightsDamaged { path, why } => write!(f, "{} was damaged ({why}) and is made again", path.display()),
            Self::WeightsNotMarked { path, why } => write!(
                f,
                "{} cannot be marked as belonging to the model's file as it is now ({why}): each load reads the whole \
                 model to compare",
                path.display()
            ),
        }
    }
}

/// What [`crate::Backend::prepare`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Prepared {
    /// The file that loads will map; `None` if this back end needs none, or could not write it.
    pub file: Option<PathBuf>,
    /// Its bytes.
    pub bytes: u64,
    /// Whether it was made now, not found.
    pub made: bool,
    /// What went wrong.
    pub warnings: Vec<LoadWarning>,
}
