//! What of a new file can be taken from an old one: of random files, and of models whose template or tensors changed.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use inkling_gguf::{Gguf, GgufWriter, Outline};
use inkling_models::synth::{self, Quant, SynthOptions};
use inkling_store::chunking::{chunk_file, chunk_gguf, delta};
use inkling_store::seal::{KeyProvider, seal};
use inkling_store::{Chunks, Digest, StoreError};
use inkling_testkit::tiny::{Family, TinyModel};
use proptest::prelude::*;
use zeroize::Zeroizing;

fn part<'a>(bytes: &'a [u8], chunks: &Chunks, index: usize) -> &'a [u8] {
    let (start, length) = chunks.range(index);
    &bytes[start as usize..(start + length) as usize]
}

fn with_digests(bytes: &[u8], chunks: &Chunks) -> Chunks {
    chunks.with_digests((0..chunks.len()).map(|index| Digest::of(part(bytes, chunks, index))).collect()).unwrap()
}

/// The chunks of a file's bytes, with digests.
fn chunked(bytes: &[u8]) -> Chunks {
    let chunks = Outline::of(bytes).map_or_else(|_| Chunks::plain(bytes.len() as u64), |outline| chunk_gguf(&outline));
    with_digests(bytes, &chunks)
}

/// The new file from the old one and from what must be fetched, and how many chunks and bytes that is.
fn update(old: &[u8], new: &[u8], old_chunks: &Chunks, new_chunks: &Chunks) -> (usize, u64) {
    let places = delta::index(old_chunks);
    let plan = delta::plan(new_chunks, |digest| places.get(digest).copied());
    let mut built = vec![0; new.len()];
    for &(index, (offset, length)) in &plan.take {
        let (start, same) = new_chunks.range(index);
        assert_eq!(length, same);
        built[start as usize..(start + length) as usize]
            .copy_from_slice(&old[offset as usize..(offset + length) as usize]);
    }
    for &index in &plan.fetch {
        let (start, length) = new_chunks.range(index);
        built[start as usize..(start + length) as usize].copy_from_slice(part(new, new_chunks, index));
    }
    assert!(built == new, "the result is another file");
    assert_eq!(plan.bytes, plan.fetch.iter().map(|&index| new_chunks.range(index).1).sum::<u64>());
    (plan.fetch.len(), plan.bytes)
}

/// The same model with other keys: written anew, so everything after them moves.
fn rewritten(model: &Gguf, edit: impl FnOnce(&mut GgufWriter)) -> Vec<u8> {
    let mut writer = GgufWriter::new();
    for (key, value) in model.metadata().iter() {
        writer.set(key, value.clone()).unwrap();
    }
    for info in model.tensors() {
        writer.tensor(&info.name, info.kind, info.shape.dimensions()).unwrap();
    }
    edit(&mut writer);
    let mut data = writer.write_to(Vec::new()).unwrap();
    model.ids().for_each(|(id, _)| data.push(model.data(id)).unwrap());
    data.finish().unwrap()
}

fn synthetic(folder: &Path, shape: &str, layers: Option<usize>) -> PathBuf {
    let path = folder.join(format!("{shape}.gguf"));
    let options = SynthOptions { quant: Quant::Q4_0, layers, ..SynthOptions::default() };
    synth::write(shape, &options, &path, &|_| {}).unwrap();
    path
}

/// Files of real shapes, and a real one where the cache has it.
fn models(folder: &Path, layers: Option<usize>) -> Vec<PathBuf> {
    let mut models = vec![synthetic(folder, "smollm2-135m", layers), synthetic(folder, "qwen3-0.6b", Some(2))];
    let cache = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/inkling/models"));
    models.extend(cache.map(|cache| cache.join("SmolLM2-135M-Instruct.Q4_0.gguf")).filter(|path| path.exists()));
    models
}

const TEMPLATE: &str = "tokenizer.chat_template";

