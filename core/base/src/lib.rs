//! What every crate shares, and nothing else: the stable [`ErrorKind`]s, the [`CancelToken`], the [`Clock`]
//! and the device's [`Signals`].
//!
//! Anything that wants to become a "shared utility" belongs into the crate that needs it first. This crate
//! knows no other crate of the project and pulls in no dependency that a phone would notice.

mod cancel;
mod clock;
mod error;
mod signals;

pub use cancel::{CancelToken, Cancelled};
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{Classify, ErrorKind};
pub use signals::{Battery, Conditions, Heat, Network, Signals, SystemSignals, Thermal};
