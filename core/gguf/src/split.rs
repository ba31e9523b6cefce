//! Models in several files: how their parts are named and what each must say of itself.
//!
//! Part 1 of 3 is called `name-00001-of-00003.gguf`. Each part carries `split.no` (counted from 0), `split.count` and
//! `split.tensors.count`; the model's own metadata stands in the first. This is llama.cpp's convention (gguf-split).

use std::path::{Path, PathBuf};

use crate::error::GgufError;
use crate::limits;
use crate::metadata::Metadata;

pub(crate) const NUMBER_KEY: &str = "split.no";
pub(crate) const COUNT_KEY: &str = "split.count";
pub(crate) const TENSORS_KEY: &str = "split.tensors.count";

/// The path of a part; `number` counts from 1. `stem` is the path of the model without `.gguf`.
pub fn part_path(stem: &Path, number: u32, count: u32) -> PathBuf {
    let mut path = stem.as_os_str().to_owned();
    path.push(format!("-{number:05}-of-{count:05}.gguf"));
    path.into()
}

/// The name of a part, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartName {
    /// The path without number, count and ending.
    pub(crate) stem: PathBuf,
    /// Counted from 1.
    pub(crate) number: u32,
    pub(crate) count: u32,
}

impl PartName {
    /// `None` when the path is not named like a part.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let rest = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
        let (rest, count) = rest.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let five_digits = |text: &str| {
            let digits = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok())?
        };
        let (number, count) = (five_digits(number)?, five_digits(count)?);
        (1..=count).contains(&number).then(|| Self { stem: path.with_file_name(stem), number, count })
    }
}

/// What a file says of the model it is a part of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SplitKeys {
    /// Counted from 0.
    pub(crate) number: u64,
    pub(crate) count: u32,
    /// Tensors of all parts together.
    pub(crate) tensors: Option<u64>,
}

impl SplitKeys {
    /// `None` for a file that stands alone.
    pub(crate) fn of(metadata: &Metadata) -> Result<Option<Self>, GgufError> {
        let Some(count @ 2..) = metadata.u32(COUNT_KEY)? else { return Ok(None) };
        if count > limits::MAX_PARTS {
            return Err(GgufError::TooMany { what: "part", count: count.into(), limit: limits::MAX_PARTS.into() });
        }
        let number = metadata.require_u64(NUMBER_KEY)?;
        Ok(Some(Self { number, count, tensors: metadata.u64(TENSORS_KEY)? }))
    }

    /// Compares what a part says with what its name says.
    pub(crate) fn check(keys: Option<&Self>, name: &PartName) -> Result<(), GgufError> {
        let count = keys.map_or(1, |keys| keys.count);
        if count != name.count {
            return Err(GgufError::SplitCount { name_count: name.count, count });
        }
        match keys {
            Some(keys) if keys.number != u64::from(name.number - 1) => {
                Err(GgufError::SplitNumber { name_number: name.number, number: keys.number })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_names_go_both_ways() {
        let path = part_path(Path::new("models/big.Q4_0"), 2, 3);
        assert_eq!(path, Path::new("models/big.Q4_0-00002-of-00003.gguf"));
        let name = PartName::of(&path).unwrap();
        assert_eq!(name, PartName { stem: "models/big.Q4_0".into(), number: 2, count: 3 });
    }

    #[test]
    fn other_names_are_no_parts() {
        for name in [
            "big.gguf",
            "big-1-of-3.gguf",
            "big-00004-of-00003.gguf",
            "big-00000-of-00003.gguf",
            "big-00001-of-00003.bin",
            "big-+0001-of-00003.gguf",
            "00001-of-00003.gguf",
        ] {
            assert_eq!(PartName::of(Path::new(name)), None, "{name}");
        }
    }
}
