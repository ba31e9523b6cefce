//! A publisher's folder, read as a device reads it.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/kit/mod.rs"]
mod kit;

use std::path::{Path, PathBuf};

use inkling_store::manifest::{Kind, SecretKey};
use inkling_store::rollout::{Device, choose};
use inkling_store::seal::{KeyProvider, Sealed};
use inkling_store::trust::*;
use inkling_store::{Digest, Golden, ModelId, Role, StoreError, TrustState};
use inkling_store_publish::*;
use inkling_testkit::tiny::{Family, TinyModel};
use kit::{DAY, NOW, key, ring};
use zeroize::Zeroizing;

struct Publisher {
    folder: tempfile::TempDir,
    sources: tempfile::TempDir,
}

fn roles(release: &[u8], threshold: u32, rollout: Option<u8>) -> Roles {
    Roles {
        release: ring(release, threshold),
        rollout: rollout.map(|seed| ring(&[seed], 1)),
        expires: NOW + 1000 * DAY,
    }
}

fn keys(seeds: &[u8]) -> Vec<SecretKey> {
    seeds.iter().map(|&seed| key(seed)).collect()
}

fn model() -> ModelId {
    "tiny".parse().unwrap()
}

impl Publisher {
    /// Two of three release keys, one rollout key.
    fn new() -> Self {
        let publisher = Self { folder: tempfile::tempdir().unwrap(), sources: tempfile::tempdir().unwrap() };
        init(publisher.path(), &roles(&[1, 2, 3], 2, Some(11)), &keys(&[1, 2])).unwrap();
        publisher
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn source(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.sources.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn publication<'a>(&'a self, number: u64, keys: &'a [SecretKey]) -> Publication<'a> {
        let mut tiny = TinyModel::new(Family::Llama);
        tiny.seed = number;
        let weights = self.source(&format!("tiny-{number}.gguf"), &tiny.bytes());
        Publication {
            folder: self.path(),
            model: model(),
            number,
            files: vec![PublishFile { role: Role::Weights, path: weights, required: true }],
            floor: 0,
            ram_min: 1 << 20,
            sdk_min: "0.1.0".to_owned(),
            golden: vec![Golden { prompt: "Hello".to_owned(), tokens: vec![1, 2, 3] }],
            least_speed: 0.5,
            seal: None,
            keys,
            basis_points: 2_500,
            catalog_expires: NOW + 90 * DAY,
            rollout_expires: NOW + 14 * DAY,
            now: NOW,
        }
    }

    /// All files and what is in them.
    fn snapshot(&self) -> Vec<(PathBuf, Digest)> {
        let mut found = Vec::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push((path.clone(), Digest::of(&std::fs::read(path).unwrap())));
                }
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap()
    }
}

#[test]
fn what_is_published_is_what_devices_get() {
    let publisher = Publisher::new();
    let signers = keys(&[2, 3, 11]);
    let mut what = publisher.publication(1, &signers);
    let template = publisher.source("chat.jinja", b"{{ messages }}");
    what.files.push(PublishFile { role: Role::Template, path: template, required: false });
    let published = publish(&what).unwrap();
    assert_eq!(published.catalog, Outcome::Written { version: 1 });
    assert_eq!(published.rollout, Some(Outcome::Written { version: 1 }));

    // As a device: the root came with the app, all else from the folder.
    let mut state = TrustState::pinned(&publisher.read("root.json")).unwrap();
    accept_root(&mut state, &publisher.read("root/1.json")).unwrap();
    let catalog = accept_catalog(&mut state, &publisher.read("catalog.json"), NOW).unwrap();
    let offers = accept_rollout(&mut state, &publisher.read("rollout.json"), NOW).unwrap();
    let found = catalog.model(&model()).unwrap();
    assert_eq!(offers.offer(&model(), 1).unwrap().basis_points, 2_500);
    let device = |install_id| Device { install_id, installed: 0, floor: 0, refused: &[], sdk: "0.1.0" };
    let ids: Vec<_> = (0..400_u32).map(u32::to_le_bytes).collect();
    let got = ids.iter().filter(|id| choose(found, Some(&offers), &device(&id[..])).is_some()).count();
    assert!((60..140).contains(&got), "{got} of 400");

    let named = &found.releases[0];
    let manifest = accept_release(&found.id, named, &publisher.read(&named.path)).unwrap();
    let release = &manifest.release;
    assert_eq!((release.number, release.architecture.as_str(), release.sdk_min.as_str()), (1, "llama", "0.1.0"));
    assert_eq!((release.golden.clone(), release.least_speed, release.ram_min), (what.golden.clone(), 0.5, 1 << 20));
    assert_eq!(release.size(), published.bytes);
    for (file, source) in manifest.files.iter().zip(&what.files) {
        let served = publisher.read(&file.path);
        assert_eq!(served, std::fs::read(&source.path).unwrap());
        assert_eq!((Digest::of(&served), served.len() as u64), (file.plan.sha256, file.plan.size));
        for index in 0..file.plan.chunks.len() {
            let (start, length) = file.plan.chunks.range(index);
            let chunk = &served[start as usize..(start + length) as usize];
            assert_eq!(file.plan.chunks.digest(index), Some(Digest::of(chunk)));
        }
    }
    let checked = check(publisher.path(), NOW).unwrap();
    assert_eq!((checked.releases, checked.bytes), (vec![manifest], published.bytes));
    assert!(check(publisher.path(), NOW + 20 * DAY).is_err(), "the rollout has expired");
}

#[test]
fn everything_can_be_done_again() {
    let publisher = Publisher::new();
    let signers = keys(&[1, 2, 11]);
    publish(&publisher.publication(1, &signers)).unwrap();
    let before = publisher.snapshot();
    assert_eq!(init(publisher.path(), &roles(&[1, 2, 3], 2, Some(11)), &signers).unwrap(), Outcome::Unchanged);
    let again =
        publish(&Publication { basis_points: 9, now: NOW + DAY, ..publisher.publication(1, &signers) }).unwrap();
    assert_eq!((again.catalog, again.rollout), (Outcome::Unchanged, Some(Outcome::Unchanged)));
    let same = Share { basis_points: Some(2_500), ..Share::default() };
    let set = |share: &Share| set_rollout(publisher.path(), (&model(), 1), share, &signers, (NOW + 14 * DAY, NOW));
    assert_eq!(set(&same).unwrap(), Outcome::Unchanged);
    assert_eq!(publisher.snapshot(), before);

    // A number is used once.
    let other = Publication { ram_min: 5, ..publisher.publication(1, &signers) };
    assert!(matches!(publish(&other), Err(StoreError::Invalid { field: "number", .. })));
    // The share grows, and what is halted is.
    assert_eq!(set(&Share { basis_points: Some(5_000), ..same.clone() }).unwrap(), Outcome::Written { version: 2 });
    assert_eq!(set(&Share { halted: Some(true), ..Share::default() }).unwrap(), Outcome::Written { version: 3 });
    let offer = check(publisher.path(), NOW).unwrap().rollout.unwrap().offers.remove(0);
    assert_eq!((offer.basis_points, offer.halted), (5_000, true));
    assert!(set(&Share { basis_points: Some(10_001), ..same }).is_err());
    let missing = set_rollout(publisher.path(), (&model(), 9), &Share::default(), &signers, (NOW + DAY, NOW));
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));

    // What an interrupted publisher left is done by the next.
    std::fs::remove_file(publisher.path().join("catalog.json")).unwrap();
    std::fs::remove_file(
        publisher.path().join(&before.iter().find(|(path, _)| path.parent().unwrap().ends_with("files")).unwrap().0),
    )
    .unwrap();
    publish(&publisher.publication(1, &signers)).unwrap();
    check(publisher.path(), NOW).unwrap();
    let parts = publisher.snapshot().iter().filter(|(path, _)| path.to_string_lossy().contains("part")).count();
    assert_eq!(parts, 0);
}

