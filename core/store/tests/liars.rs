//! Publishers who lie about the chunks of a file, or contradict themselves: they take nothing from others, and nobody loads
//! what they made.
#![allow(clippy::unwrap_used, clippy::panic)]

mod kit;
#[path = "support/model.rs"]
mod model;
#[path = "support/publisher.rs"]
mod publisher;

use std::fs;
use std::path::PathBuf;

use inkling_base::{CancelToken, Classify, ErrorKind};
use inkling_store::slot::{GOOD_ENOUGH, Why};
use inkling_store::store::EnsureOptions;
use inkling_store::{CHUNK, Digest, ModelId, Role, Source, StoreError};
use model::gguf;
use publisher::{World, id};

const AT: usize = CHUNK as usize;

fn object(world: &World, bytes: &[u8]) -> PathBuf {
    world.store.folder().join("v1/objects").join(Digest::of(bytes).to_string())
}

/// Changes a byte of a file that is installed under this name.
fn damage(world: &World, name: &[u8], at: usize) {
    let path = object(world, name);
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
}

/// The file as a server has it, at an address of its own.
fn address(world: &World, bytes: &[u8]) -> Source {
    fs::write(world.served(bytes), bytes).unwrap();
    let path = format!("/files/{}", Digest::of(bytes));
    Source::url(&world.server.url(&path), Digest::of(bytes), bytes.len() as u64).unwrap()
}

fn ensure_as(world: &World, name: &str, source: Source) -> Result<ModelId, StoreError> {
    let mut options = EnsureOptions::default();
    options.id = Some(id(name));
    world.store.ensure(source, options).unwrap().wait()
}

fn fetched(world: &World, work: impl FnOnce()) -> u64 {
    let before = world.server.total().bytes;
    work();
    world.server.total().bytes - before
}

/// Of a file of 8 chunks, somebody installed another one, whose third chunk is another, and that is damaged in the sixth.
fn lied_about(seed: u8) -> (World, Vec<u8>) {
    let (world, right) = (World::new(), gguf(8 * CHUNK, seed));
    let mut wrong = right.clone();
    wrong[2 * AT + 99] ^= 1;
    world.lie("liar", 1, &wrong, &right);
    world.ensure("liar").unwrap();
    assert_eq!(fs::read(object(&world, &right)).unwrap(), wrong);
    damage(&world, &right, 5 * AT + 99);
    (world, right)
}

#[test]
fn the_first_repair_after_a_lie_succeeds() {
    let (world, right) = lied_about(1);
    world.publish("honest", 1, &right, b"{{ x }}", false);
    let bytes = fetched(&world, || drop(world.ensure("honest").unwrap()));
    assert_eq!(world.read("honest", Role::Weights), Some(right));
    // The chunk that is another, the one that is damaged; tensors end within chunks.
    assert!(bytes < 4 * CHUNK, "{bytes}");
}

#[test]
fn who_knows_only_the_whole_is_not_misled_either() {
    let (world, right) = lied_about(2);
    let source = address(&world, &right);
    let bytes = fetched(&world, || drop(ensure_as(&world, "plain", source).unwrap()));
    assert_eq!(world.read("plain", Role::Weights), Some(right));
    // Nobody could know which chunk was another: first the damaged one, then all.
    assert!((8 * CHUNK..10 * CHUNK).contains(&bytes), "{bytes}");
}

#[test]
fn who_knows_only_the_whole_goes_by_the_word_of_an_honest_one() {
    let (world, right) = (World::new(), gguf(8 * CHUNK, 3));
    world.publish("honest", 1, &right, b"{{ x }}", false);
    world.ensure("honest").unwrap();
    // Nobody has read all of it since.
    damage(&world, &right, 5 * AT + 99);
    let source = address(&world, &right);
    let bytes = fetched(&world, || drop(ensure_as(&world, "plain", source).unwrap()));
    assert_eq!(world.read("plain", Role::Weights), Some(right));
    assert!(bytes < 2 * CHUNK, "{bytes}");
}

/// Its chunks are what their publisher says they are, and make up another file than he says.
#[test]
fn a_release_that_contradicts_itself_is_never_loaded() {
    let (world, good, made, claimed) = (World::new(), gguf(2 * CHUNK, 4), gguf(2 * CHUNK, 5), gguf(2 * CHUNK, 6));
    let lend = || world.store.lend(&id("m"), &CancelToken::new(), &|_, _| {});
    // Without another one.
    world.lie("m", 1, &made, &claimed);
    world.ensure("m").unwrap();
    assert!(world.store.list().unwrap()[0].on_trial);
    assert!(matches!(lend().unwrap_err(), StoreError::NotFound { .. }));
    assert!(world.store.list().unwrap().is_empty());
    // Asked for anew: it is not offered again, and nothing is fetched but what tells so.
    for update in [false, true] {
        let bytes = fetched(&world, || {
            let error = world.begin("m", update).wait().unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::ModelNotFound { .. }), "{error}");
        });
        assert!(bytes < CHUNK, "{bytes}");
    }
    // Who insists has it, and cannot load it.
    let mut insist = EnsureOptions::default();
    insist.insist = true;
    let source = Source::catalog(&world.server.url("/catalog.json"), id("m")).unwrap();
    world.store.ensure(source, insist).unwrap().wait().unwrap();
    assert!(matches!(lend().unwrap_err(), StoreError::NotFound { .. }));
    // Its publisher does better.
    world.publish("m", 2, &good, b"{{ x }}", false);
    world.ensure("m").unwrap();
    assert_eq!(world.read("m", Role::Weights), Some(good.clone()));
    for _ in 0..GOOD_ENOUGH {
        lend().unwrap().good().unwrap();
    }
    // Beside a good one.
    world.lie("m", 3, &made, &claimed);
    world.begin("m", true).wait().unwrap();
    let lent = lend().unwrap();
    assert_eq!(
        (lent.release.number, lent.fell_back.last().map(|fell| (fell.from, fell.why))),
        (2, Some((3, Why::Other)))
    );
    assert_eq!(fs::read(lent.file(Role::Weights).unwrap().1).unwrap(), good);
    drop(lent);
    // An update does not take it again.
    world.begin("m", true).wait().unwrap();
    assert_eq!(world.store.list().unwrap()[0].release, 2);
    // Nor does somebody who asks before anybody loaded it: what is there is read, and found out.
    world.lie("m", 4, &made, &claimed);
    world.begin("m", true).wait().unwrap();
    assert_eq!(world.store.list().unwrap()[0].release, 4);
    world.ensure("m").unwrap();
    let lent = lend().unwrap();
    assert_eq!((lent.release.number, lent.fell_back.last().map(|fell| fell.from)), (2, Some(4)));
}
