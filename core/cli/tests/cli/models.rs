//! `inkling models`: the store from the command line, against a server.

use std::fs;
use std::path::Path;

use inkling_store_chaos::server::{Fault, Phase, Rule, Server};
use tempfile::TempDir;

use crate::support::{Ran, demo_model, inkling};

/// A store of its own for a test, and a server.
struct Place {
    folder: TempDir,
    server: Server,
}

impl Place {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), server: Server::start().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn models(&self, args: &[&str]) -> Ran {
        let store = self.path("store");
        let mut all = vec!["models", "--store", &store];
        all.extend(args);
        inkling(&all)
    }
}

#[test]
fn a_model_is_pulled_listed_verified_repaired_and_removed() {
    let place = Place::new();
    place.server.add_hub("o/r", "demo.gguf", "main", None, fs::read(demo_model()).unwrap());
    place.server.rule(Rule::new(Fault::Reset(50_000), Phase::First).times(1));
    let hub = place.server.base();
    let pull = || place.models(&["pull", "o/r/demo.gguf", "--hub", &hub, "--id", "tiny"]);
    assert_eq!(pull().exits(0).text(), "tiny\n");
    let listed = place.models(&["list", "--json"]).exits(0).json();
    assert_eq!(
        (&listed[0]["id"], &listed[0]["release"], &listed[0]["complete"]),
        (&"tiny".into(), &1.into(), &true.into())
    );
    assert!(place.models(&["list"]).exits(0).text().contains("o/r/demo.gguf@main  (on trial)"));
    assert!(place.models(&["verify"]).exits(0).text().contains("as they were published"));
    // One bit, deep inside.
    let objects = Path::new(&place.path("store")).join("v1/objects");
    let object = fs::read_dir(objects).unwrap().map(|entry| entry.unwrap().path()).find(|p| p.extension().is_none());
    let object = object.unwrap();
    let mut bytes = fs::read(&object).unwrap();
    bytes[3_000_000] ^= 4;
    fs::write(&object, bytes).unwrap();
    let verified = place.models(&["verify", "--json"]).exits(1).json();
    assert_eq!(verified[0]["damaged"][0]["chunks"], serde_json::json!([2]));
    let before = place.server.total().bytes;
    // The store does not know of it any more, but a load would.
    pull().exits(0);
    place.models(&["verify"]).exits(0);
    assert!(place.server.total().bytes - before <= 2 << 20);
    place.models(&["pin", "tiny"]).exits(0);
    assert_eq!(place.models(&["list", "--json"]).json()[0]["pinned"], true);
    let usage = place.models(&["usage", "--json"]).exits(0).json();
    assert!(usage["models"].as_u64().unwrap() > 4_000_000 && usage["downloads"] == 0);
    place.models(&["rm", "tiny"]).exits(0);
    assert_eq!(place.models(&["list"]).exits(0).text(), "");
    place.models(&["gc", "--all"]).exits(0);
    assert_eq!(place.models(&["usage", "--json"]).json()["total"], 0);
}

#[test]
fn what_fits_is_said_before_it_is_fetched() {
    let place = Place::new();
    let fit = place.models(&["fit", demo_model(), "--json"]).exits(0).json();
    assert_eq!(fit["fits"], true);
    assert!(fit["need_bytes"].as_u64().unwrap() > 4_000_000);
    assert!(place.models(&["fit", demo_model()]).exits(0).text().starts_with("yes: it needs "));
}

