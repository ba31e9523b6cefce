//! A download, pulled by its watcher: progress that nobody read in time is left out.

use std::future::poll_fn;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use inkling::ErrorKind;
use inkling::store::{Download, DownloadEvent, WaitReason};

use crate::FfiError;
use crate::guard::{guard, guard_poll};
use crate::stream::{Reading, block_on};

/// Why a download waits.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum FfiWait {
    /// Somebody paused it.
    Paused,
    /// There is no network.
    NoNetwork,
    /// The network costs money.
    Metered,
    /// Others come first.
    Queued,
    /// The server failed and is asked again.
    Retrying {
        /// What failed.
        why: String,
    },
    /// Another reason.
    Other {
        /// In words.
        why: String,
    },
}

/// A step of a download.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum FfiDownloadEvent {
    /// The source is asked.
    Resolving,
    /// Nothing moves.
    Waiting {
        /// Why.
        reason: FfiWait,
    },
    /// Bytes come in.
    Downloading {
        /// Bytes that have arrived, also earlier.
        bytes: u64,
        /// Bytes of all files.
        total: u64,
        /// Bytes a second.
        rate: f64,
        /// Seconds that the rest will take.
        remaining_seconds: Option<f64>,
    },
    /// What is there is checked.
    Verifying {
        /// Bytes checked.
        done: u64,
        /// Bytes to check.
        total: u64,
    },
    /// The model takes its place.
    Activating,
    /// It is installed. Nothing follows.
    Ready {
        /// Under this id.
        id: String,
    },
}

impl FfiDownloadEvent {
    /// `None` for what this version has no word for.
    fn of(event: DownloadEvent) -> Option<Self> {
        Some(match event {
            DownloadEvent::Resolving => Self::Resolving,
            DownloadEvent::Waiting(reason) => Self::Waiting { reason: reason.into() },
            DownloadEvent::Downloading(transfer) => Self::Downloading {
                bytes: transfer.bytes,
                total: transfer.total,
                rate: transfer.rate,
                remaining_seconds: transfer.remaining.map(|rest| rest.as_secs_f64()),
            },
            DownloadEvent::Verifying { done, total } => Self::Verifying { done, total },
            DownloadEvent::Activating => Self::Activating,
            DownloadEvent::Ready(id) => Self::Ready { id: id.as_str().to_owned() },
            _ => return None,
        })
    }
}

impl From<WaitReason> for FfiWait {
    fn from(reason: WaitReason) -> Self {
        match reason {
            WaitReason::Paused => Self::Paused,
            WaitReason::NoNetwork => Self::NoNetwork,
            WaitReason::Metered => Self::Metered,
            WaitReason::Queued => Self::Queued,
            WaitReason::Retrying { why, .. } => Self::Retrying { why },
            other => Self::Other { why: other.to_string() },
        }
    }
}

/// A download. Dropping it changes nothing: it belongs to its store.
#[derive(Debug, uniffi::Object)]
pub struct FfiDownload {
    watched: Mutex<Download>,
    /// Of the same download, for those who do not wait.
    handle: Download,
    reading: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// Whoever waits on a handle.
#[derive(Debug, Default)]
struct Waiting {
    left: bool,
    waker: Option<Waker>,
}

#[uniffi::export]
impl FfiDownload {
    /// The id of the model.
    pub fn id(&self) -> Result<String, FfiError> {
        guard(|| Ok(self.handle.id().as_str().to_owned()))
    }

    /// Waits for the next event; `None` after the last. Fails with why the download failed, once; with `Busy` while
    /// another call waits.
    pub async fn next(&self) -> Result<Option<FfiDownloadEvent>, FfiError> {
        let _reading = Reading::begin(&self.reading)?;
        poll_fn(|context| guard_poll(|| self.poll(context))).await
    }

    /// As [`FfiDownload::next`], but blocks its thread.
    pub fn wait(&self) -> Result<Option<FfiDownloadEvent>, FfiError> {
        guard(|| {
            let _reading = Reading::begin(&self.reading)?;
            block_on(|context| self.poll(context))
        })
    }

    /// Ends the waiting on this handle, now and later, with `Cancelled`. The download goes on. For languages in which
    /// whoever waits for a future cannot let go of it.
    pub fn leave(&self) -> Result<(), FfiError> {
        guard(|| {
            let waker = {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.left = true;
                waiting.waker.take()
            };
            // Not under the lock: the waker may be anybody's code.
            waker.into_iter().for_each(Waker::wake);
            Ok(())
        })
    }

    /// Another handle on the same download, which hears all steps from the beginning.
    pub fn again(&self) -> Result<Arc<FfiDownload>, FfiError> {
        guard(|| Ok(Self::new(self.handle.again())))
    }

    /// Stops it until it is resumed; what has arrived stays.
    pub fn pause(&self) -> Result<(), FfiError> {
        guard(|| {
            self.handle.pause();
            Ok(())
        })
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<(), FfiError> {
        guard(|| {
            self.handle.resume();
            Ok(())
        })
    }

    /// Ends it with `Cancelled`. What has arrived stays, so that asking again goes on there.
    pub fn cancel(&self) -> Result<(), FfiError> {
        guard(|| {
            self.handle.cancel();
            Ok(())
        })
    }
}

impl FfiDownload {
    pub(super) fn new(download: Download) -> Arc<Self> {
        let (handle, watched) = (download.again(), Mutex::new(download));
        Arc::new(Self { watched, handle, reading: AtomicBool::new(false), waiting: Mutex::default() })
    }

    /// Notes who waits; `Err` if nobody should any more.
    fn note(&self, context: &Context<'_>) -> Result<(), FfiError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.left {
            return Err(ErrorKind::Cancelled.into());
        }
        waiting.waker = Some(context.waker().clone());
        Ok(())
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Option<FfiDownloadEvent>, FfiError>> {
        // Before the events are asked: then nobody can leave between the two unheard.
        self.note(context)?;
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            return match watched.poll_next(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(None)) => Poll::Ready(Ok(None)),
                Poll::Ready(Ok(Some(event))) => match FfiDownloadEvent::of(event) {
                    Some(event) => Poll::Ready(Ok(Some(event))),
                    None => continue,
                },
                Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            };
        }
    }
}
