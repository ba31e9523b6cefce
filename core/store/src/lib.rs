//! Where models come from: fetched over bad networks, checked, activated, updated, undone, evicted.
//!
//! What the store promises: a model that is listed as installed is complete and verified; a download survives a killed
//! process, a power loss, a full disk, a hostile or broken server, and goes on where it was; an update can be undone;
//! nothing outside the store's folder is touched.
//!
//! | module | what |
//! |---|---|
//! | [`id`], [`digest`], [`plan`] | names of models, of bytes; what a file will be |
//! | [`release`] | [`Release`]: a set of files with roles |
//! | [`vfs`] | [`Vfs`]: the file system, behind one trait; [`SystemVfs`] |
//! | [`slot`] | [`Slot`]: which release of a model is chosen, on trial, to fall back to |
//! | [`disk`] | [`Disk`]: the folder: objects, staging, slots, leases, budget |
//! | [`transport`] | [`Transport`]: the platform's own HTTP, behind one small trait |
//! | [`piece`] | [`fetch_piece`]: one range of a file, or an error that says why not |
//! | [`landing`] | [`Landing`]: where fetched chunks go |
//! | [`chunking`] | where a publisher cuts files, and what of a new one is there already |
//! | [`manifest`] | the documents that a publisher signs |
//! | [`trust`] | what was accepted, and what is therefore refused |
//! | [`rollout`] | which release a device gets |
//! | [`seal`] | files that are encrypted at rest |
//! | [`source`](mod@source) | [`Source`]: where a model comes from |
//! | [`net`] | [`Net`]: resolves, fetches, tries again |
//! | `http` | a transport for desktops (feature `http`) |
//! | [`store`] | [`Store`]: installs, lends, repairs, updates, evicts |
//! | [`download`] | what a download tells |
//! | [`error`] | [`StoreError`] |

pub mod chunking;
pub mod digest;
pub mod disk;
pub mod download;
pub mod error;
#[cfg(all(feature = "http", not(any(target_os = "ios", target_os = "android"))))]
pub mod http;
pub mod id;
pub mod landing;
pub mod manifest;
pub mod net;
pub mod piece;
pub mod plan;
pub mod release;
pub mod rollout;
pub mod seal;
pub mod slot;
pub mod source;
pub mod store;
pub mod transport;
pub mod trust;
pub mod vfs;

pub use digest::{Digest, Hasher, NoDigest};
pub use disk::{Disk, Lease, Object, Staging};
pub use download::{DownloadEvent, Transfer, WaitReason};
pub use error::StoreError;
pub use id::{ModelId, NoModelId};
pub use landing::Landing;
pub use net::Net;
pub use net::control::{Control, Gate};
pub use net::fetch::Traffic;
pub use net::hub::Resolved;
pub use net::meter::Meter;
pub use net::open::Address;
pub use net::options::NetOptions;
pub use net::segment::{Place, Segment, plan_segments, segment_request};
pub use piece::{FetchError, fetch_piece};
pub use plan::{CHUNK, Chunks, FilePlan};
pub use release::{Golden, Release, ReleaseFile, Role};
pub use seal::KeyProvider;
pub use slot::Slot;
pub use source::{HubFile, Source, SourceText};
pub use store::{Download, EnsureOptions, Store, StoreConfig};
pub use transport::{Body, Request, Response, Transport, TransportError};
pub use trust::TrustState;
pub use vfs::{Open, Stat, SystemVfs, Vfs, VfsFile};
