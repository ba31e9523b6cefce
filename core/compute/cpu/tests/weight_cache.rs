//! The file of packed weights: whatever happens to it, a load gives the numbers that the model gives without one.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use inkling_base::CancelToken;
use inkling_compute::quant::FORMATS;
use inkling_compute::{
    Backend, Batch, ComputeError, Decoder, DecoderSpec, KvType, LoadPlan, LoadWarning, Output, Run, Want, WeightCache,
    Weights,
};
use inkling_compute_cpu::Cpu;
use inkling_gguf::{Gguf, TensorType};
use inkling_testkit::decoder::RandomDecoder;

/// Where a child process finds its folder.
const CHILD_FOLDER: &str = "INKLING_WEIGHT_CACHE_TEST";

fn shape(seed: u64) -> RandomDecoder {
    RandomDecoder {
        seed,
        weights: TensorType::Q4_0,
        embedding: TensorType::Q6_K,
        tied: true,
        layers: 1,
        vocabulary: 71,
        ..RandomDecoder::default()
    }
}

/// A model in a folder of its own.
struct Place {
    folder: tempfile::TempDir,
    spec: Arc<DecoderSpec>,
}

impl Place {
    fn new(shape: &RandomDecoder) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), spec: shape.file().0 };
        fs::write(place.model(), shape.file().1).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn model(&self) -> PathBuf {
        model_in(self.path())
    }

    fn panels(&self) -> PathBuf {
        self.path().join("model.gguf.inkling-panels")
    }

    fn load(&self, cache: &WeightCache) -> Box<dyn Decoder> {
        load(&self.spec, &self.model(), cache, &|_| {}, &CancelToken::new()).unwrap()
    }

    /// The files in the folder.
    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

fn model_in(folder: &Path) -> PathBuf {
    folder.join("model.gguf")
}

fn load(
    spec: &Arc<DecoderSpec>,
    model: &Path,
    cache: &WeightCache,
    progress: &dyn Fn(f32),
    cancel: &CancelToken,
) -> Result<Box<dyn Decoder>, ComputeError> {
    let weights = Weights::new(Arc::new(Gguf::open(model).unwrap()));
    let plan = LoadPlan { threads: 2, max_batch: 8, max_outputs: 8, weight_cache: cache, cancel, progress };
    Cpu::default().load(Arc::clone(spec), weights, &plan)
}

/// The bits of the logits after a few tokens.
fn bits(mut decoder: Box<dyn Decoder>) -> Vec<u32> {
    let tokens = [3, 70, 41, 5, 0, 16];
    let mut kv = decoder.new_cache(KvType::F16, tokens.len()).unwrap();
    let runs = [Run { sequence: kv.open(), start: 0, count: tokens.len() }];
    let mut output = Output::new();
    decoder.forward(&Batch { tokens: &tokens, runs: &runs }, &mut kv, Want::Logits(&[0, 5]), &mut output).unwrap();
    [0, 1].into_iter().flat_map(|row| output.logits(row).to_vec()).map(f32::to_bits).collect()
}

