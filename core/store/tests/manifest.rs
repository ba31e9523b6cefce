//! Documents that make no sense, signed or not: each is refused, and says why.
#![allow(clippy::unwrap_used)]

mod kit;

use inkling_store::manifest::release::LARGEST_RELEASE;
use inkling_store::manifest::*;
use inkling_store::trust::*;
use inkling_store::{Digest, ModelId, StoreError, TrustState};
use kit::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

fn document() -> Value {
    let chunk = |seed: u8| Digest::of(&[seed]).to_string();
    json!({
        "format": 1, "model": "m", "number": 3, "floor": 2, "architecture": "llama", "ram_min": 5, "sdk_min": "0.1.0",
        "least_speed": 0.5,
        "golden": [{"prompt": "Hello", "tokens": [1, 2]}],
        "files": [
            {"role": "weights", "name": "Model Ä.gguf", "path": "files/ab", "size": MIB + 5, "sha256": chunk(1),
             "chunks": {"lengths": [MIB, 5], "sha256": [chunk(2), chunk(3)]}},
            {"role": "template", "name": "chat.jinja", "required": false, "path": "files/cd", "size": 7,
             "sha256": chunk(4), "sealed": "key-1", "chunks": {"lengths": [3, 4], "sha256": [chunk(5), chunk(6)]}},
        ],
    })
}

fn read_release(document: &Value) -> Result<ReleaseManifest, StoreError> {
    let bytes = serde_json::to_vec(document).unwrap();
    let model: ModelId = "m".parse().unwrap();
    let named = ReleaseRef {
        number: document["number"].as_u64().unwrap_or(3),
        sdk_min: document["sdk_min"].as_str().unwrap_or_default().to_owned(),
        path: "releases/m-3.json".to_owned(),
        size: bytes.len() as u64,
        sha256: Digest::of(&bytes),
    };
    accept_release(&model, &named, &bytes)
}

fn with(document: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = document.clone();
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let parent = changed.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(list) => list[last.parse::<usize>().unwrap()] = value,
        Value::Object(map) => {
            map.insert(last.to_owned(), value);
        }
        _ => panic!("{pointer}"),
    }
    changed
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>, why: &str) {
    match result {
        Err(StoreError::Untrusted { why: found, .. }) => assert!(found.contains(why), "{found}, not {why}"),
        other => panic!("{other:?}, not {why}"),
    }
}

#[test]
fn a_release_is_read_and_written() {
    let manifest = read_release(&document()).unwrap();
    assert_eq!(manifest.release.files[0].name, "Model Ä.gguf");
    assert!(manifest.release.files[0].required && !manifest.release.files[1].required);
    assert_eq!(manifest.files[0].plan.chunks.range(1), (MIB, 5));
    assert_eq!(manifest.release.files[1].sealed.as_deref(), Some("key-1"));
    let again: Value = serde_json::from_slice(&manifest.to_bytes().unwrap()).unwrap();
    assert_eq!(read_release(&again).unwrap(), manifest);
    // What this version does not know is no reason, unless the publisher says that it is one.
    assert_eq!(read_release(&with(&document(), "/later", json!({"x": [1]}))).unwrap(), manifest);
    refused(read_release(&with(&document(), "/needs", json!(["patches"]))), "needs \"patches\"");
}

#[test]
fn names_and_paths_with_tricks() {
    let long = "n".repeat(201);
    let names = [
        "",
        ".",
        "..",
        "../m.gguf",
        "a/b",
        "/etc/passwd",
        "a\\b",
        "..\\b",
        "C:m",
        "a\0.gguf",
        "a\nb",
        "\u{1b}[2J",
        "nul",
        "COM1.gguf",
        "aux.txt",
        "a.",
        "a ",
        " a",
        ".hidden",
        "a\u{202e}fugg.b",
        "a\u{200d}b",
        "a?b",
        "a*b",
        "a|b",
        &long,
    ];
    for name in names {
        assert!(read_release(&with(&document(), "/files/0/name", json!(name))).is_err(), "{name:?}");
    }
    for same in ["model ä.GGUF", "MODEL Ä.gguf", "Model Ä.gguf"] {
        refused(read_release(&with(&document(), "/files/1/name", json!(same))), "in other letters");
    }
    let paths = [
        "",
        "/files/ab",
        "../files/ab",
        "files/../../x",
        "files//ab",
        "https://evil/x",
        "//evil/x",
        "a?b",
        "a#b",
        "a%2e",
        "a\\b",
        "files/.",
        "files/nul",
        "files/ab/",
        "a b",
    ];
    for path in paths {
        assert!(read_release(&with(&document(), "/files/0/path", json!(path))).is_err(), "{path:?}");
        let mut catalog = catalog(1);
        catalog.models[0].releases[0].path = path.to_owned();
        let mut state = TrustState::pinned(&signed_root(&root(1))).unwrap();
        refused(accept_catalog(&mut state, &signed_catalog(&catalog), NOW), "its path");
    }
    assert!(read_release(&with(&document(), "/model", json!("../m"))).is_err());
}

