//! Whether a model will run here, asked before it is fetched: its header is enough to know.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use inkling_models::{ModelReport, SpecOptions};

use crate::{Error, ErrorKind, KvType, ModelSource, inspect};

/// How much of the file is looked at first; vocabularies of 150 000 tokens have headers of about 6 MB.
const FIRST_LOOK: u64 = 1 << 20;
/// The longest header that is looked at.
const LONGEST_HEADER: u64 = 64 << 20;
/// Memory that running takes beside weights and cache: buffers, the vocabulary, threads.
const BESIDE: u64 = 64 << 20;

/// Whether a model fits.
#[derive(Debug, Clone, PartialEq)]
pub enum Fit {
    /// It does.
    Yes {
        /// Bytes of memory that it needs with the context that was asked for.
        need_bytes: u64,
        /// Bytes that can be had; `None` where nobody knows.
        have_bytes: Option<u64>,
        /// Bytes that remain to be downloaded.
        download_bytes: u64,
    },
    /// It does not.
    No {
        /// What is short.
        what: Short,
        /// Bytes that it needs.
        need_bytes: u64,
        /// Bytes that can be had.
        have_bytes: u64,
        /// What would fit.
        suggestion: String,
    },
}

/// What a model that does not fit needs more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Short {
    /// Memory, to run.
    Memory,
    /// Space on the disk, to be installed.
    Storage,
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Storage => "storage",
        })
    }
}

/// What a model needs in memory.
pub(crate) struct Need {
    weights: u64,
    per_token: u64,
    cache: u64,
    context: usize,
}

impl Need {
    /// From the beginning of the file of this name that `fetch(bytes)` gives, as much of it as needed.
    pub(crate) fn of(
        name: &str,
        size: u64,
        context: Option<usize>,
        kv: KvType,
        mut fetch: impl FnMut(u64) -> Result<Vec<u8>, Error>,
    ) -> Result<Self, Error> {
        let mut look = FIRST_LOOK;
        loop {
            let head = fetch(look.min(size))?;
            match report(&head, size, context).map_err(|error| error.of_file(name)) {
                Ok(report) => {
                    let made_for = report.context.map_or(usize::MAX, |tokens| tokens as usize);
                    let context = made_for.min(context.unwrap_or(crate::LoadOptions::default().usual_context()));
                    let need = report.memory(context, kv).ok_or_else(|| {
                        let what = report.problems.first().map_or_else(|| "unknown".to_owned(), ToString::to_string);
                        Error::from(ErrorKind::UnsupportedModel { what })
                    })?;
                    let (weights, per_token, cache) = (need.weight_bytes, need.kv_bytes_per_token, need.kv_bytes);
                    return Ok(Self { weights, per_token, cache, context });
                }
                // A header that is cut off cannot be told from one that is damaged, so more is fetched until there is no more.
                Err(error) if look >= size.min(LONGEST_HEADER) => return Err(error),
                Err(_) => look *= 4,
            }
        }
    }

    /// From what a publisher says, of a model that cannot be looked into; its file's size if nothing is said.
    pub(crate) fn said(ram_min: u64, size: u64) -> Self {
        Self { weights: ram_min.max(size), per_token: 0, cache: 0, context: 0 }
    }

    /// What its publisher says it needs, if that is more.
    pub(crate) fn at_least(mut self, bytes: u64) -> Self {
        self.weights = self.weights.max(bytes.saturating_sub(self.cache.saturating_add(BESIDE)));
        self
    }

    fn total(&self) -> u64 {
        self.weights.saturating_add(self.cache).saturating_add(BESIDE)
    }

    /// The verdict, for so much memory and space.
    pub(crate) fn verdict(&self, memory: Option<u64>, download: u64, space: u64) -> Fit {
        let need = self.total();
        if let Some(have) = memory.filter(|have| *have < need) {
            return Fit::No {
                what: Short::Memory,
                need_bytes: need,
                have_bytes: have,
                suggestion: self.suggestion(have),
            };
        }
        if space < download {
            let suggestion = format!("free {} MB, or remove a model", (download - space).div_ceil(1_000_000));
            return Fit::No { what: Short::Storage, need_bytes: download, have_bytes: space, suggestion };
        }
        Fit::Yes { need_bytes: need, have_bytes: memory, download_bytes: download }
    }