/// Numbers below a bound, from a seed: SplitMix64.
fn random(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

#[test]
fn mapped_panels_give_the_bits_of_panels_in_memory() {
    for format in FORMATS {
        for tied in [true, false] {
            let shape = RandomDecoder { weights: format, embedding: format, tied, ..shape(1) };
            let place = Place::new(&shape);
            let owned = place.load(&WeightCache::Off);
            assert!(!place.panels().exists());
            let embedding = if tied { 0 } else { owned.memory().mapped };
            assert_eq!(owned.memory().mapped, embedding, "a tied embedding is in the panels alone");
            let panels = owned.memory().owned;
            let expected = bits(owned);

            let first = place.load(&WeightCache::Beside);
            assert_eq!((first.memory().mapped, first.memory().owned), (panels + embedding, 0));
            assert!(bits(first) == expected, "{format:?}");
            let made = fs::metadata(place.panels()).unwrap();
            let second = place.load(&WeightCache::Beside);
            assert_eq!((second.memory().mapped, second.warnings().len()), (panels + embedding, 0));
            assert!(bits(second) == expected, "{format:?}");
            let found = fs::metadata(place.panels()).unwrap();
            assert_eq!(found.modified().unwrap(), made.modified().unwrap(), "the second load writes nothing");
            assert_eq!(place.names(), ["model.gguf", "model.gguf.inkling-panels"]);
        }
    }
}

#[test]
fn damage_is_noticed_wherever_it_is() {
    let place = Place::new(&shape(2));
    let expected = bits(place.load(&WeightCache::Beside));
    let pristine = fs::read(place.panels()).unwrap();
    let mut pick = random(1);
    for round in 0..400 {
        let mut bytes = pristine.clone();
        let what = match round % 4 {
            // The head is a small part of the file, and has most of the ways to go wrong.
            0 => {
                let at = pick(256);
                bytes[at] ^= 1 << pick(8);
                format!("a flipped bit in byte {at}")
            }
            1 => {
                let at = pick(pristine.len());
                bytes[at] ^= 1 << pick(8);
                format!("a flipped bit in byte {at}")
            }
            2 => {
                bytes.truncate(if round % 8 == 2 { pick(300) } else { pick(pristine.len()) });
                format!("{} bytes", bytes.len())
            }
            _ => {
                let (from, len) = (pick(pristine.len()), 1 + pick(5000));
                let to = (from + len).min(bytes.len());
                bytes[from..to].iter_mut().for_each(|byte| *byte = byte.wrapping_add(1 + (round % 3) as u8));
                format!("other bytes from {from} to {to}")
            }
        };
        fs::write(place.panels(), &bytes).unwrap();
        let decoder = place.load(&WeightCache::Beside);
        // Only a mark or a version that is not ours is no damage: the one is renewed, the other an older program's.
        let silent = decoder.warnings().is_empty();
        assert!(decoder.warnings().iter().all(|w| matches!(w, LoadWarning::WeightsDamaged { .. })), "{what}");
        let differ = bytes.len() != pristine.len() || (8..20).chain(64..88).all(|at| bytes[at] == pristine[at]);
        assert!(!silent || !differ, "{what} was not noticed");
        assert!(bits(decoder) == expected, "{what}");
        assert!(fs::read(place.panels()).unwrap() == pristine, "{what} was not repaired");
    }
    for foreign in [&b""[..], b"GGUF", &[0; 100_000], &[0xff; 100_000]] {
        fs::write(place.panels(), foreign).unwrap();
        assert!(bits(place.load(&WeightCache::Beside)) == expected);
        assert!(fs::read(place.panels()).unwrap() == pristine);
    }
}

#[test]
fn a_changed_model_is_packed_again() {
    let place = Place::new(&shape(3));
    let before = bits(place.load(&WeightCache::Beside));
    // By the rule: written beside, renamed over.
    let fresh = place.path().join("fresh");
    fs::write(&fresh, shape(4).file().1).unwrap();
    fs::rename(&fresh, place.model()).unwrap();
    let expected = bits(place.load(&WeightCache::Off));
    assert!(expected != before);
    for _ in 0..2 {
        let decoder = place.load(&WeightCache::Beside);
        assert!(decoder.warnings().is_empty(), "another model is no damage");
        assert!(bits(decoder) == expected);
    }
    // Against the rule: in place, with the same length and the time set back.
    let modified = fs::metadata(place.model()).unwrap().modified().unwrap();
    fs::write(place.model(), shape(5).file().1).unwrap();
    fs::File::options().write(true).open(place.model()).unwrap().set_modified(modified).unwrap();
    let expected = bits(place.load(&WeightCache::Off));
    assert!(bits(place.load(&WeightCache::Beside)) == expected);
    // Another shape.
    let other = RandomDecoder { inner: 512, ..shape(6) };
    fs::write(&fresh, other.file().1).unwrap();
    fs::rename(&fresh, place.model()).unwrap();
    let place = Place { spec: other.file().0, ..place };
    let expected = bits(place.load(&WeightCache::Off));
    assert!(bits(place.load(&WeightCache::Beside)) == expected);
}

#[test]
fn a_copied_model_is_compared_once_and_not_packed_again() {
    let place = Place::new(&shape(7));
    let expected = bits(place.load(&WeightCache::Beside));
    let before = fs::read(place.panels()).unwrap();
    let copy = place.path().join("copy");
    fs::copy(place.model(), &copy).unwrap();
    fs::rename(&copy, place.model()).unwrap();
    assert!(bits(place.load(&WeightCache::Beside)) == expected);
    let after = fs::read(place.panels()).unwrap();
    assert!(before[64..88] != after[64..88], "the new file is marked as known");
    assert!(before[..64] == after[..64] && before[88..] == after[88..], "nothing else is written");
    assert!(bits(place.load(&WeightCache::Beside)) == expected);
    assert!(fs::read(place.panels()).unwrap() == after, "a known file is not marked again");
}

#[test]
fn a_folder_of_the_apps_choice() {
    let place = Place::new(&shape(8));
    let folder = place.path().join("caches/models");
    let expected = bits(place.load(&WeightCache::Off));
    for _ in 0..2 {
        assert!(bits(place.load(&WeightCache::Folder(folder.clone()))) == expected);
    }
    assert!(folder.join("model.gguf.inkling-panels").is_file());
    assert_eq!(place.names(), ["caches", "model.gguf"]);
}

/// Loads with a file that cannot be written, and returns the reason that the warning gives.
fn refused(place: &Place, cache: &WeightCache) -> String {
    let expected = bits(place.load(&WeightCache::Off));
    let decoder = place.load(cache);
    let [LoadWarning::WeightsNotKept { why, .. }] = decoder.warnings() else {
        panic!("{:?}", decoder.warnings());
    };
    let why = why.clone();
    assert!(decoder.memory().owned > 0);
    assert!(bits(decoder) == expected);
    why
}

#[test]
fn a_folder_that_cannot_be_written_means_panels_in_memory_and_a_warning() {
    let place = Place::new(&shape(9));
    // A file where a folder should be: no user can write there, not even root.
    refused(&place, &WeightCache::Folder(place.model()));
    // A folder in the way of the file.
    fs::create_dir(place.panels()).unwrap();
    refused(&place, &WeightCache::Beside);
    fs::remove_dir(place.panels()).unwrap();
    assert_eq!(place.names(), ["model.gguf"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o555)).unwrap();
        if fs::write(place.path().join("probe"), "").is_ok() {
            fs::remove_file(place.path().join("probe")).unwrap();
            println!("read-only folder not tested: this user may write to it all the same (root)");
        } else {
            let why = refused(&place, &WeightCache::Beside);
            assert!(why.to_lowercase().contains("denied"), "{why}");
        }
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_cancelled_load_leaves_nothing() {
    let place = Place::new(&shape(10));
    let cancel = CancelToken::new();
    let at_half = |fraction: f32| {
        if fraction > 0.5 {
            cancel.cancel();
        }
    };
    let error = load(&place.spec, &place.model(), &WeightCache::Beside, &at_half, &cancel).err().unwrap();
    assert!(matches!(error, ComputeError::Cancelled(_)));
    assert_eq!(place.names(), ["model.gguf"]);
}

#[test]
fn prepared_ahead() {
    let place = Place::new(&shape(11));
    let prepare = |cache: &WeightCache| {
        let weights = Weights::new(Arc::new(Gguf::open(&place.model()).unwrap()));
        let cancel = CancelToken::new();
        let plan = LoadPlan {
            threads: 2,
            max_batch: 1,
            max_outputs: 1,
            weight_cache: cache,
            cancel: &cancel,
            progress: &|_| {},
        };
        Cpu::default().prepare(Arc::clone(&place.spec), weights, &plan).unwrap()
    };
    for made in [true, false] {
        let prepared = prepare(&WeightCache::Beside);
        assert_eq!((prepared.made, prepared.file.as_deref()), (made, Some(&*place.panels())));
        assert_eq!(prepared.bytes, fs::metadata(place.panels()).unwrap().len());
    }
    let prepared = prepare(&WeightCache::Folder(place.model()));
    assert_eq!((prepared.file, prepared.warnings.len()), (None, 1));
}

#[test]
fn loads_at_the_same_time_all_end_well() {
    for round in 0..8 {
        let place = Place::new(&shape(20 + round));
        let expected = bits(place.load(&WeightCache::Off));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..3 {
                        let decoder = place.load(&WeightCache::Beside);
                        assert!(decoder.warnings().is_empty(), "{:?}", decoder.warnings());
                        assert!(bits(decoder) == expected);
                    }
                });
            }
        });
        assert_eq!(place.names(), ["model.gguf", "model.gguf.inkling-panels"]);
    }
}