/// A model that says it was made for a thousand million tokens, and is asked for them.
#[test]
fn what_does_not_fit_is_said_with_the_numbers() {
    let place = Place::new();
    let (path, mut bytes) = (place.folder.path().join("long.gguf"), fs::read(demo_model()).unwrap());
    let key = b".context_length";
    let value = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len();
    assert_eq!(bytes[value..value + 4], 4_u32.to_le_bytes(), "a number of 32 bits");
    bytes[value + 4..value + 8].copy_from_slice(&1_000_000_000_u32.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let asked = ["fit", path.to_str().unwrap(), "--ctx", "1000000000"];
    let fit = place.models(&[&asked[..], &["--json"]].concat()).exits(0).json();
    assert_eq!((&fit["fits"], &fit["what"]), (&false.into(), &"memory".into()), "{fit}");
    assert!(fit["need_bytes"].as_u64().unwrap() > fit["have_bytes"].as_u64().unwrap(), "{fit}");
    assert!(fit["suggestion"].as_str().unwrap().contains("where 1000000000 were asked for"), "{fit}");
    let told = place.models(&asked).exits(0);
    let text = told.text();
    assert!(
        text.starts_with("no: it needs ") && text.contains("of memory, ") && text.contains("tokens fits"),
        "{text}"
    );
}

/// What is wrong with a model is said of the file that the user named.
#[test]
fn what_cannot_be_looked_into_is_named() {
    let place = Place::new();
    let path = place.folder.path().join("hollow.gguf");
    fs::copy(demo_model(), &path).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    place.models(&["fit", path.to_str().unwrap()]).exits(1).says(&["hollow.gguf: ", "output_norm.weight"]);
}

#[test]
fn anybody_can_publish() {
    let place = Place::new();
    let (site, key, key2) = (place.path("site"), place.path("key"), place.path("rollout-key"));
    for key in [&key, &key2] {
        inkling(&["models", "keygen", key]).exits(0);
    }
    let (public, public2) = (format!("{key}.pub"), format!("{key2}.pub"));
    inkling(&["models", "init", &site, "--release", &public, "--rollout", &public2, "--key", &key]).exits(0);
    let publish = |number: &str, percent: &str| {
        inkling(&[
            "models",
            "publish",
            &site,
            demo_model(),
            "--model",
            "demo",
            "--number",
            number,
            "--key",
            &key,
            "--key",
            &key2,
            "--golden",
            "Good morning",
            "--percent",
            percent,
        ])
        .exits(0)
    };
    let nonsense = place.path("golden.json");
    fs::write(&nonsense, "{}").unwrap();
    let args =
        ["publish", &site, demo_model(), "--model", "demo", "--number", "1", "--key", &key, "--golden-file", &nonsense];
    inkling(&[&["models"], &args[..]].concat()).exits(2).says(&["no list of prompts"]);
    publish("1", "100");
    inkling(&["models", "check", &site]).exits(0);
    let server = Server::of_folder(&site, 0).unwrap();
    let source = format!("catalog:{}#demo", server.url("/catalog.json"));
    let root = format!("{site}/root.json");
    let pull = |more: &[&str]| {
        let mut args = vec!["pull", &source, "--root", &root];
        args.extend(more);
        place.models(&args)
    };
    pull(&[]).exits(0);
    // Nobody is offered the second one, then all are.
    publish("2", "0");
    assert_eq!(pull(&["--update", "--json"]).exits(0).json()["release"], 1);
    inkling(&["models", "offer", &site, "--model", "demo", "--number", "2", "--percent", "100", "--key", &key2])
        .exits(0);
    assert_eq!(pull(&["--update", "--json"]).exits(0).json()["release"], 2);
    place.models(&["rollback", "demo"]).exits(2).says(&["no earlier release"]);
    // Without the root nobody is trusted; with another key nothing is signed.
    place.models(&["pull", &source, "--id", "other"]).exits(2).says(&["no root is known"]);
    inkling(&["models", "retire", &site, "--model", "demo", "--number", "1", "--key", &key]).exits(0);
}

#[test]
fn bad_input_is_refused_with_reasons() {
    let place = Place::new();
    for (args, words) in [
        (&["pull", "nothing"][..], "owner/repository/file"),
        (&["pull", "https://user:secret@host/m.gguf#sha256=00&size=1"], "error"),
        (&["pull", "http://example.com/m.gguf#sha256=00&size=1"], "error"),
        (&["pull", "../x/y.gguf"], "error"),
        (&["pull", "o/r/f.gguf", "--id", "../x"], "no model id"),
        (&["rm", "Nul"], "no model id"),
        (&["pull", "o/r/f.gguf", "--hub", "http://example.com"], "https"),
    ] {
        let ran = place.models(args);
        assert!(ran.code == 1 || ran.code == 2, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(words) && !ran.stderr.contains("secret"), "{args:?}: {}", ran.stderr);
    }
    place.models(&["rm", "none"]).exits(1).says(&["no model at none"]);
    fs::write(place.path("store-file"), "x").unwrap();
    inkling(&["models", "--store", &place.path("store-file"), "list"]).exits(2).says(&["cannot be used as a store"]);
}
