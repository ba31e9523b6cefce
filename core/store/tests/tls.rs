//! Real handshakes: who is not who he says gets no request, and bytes that end without a word are not the end.
//!
//! The roots that count are read once for a process, from where its environment says. So each test runs itself again, in
//! a process of its own whose roots are one authority made for it.
// The desktop's transport, which phones have not.
#![cfg(not(any(target_os = "ios", target_os = "android")))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/device.rs"]
mod device;
#[path = "support/model.rs"]
mod model;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use device::{id, lent_bytes, open};
use inkling_base::{Classify, ErrorKind};
use inkling_store::store::EnsureOptions;
use inkling_store::{CHUNK, Digest, Source, StoreError};
use inkling_store_chaos::server::{Fault, Phase, Rule, Server};
use model::gguf;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

type Authority = CertifiedIssuer<'static, KeyPair>;

/// Runs `test` in a process of its own, whose only authority is the one that the test is given.
fn alone(name: &str, test: impl FnOnce(&Authority)) {
    if let Some(roots) = std::env::var_os("INKLING_TLS_TEST").and_then(|_| std::env::var_os("SSL_CERT_FILE")) {
        let authority = authority();
        std::fs::write(PathBuf::from(roots), authority.pem()).unwrap();
        return test(&authority);
    }
    let folder = TempDir::new().unwrap();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", name, "--nocapture"]).env("INKLING_TLS_TEST", "1").env_remove("SSL_CERT_DIR");
    assert!(again.env("SSL_CERT_FILE", folder.path().join("roots.pem")).status().unwrap().success());
}

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What `authority` says of a host.
fn of_host(host: &str) -> CertificateParams {
    CertificateParams::new(vec![host.to_owned()]).unwrap()
}

/// A server behind TLS.
struct Secure {
    server: Server,
    port: u16,
    /// Handshakes that were begun, and requests that came out of them.
    seen: Arc<[AtomicUsize; 2]>,
    /// The next body ends in its middle, with the connection, and without TLS's word for it.
    cut: Arc<AtomicBool>,
}

impl Secure {
    fn start(authority: &Authority, params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let chain = vec![params.signed_by(&key, authority).unwrap().der().clone()];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (server, port) = (Server::start().unwrap(), listener.local_addr().unwrap().port());
        let (seen, cut) = (Arc::new([const { AtomicUsize::new(0) }; 2]), Arc::new(AtomicBool::new(false)));
        let secure = Self { server, port, seen: Arc::clone(&seen), cut: Arc::clone(&cut) };
        let upstream = secure.server.port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, seen, cut) = (Arc::clone(&config), Arc::clone(&seen), Arc::clone(&cut));
                std::thread::spawn(move || {
                    seen[0].fetch_add(1, Ordering::SeqCst);
                    let tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream.unwrap());
                    // A client that hangs up is what some tests are about.
                    let _ = pass_on(tls, TcpStream::connect(("127.0.0.1", upstream)).unwrap(), &seen[1], &cut);
                });
            }
        });
        secure
    }

    fn source(&self, bytes: &[u8]) -> Source {
        let (digest, size) = (Digest::of(bytes), bytes.len());
        format!("https://localhost:{}/tiny.gguf#sha256={digest}&size={size}", self.port).parse().unwrap()
    }

    fn handshakes(&self) -> usize {
        self.seen[0].load(Ordering::SeqCst)
    }

    fn requests(&self) -> usize {
        self.seen[1].load(Ordering::SeqCst)
    }
}

/// Requests one way, answers of announced length the other.
fn pass_on(
    mut tls: StreamOwned<ServerConnection, TcpStream>,
    mut plain: TcpStream,
    requests: &AtomicUsize,
    cut: &AtomicBool,
) -> io::Result<()> {
    loop {
        let asked = head(&mut tls)?;
        requests.fetch_add(1, Ordering::SeqCst);
        plain.write_all(&asked)?;
        let answer = head(&mut plain)?;
        tls.write_all(&answer)?;
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut rest: u64 = length.unwrap_or(0);
        let end = if rest > 4096 && cut.swap(false, Ordering::SeqCst) { rest / 2 } else { 0 };
        let mut piece = [0; 4096];
        while rest > end {
            let got = plain.read(&mut piece[..rest.min(4096) as usize])?;
            if got == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            tls.write_all(&piece[..got])?;
            rest -= got as u64;
        }
        tls.flush()?;
        if end > 0 {
            return Ok(());
        }
    }
}

fn head(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        from.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(head)
}

fn fetch(secure: &Secure, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    secure.server.add("/tiny.gguf", bytes.to_vec());
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    store.ensure(secure.source(bytes), EnsureOptions::default())?.wait()?;
    Ok(lent_bytes(&store, &id("tiny")))
}

#[test]
fn a_model_comes_over_tls() {
    alone("a_model_comes_over_tls", |authority| {
        let (secure, bytes) = (Secure::start(authority, &of_host("localhost")), gguf(20 * CHUNK + 5, 1));
        assert_eq!(fetch(&secure, &bytes).unwrap(), bytes);
        // Connections are used again.
        assert!(secure.requests() > secure.handshakes(), "{} of {}", secure.requests(), secure.handshakes());
    });
}

#[test]
fn an_end_without_a_word_is_not_the_end() {
    alone("an_end_without_a_word_is_not_the_end", |authority| {
        let (secure, bytes) = (Secure::start(authority, &of_host("localhost")), gguf(6 * CHUNK, 2));
        secure.cut.store(true, Ordering::SeqCst);
        assert_eq!(fetch(&secure, &bytes).unwrap(), bytes);
        assert!(!secure.cut.load(Ordering::SeqCst) && secure.handshakes() > 1);
    });
}

/// No request was sent, and nobody tried twice.
fn refused(secure: &Secure) {
    let error = fetch(secure, &gguf(CHUNK, 3)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Network { retryable: false, .. }), "{:?}: {error}", error.kind());
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!((secure.handshakes(), secure.requests()), (1, 0), "{error}");
}

#[test]
fn another_name_is_another_server() {
    alone("another_name_is_another_server", |authority| {
        refused(&Secure::start(authority, &of_host("models.example")));
    });
}

#[test]
fn an_authority_that_nobody_knows_says_nothing() {
    alone("an_authority_that_nobody_knows_says_nothing", |_| {
        refused(&Secure::start(&self::authority(), &of_host("localhost")));
    });
}

#[test]
fn certificates_end() {
    alone("certificates_end", |authority| {
        let mut params = of_host("localhost");
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
        refused(&Secure::start(authority, &params));
    });
}

#[test]
fn nobody_is_led_out_of_tls() {
    alone("nobody_is_led_out_of_tls", |authority| {
        let (secure, bytes) = (Secure::start(authority, &of_host("localhost")), gguf(CHUNK, 4));
        let plain = Server::start().unwrap();
        plain.add("/tiny.gguf", bytes.clone());
        let rule = Rule { fault: Fault::Redirect(plain.url("/tiny.gguf")), phase: Phase::Any, times: u32::MAX };
        secure.server.rule(rule);
        let error = fetch(&secure, &bytes).unwrap_err();
        assert!(error.to_string().contains("redirects from https to http:"), "{error:?}");
        assert_eq!(plain.total().requests, 0);
    });
}