#[test]
fn an_update_is_a_delta_and_a_retired_release_is_gone() {
    let publisher = Publisher::new();
    let signers = keys(&[1, 2, 11]);
    publish(&publisher.publication(1, &signers)).unwrap();
    publish(&publisher.publication(2, &signers)).unwrap();
    let checked = check(publisher.path(), NOW).unwrap();
    assert_eq!((checked.catalog.version, checked.releases.len()), (2, 2));
    assert_eq!(checked.rollout.unwrap().catalog, 2);
    let gone = retire(publisher.path(), &model(), 1, &signers, (NOW + 90 * DAY, NOW)).unwrap();
    assert_eq!(gone, Outcome::Written { version: 3 });
    assert_eq!(check(publisher.path(), NOW).unwrap().releases.len(), 1);
}

#[test]
fn keys_are_rotated_and_devices_follow() {
    let publisher = Publisher::new();
    let signers = keys(&[1, 2, 11]);
    publish(&publisher.publication(1, &signers)).unwrap();
    let mut device = TrustState::pinned(&publisher.read("root.json")).unwrap();
    let stolen = publisher.read("catalog.json");
    accept_catalog(&mut device, &stolen, NOW).unwrap();

    // Key 1 and the rollout key are replaced.
    let next = roles(&[2, 3, 4], 2, Some(12));
    let few = rotate(publisher.path(), &next, &keys(&[1, 4])).unwrap();
    assert_eq!(few, Outcome::Pending { version: 2, missing: 1 });
    assert_eq!(sign_pending(publisher.path(), Kind::Root, &keys(&[2])).unwrap(), Outcome::Written { version: 2 });
    assert_eq!(sign_pending(publisher.path(), Kind::Root, &keys(&[2])).unwrap(), Outcome::Unchanged);
    assert!(check(publisher.path(), NOW).is_err(), "the old catalogue no longer counts");
    let renewed = renew(publisher.path(), &keys(&[3, 4, 12]), (NOW + 90 * DAY, NOW + 14 * DAY), NOW).unwrap();
    assert_eq!(renewed, (Outcome::Written { version: 2 }, Some(Outcome::Written { version: 2 })));
    check(publisher.path(), NOW).unwrap();

    accept_root(&mut device, &publisher.read("root/2.json")).unwrap();
    assert!(accept_catalog(&mut device.clone(), &stolen, NOW).is_err());
    accept_catalog(&mut device, &publisher.read("catalog.json"), NOW).unwrap();
    accept_rollout(&mut device, &publisher.read("rollout.json"), NOW).unwrap();
    // A third root, only to live longer; a device that has slept takes them one by one.
    let longer = Roles { expires: NOW + 2000 * DAY, ..next };
    assert_eq!(rotate(publisher.path(), &longer, &keys(&[2, 4])).unwrap(), Outcome::Written { version: 3 });
    assert_eq!(rotate(publisher.path(), &longer, &keys(&[2, 4])).unwrap(), Outcome::Unchanged);
    let mut sleeper = TrustState::with_keys(ring(&[1, 2, 3], 2));
    while let Ok(root) = std::fs::read(publisher.path().join(format!("root/{}.json", sleeper.next_root()))) {
        accept_root(&mut sleeper, &root).unwrap();
    }
    assert_eq!(sleeper.next_root(), 4);
    accept_catalog(&mut sleeper, &publisher.read("catalog.json"), NOW).unwrap();
    // A server with the rollout key alone keeps the rollout alive.
    let later = NOW + 10 * DAY;
    let renewed = renew(publisher.path(), &keys(&[12]), (0, later + 14 * DAY), later).unwrap();
    assert_eq!(renewed, (Outcome::Unchanged, Some(Outcome::Written { version: 3 })));
    check(publisher.path(), NOW + 20 * DAY).unwrap();
}