#[test]
fn a_changed_template_is_two_chunks_at_most() {
    let folder = tempfile::tempdir().unwrap();
    for path in models(folder.path(), Some(4)) {
        let model = Gguf::open(&path).unwrap();
        let old = rewritten(&model, |writer| {
            writer.set(TEMPLATE, "{{ messages }}").unwrap();
        });
        let old_chunks = chunked(&old);
        let mut most = 0;
        for length in [0, 13, 15, 46, 60_000] {
            let new = rewritten(&model, |writer| {
                writer.set(TEMPLATE, "x".repeat(length)).unwrap();
            });
            let (fetched, bytes) = update(&old, &new, &old_chunks, &chunked(&new));
            assert!((1..=2).contains(&fetched), "{fetched} chunks, {bytes} bytes with {length} characters");
            most = most.max(bytes);
        }
        // Other small keys: one that changes, one that is new.
        let new = rewritten(&model, |writer| {
            writer.set(TEMPLATE, "{{ messages }}").unwrap().set("general.name", "another name for it").unwrap();
        });
        let changed = update(&old, &new, &old_chunks, &chunked(&new));
        let new = rewritten(&model, |writer| {
            writer.set(TEMPLATE, "{{ messages }}").unwrap().set("general.new_key", 7_u32).unwrap();
        });
        let added = update(&old, &new, &old_chunks, &chunked(&new));
        println!(
            "{}: {} chunks, {} MB; a template costs at most {most} bytes, a changed name {changed:?}, a new key {added:?}",
            path.file_name().unwrap().display(),
            old_chunks.len(),
            old.len() / 1_000_000,
        );
        assert!(changed.0 <= 2 && added.0 <= 3);
    }
}

struct OneKey;

impl KeyProvider for OneKey {
    fn key(&self, _: &str) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        Ok(Zeroizing::new([7; 32]))
    }
}

#[test]
fn a_changed_template_of_a_sealed_model_is_two_chunks_and_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let model = Gguf::open(&synthetic(folder.path(), "smollm2-135m", Some(2))).unwrap();
    let sealed = |length: usize| {
        let plain = rewritten(&model, |writer| {
            writer.set(TEMPLATE, "x".repeat(length)).unwrap();
        });
        let chunks = chunk_gguf(&Outline::of(&plain).unwrap());
        let mut bytes = Vec::new();
        let chunks = seal(&mut &plain[..], &chunks, &mut bytes, "k", &OneKey).unwrap();
        let chunks = with_digests(&bytes, &chunks);
        (bytes, chunks)
    };
    let (old, old_chunks) = sealed(1000);
    for length in [0, 999, 1001, 1031, 50_000] {
        let (new, new_chunks) = sealed(length);
        let (fetched, bytes) = update(&old, &new, &old_chunks, &new_chunks);
        println!("sealed, with {length} characters: {fetched} of {} chunks, {bytes} bytes", new_chunks.len());
        assert!((2..=3).contains(&fetched), "{fetched}");
    }
}

#[test]
fn a_tenth_of_the_tensors_is_about_a_tenth_of_the_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for path in models(folder.path(), None) {
        let model = Gguf::open(&path).unwrap();
        let old = std::fs::read(&path).unwrap();
        let (old_chunks, total) = (chunked(&old), old.len() as f64);
        assert_eq!(chunk_file(&path).unwrap(), chunk_gguf(&Outline::of(&old).unwrap()));
        let tensors = model.tensors();
        let (mut sum, mut worst, mut draws) = (0.0, 0.0_f64, 0);
        let mut random = 1_u64;
        let mut draw = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize
        };
        for _ in 0..500 {
            let mut chosen: Vec<usize> = (0..tensors.len()).collect();
            (0..tensors.len()).for_each(|index| chosen.swap(index, draw() % tensors.len()));
            chosen.truncate(tensors.len().div_ceil(10));
            let changed: u64 = chosen.iter().map(|&index| tensors[index].bytes).sum();
            let mut chunks: Vec<usize> = chosen
                .iter()
                .flat_map(|&index| {
                    let tensor = &tensors[index];
                    old_chunks.at(tensor.offset)..=old_chunks.at(tensor.offset + tensor.bytes - 1)
                })
                .collect();
            chunks.sort_unstable();
            chunks.dedup();
            let fetched: u64 = chunks.iter().map(|&index| old_chunks.range(index).1).sum();
            let (fetched, changed) = (fetched as f64 / total, changed as f64 / total);
            assert!(fetched <= changed + 0.02, "{fetched} fetched for {changed} changed");
            (sum, worst, draws) = (sum + fetched, worst.max(fetched - changed), draws + 1);
        }
        let mean = sum / f64::from(draws);
        // And once in earnest: every eleventh tensor.
        let mut new = old.clone();
        let mut changed = 0;
        for tensor in tensors.iter().skip(5).step_by(11) {
            new[(tensor.offset + tensor.bytes / 2) as usize] ^= 1;
            changed += tensor.bytes;
        }
        let (chunks, _) = update(&old, &new, &old_chunks, &chunked(&new));
        println!(
            "{}: {draws} draws of a tenth of {} tensors fetch {:.2} % of the bytes on the average, at most {:.3} points more than changed; one byte in each of {} tensors ({:.1} % of the bytes): {chunks} chunks",
            path.file_name().unwrap().display(),
            tensors.len(),
            mean * 100.0,
            worst * 100.0,
            tensors.iter().skip(5).step_by(11).count(),
            changed as f64 / total * 100.0
        );
        assert!(mean <= 0.12);
    }
}

