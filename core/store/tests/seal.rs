//! Sealed files: what comes out is what went in, anything else is found and located, and what did not change looks the
//! same.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::path::Path;

use inkling_store::seal::{KeyProvider, Sealed, seal, seal_file};
use inkling_store::{CHUNK, Chunks, Digest, StoreError};
use proptest::prelude::*;
use zeroize::Zeroizing;

struct Keys;

impl KeyProvider for Keys {
    fn key(&self, id: &str) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        match id {
            "missing" => Err(StoreError::Key { id: id.to_owned(), why: "there is none".to_owned() }),
            _ => Ok(Zeroizing::new(Digest::of(id.as_bytes()).0)),
        }
    }
}

/// Has the names of `Keys`, and other keys.
struct OtherKeys;

impl KeyProvider for OtherKeys {
    fn key(&self, _: &str) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        Ok(Zeroizing::new([9; 32]))
    }
}

fn sealed(plain: &[u8], ends: Vec<u64>, key: &str) -> (Vec<u8>, Chunks) {
    let mut out = Vec::new();
    let chunks = Chunks::new(plain.len() as u64, ends, Vec::new()).unwrap();
    let chunks = seal(&mut &plain[..], &chunks, &mut out, key, &Keys).unwrap();
    (out, chunks)
}

/// Opens and reads everything; the chunk that is named if that fails.
fn open(sealed: Vec<u8>, file_chunks: usize) -> Result<Vec<u8>, u64> {
    let located = |error| match error {
        StoreError::Damaged { chunk, .. } => chunk,
        error => panic!("{error}"),
    };
    let sealed = Sealed::open(sealed, Path::new("model"), Some(file_chunks as u64), &Keys).map_err(located)?;
    let mut plain = Vec::new();
    sealed.read_to(&mut plain).map_err(located)?;
    Ok(plain)
}

/// Random bytes and where chunks of them end.
fn file() -> impl Strategy<Value = (Vec<u8>, Vec<u64>)> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 1..12).prop_map(|parts| {
        let ends = parts.iter().scan(0, |end, part| {
            *end += part.len() as u64;
            Some(*end)
        });
        (parts.concat(), ends.collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_was_sealed_comes_back((plain, ends) in file()) {
        let (bytes, chunks) = sealed(&plain, ends, "k");
        prop_assert_eq!(chunks.range(chunks.len() - 1).0 + chunks.range(chunks.len() - 1).1, bytes.len() as u64);
        let opened = Sealed::open(bytes.clone(), Path::new("model"), None, &Keys).unwrap();
        let mut at_once = vec![0; plain.len()];
        opened.read_into(&mut at_once, 3).unwrap();
        prop_assert_eq!(&at_once, &plain);
        prop_assert_eq!(open(bytes, chunks.len()).unwrap(), plain);
    }

    /// Every bit of a file in turn, and every length.
    #[test]
    fn any_changed_bit_is_found_in_its_chunk((plain, ends) in file()) {
        let (bytes, chunks) = sealed(&plain, ends, "k");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(changed, chunks.len()), Err(chunks.at(bit as u64 / 8) as u64));
        }
        for length in 0..bytes.len() {
            prop_assert!(open(bytes[..length].to_vec(), chunks.len()).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(open(longer, chunks.len()).is_err());
    }

    #[test]
    fn chunks_cannot_change_places((plain, ends) in file(), (other, other_ends) in file(), seed in any::<u64>()) {
        let (bytes, chunks) = sealed(&plain, ends, "k");
        let (foreign, foreign_chunks) = sealed(&other, other_ends, "k");
        let at = |chunks: &Chunks, index: usize| {
            let (start, length) = chunks.range(index);
            start as usize..(start + length) as usize
        };
        // Wherever two chunks have the same length, one is put into the other's place.
        let count = chunks.len() - 1;
        let to = seed as usize % count;
        let mut swaps = 0;
        for from in 0..count {
            let (source, target) = (at(&chunks, from), at(&chunks, to));
            if source.len() == target.len() && plain[source.clone()] != plain[target.clone()] {
                let mut changed = bytes.clone();
                changed.copy_within(source, target.start);
                prop_assert_eq!(open(changed, chunks.len()), Err(to as u64));
                swaps += 1;
            }
        }
        for from in 0..foreign_chunks.len() - 1 {
            let (source, target) = (at(&foreign_chunks, from), at(&chunks, to));
            if source.len() == target.len() && other[source.clone()] != plain[target.clone()] {
                let mut changed = bytes.clone();
                changed[target].copy_from_slice(&foreign[source]);
                prop_assert_eq!(open(changed, chunks.len()), Err(to as u64));
                swaps += 1;
            }
        }
        // Two entries of the table, with everything that nobody needs a key for put right.
        if count > 1 && swaps < 100 {
            let (first, second) = (plain.len(), plain.len() + 32);
            let mut changed = bytes.clone();
            let entry: Vec<u8> = changed[first..first + 32].to_vec();
            changed.copy_within(second..second + 32, first);
            changed[second..second + 32].copy_from_slice(&entry);
            let sums = changed.len() - 64;
            let sum = Digest::of(&changed[plain.len()..sums]);
            changed[sums..sums + 32].copy_from_slice(&sum.0);
            if changed[..sums] != bytes[..sums] {
                prop_assert_eq!(open(changed, chunks.len()), Err(count as u64));
            }
        }
    }

    #[test]
    fn strangers_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), footer in any::<bool>()) {
        // With a footer that looks like one, numbers and all.
        let (good, chunks) = sealed(b"hello", vec![2, 5], "k");
        let bytes = if footer { [&bytes[..], &good[good.len() - 120..]].concat() } else { bytes };
        prop_assume!(bytes != good);
        prop_assert!(open(bytes, chunks.len()).is_err());
    }
}

