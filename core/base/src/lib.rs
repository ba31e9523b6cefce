//! What every crate shares, and nothing else: the stable [`ErrorKind`]s, the [`CancelToken`] and the [`Clock`].
//!
//! Anything that wants to become a "shared utility" belongs into the crate that needs it first. This crate
//! knows no other crate of the project and pulls in no dependency that a phone would notice.

mod cancel;
mod clock;
mod error;

pub use cancel::{CancelToken, Cancelled};
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{Classify, ErrorKind};