#[test]
fn signers_need_not_meet() {
    let publisher = Publisher::new();
    let (first, second) = (keys(&[1, 11]), keys(&[3]));
    let published = publish(&publisher.publication(1, &first)).unwrap();
    assert_eq!(published.catalog, Outcome::Pending { version: 1, missing: 1 });
    assert!(!publisher.path().join("catalog.json").exists());
    // Doing it again makes no other document, so no signature is lost.
    publish(&Publication { catalog_expires: NOW + 91 * DAY, ..publisher.publication(1, &first) }).unwrap();
    // Nor is what waits lost to something else.
    let other = publish(&publisher.publication(2, &first));
    assert!(matches!(other, Err(StoreError::Invalid { field: "pending", .. })), "{other:?}");
    assert_eq!(sign_pending(publisher.path(), Kind::Catalog, &second).unwrap(), Outcome::Written { version: 1 });
    publish(&publisher.publication(1, &first)).unwrap();
    assert_eq!(check(publisher.path(), NOW).unwrap().releases.len(), 1);
    // The second signer may as well repeat the command, later and with a key of his own.
    let repeat = keys(&[2, 11]);
    let waits = publish(&publisher.publication(3, &first)).unwrap().catalog;
    assert_eq!(waits, Outcome::Pending { version: 2, missing: 1 });
    let again = Publication { catalog_expires: NOW + 91 * DAY, ..publisher.publication(3, &repeat) };
    assert_eq!(publish(&again).unwrap().catalog, Outcome::Written { version: 2 });
    // One that waited while another was served is stale.
    let waiting = keys(&[1, 11]);
    publish(&publisher.publication(4, &waiting)).unwrap();
    let pending = std::fs::read(publisher.path().join("pending/catalog.json")).unwrap();
    sign_pending(publisher.path(), Kind::Catalog, &second).unwrap();
    std::fs::create_dir_all(publisher.path().join("pending")).unwrap();
    std::fs::write(publisher.path().join("pending/catalog.json"), pending).unwrap();
    assert!(sign_pending(publisher.path(), Kind::Catalog, &second).is_err());
}

