//! What a download tells whoever watches it.

use std::fmt;
use std::time::Duration;

use crate::ModelId;

/// A step of a download. They come in this order, with [`DownloadEvent::Waiting`] anywhere between.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DownloadEvent {
    /// The source is asked what there is to fetch.
    Resolving,
    /// Nothing moves, for this reason; it goes on by itself, or when it is resumed.
    Waiting(WaitReason),
    /// Bytes come in.
    Downloading(Transfer),
    /// What is there is checked: bytes done and all.
    Verifying {
        /// Bytes checked.
        done: u64,
        /// Bytes to check.
        total: u64,
    },
    /// The model is tried, and takes its place.
    Activating,
    /// The model is installed under this id. Nothing follows.
    Ready(ModelId),
}

/// How far a transfer has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transfer {
    /// Bytes that are there, also from earlier, or have arrived in part of what is not whole yet.
    pub bytes: u64,
    /// Bytes of all files.
    pub total: u64,
    /// Bytes a second, over the last seconds; 0 if nothing is known yet.
    pub rate: f64,
    /// The time that the rest will take at this rate.
    pub remaining: Option<Duration>,
}

/// Why a download waits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitReason {
    /// Somebody paused it.
    Paused,
    /// There is no network.
    NoNetwork,
    /// The network costs money, and the download was told to wait for one that does not.
    Metered,
    /// Others come first.
    Queued,
    /// The server failed, and is asked again.
    Retrying {
        /// After this time.
        after: Duration,
        /// What failed.
        why: String,
    },
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => f.write_str("paused"),
            Self::NoNetwork => f.write_str("no network"),
            Self::Metered => f.write_str("waiting for a network that costs nothing"),
            Self::Queued => f.write_str("waiting for other downloads"),
            Self::Retrying { after, why } => write!(f, "trying again in {:.0} s: {why}", after.as_secs_f64()),
        }
    }
}
