//! The platform's HTTP: `URLSession`, `HttpURLConnection`, or what an app brings.

use std::sync::Arc;

use inkling::transport::{self, Body, Request, Response, Transport, TransportError};

use crate::FfiError;
use crate::guard::guard;

/// A header's name and value.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiHeader {
    /// Its name, in any case.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A GET.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiRequest {
    /// The whole address.
    pub url: String,
    /// Sent as they are.
    pub headers: Vec<FfiHeader>,
}

/// What the server said, and a body that has yet to be read.
#[derive(Clone, uniffi::Record)]
pub struct FfiResponse {
    /// HTTP's status, 3xx included.
    pub status: u32,
    /// All of them.
    pub headers: Vec<FfiHeader>,
    /// To be read and ended.
    pub body: Arc<dyn FfiBody>,
}

/// Why there was no answer, or only a part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum FfiTransportError {
    /// There is one kind: what matters is whether to try again.
    #[error("{why}")]
    Failed {
        /// What happened, for people.
        why: String,
        /// Whether trying again may help.
        retryable: bool,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for FfiTransportError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { why: format!("the app's transport threw: {}", error.reason), retryable: false }
    }
}

impl From<FfiTransportError> for TransportError {
    fn from(error: FfiTransportError) -> Self {
        let FfiTransportError::Failed { why, retryable } = error;
        Self { why, retryable }
    }
}

/// Sends requests; called on threads that may wait. It follows no redirects, decodes nothing, retries nothing and caches
/// nothing.
#[uniffi::export(with_foreign)]
pub trait FfiTransport: Send + Sync {
    /// Sends a GET and waits for the status and the headers.
    fn get(&self, request: FfiRequest) -> Result<FfiResponse, FfiTransportError>;
}

/// A body on its way.
#[uniffi::export(with_foreign)]
pub trait FfiBody: Send + Sync {
    /// Waits for bytes and returns at most `limit` of them; none at the end.
    fn read(&self, limit: u32) -> Result<Vec<u8>, FfiTransportError>;
    /// Ends the transfer, also in the middle of it. Called once.
    fn end(&self);
}

pub(crate) struct Ours(Arc<dyn FfiTransport>);

impl Ours {
    pub(crate) fn new(transport: Arc<dyn FfiTransport>) -> Self {
        Self(transport)
    }
}

impl Transport for Ours {
    fn get(&self, request: &Request) -> Result<Response, TransportError> {
        let header = |(name, value): &(String, String)| FfiHeader { name: name.clone(), value: value.clone() };
        let headers = request.headers.iter().map(header).collect();
        let answer = self.0.get(FfiRequest { url: request.url.clone(), headers })?;
        // First the body's owner: what is wrong with the rest must close it too.
        let body = OurBody(answer.body);
        let status = u16::try_from(answer.status)
            .map_err(|_| TransportError { why: format!("{} is no status of HTTP", answer.status), retryable: false })?;
        let headers = answer.headers.into_iter().map(|header| (header.name, header.value)).collect();
        Ok(Response { status, headers, body: Box::new(body) })
    }
}

struct OurBody(Arc<dyn FfiBody>);

impl Body for OurBody {
    fn read(&mut self, limit: usize) -> Result<Vec<u8>, TransportError> {
        // One crossing carries at most this much: it is copied.
        let limit = limit.min(256 << 10);
        let bytes = self.0.read(limit as u32)?;
        if bytes.len() > limit {
            let why = format!("the app's transport gave {} bytes where {limit} were asked for", bytes.len());
            return Err(TransportError { why, retryable: false });
        }
        Ok(bytes)
    }
}

impl Drop for OurBody {
    fn drop(&mut self) {
        // What throws while it ends has ended, as far as we can tell.
        let _ = guard(|| {
            self.0.end();
            Ok(())
        });
    }
}

/// Fetches `length` bytes of a file that begin at `from`, as the store does: exactly these, or an error. Blocks. For
/// tests of a transport.
#[uniffi::export]
pub fn fetch_piece(
    transport: Arc<dyn FfiTransport>,
    url: String,
    headers: Vec<FfiHeader>,
    from: u64,
    length: u64,
) -> Result<Vec<u8>, FfiError> {
    guard(|| {
        let headers = headers.into_iter().map(|header| (header.name, header.value)).collect();
        Ok(transport::fetch_piece(&Ours(transport), Request { url, headers }, from, length)?)
    })
}