#[test]
fn keys_are_files_that_only_their_owner_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("release.key");
    let public = keygen(&path).unwrap();
    assert_eq!(read_secret_key(&path).unwrap().public(), public);
    assert_eq!(read_public_key(&folder.path().join("release.key.pub")).unwrap(), public);
    assert!(matches!(keygen(&path), Err(StoreError::Io { .. })), "nothing is overwritten");
    assert_eq!(read_secret_key(&path).unwrap().public(), public);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read_secret_key(&path).unwrap_err().to_string().contains("chmod 600"));
    }
    assert!(read_secret_key(&folder.path().join("release.key.pub")).is_err());
    assert!(read_public_key(&folder.path().join("none")).is_err());
}

#[test]
fn files_have_the_roles_that_their_names_suggest() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["m-Q4_0.gguf", "mmproj-m.gguf", "m-draft.gguf", "lora.gguf", "chat.jinja", "README.md", ".hidden.gguf"]
    {
        std::fs::write(folder.path().join(name), b"x").unwrap();
    }
    std::fs::create_dir(folder.path().join("x.gguf")).unwrap();
    let roles: Vec<_> = files_in(folder.path()).unwrap().into_iter().map(|file| (file.role, file.required)).collect();
    let expected = [Role::Weights, Role::Projector, Role::Adapter, Role::Draft, Role::Template];
    assert_eq!(roles, expected.map(|role| (role, matches!(role, Role::Weights | Role::Template))));
}