#[test]
fn sizes_and_chunks_that_make_no_sense() {
    let sizes =
        [json!(0), json!(-1), json!(1.5), json!(1e300), json!(u64::MAX), json!(1_u64 << 41), json!(MIB), json!("5")];
    for size in sizes {
        assert!(read_release(&with(&document(), "/files/0/size", size.clone())).is_err(), "{size}");
    }
    let lengths = [
        json!([MIB + 5]),
        json!([5, MIB + 1]),
        json!([MIB, 4]),
        json!([MIB, 0, 5]),
        json!([MIB]),
        json!([]),
        json!([MIB, 5, 0]),
        json!([4294967295_u64, 5]),
        json!([MIB, -5]),
    ];
    for lengths in lengths {
        assert!(read_release(&with(&document(), "/files/0/chunks/lengths", lengths.clone())).is_err(), "{lengths}");
    }
    let one = Digest::of(b"x").to_string();
    for digests in [json!([]), json!([one]), json!([one, one, one]), json!([one, "x"]), json!([one, 5])] {
        assert!(read_release(&with(&document(), "/files/0/chunks/sha256", digests.clone())).is_err(), "{digests}");
    }
    // Crumbs: a request for each would never end.
    let crumbs = with(&document(), "/files/0/size", json!(100_000));
    let crumbs = with(&crumbs, "/files/0/chunks/lengths", json!(vec![1; 100_000]));
    let crumbs = with(&crumbs, "/files/0/chunks/sha256", json!(vec![one.clone(); 100_000]));
    refused(read_release(&crumbs), "chunks make no sense");
    // Each is possible, all together are not.
    let half: u64 = (1 << 40) / 2 + MIB;
    let chunks = half / MIB;
    let large = |file: usize, document: &Value| {
        let at = |field: &str| format!("/files/{file}/{field}");
        let document = with(document, &at("size"), json!(half));
        let document = with(&document, &at("chunks/lengths"), json!(vec![MIB; chunks as usize]));
        with(&document, &at("chunks/sha256"), json!(vec![one.clone(); chunks as usize]))
    };
    let both = large(1, &large(0, &document()));
    assert!(serde_json::to_vec(&both).unwrap().len() as u64 > LARGEST_RELEASE);
    refused(read_release(&both), "at most");
}

#[test]
fn releases_that_make_no_sense() {
    let file = document()["files"][0].clone();
    let cases = [
        ("/format", json!(2), "format is 2"),
        ("/number", json!(0), "counted from 1"),
        ("/floor", json!(4), "above itself"),
        ("/architecture", json!("a\n"), "architecture"),
        ("/sdk_min", json!("soon"), "three numbers"),
        ("/sdk_min", json!("1.2"), "three numbers"),
        ("/least_speed", json!(-1.0), "speed"),
        ("/golden/0/tokens", json!([]), "golden prompt \"Hello\" has an answer without tokens"),
        ("/golden/0/tokens", json!(vec![1; 5000]), "golden prompt \"Hello\" has an answer of 5000"),
        ("/golden/0/prompt", json!("x".repeat(70_000)), "xxx…\" has 70000 bytes"),
        ("/golden", json!(vec![json!({"prompt": "", "tokens": [1]}); 65]), "golden"),
        ("/files", json!([]), "0 files of weights"),
        ("/files/1/role", json!("weights"), "2 files of weights"),
        ("/files/0/role", json!("draft"), "0 files of weights"),
        ("/files/0/role", json!("virus"), "unknown variant"),
        ("/files/0/required", json!(false), "and required"),
        ("/files/0/sha256", json!("ab"), "64 hexadecimal"),
        ("/files/1/sealed", json!(""), "no name"),
        ("/files/1/sealed", json!("k".repeat(101)), "no name"),
        ("/files/1/sealed", json!("../key"), "no name"),
        ("/files", json!(vec![file; 33]), "at most 32"),
    ];
    for (pointer, value, why) in cases {
        refused(read_release(&with(&document(), pointer, value)), why);
    }
    let mut named = document();
    named["number"] = json!(4);
    let bytes = serde_json::to_vec(&named).unwrap();
    let size = bytes.len() as u64;
    let other =
        ReleaseRef { number: 3, sdk_min: "0.1.0".to_owned(), path: "r".to_owned(), size, sha256: Digest::of(&bytes) };
    refused(accept_release(&"m".parse().unwrap(), &other, &bytes), "another model, number");
    let other = ReleaseRef { number: 4, ..other };
    refused(accept_release(&"n".parse().unwrap(), &other, &bytes), "another model");
}

