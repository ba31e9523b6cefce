//! Releases of several files: what is optional, what is shared, and what goes while somebody needs it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod kit;
#[path = "support/model.rs"]
mod model;
#[path = "support/publisher.rs"]
mod publisher;

use std::fs;

use inkling_base::{Classify, ErrorKind};
use inkling_store::{CHUNK, Digest, DownloadEvent, Role};
use model::gguf;
use publisher::{World, id};

const TEMPLATE: &[u8] = b"{{ messages }}";

#[test]
fn what_is_optional_may_be_missing_or_wrong() {
    let (world, weights) = (World::new(), gguf(2 * CHUNK, 1));
    world.publish("m", 1, &weights, TEMPLATE, false);
    for wrong in [None, Some(&b"{{ nonsense }}"[..])] {
        match wrong {
            None => fs::remove_file(world.served(TEMPLATE)).unwrap(),
            Some(bytes) => fs::write(world.served(TEMPLATE), bytes).unwrap(),
        }
        world.ensure("m").unwrap();
        assert_eq!(world.read("m", Role::Weights), Some(weights.clone()));
        assert_eq!(world.read("m", Role::Template), None);
        assert!(world.store.list().unwrap()[0].complete);
        // Nobody is asked again by itself; who wants the latest gets it as soon as it is there.
        let before = world.server.total().requests;
        world.ensure("m").unwrap();
        assert_eq!(world.server.total().requests, before);
        fs::write(world.served(TEMPLATE), TEMPLATE).unwrap();
        let fetched = world.server.total().bytes;
        world.begin("m", true).wait().unwrap();
        assert_eq!(world.read("m", Role::Template).as_deref(), Some(TEMPLATE));
        assert!(world.server.total().bytes - fetched < CHUNK);
        world.store.remove(&id("m")).unwrap();
        assert_eq!(world.store.usage().unwrap().total, 0);
    }
}

#[test]
fn without_what_is_required_nothing_is_installed() {
    let (world, weights) = (World::new(), gguf(2 * CHUNK, 2));
    world.publish("m", 1, &weights, TEMPLATE, true);
    fs::remove_file(world.served(TEMPLATE)).unwrap();
    world.ensure("m").unwrap_err();
    assert!(world.store.list().unwrap().is_empty());
    fs::write(world.served(TEMPLATE), TEMPLATE).unwrap();
    let fetched = world.server.total().bytes;
    world.ensure("m").unwrap();
    assert!(world.server.total().bytes - fetched < CHUNK);
    assert_eq!(world.read("m", Role::Template).as_deref(), Some(TEMPLATE));
}

#[test]
fn a_required_file_that_goes_with_another_model_comes_again() {
    let (world, one, two) = (World::new(), gguf(CHUNK, 3), gguf(6 * CHUNK, 4));
    world.publish("one", 1, &one, TEMPLATE, true);
    world.publish("two", 1, &two, TEMPLATE, true);
    world.ensure("one").unwrap();
    world.server.throttle(1 << 20);
    let mut download = world.begin("two", false);
    while !matches!(download.next().unwrap(), Some(DownloadEvent::Downloading(t)) if t.bytes >= 2 * CHUNK) {}
    // It was there when the download began, so it was not asked for.
    world.store.remove(&id("one")).unwrap();
    let template = format!("{}", Digest::of(TEMPLATE));
    assert!(!world.store.usage().unwrap().objects.iter().any(|object| object.digest.to_string() == template));
    world.server.throttle(0);
    download.wait().unwrap();
    assert_eq!(world.read("two", Role::Weights), Some(two));
    assert_eq!(world.read("two", Role::Template).as_deref(), Some(TEMPLATE));
}

#[test]
fn a_file_that_a_release_has_twice_is_fetched_once() {
    let (world, weights) = (World::new(), gguf(CHUNK, 5));
    // A draft model that is the model itself: odd, and no reason to wait for oneself.
    world.publish("m", 1, &weights, &weights, true);
    world.ensure("m").unwrap();
    assert_eq!(world.read("m", Role::Template), Some(weights));
}

/// Who answers 404 for the catalogue keeps no update away unseen; a catalogue that offers nothing takes nothing away.
#[test]
fn a_catalogue_that_is_not_there_is_no_catalogue_that_offers_nothing() {
    let world = World::new();
    let weights = gguf(CHUNK, 1);
    world.publish("m", 1, &weights, TEMPLATE, true);
    world.ensure("m").unwrap();
    world.begin("m", true).wait().unwrap();
    for document in ["catalog.json", "rollout.json"] {
        let path = world.published.path().join(document);
        if !path.exists() {
            continue;
        }
        let aside = path.with_extension("aside");
        fs::rename(&path, &aside).unwrap();
        let kind = world.begin("m", true).wait().unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::ModelNotFound { .. }), "{document}: {kind:?}");
        // Without asking, it is there.
        world.ensure("m").unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    world.begin("m", true).wait().unwrap();
}