/// This test's program again, as a process that runs one of the tests below in `folder`.
fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD_FOLDER, folder);
    command
}

fn child_folder() -> Option<PathBuf> {
    std::env::var_os(CHILD_FOLDER).map(PathBuf::from)
}

#[test]
fn processes_at_the_same_time_all_end_well() {
    if let Some(folder) = child_folder() {
        let decoder = load(&shape(12).file().0, &model_in(&folder), &WeightCache::Beside, &|_| {}, &CancelToken::new());
        assert_eq!(decoder.unwrap().warnings(), []);
        return;
    }
    let place = Place::new(&shape(12));
    let start = |_| child("processes_at_the_same_time_all_end_well", place.path()).stdout(Stdio::null()).spawn();
    let children: Vec<_> = (0..4).map(start).collect();
    for child in children {
        assert!(child.unwrap().wait().unwrap().success());
    }
    assert_eq!(place.names(), ["model.gguf", "model.gguf.inkling-panels"]);
    assert!(bits(place.load(&WeightCache::Beside)) == bits(place.load(&WeightCache::Off)));
}

#[test]
fn a_process_killed_while_it_packs_leaves_nothing_that_lasts() {
    if let Some(folder) = child_folder() {
        let wait = |fraction: f32| {
            if fraction > 0.5 {
                println!("half");
                std::thread::sleep(std::time::Duration::from_secs(600));
            }
        };
        let _ = load(&shape(13).file().0, &model_in(&folder), &WeightCache::Beside, &wait, &CancelToken::new());
        return;
    }
    let place = Place::new(&shape(13));
    let test = "a_process_killed_while_it_packs_leaves_nothing_that_lasts";
    let mut process = child(test, place.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("half")), "the child packs");
    // While it lives, its file is not touched, and others can do without it.
    let expected = bits(place.load(&WeightCache::Off));
    assert!(bits(place.load(&WeightCache::Beside)) == expected);
    assert_eq!(place.names().len(), 3, "{:?}", place.names());
    fs::remove_file(place.panels()).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(place.names().len(), 2, "the killed process left its file: {:?}", place.names());
    assert!(bits(place.load(&WeightCache::Beside)) == expected);
    assert_eq!(place.names(), ["model.gguf", "model.gguf.inkling-panels"]);
}