#[test]
fn catalogues_roots_and_rollouts_that_make_no_sense() {
    let state = TrustState::pinned(&signed_root(&root(1))).unwrap();
    let sha256 = Digest::of(b"x").to_string();
    let release = json!({"number": 1, "path": "a", "size": 1, "sha256": sha256});
    let good = serde_json::to_value(catalog(1)).unwrap();
    let cases = [
        ("/format", json!(9), "format is 9"),
        ("/needs", json!(["x"]), "needs"),
        ("/version", json!(0), "counted from 1"),
        ("/version", json!(-1), "invalid"),
        ("/models/0/id", json!("A/../b"), "no model id"),
        ("/models/0/id", json!("nul"), "reserve"),
        ("/models", json!([{"id": "m", "releases": []}, {"id": "m", "releases": []}]), "named twice"),
        ("/models/0/releases", json!([release, release]), "named twice"),
        ("/models/0/releases/0/number", json!(0), "counted from 1"),
        ("/models/0/releases/0/size", json!(0), "absurd"),
        ("/models/0/releases/0/size", json!(LARGEST_RELEASE + 1), "absurd"),
        ("/models/0/releases/0/sdk_min", json!("x"), "three numbers"),
    ];
    for (pointer, value, why) in cases {
        let bytes = sign(Kind::Catalog, &with(&good, pointer, value), &[1, 2]);
        refused(accept_catalog(&mut state.clone(), &bytes, NOW), why);
    }
    let mut state = state;
    let bytes = sign(Kind::Catalog, &with(&good, "/later", json!(1)), &[1, 2]);
    accept_catalog(&mut state, &bytes, NOW).unwrap();

    let offers = serde_json::to_value(rollout(1, 1)).unwrap();
    let cases = [
        ("/format", json!(2), "format is 2"),
        ("/version", json!(0), "counted from 1"),
        ("/offers/0/basis_points", json!(10_001), "10,000"),
        ("/offers/0/basis_points", json!(-1), "invalid"),
        ("/offers/0/release", json!(0), "counted from 1"),
        ("/offers/0/release", json!(2), "twice"),
        ("/offers/0/seed", json!("s\0"), "seed"),
        ("/offers/0/seed", json!("s".repeat(101)), "seed"),
        ("/offers/0/halted", json!("no"), "invalid"),
        ("/extra", json!(1), "unknown field"),
    ];
    for (pointer, value, why) in cases {
        let bytes = sign(Kind::Rollout, &with(&offers, pointer, value), &[11]);
        refused(accept_rollout(&mut state.clone(), &bytes, NOW), why);
    }

    let next = serde_json::to_value(root(2)).unwrap();
    let key_1 = key(1).public().to_string();
    let weak = format!("inkling-public-key-1:01{}", "0".repeat(62));
    let cases = [
        ("/format", json!(2), "format is 2"),
        ("/version", json!(0), "counted from 1"),
        ("/release/threshold", json!(0), "threshold"),
        ("/release/threshold", json!(4), "threshold"),
        ("/release/keys", json!([]), "threshold"),
        ("/release/keys", json!([key_1, key_1]), "twice"),
        ("/release/keys/2", json!(weak), "weak"),
        ("/release/keys/2", json!("x"), "inkling-public-key-1"),
        ("/rollout/keys", json!([key_1]), "both roles"),
        ("/rollout/threshold", json!(2), "threshold"),
        ("/targets", json!({}), "unknown field"),
        ("/release/url", json!("x"), "unknown field"),
    ];
    for (pointer, value, why) in cases {
        let bytes = sign(Kind::Root, &with(&next, pointer, value), &[1, 2, 3]);
        refused(accept_root(&mut state.clone(), &bytes), why);
    }
}