    fn suggestion(&self, have: u64) -> String {
        let for_cache = have.saturating_sub(self.weights.saturating_add(BESIDE));
        let context = for_cache.checked_div(self.per_token).unwrap_or(0) / 32 * 32;
        // Fewer tokens than this are no conversation.
        if context >= 512 {
            return format!("a context of {context} tokens fits, where {} were asked for", self.context);
        }
        let rest = have.saturating_sub(self.cache.saturating_add(BESIDE));
        let share = rest as f64 / self.weights.max(1) as f64;
        if share >= 0.4 {
            let percent = (share * 100.0) as u64;
            format!("choose a quantisation with at most {percent} % of its bytes, or a smaller model")
        } else {
            "choose a smaller model".to_owned()
        }
    }
}

/// What the file will be, from its beginning: the rest is a hole.
fn report(head: &[u8], size: u64, context: Option<usize>) -> Result<ModelReport, OfSketch> {
    let sketch = Sketch::new(head, size).map_err(|error| OfSketch(error, PathBuf::new()))?;
    let found = inspect::inspect(&ModelSource::file(&sketch.0), &SpecOptions { context });
    found.map(|report| report.model).map_err(|error| OfSketch(error, sketch.0.clone()))
}

/// What is wrong with a sketch.
struct OfSketch(Error, PathBuf);

impl OfSketch {
    /// The same of the file that the sketch stands for, which the user knows.
    fn of_file(self, name: &str) -> Error {
        let sketch = self.1.display().to_string();
        let named = |text: &str| if sketch.is_empty() { text.to_owned() } else { text.replace(&sketch, name) };
        match self.0.kind() {
            ErrorKind::ModelCorrupt { location } => ErrorKind::ModelCorrupt { location: named(location) }.into(),
            ErrorKind::UnsupportedModel { what } => ErrorKind::UnsupportedModel { what: named(what) }.into(),
            _ => self.0,
        }
    }
}

/// A sparse file, gone when this is dropped.
struct Sketch(PathBuf);

impl Sketch {
    fn new(head: &[u8], size: u64) -> Result<Self, Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let sketch = Self(std::env::temp_dir().join(format!("inkling-{}-{number}.gguf", std::process::id())));
        let write = || {
            let mut file = File::create_new(&sketch.0)?;
            file.write_all(head)?;
            file.set_len(size)
        };
        write().map_err(|error| {
            Error::from(ErrorKind::invalid("temporary folder", format!("{}: {error}", sketch.0.display())))
        })?;
        Ok(sketch)
    }
}

impl Drop for Sketch {
    fn drop(&mut self) {
        // What cannot be removed is as large as a header.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEED: Need = Need { weights: 400 << 20, per_token: 100 << 10, cache: 400 << 20, context: 4096 };

    #[test]
    fn verdicts_have_the_numbers_and_a_way_out() {
        let need = 864 << 20;
        assert_eq!(
            NEED.verdict(Some(need), 10, 10),
            Fit::Yes { need_bytes: need, have_bytes: Some(need), download_bytes: 10 }
        );
        assert!(matches!(NEED.verdict(None, 10, 10), Fit::Yes { .. }));
        let suggestion = |memory| match NEED.verdict(Some(memory), 10, 10) {
            Fit::No { what: Short::Memory, suggestion, .. } => suggestion,
            other => panic!("{other:?}"),
        };
        assert_eq!(suggestion(700 << 20), "a context of 2400 tokens fits, where 4096 were asked for");
        let tight = Need { weights: 800 << 20, per_token: 1 << 20, cache: 100 << 20, context: 100 };
        let Fit::No { suggestion: smaller, .. } = tight.verdict(Some(700 << 20), 0, 0) else { panic!() };
        assert_eq!(smaller, "choose a quantisation with at most 67 % of its bytes, or a smaller model");
        assert_eq!(suggestion(100 << 20), "choose a smaller model");
        let full = NEED.verdict(None, 5_000_000, 2_999_999);
        assert!(
            matches!(&full, Fit::No { what: Short::Storage, need_bytes: 5_000_000, have_bytes: 2_999_999, suggestion }
                if suggestion.starts_with("free 3 MB")),
            "{full:?}"
        );
    }
}
