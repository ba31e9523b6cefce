//! What can be set about the network, with values that suit phones.

use std::fmt;
use std::time::Duration;

use super::link::Link;
use crate::{CHUNK, StoreError};

/// The hub that repositories are taken from unless another is named.
pub const DEFAULT_HUB: &str = "https://huggingface.co";

/// How the network is used. The token is neither printed nor logged.
#[derive(Clone)]
pub struct NetOptions {
    /// Where repositories live.
    pub hub: String,
    /// Says to the hub, and to nobody else, who asks.
    pub token: Option<String>,
    /// Domains, with all below them, to which the hub may redirect. Its own host always may.
    pub hub_domains: Vec<String>,
    /// Domains, with all below them, to which any other address may redirect. Its own host always may.
    pub domains: Vec<String>,
    /// Whether `http` is taken for hosts that are not this machine. What is fetched is checked all the same, but anybody
    /// on the way sees it.
    pub allow_plain_http: bool,
    /// Requests at a time for one file. Usually as many as there are cores, but 2 to 4: with more, threads get into each
    /// other's way where the network is fast, and gain nothing where it is slow.
    pub connections: usize,
    /// Bytes that one request asks for.
    pub request_bytes: u64,
    /// Failures in a row, without a chunk arriving in between, after which a transfer is given up.
    pub attempts: u32,
    /// How often a damaged chunk is fetched.
    pub damaged_attempts: u32,
    /// The wait after the first failure. It doubles with each.
    pub backoff: Duration,
    /// The longest wait, whatever a server asks for.
    pub longest_backoff: Duration,
    /// A connection that brings fewer than `stall_bytes` in this time is given up.
    pub stall_window: Duration,
    /// See `stall_window`.
    pub stall_bytes: u64,
    /// Redirects that are followed.
    pub redirects: usize,
    /// Seeds the jitter of waits; 0 for one by the clock.
    pub seed: u64,
}

impl Default for NetOptions {
    fn default() -> Self {
        Self {
            hub: DEFAULT_HUB.to_owned(),
            token: None,
            hub_domains: vec!["huggingface.co".to_owned(), "hf.co".to_owned()],
            domains: Vec::new(),
            allow_plain_http: false,
            connections: std::thread::available_parallelism().map_or(4, |cores| cores.get().clamp(2, 4)),
            request_bytes: 8 * CHUNK,
            attempts: 8,
            damaged_attempts: 3,
            backoff: Duration::from_millis(500),
            longest_backoff: Duration::from_secs(60),
            stall_window: Duration::from_secs(30),
            stall_bytes: 16 << 10,
            redirects: 8,
            seed: 0,
        }
    }
}

impl NetOptions {
    /// The hub's address, checked.
    pub(crate) fn hub_link(&self) -> Result<Link, StoreError> {
        let link = Link::parse(&self.hub)?;
        if self.hub.contains(['?', '#']) {
            return Err(super::link::refused(&link.to_string(), "the hub's address has no '?' and no '#'"));
        }
        self.check_scheme(&link)?;
        Ok(link)
    }

    /// `https`, or `http` where that is possible.
    pub(crate) fn check_scheme(&self, link: &Link) -> Result<(), StoreError> {
        if link.is_secure() || link.is_loopback() || self.allow_plain_http {
            return Ok(());
        }
        Err(super::link::refused(&link.to_string(), "only https is possible, but for this machine itself"))
    }
}

impl fmt::Debug for NetOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetOptions")
            .field("hub", &self.hub)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("connections", &self.connections)
            .field("request_bytes", &self.request_bytes)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