#[test]
fn fields_that_stand_twice_are_no_json() {
    let mut state = TrustState::pinned(&signed_root(&root(1))).unwrap();
    let payload =
        serde_json::to_string(&catalog(1)).unwrap().replacen("\"version\":1", "\"version\":1,\"version\":9", 1);
    let mut envelope = Envelope::new(Kind::Catalog, payload);
    [1, 2].iter().for_each(|&seed| envelope.sign(&key(seed)));
    refused(accept_catalog(&mut state, &envelope.to_bytes(), NOW), "duplicate field");
}

fn damaged(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..3), 1..8);
    edits.prop_map(move |edits| {
        let mut bytes = good.clone();
        for (at, byte, how) in edits {
            let index = at.index(bytes.len());
            match how {
                0 => bytes[index] = byte,
                1 => bytes.insert(index, byte),
                _ => bytes.truncate(index + 1),
            }
        }
        bytes
    })
}

proptest! {
    /// Whatever a server sends: an error, and nothing has changed; or what was signed.
    #[test]
    fn strangers_bytes_change_nothing(
        root_bytes in damaged(signed_root(&root(2))),
        catalog_bytes in damaged(signed_catalog(&catalog(2))),
        rollout_bytes in damaged(signed_rollout(&rollout(2, 1))),
    ) {
        let mut state = TrustState::pinned(&signed_root(&root(1))).unwrap();
        accept_catalog(&mut state, &signed_catalog(&catalog(1)), NOW).unwrap();
        let mut after = state.clone();
        match accept_root(&mut after, &root_bytes) {
            Ok(read) => prop_assert_eq!(read, root(2)),
            Err(_) => prop_assert_eq!(&after, &state),
        }
        let mut after = state.clone();
        match accept_catalog(&mut after, &catalog_bytes, NOW) {
            Ok(read) => prop_assert_eq!(read, catalog(2)),
            Err(_) => prop_assert_eq!(&after, &state),
        }
        let mut after = state.clone();
        match accept_rollout(&mut after, &rollout_bytes, NOW) {
            Ok(read) => prop_assert_eq!(read, rollout(2, 1)),
            Err(_) => prop_assert_eq!(&after, &state),
        }
    }

    /// Even if a thief could sign it: what a reader takes makes sense.
    #[test]
    fn signed_nonsense_is_no_panic(bytes in damaged(serde_json::to_vec(&document()).unwrap())) {
        let model: ModelId = "m".parse().unwrap();
        let (size, sha256) = (bytes.len() as u64, Digest::of(&bytes));
        let named = ReleaseRef { number: 3, sdk_min: "0.1.0".to_owned(), path: "r".to_owned(), size, sha256 };
        if let Ok(manifest) = accept_release(&model, &named, &bytes) {
            prop_assert!(manifest.release.weights().is_some());
            for (file, had) in manifest.release.files.iter().zip(&manifest.files) {
                prop_assert!(had.plan.chunks.has_digests() && had.plan.size == file.size);
                prop_assert!(resolve("https://h/m/catalog.json", &had.path).unwrap().starts_with("https://h/m/"));
            }
        }
        for kind in [Kind::Root, Kind::Catalog, Kind::Rollout] {
            let _ = Envelope::read(kind, &bytes);
        }
        let _ = (Root::read(&bytes), Catalog::read(&bytes), Offers::read(&bytes), TrustState::from_bytes(&bytes));
    }
}

#[test]
fn a_release_is_the_one_that_was_signed_to_the_byte() {
    let bytes = serde_json::to_vec(&document()).unwrap();
    let (size, sha256) = (bytes.len() as u64, Digest::of(&bytes));
    let named = ReleaseRef { number: 3, sdk_min: "0.1.0".to_owned(), path: "r".to_owned(), size, sha256 };
    let model: ModelId = "m".parse().unwrap();
    accept_release(&model, &named, &bytes).unwrap();
    // As long, as sound, and not what was signed.
    let other = String::from_utf8(bytes).unwrap().replace("Model ", "Modal ");
    assert_eq!(other.len() as u64, size);
    assert!(matches!(accept_release(&model, &named, other.as_bytes()), Err(StoreError::Untrusted { .. })));
}