#[test]
fn what_did_not_change_looks_the_same_wherever_it_stands() {
    let part = |seed: u8, length: usize| vec![seed; length];
    let old = [part(1, 100), part(2, 50), part(3, 70), part(4, 9)];
    // The second has another length and content, the last two moved.
    let new = [part(1, 100), part(5, 61), part(3, 70), part(4, 9)];
    let ends = |parts: &[Vec<u8>]| {
        let ends = parts.iter().scan(0, |end, part| {
            *end += part.len() as u64;
            Some(*end)
        });
        ends.collect::<Vec<_>>()
    };
    let digests = |parts: &[Vec<u8>], key: &str| {
        let (bytes, chunks) = sealed(&parts.concat(), ends(parts), key);
        let digest = |index: usize| {
            let (start, length) = chunks.range(index);
            Digest::of(&bytes[start as usize..(start + length) as usize])
        };
        (0..chunks.len()).map(digest).collect::<Vec<_>>()
    };
    let known: HashSet<_> = digests(&old, "k").into_iter().collect();
    let fetched: Vec<_> = digests(&new, "k").iter().map(|digest| !known.contains(digest)).collect();
    assert_eq!(fetched, [false, true, false, false, true], "the changed one and the table");
    assert!(
        digests(&old, "other").iter().all(|digest| !known.contains(digest)),
        "under another key nothing is the same"
    );
}

#[test]
fn a_wrong_key_is_no_damage() {
    let (bytes, _) = sealed(b"hello", vec![5], "k");
    let error = Sealed::open(bytes, Path::new("model"), None, &OtherKeys).unwrap_err();
    assert!(matches!(&error, StoreError::Key { id, .. } if id == "k"), "{error}");
    let chunks = Chunks::new(1, vec![1], Vec::new()).unwrap();
    for (key, typed) in [
        ("missing", true),
        ("", false),
        ("a\nb", false),
        ("a/b", false),
        ("a..b", false),
        (&"k".repeat(101)[..], false),
    ] {
        let error = seal(&mut &b"x"[..], &chunks, &mut Vec::new(), key, &Keys).unwrap_err();
        assert_eq!(matches!(error, StoreError::Key { .. }), typed, "{error}");
    }
}

/// Never asked: the name of the key is a trick.
struct NoKeys;

impl KeyProvider for NoKeys {
    fn key(&self, id: &str) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        panic!("asked for {id:?}")
    }
}

#[test]
fn providers_are_not_asked_for_strange_names() {
    // A table with everything that nobody needs a key for, for a name of six bytes.
    let (bytes, chunks) = sealed(b"hello", vec![5], "abcdef");
    let name = 5 + 32;
    for trick in [b"../../", b"a/../b", b"a\0bcde", b"\xff\xffabcd"] {
        let mut changed = bytes.clone();
        changed[name..name + 6].copy_from_slice(trick);
        let sums = changed.len() - 64;
        let sum = Digest::of(&changed[5..sums]);
        changed[sums..sums + 32].copy_from_slice(&sum.0);
        let error = Sealed::open(changed, Path::new("model"), Some(chunks.len() as u64), &NoKeys).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { chunk: 1, .. }), "{error}");
    }
}

#[test]
fn files_are_sealed_and_read_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("plain"), folder.path().join("sealed"));
    let plain: Vec<u8> = (0..5 * CHUNK as usize + 12_345).map(|index| ((index * index) >> 7) as u8).collect();
    std::fs::write(&from, &plain).unwrap();
    let chunks = seal_file(&from, &to, "k", &Keys).unwrap();
    assert_eq!((chunks.len(), chunks.range(6).1), (7, 6 * 32 + 1 + 120));
    assert!(matches!(seal_file(&from, &to, "k", &Keys), Err(StoreError::Io { .. })), "nothing is overwritten");
    let file = std::fs::File::open(&to).unwrap();
    let sealed = Sealed::open(file, &to, None, &Keys).unwrap();
    assert_eq!((sealed.plain_size(), sealed.key_id(), sealed.sealed_chunks()), (plain.len() as u64, "k", Some(chunks)));
    let mut chunk = vec![0; CHUNK as usize];
    sealed.read_chunk(3, &mut chunk).unwrap();
    assert!(chunk == plain[3 << 20..4 << 20]);
    let ciphertext = std::fs::read(&to).unwrap();
    assert!(ciphertext[..plain.len()].iter().zip(&plain).filter(|(a, b)| a == b).count() < plain.len() / 200);
    // Nothing of a chunk that is wrong is shown, and those around it are there.
    let mut changed = ciphertext;
    changed[3 << 20] ^= 1;
    let sealed = Sealed::open(changed, &to, None, &Keys).unwrap();
    let mut out = vec![7; plain.len()];
    assert!(matches!(sealed.read_into(&mut out, 2), Err(StoreError::Damaged { chunk: 3, .. })));
    assert!(out[3 << 20..4 << 20].iter().all(|&byte| byte == 0) && out[4 << 20..] == plain[4 << 20..]);
    let mut before = Vec::new();
    assert!(sealed.read_to(&mut before).is_err());
    assert!(before == plain[..3 << 20]);
    // An empty file is one too.
    std::fs::write(&from, b"").unwrap();
    let empty = folder.path().join("empty");
    seal_file(&from, &empty, "k", &Keys).unwrap();
    assert_eq!(open(std::fs::read(&empty).unwrap(), 1), Ok(Vec::new()));
}