/// A disk that is full looks like a file that may not grow: the shell sets the limit, and the signal that comes with
/// it is ignored, as a program on a full disk gets none.
#[test]
#[cfg(unix)]
fn a_full_disk_means_panels_in_memory_and_a_warning() {
    if let Some(folder) = child_folder() {
        let spec = shape(14).file().0;
        let decoder = load(&spec, &model_in(&folder), &WeightCache::Beside, &|_| {}, &CancelToken::new()).unwrap();
        let [LoadWarning::WeightsNotKept { why, .. }] = decoder.warnings() else {
            panic!("{:?}", decoder.warnings());
        };
        println!("warned: {why}");
        let expected = load(&spec, &model_in(&folder), &WeightCache::Off, &|_| {}, &CancelToken::new()).unwrap();
        assert!(bits(decoder) == bits(expected));
        return;
    }
    let place = Place::new(&shape(14));
    let program = std::env::current_exe().unwrap();
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64 && exec \"$0\" \"$@\""])
        .arg(program)
        .args(["--exact", "a_full_disk_means_panels_in_memory_and_a_warning", "--nocapture"])
        .env(CHILD_FOLDER, place.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text} {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("warned: "), "{text}");
    assert_eq!(place.names(), ["model.gguf"], "the half-written file is gone");
}
