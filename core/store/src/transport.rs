//! HTTP as this project needs it: a GET whose body is pulled. Phones bring their own (`URLSession`,
//! `HttpURLConnection`), because only that knows the user's proxies, certificates and data saver.

use std::fmt;

use inkling_base::{Classify, ErrorKind};

/// What is asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The whole address.
    pub url: String,
    /// Names and values, sent as they are.
    pub headers: Vec<(String, String)>,
}

/// Without what headers say: a token may be among them, and a query may be a signature.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = self.url.split(['?', '#']).next().unwrap_or_default();
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Request").field("url", &address).field("headers", &names).finish()
    }
}

/// What the server said, and a body that has yet to be read.
pub struct Response {
    /// HTTP's status, 3xx included: a transport follows no redirect.
    pub status: u16,
    /// Names in any case, and values.
    pub headers: Vec<(String, String)>,
    /// Dropping it ends the transfer.
    pub body: Box<dyn Body>,
}

impl Response {
    /// The value of a header; `name` in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without what headers say: where a redirect leads may be signed.
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Response").field("status", &self.status).field("headers", &names).finish_non_exhaustive()
    }
}

/// Sends requests. Blocks its caller; is called on threads that may wait.
///
/// A transport follows no redirects, decodes nothing (it asks for `identity`), retries nothing and caches nothing: what
/// of that is safe depends on what is fetched, which only the caller knows.
pub trait Transport: Send + Sync {
    /// Sends a GET and waits for the status and the headers.
    fn get(&self, request: &Request) -> Result<Response, TransportError>;
}

/// A body on its way.
pub trait Body: Send {
    /// Waits for bytes and returns at most `limit` of them; none at the end.
    fn read(&mut self, limit: usize) -> Result<Vec<u8>, TransportError>;

    /// Waits for bytes, puts them at the beginning of `buffer` and says how many they are; 0 at the end. For transports
    /// that can do without the copy that [`read`](Body::read) makes.
    fn read_into(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError> {
        let bytes = self.read(buffer.len())?;
        match buffer.get_mut(..bytes.len()) {
            Some(place) => place.copy_from_slice(&bytes),
            None => {
                let why = format!("the transport gave {} bytes where {} were asked for", bytes.len(), buffer.len());
                return Err(TransportError { why, retryable: false });
            }
        }
        Ok(bytes.len())
    }
}

/// Why there was no answer, or only a part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct TransportError {
    /// What happened, for people.
    pub why: String,
    /// Whether trying again may help: true for a lost connection, false for a certificate that nobody trusts.
    pub retryable: bool,
}

impl Classify for TransportError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Network { retryable: self.retryable, why: self.why.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_request_keeps_its_secrets() {
        let headers = vec![("Authorization".to_owned(), "Bearer secret".to_owned())];
        let request = Request { url: "https://a.example/model?signature=secret".to_owned(), headers };
        let text = format!("{request:?}");
        assert!(
            text.contains("a.example/model") && text.contains("Authorization") && !text.contains("secret"),
            "{text}"
        );
    }
}
