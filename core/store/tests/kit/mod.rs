//! A publisher for tests: keys that are the same each time, and documents signed by them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test uses its part of it")]

use std::path::Path;

use inkling_store::manifest::*;
use inkling_store::{Digest, ModelId};
use inkling_store_publish::{Publication, PublishFile};

/// A day, in seconds.
pub const DAY: u64 = 86_400;
/// When the tests happen.
pub const NOW: u64 = 1_800_000_000;

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

pub fn ring(seeds: &[u8], threshold: u32) -> Keyring {
    Keyring::new(seeds.iter().map(|&seed| key(seed).public()).collect(), threshold).unwrap()
}

pub fn sign(kind: Kind, payload: &impl serde::Serialize, seeds: &[u8]) -> Vec<u8> {
    let mut envelope = Envelope::new(kind, serde_json::to_string(payload).unwrap());
    seeds.iter().for_each(|&seed| envelope.sign(&key(seed)));
    envelope.to_bytes()
}

/// Release keys 1, 2, 3, of which two sign; rollout key 11.
pub fn root(version: u64) -> Root {
    Root {
        format: 1,
        version,
        expires: NOW + 1000 * DAY,
        release: ring(&[1, 2, 3], 2),
        rollout: Some(ring(&[11], 1)),
        catalog_floor: 0,
        rollout_floor: 0,
    }
}

pub fn catalog(version: u64) -> Catalog {
    let release = |number| ReleaseRef {
        number,
        sdk_min: String::new(),
        path: format!("releases/m-{number}.json"),
        size: 10,
        sha256: Digest::of(&[number as u8]),
    };
    let id: ModelId = "m".parse().unwrap();
    let models = vec![CatalogModel { id, releases: vec![release(1), release(2)] }];
    Catalog { format: 1, needs: Vec::new(), version, expires: NOW + 30 * DAY, models }
}

pub fn offer(release: u64, basis_points: u32) -> Offer {
    Offer { model: "m".parse().unwrap(), release, basis_points, seed: "m".to_owned(), halted: false }
}

pub fn rollout(version: u64, catalog: u64) -> Offers {
    Offers { format: 1, version, expires: NOW + 7 * DAY, catalog, offers: vec![offer(1, 10_000), offer(2, 500)] }
}

pub fn signed_root(root: &Root) -> Vec<u8> {
    sign(Kind::Root, root, &[1, 2])
}

pub fn signed_catalog(catalog: &Catalog) -> Vec<u8> {
    sign(Kind::Catalog, catalog, &[1, 2])
}

pub fn signed_rollout(rollout: &Offers) -> Vec<u8> {
    sign(Kind::Rollout, rollout, &[11])
}

/// A release of which nothing special is said, offered to everybody.
pub fn publication<'a>(
    folder: &'a Path,
    model: &str,
    number: u64,
    files: Vec<PublishFile>,
    keys: &'a [SecretKey],
    now: u64,
) -> Publication<'a> {
    Publication {
        folder,
        model: model.parse().unwrap(),
        number,
        files,
        floor: 0,
        ram_min: 0,
        sdk_min: String::new(),
        golden: Vec::new(),
        least_speed: 0.0,
        seal: None,
        keys,
        basis_points: 10_000,
        catalog_expires: now + 90 * DAY,
        rollout_expires: now + 90 * DAY,
        now,
    }
}
