//! Publishing, checking, sealing and planning a delta take a few MiB, whatever the file's size.
#![allow(clippy::unwrap_used)]

mod kit;
#[path = "support/peak.rs"]
mod peak;

use inkling_models::synth::{self, Quant, SynthOptions};
use inkling_store::chunking::delta;
use inkling_store::seal::{KeyProvider, Sealed, seal_file};
use inkling_store::{Role, StoreError};
use inkling_store_publish::{PublishFile, Roles, check, init, publish};
use kit::{DAY, NOW, key, publication, ring};
use peak::peak;
use zeroize::Zeroizing;

struct OneKey;

impl KeyProvider for OneKey {
    fn key(&self, _: &str) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        Ok(Zeroizing::new([7; 32]))
    }
}

#[test]
fn a_few_mebibytes_are_enough() {
    const MOST: usize = 16 << 20;
    let folder = tempfile::tempdir().unwrap();
    let served = folder.path().join("served");
    let weights = folder.path().join("m.gguf");
    let options = SynthOptions { quant: Quant::Q4_0, ..SynthOptions::default() };
    let size = synth::write("smollm2-135m", &options, &weights, &|_| {}).unwrap().bytes;
    let keys = [key(1)];
    let publish = |number| {
        let files = vec![PublishFile { role: Role::Weights, path: weights.clone(), required: true }];
        publish(&publication(&served, "m", number, files, &keys, NOW)).unwrap()
    };
    let roles = Roles { release: ring(&[1], 1), rollout: None, expires: NOW + DAY };
    init(&served, &roles, &keys).unwrap();

    let (publishing, _) = peak(|| publish(1));
    // The second release is what a fine-tune of a few layers is: a stretch of other bytes.
    let mut bytes = std::fs::read(&weights).unwrap();
    let third = bytes.len() / 3;
    bytes[third..third + (5 << 20)].iter_mut().for_each(|byte| *byte ^= 1);
    std::fs::write(&weights, &bytes).unwrap();
    drop(bytes);
    publish(2);
    let (checking, checked) = peak(|| check(&served, NOW).unwrap());
    let (old, new) = (&checked.releases[0].files[0].plan, &checked.releases[1].files[0].plan);
    let (planning, plan) = peak(|| {
        let places = delta::index(&old.chunks);
        delta::plan(&new.chunks, |digest| places.get(digest).copied())
    });
    let sealed = folder.path().join("sealed");
    let (sealing, _) = peak(|| seal_file(&weights, &sealed, "k", &OneKey).unwrap());
    let (opening, _) = peak(|| {
        let file = std::fs::File::open(&sealed).unwrap();
        Sealed::open(file, &sealed, None, &OneKey).unwrap().read_to(&mut std::io::sink()).unwrap();
    });
    println!(
        "{size} bytes: at most {publishing} held while publishing, {checking} checking, {planning} planning a delta of {} chunks and {} bytes, {sealing} sealing, {opening} opening what is sealed",
        plan.fetch.len(),
        plan.bytes
    );
    assert!([publishing, checking, planning, sealing, opening].into_iter().all(|peak| peak < MOST));
    assert!(plan.bytes < 8 << 20 && plan.bytes >= 5 << 20);
}
