//! A hub that says wrong things about a file: what is installed is what the hub named, or nothing.
#![allow(clippy::unwrap_used)]

#[path = "support/device.rs"]
mod device;
#[path = "support/model.rs"]
mod model;

use device::{config, id, lent_bytes};
use inkling_base::{Classify, ErrorKind};
use inkling_store::store::{EnsureOptions, Store};
use inkling_store::{CHUNK, Digest};
use inkling_store_chaos::server::Server;
use model::gguf;
use tempfile::TempDir;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How an installation ends when a hub says this in a header. Whatever it was, nothing of it stays in the way: the next one
/// succeeds.
fn outcome(header: &str, value: &str) -> Option<ErrorKind> {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(3 * CHUNK + 99, 1));
    server.add_hub("o/r", "m.gguf", "main", Some(COMMIT), bytes.clone());
    let mut config = config(folder.path());
    (config.net.hub, config.net.attempts) = (server.base(), 3);
    let store = Store::open(config).unwrap();
    let ensure = || store.ensure("o/r/m.gguf".parse().unwrap(), EnsureOptions::default()).unwrap().wait();
    server.lie(header, value);
    let kind = ensure().err().map(|error| error.kind());
    assert_eq!(store.list().unwrap().len(), usize::from(kind.is_none()), "{header}: {value}");
    server.clear();
    ensure().unwrap();
    assert_eq!(Digest::of(&lent_bytes(&store, &id("m"))), Digest::of(&bytes), "{header}: {value}");
    kind
}

/// What the hub said cannot be used, and the user is told so before anything is fetched.
fn is_refused(kind: &Option<ErrorKind>) -> bool {
    matches!(kind, Some(ErrorKind::InvalidInput { field, .. }) if field == "source")
}

#[test]
fn another_digest() {
    let other = Digest::of(b"another").to_string();
    let kind = outcome("X-Linked-Etag", &format!("\"{other}\""));
    assert!(matches!(kind, Some(ErrorKind::Integrity { .. })), "{kind:?}");
    for nonsense in ["", "\"\"", "\"0123\"", &"z".repeat(64), "W/\"x\""] {
        let kind = outcome("X-Linked-Etag", nonsense);
        assert!(is_refused(&kind), "{nonsense}: {kind:?}");
    }
}

#[test]
fn another_size() {
    let size = 3 * CHUNK + 99;
    for other in [1, size - 1, size + 1, 2 * size] {
        let kind = outcome("X-Linked-Size", &other.to_string());
        assert!(matches!(kind, Some(ErrorKind::Network { .. } | ErrorKind::Integrity { .. })), "{other}: {kind:?}");
    }
    for nonsense in ["", "0", "-1", "1e9", "4398046511104", "18446744073709551615", "18446744073709551616"] {
        let kind = outcome("X-Linked-Size", nonsense);
        assert!(is_refused(&kind), "{nonsense}: {kind:?}");
    }
}

#[test]
fn a_commit_that_is_none() {
    // Nothing can be pinned to it then; the file is the one that was named all the same.
    for nonsense in ["", "main", "../../../etc/passwd", &COMMIT[1..], &"g".repeat(40)] {
        assert_eq!(outcome("X-Repo-Commit", nonsense), None, "{nonsense}");
    }
    // A commit that the hub does not have.
    let kind = outcome("X-Repo-Commit", &"f".repeat(40));
    assert!(matches!(kind, Some(ErrorKind::ModelNotFound { .. })), "{kind:?}");
}

#[test]
fn addresses_that_lead_nowhere() {
    for address in ["", "http://foreign.example/m", "https://foreign.example/m", "file:///etc/passwd", "//", "https://"]
    {
        let kind = outcome("Location", address);
        assert!(matches!(kind, Some(ErrorKind::Network { retryable: false, .. })), "{address}: {kind:?}");
    }
}
