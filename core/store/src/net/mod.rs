//! The network: requests that are tried again, follow redirects by rules, and bring exactly what was asked for.
//!
//! | module | what |
//! |---|---|
//! | [`fetch`] | a file into a [`Landing`](crate::Landing): several ranges at a time, tried again, resumed |
//! | [`hub`] | what a hub says of a file; small files; the beginning of a large one |
//! | [`open`] | redirects, and which header goes to whom |
//! | [`control`] | pause, resume, cancel, and the gate that says when there is no network to be used |
//! | [`segment`] | parts of a file that a phone's background session fetches by itself |
//! | [`meter`] | rate and remaining time |
//! | [`link`] | addresses, read strictly |
//! | [`options`] | what can be set |
//!
//! Whatever a server does, a call ends in the bytes or in a typed error; it ends at once when it is cancelled, also
//! while it waits for a server, because requests run on threads of their own: one that is no longer wanted ends with the
//! next byte, or with the transport's own patience.

pub mod control;
pub mod fetch;
pub mod hub;
pub mod link;
pub mod meter;
pub mod open;
pub mod options;
mod retry;
pub mod segment;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use inkling_base::Clock;

use crate::{FetchError, StoreError, Transport};
use control::Control;
use open::{Address, Failure, Opener};
use options::NetOptions;

/// The network, as the store uses it. Clones are the same one.
#[derive(Clone)]
pub struct Net(Arc<Inner>);

struct Inner {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    options: NetOptions,
    chance: AtomicU64,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Net").field(&self.0.options).finish()
    }
}

impl Net {
    /// A network over `transport`.
    ///
    /// # Errors
    /// [`StoreError::Address`] or [`StoreError::Invalid`] for options that cannot be used.
    pub fn new(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>, options: NetOptions) -> Result<Self, StoreError> {
        options.hub_link()?;
        if options.token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(StoreError::Invalid { field: "token", why: "it has characters that no token has".to_owned() });
        }
        let seed = if options.seed == 0 { clock.unix().as_nanos() as u64 } else { options.seed };
        Ok(Self(Arc::new(Inner { transport, clock, options, chance: AtomicU64::new(seed) })))
    }

    /// Its options.
    pub fn options(&self) -> &NetOptions {
        &self.0.options
    }

    /// Its clock.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    pub(crate) fn opener(&self) -> Opener<'_> {
        Opener { transport: &*self.0.transport, clock: &*self.0.clock, options: &self.0.options }
    }

    /// How long to wait after so many failures in a row.
    fn backoff(&self, failures: u32, asked: Option<Duration>) -> Duration {
        let mut state = self.0.chance.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let options = self.options();
        retry::wait(failures, options.backoff, options.longest_backoff, asked, retry::chance(&mut state))
    }

    /// A request and what comes of it, tried again as often as makes sense; on a thread of its own, so that cancelling
    /// does not wait for a server.
    fn patiently<T: Send + 'static>(
        &self,
        address: &Address,
        control: &Control,
        attempt: impl Fn(&Net) -> Result<T, Failure> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let attempt = Arc::new(attempt);
        let mut failures = 0;
        loop {
            control.wait_until_free(self.clock(), &mut |_| {})?;
            let (net, attempt) = (self.clone(), Arc::clone(&attempt));
            let failure = match aside(control, move || attempt(&net))? {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            failures += 1;
            if failures >= tries(&failure.error, self.options()) {
                return Err(given_up(address, failures, failure.error));
            }
            control.sleep(self.clock(), self.backoff(failures, failure.after))?;
        }
    }
}

/// How often something that fails like this is tried.
fn tries(error: &StoreError, options: &NetOptions) -> u32 {
    match error {
        _ if error.is_retryable() => options.attempts,
        // A box on the way that tampers may not do so twice; a server that breaks the rules will.
        StoreError::Fetch(FetchError::WrongRange { .. } | FetchError::NotPartial | FetchError::Encoded { .. }) => {
            options.attempts.min(3)
        }
        _ => 1,
    }
}

/// The error of a transfer that failed for good.
fn given_up(address: &Address, attempts: u32, error: StoreError) -> StoreError {
    match error {
        StoreError::Fetch(source) => {
            let url = link::Link::parse(&address.url).map_or_else(|_| "…".to_owned(), |link| link.to_string());
            StoreError::Download { url, attempts, source }
        }
        other => other,
    }
}

/// Runs `work` on a thread and waits for it, or for the control to be cancelled; then the thread ends by itself.
fn aside<T: Send + 'static>(control: &Control, work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    let (tell, told) = mpsc::channel();
    let waker = tell.clone();
    let _handle = control.on_change(Arc::new(move || {
        let _ = waker.send(None);
    }));
    let thread = std::thread::Builder::new().name("inkling-net".to_owned()).spawn(move || {
        // What panics tells so by its silence.
        if let Ok(value) = catch_unwind(AssertUnwindSafe(work)) {
            let _ = tell.send(Some(value));
        }
    });
    let thread = thread.map_err(|error| StoreError::Internal(format!("no thread for the network: {error}")))?;
    loop {
        control.check()?;
        // The timeout is for tokens that somebody else cancels, and for panics.
        match told.recv_timeout(Duration::from_millis(100)) {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) if thread.is_finished() => {
                return match told.try_iter().flatten().next() {
                    Some(value) => Ok(value),
                    None => Err(StoreError::Internal("the transport panicked".to_owned())),
                };
            }
            Err(_) => {}
        }
    }
}

/// Whether a failure means that the server wants fewer requests.
fn is_busy(error: &StoreError) -> bool {
    matches!(error, StoreError::Fetch(FetchError::Status { status: 429 | 503 }))
}
