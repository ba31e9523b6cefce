//! What a publisher signs: which keys count, which models there are, who gets which.
//!
//! ```text
//! root.json              which keys sign what, how many of them must       signed by the release keys, old and new
//! root/<version>.json    all of its versions
//! catalog.json           the models, their releases by digest              signed by the release keys, offline
//! rollout.json           to which share of devices each release is offered signed by the rollout keys, online
//! releases/<…>.json      one release: its files, their chunks, its tests   named in the catalogue by its digest
//! files/<sha256>         the files
//! ```
//!
//! A catalogue names each release by the digest of its document, so it stays small, and what one catalogue offers cannot
//! be mixed with what another does. The keys of `rollout.json` are on a server and will be stolen one day: all that they
//! can do is to offer a release that the release keys have signed to more or fewer devices.
//!
//! Everything here is bytes in, values out; what was already seen, and what that forbids, is kept by [`trust`](crate::trust).
//!
//! | module | what |
//! |---|---|
//! | [`envelope`] | a document with its signatures |
//! | [`keys`] | public and secret keys, and how many of which must sign |
//! | [`names`] | names and paths that are safe everywhere; paths into URLs |
//! | [`root`], [`catalog`], [`offers`], [`release`] | the documents |

pub mod catalog;
pub mod envelope;
pub mod keys;
pub mod names;
pub mod offers;
pub mod release;
pub mod root;

pub use catalog::{Catalog, CatalogModel, ReleaseRef};
pub use envelope::{Envelope, Kind};
pub use keys::{KeyId, Keyring, PublicKey, SecretKey};
pub use names::resolve;
pub use offers::{Offer, Offers};
pub use release::{ManifestFile, ReleaseManifest};
pub use root::Root;

use crate::StoreError;

/// The version of the format of all documents.
pub const FORMAT: u64 = 1;

fn untrusted(at: &str, why: impl Into<String>) -> StoreError {
    StoreError::Untrusted { at: at.to_owned(), why: why.into() }
}

/// Reads a document of a role from its payload.
fn read<'a, T: serde::Deserialize<'a>>(at: &str, bytes: &'a [u8], limit: u64) -> Result<T, StoreError> {
    if bytes.len() as u64 > limit {
        return Err(untrusted(at, format!("it has {} bytes; at most {limit} are read", bytes.len())));
    }
    serde_json::from_slice(bytes).map_err(|error| untrusted(at, error.to_string()))
}

/// Refuses documents of another format, and those that say that they cannot be used without something unknown.
fn check_format(at: &str, format: u64, needs: &[String]) -> Result<(), StoreError> {
    if format != FORMAT {
        return Err(untrusted(at, format!("its format is {format}, this version reads {FORMAT}")));
    }
    match needs.first() {
        Some(needed) => {
            let needed: String = needed.chars().take(60).collect();
            Err(untrusted(at, format!("it needs {needed:?}, which this version does not have")))
        }
        None => Ok(()),
    }
}
