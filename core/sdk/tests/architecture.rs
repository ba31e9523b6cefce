//! The rules of ARCHITECTURE.md, "Who may know whom", read from `cargo metadata` instead of from good intentions.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Which crates of the project each crate may depend on. A crate that is missing here fails the test, so that a new
/// one is placed on purpose.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("inkling-base", &[]),
    ("inkling-gguf", &["inkling-base"]),
    ("inkling-text", &["inkling-base", "inkling-gguf"]),
    ("inkling-compute", &["inkling-base", "inkling-gguf"]),
    ("inkling-compute-reference", &["inkling-base", "inkling-gguf", "inkling-compute"]),
    ("inkling-compute-cpu", &["inkling-base", "inkling-gguf", "inkling-compute"]),
    ("inkling-models", &["inkling-base", "inkling-gguf", "inkling-compute"]),
    ("inkling-generate", &["inkling-base", "inkling-gguf", "inkling-text", "inkling-compute", "inkling-models"]),
    (
        "inkling-session",
        &["inkling-base", "inkling-gguf", "inkling-text", "inkling-compute", "inkling-models", "inkling-generate"],
    ),
    ("inkling-store-cipher", &[]),
    ("inkling-store", &["inkling-base", "inkling-gguf", "inkling-store-cipher"]),
    ("inkling-store-publish", &["inkling-gguf", "inkling-store"]),
    (
        "inkling",
        &[
            "inkling-base",
            "inkling-gguf",
            "inkling-text",
            "inkling-compute",
            "inkling-compute-reference",
            "inkling-compute-cpu",
            "inkling-models",
            "inkling-generate",
            "inkling-session",
            "inkling-store",
            "inkling-store-publish",
        ],
    ),
    ("inkling-cli", &["inkling"]),
    ("inkling-uniffi", &["inkling"]),
    ("inkling-bindgen", &[]),
];

/// Crates that serve tests.
const TESTS_ONLY: &[&str] = &["inkling-testkit", "inkling-store-chaos"];

/// Packages that only some crates may use (invariants 1 and 2 of ARCHITECTURE.md).
const ONLY_IN: &[(&str, &[&str])] = &[
    ("uniffi", &["inkling-uniffi"]),
    ("uniffi_bindgen", &["inkling-bindgen"]),
    ("jni", &["inkling-uniffi"]),
    ("android_logger", &["inkling-uniffi"]),
    ("candle-core", &["inkling-compute-metal"]),
    ("candle-metal-kernels", &["inkling-compute-metal"]),
    ("ash", &["inkling-compute-vulkan"]),
    ("ureq", &["inkling-store", "inkling-router"]),
    ("reqwest", &[]),
    ("hyper", &[]),
    ("memmap2", &["inkling-gguf", "inkling-compute-cpu"]),
    ("twox-hash", &["inkling-compute-cpu", "inkling-store"]),
    ("minijinja", &["inkling-text"]),
    ("tokenizers", &["inkling-text"]),
    ("clap", &["inkling-cli"]),
    ("ed25519-dalek", &["inkling-store"]),
    ("aes-gcm", &["inkling-store-cipher"]),
];

/// Packages under the Mozilla Public License, which asks for the source of these packages' own files only: each is
/// allowed by its name.
const MPL: &[&str] = &[
    "uniffi",
    "uniffi_bindgen",
    "uniffi_core",
    "uniffi_internal_macros",
    "uniffi_macros",
    "uniffi_meta",
    "uniffi_pipeline",
    "uniffi_udl",
];

/// Licences that an app may ship without asking anyone.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Zlib",
    "Unlicense",
    "CC0-1.0",
    "BSL-1.0",
    "0BSD",
    "MIT-0",
];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).exec().unwrap()
}

fn shipped_dependencies(package: &Package) -> impl Iterator<Item = &str> {
    package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal).map(|d| d.name.as_str())
}

#[test]
fn crates_know_only_whom_they_may() {
    let metadata = metadata();
    let may_know: BTreeMap<&str, BTreeSet<&str>> =
        MAY_KNOW.iter().map(|(name, allowed)| (*name, allowed.iter().copied().collect())).collect();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        if TESTS_ONLY.contains(&name) {
            continue; // Serves tests, so it may know everything; the next test sees that nobody ships it.
        }
        let allowed = may_know.get(name).unwrap_or_else(|| panic!("{name} has no place in MAY_KNOW"));
        for dependency in shipped_dependencies(package).filter(|d| *d == "inkling" || d.starts_with("inkling-")) {
            assert!(allowed.contains(dependency), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn special_packages_stay_in_their_crates() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        for dependency in shipped_dependencies(package) {
            assert!(!TESTS_ONLY.contains(&dependency), "{name} ships {dependency}");
            if let Some((_, allowed)) = ONLY_IN.iter().find(|(special, _)| *special == dependency) {
                assert!(allowed.contains(&name), "{name} must not depend on {dependency}, only {allowed:?} may");
            }
        }
    }
}

#[test]
fn every_dependency_has_a_known_licence_and_source() {
    let metadata = metadata();
    for package in &metadata.packages {
        if let Some(source) = &package.source {
            assert!(source.is_crates_io(), "{} does not come from crates.io", package.name);
        }
        let licence = package.license.as_deref().unwrap_or("none");
        // Good enough for SPDX as crates write it: one alternative must consist of allowed licences alone.
        let allowed = licence
            .replace('/', " OR ")
            .replace(['(', ')'], "")
            .split(" OR ")
            .any(|alternative| alternative.split(" AND ").all(|part| LICENCES.contains(&part.trim())));
        let allowed = allowed || (licence == "MPL-2.0" && MPL.contains(&package.name.as_str()));
        assert!(allowed, "{} {} has the licence {licence}", package.name, package.version);
    }
}

#[test]
fn no_c_is_compiled_for_phones() {
    // What a phone's target takes, and not what the same crates are on desktops.
    for target in ["aarch64-linux-android", "aarch64-apple-ios"] {
        no_c_is_compiled_for(target);
    }
}

fn no_c_is_compiled_for(target: &str) {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let platform = ["--filter-platform".to_owned(), target.to_owned()];
    let metadata = MetadataCommand::new().manifest_path(manifest).other_options(platform).exec().unwrap();
    let cli = ["inkling-cli", "inkling-testkit", "inkling-bindgen"];
    let compilers = ["cc", "cmake", "bindgen", "onig_sys"];
    let resolve = metadata.resolve.as_ref().unwrap();
    let names: BTreeMap<_, _> = metadata.packages.iter().map(|p| (&p.id, p.name.as_str())).collect();
    let mut seen = BTreeSet::new();
    let mut queue: Vec<_> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|p| !cli.contains(&p.name.as_str()))
        .map(|p| p.id.clone())
        .collect();
    while let Some(id) = queue.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        assert!(!compilers.contains(&names[&id]), "{} would compile C for a phone", names[&id]);
        let node = resolve.nodes.iter().find(|node| node.id == id).unwrap();
        let shipped = |d: &&cargo_metadata::NodeDep| d.dep_kinds.iter().any(|k| k.kind != DependencyKind::Development);
        queue.extend(node.deps.iter().filter(shipped).map(|d| d.pkg.clone()));
    }
}