#[test]
fn what_cannot_be_published_is_refused_and_nothing_is_served() {
    let publisher = Publisher::new();
    let signers = keys(&[1, 2, 11]);
    let weights = |name: &str, bytes: &[u8]| PublishFile {
        role: Role::Weights,
        path: publisher.source(name, bytes),
        required: true,
    };
    let good = publisher.publication(1, &signers).files;
    let tiny = TinyModel::new(Family::Llama).bytes();
    let twice = vec![good[0].clone(), weights("b.gguf", &tiny)];
    let cases = [
        vec![],
        twice,
        vec![weights("no.gguf", b"no model")],
        vec![weights("empty.gguf", b"")],
        vec![weights("nul.gguf", &tiny)],
        vec![
            good[0].clone(),
            PublishFile { role: Role::Template, path: publisher.source("TINY-1.gguf", b"x"), required: true },
        ],
        vec![PublishFile { path: publisher.path().join("none"), ..good[0].clone() }],
    ];
    for files in cases {
        let names: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
        assert!(publish(&Publication { files, ..publisher.publication(1, &signers) }).is_err(), "{names:?}");
    }
    for wrong in [
        Publication { number: 0, ..publisher.publication(1, &signers) },
        Publication { floor: 2, ..publisher.publication(1, &signers) },
        Publication { sdk_min: "new".to_owned(), ..publisher.publication(1, &signers) },
        Publication { least_speed: f64::NAN, ..publisher.publication(1, &signers) },
        Publication { basis_points: 10_001, ..publisher.publication(1, &signers) },
    ] {
        assert!(publish(&wrong).is_err());
    }
    assert!(!publisher.path().join("catalog.json").exists() && !publisher.path().join("releases").exists());
    let empty = tempfile::tempdir().unwrap();
    assert!(publish(&Publication { folder: empty.path(), ..publisher.publication(1, &signers) }).is_err());
}

#[test]
fn damage_on_the_server_is_found() {
    let publisher = Publisher::new();
    let signers = keys(&[1, 2, 11]);
    publish(&publisher.publication(1, &signers)).unwrap();
    for (path, _) in publisher.snapshot() {
        // The numbered root is not needed by those who have the newest.
        if path.parent().unwrap().ends_with("root") {
            continue;
        }
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 4;
        std::fs::write(&path, &bad).unwrap();
        assert!(check(publisher.path(), NOW).is_err(), "{}", path.display());
        std::fs::write(&path, &good[..good.len() - 9]).unwrap();
        assert!(check(publisher.path(), NOW).is_err(), "{}", path.display());
        std::fs::write(&path, &good).unwrap();
    }
    check(publisher.path(), NOW).unwrap();
}

struct Keys;

impl KeyProvider for Keys {
    fn key(&self, _: &str) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        Ok(Zeroizing::new([5; 32]))
    }
}

#[test]
fn sealed_files_are_published_as_they_are_and_opened_with_the_key() {
    let publisher = Publisher::new();
    let signers = keys(&[1, 2, 11]);
    let what = Publication { seal: Some(("app-1", &Keys)), ..publisher.publication(1, &signers) };
    publish(&what).unwrap();
    assert_eq!(publish(&what).unwrap().catalog, Outcome::Unchanged, "sealing gives the same each time");
    let checked = check(publisher.path(), NOW).unwrap();
    let release = &checked.releases[0];
    assert_eq!(release.release.files[0].sealed.as_deref(), Some("app-1"));
    let chunks = release.files[0].plan.chunks.len() as u64;
    let path = publisher.path().join(&release.files[0].path);
    let sealed = Sealed::open(std::fs::File::open(&path).unwrap(), &path, Some(chunks), &Keys).unwrap();
    let mut plain = Vec::new();
    sealed.read_to(&mut plain).unwrap();
    assert_eq!(plain, std::fs::read(&what.files[0].path).unwrap());
}

#[test]
fn without_rollout_keys_everything_is_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let publisher = Publisher { folder, sources: tempfile::tempdir().unwrap() };
    init(publisher.path(), &roles(&[1], 1, None), &keys(&[1])).unwrap();
    let signers = keys(&[1]);
    let published = publish(&publisher.publication(1, &signers)).unwrap();
    assert_eq!(published.rollout, None);
    let checked = check(publisher.path(), NOW).unwrap();
    let device = Device { install_id: b"x", installed: 0, floor: 0, refused: &[], sdk: "0.1.0" };
    assert_eq!(choose(&checked.catalog.models[0], checked.rollout.as_ref(), &device).unwrap().number, 1);
}
