//! The publisher's side of the store: makes a folder that any static server can serve, and that devices trust.
//! docs/publishing.md is the manual. No phone has this crate.
//!
//! Everything can be done again: what is already as asked for is left as it is, so a publisher that was interrupted
//! starts anew. Files are written beside their place and renamed, those that others name first: a device that reads
//! meanwhile sees the old state or the new one. One publisher at a time.
//!
//! | module | what |
//! |---|---|
//! | [`key_files`] | keys as files that only their owner reads |
//! | [`roots`] | [`init`] and [`rotate`]: whose signatures count |
//! | [`releases`] | [`publish`] and [`retire`]: models |
//! | [`shares`] | [`set_rollout`]: to whom a release is offered |
//! | [`check`](mod@check) | [`check()`]: the folder as a device sees it |

pub mod check;
mod files;
mod folder;
pub mod key_files;
pub mod releases;
pub mod roots;
pub mod shares;

pub use check::{Checked, check};
pub use folder::{Outcome, sign_pending};
pub use key_files::{keygen, read_public_key, read_secret_key};
pub use releases::{Publication, PublishFile, Published, files_in, publish, retire};
pub use roots::{Roles, init, rotate};
pub use shares::{Share, renew, set_rollout};
