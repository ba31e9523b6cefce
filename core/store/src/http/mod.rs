//! HTTP for desktops: ureq over rustls. Phones have their own.
//!
//! Certificates are checked against the system's roots: they are kept current by the system, and where a company
//! inspects its traffic its root is among them; a list compiled into the program would be neither. `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` name others. Proxies come from the environment (`HTTPS_PROXY`, `NO_PROXY`, …).

use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Error};

use crate::{Body, Request, Response, Transport, TransportError};

/// How long servers may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpTimeouts {
    /// For a connection, with its handshake.
    pub connect: Duration,
    /// For an answer's headers, after the request was sent.
    pub first_byte: Duration,
    /// For the next bytes of a body.
    pub read: Duration,
}

impl Default for HttpTimeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(15), first_byte: seconds(30), read: seconds(30) }
    }
}

/// The system's roots, read once: there are more than a hundred. What cannot be read is left out. If nothing can, no
/// certificate is good, and each request says so.
fn roots() -> Arc<Vec<Certificate<'static>>> {
    static ROOTS: OnceLock<Arc<Vec<Certificate<'static>>>> = OnceLock::new();
    let read = || {
        let found = rustls_native_certs::load_native_certs().certs;
        Arc::new(found.iter().map(|der| Certificate::from_der(der.as_ref()).to_owned()).collect())
    };
    Arc::clone(ROOTS.get_or_init(read))
}

/// A transport over ureq. Connections are kept and used again.
#[derive(Debug)]
pub struct HttpTransport {
    agent: Agent,
}

impl Default for HttpTransport {
    fn default() -> Self {
        Self::new(HttpTimeouts::default())
    }
}

impl HttpTransport {
    /// A transport that waits so long and no longer.
    pub fn new(timeouts: HttpTimeouts) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(roots()))
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("inkling/", env!("CARGO_PKG_VERSION")))
            .accept("*/*")
            // The caller says which encodings it takes.
            .accept_encoding("")
            .timeout_connect(Some(timeouts.connect))
            .timeout_resolve(Some(timeouts.connect))
            .timeout_recv_response(Some(timeouts.first_byte))
            .timeout_per_read(Some(timeouts.read))
            .timeout_per_write(Some(timeouts.read))
            .max_idle_connections_per_host(8)
            .tls_config(tls)
            .build();
        Self { agent: config.new_agent() }
    }
}

impl Transport for HttpTransport {
    fn get(&self, request: &Request) -> Result<Response, TransportError> {
        let mut call = self.agent.get(&request.url);
        for (name, value) in &request.headers {
            call = call.header(name, value);
        }
        let answer = call.call().map_err(|error| told(&error))?;
        let text = |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let status = answer.status().as_u16();
        let reader = answer.into_body().into_with_config().limit(u64::MAX).reader();
        Ok(Response { status, headers, body: Box::new(HttpBody(reader)) })
    }
}

struct HttpBody(ureq::BodyReader<'static>);

impl Body for HttpBody {
    fn read(&mut self, limit: usize) -> Result<Vec<u8>, TransportError> {
        let mut bytes = vec![0; limit.min(256 << 10)];
        let read = self.read_into(&mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn read_into(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError> {
        // What ends in the middle of a body may be whole the next time, whatever ended it.
        self.0.read(buffer).map_err(|error| TransportError { why: error.to_string(), retryable: true })
    }
}

/// An error in our terms. Retrying helps against what comes and goes: connections, names, time. It helps against nothing
/// that somebody has to change first.
fn told(error: &Error) -> TransportError {
    let retryable = match error {
        // rustls hides in these what is wrong with a certificate.
        Error::Io(error) => {
            !error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some_and(is_certificate)
        }
        Error::Rustls(error) => !is_certificate(error),
        // What is no HTTP may come from a server that is just being restarted.
        Error::Protocol(_) | Error::Timeout(_) | Error::HostNotFound | Error::ConnectionFailed | Error::BodyStalled => {
            true
        }
        Error::ConnectProxyFailed(_) => true,
        _ => false,
    };
    let why = match error {
        // It says which, and that may be signed.
        Error::BadUri(_) | Error::RequireHttpsOnly(_) => "the address cannot be used".to_owned(),
        _ => error.to_string(),
    };
    TransportError { why, retryable }
}

/// Whether it is about who the server is, and not about a connection that somebody disturbed.
fn is_certificate(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_tries_a_bad_certificate_twice() {
        let bad = || rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let hidden = |error| Error::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, error));
        assert!(!told(&Error::Rustls(bad())).retryable && !told(&hidden(bad())).retryable);
        assert!(told(&hidden(rustls::Error::DecryptError)).retryable);
        assert!(told(&Error::HostNotFound).retryable && !told(&Error::BadUri("x".to_owned())).retryable);
    }

    #[test]
    fn who_does_not_listen_may_later() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let url = format!("http://{}/", port.unwrap());
        let error = HttpTransport::default().get(&Request { url, headers: Vec::new() }).unwrap_err();
        assert!(error.retryable, "{error}");
    }
}