#[test]
fn lists_of_chunks_stay_small() {
    let folder = tempfile::tempdir().unwrap();
    for path in models(folder.path(), Some(4)) {
        let chunks = chunk_file(&path).unwrap();
        let size = std::fs::metadata(&path).unwrap().len();
        // 36 bytes each: below a thousandth of the file, and within what manifests may have.
        assert!(chunks.len() as u64 * 36 < size / 1000, "{} chunks", chunks.len());
    }
}

/// A file and one made of it by replacing pieces of it with others of any length.
fn edited() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0_usize..200, bytes()), 0..6);
    (prop::collection::vec(any::<u8>(), 1..3000), edits).prop_map(|(old, edits)| {
        let mut new = old.clone();
        for (at, cut, put) in edits {
            let start = at.index(new.len() + 1);
            let end = (start + cut).min(new.len());
            new.splice(start..end, put);
        }
        (old, new)
    })
}

/// Cuts bytes in pieces of any lengths.
fn cut(bytes: &[u8], lengths: &[usize]) -> Chunks {
    let mut ends = Vec::new();
    let mut end = 0;
    for &length in lengths.iter().cycle() {
        if end >= bytes.len() {
            break;
        }
        end = (end + length).min(bytes.len());
        ends.push(end as u64);
    }
    with_digests(bytes, &Chunks::new(bytes.len() as u64, ends, Vec::new()).unwrap())
}

proptest! {
    #[test]
    fn any_file_comes_out_of_any_other((old, new) in edited(), lengths in prop::collection::vec(1_usize..90, 1..9)) {
        update(&old, &new, &cut(&old, &lengths), &cut(&new, &lengths));
        update(&old, &new, &chunked(&old), &chunked(&new));
    }

    /// Small models of all kinds, with keys of any length.
    #[test]
    fn any_model_comes_out_of_any_other(first in 0_usize..400, second in 0_usize..400, layers in 1_usize..4) {
        let tiny = |layers: usize, template: usize| {
            TinyModel { layers, template: Some("t".repeat(template)), ..TinyModel::new(Family::Llama) }.bytes()
        };
        let (old, new) = (tiny(2, first), tiny(layers, second));
        update(&old, &new, &chunked(&old), &chunked(&new));
    }

    /// Whatever the bytes are, every byte of a file is in one chunk of legal length.
    #[test]
    fn damaged_models_are_cut_too(at in any::<prop::sample::Index>(), byte in any::<u8>(), end in any::<prop::sample::Index>()) {
        let mut bytes = TinyModel::new(Family::Llama).bytes();
        let index = at.index(2000.min(bytes.len()));
        bytes[index] = byte;
        bytes.truncate(end.index(bytes.len()) + 1);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        std::fs::write(&path, &bytes).unwrap();
        let chunks = chunk_file(&path).unwrap();
        prop_assert_eq!((0..chunks.len()).map(|index| chunks.range(index).1).sum::<u64>(), bytes.len() as u64);
    }
}
