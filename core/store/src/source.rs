//! Where a model comes from: four kinds of source, each with a text that people type and that slots remember.
//!
//! | text | source |
//! |---|---|
//! | `owner/repo/path/file.gguf@revision` | a repository of a hub, in the layout of Hugging Face; `@main` may be left out |
//! | `https://host/file.gguf#sha256=…&size=…` | a file on any server, whose digest and size are known |
//! | `catalog:https://host/manifest.json#model` | a model of a signed catalogue |
//! | `file:/path`, or the path of something that exists | a file on this machine |
//!
//! What is written down is checked again where it is used: a text that came from a disk proves nothing.
//!
//! The query of an address may be a signature or hold a token. It is part of the text that is kept ([`SourceText`]), because
//! without it nobody could ask again, and is left out wherever a source is printed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::net::link::{Link, percent_encoded};
use crate::plan::LARGEST_FILE;
use crate::{Digest, ModelId, StoreError};

/// The most characters of a source's text.
pub const LONGEST_SOURCE: usize = 10_000;

/// Where a model comes from. Its [`text`](Source::text) is canonical: equal sources have equal texts. It prints without
/// the query of an address.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A file in a repository of a hub.
    Hub(HubFile),
    /// A file on any server.
    Url {
        /// Its address.
        url: String,
        /// The digest it must have.
        sha256: Digest,
        /// The bytes it must have.
        size: u64,
    },
    /// A model of a signed catalogue.
    Catalog {
        /// The address of the catalogue's manifest.
        url: String,
        /// The model in it.
        model: ModelId,
    },
    /// A file on this machine.
    File(PathBuf),
}

/// The text of a source, as slots keep it: [`as_str`](SourceText::as_str) is all of it, and what is printed leaves out the
/// query of an address, which may be a signature.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceText(String);

impl SourceText {
    /// All of it: to be parsed, kept and compared, not to be shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for SourceText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for SourceText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for SourceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for SourceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", shown(&self.0))
    }
}

/// The text of a source or an address as it may be printed. What is left out leaves a mark, which no address has: so
/// nobody takes it for the whole.
pub(crate) fn shown(text: &str) -> String {
    let (address, rest) = text.split_at(text.find('#').unwrap_or(text.len()));
    match address.split_once('?') {
        Some((before, _)) if before.contains("://") && !text.starts_with("file:") => format!("{before}?…{rest}"),
        _ => text.to_owned(),
    }
}

/// A file in a repository of a hub. Its parts are valid: none leads out of its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubFile {
    repo: String,
    file: String,
    revision: String,
}

fn invalid(why: impl Into<String>) -> StoreError {
    StoreError::Invalid { field: "source", why: why.into() }
}

impl HubFile {
    /// `file` in `repo` ("owner/name") at `revision` (a branch, tag or commit).
    pub fn new(repo: &str, file: &str, revision: &str) -> Result<Self, StoreError> {
        let word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains("..");
        let name = |part: &str| part.len() <= 100 && plain(part) && part.chars().all(word);
        if !repo.split_once('/').is_some_and(|(owner, repo)| name(owner) && name(repo)) {
            return Err(invalid(format!("{:?} is no repository: write owner/name", clipped(repo))));
        }
        let step =
            |part: &str| !matches!(part, "" | "." | "..") && !part.contains(|c: char| c.is_control() || c == '\\');
        if file.len() > 1000 || !file.split('/').all(step) {
            return Err(invalid(format!("{:?} is no file of a repository", clipped(file))));
        }
        if revision.len() > 200 || !revision.split('/').all(plain) || !revision.chars().all(|c| word(c) || c == '/') {
            return Err(invalid(format!("{:?} is no revision: write a branch, a tag or a commit", clipped(revision))));
        }
        Ok(Self { repo: repo.to_owned(), file: file.to_owned(), revision: revision.to_owned() })
    }

    /// Owner and name.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// The path in the repository.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The branch, tag or commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The same file at another revision.
    pub fn at(&self, revision: &str) -> Result<Self, StoreError> {
        Self::new(&self.repo, &self.file, revision)
    }

    /// Its address at a hub.
    pub fn url(&self, base: &str) -> String {
        let file: Vec<String> = self.file.split('/').map(percent_encoded).collect();
        let revision = percent_encoded(&self.revision);
        format!("{}/{}/resolve/{revision}/{}", base.trim_end_matches('/'), self.repo, file.join("/"))
    }
}

impl fmt::Display for HubFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.repo, self.file, self.revision)
    }
}

impl FromStr for HubFile {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let (path, revision) = text.rsplit_once('@').unwrap_or((text, "main"));
        let owner = path.find('/').unwrap_or(path.len());
        let rest = path.get(owner + 1..).unwrap_or_default();
        let (name, file) = rest.split_once('/').ok_or_else(|| {
            invalid(format!("{:?} is neither a file that exists nor owner/repository/file", clipped(text)))
        })?;
        Self::new(&format!("{}/{name}", &path[..owner]), file, revision)
    }
}

impl Source {
    /// A file in a repository of a hub, as "owner/name" and "model.gguf", on the branch "main".
    pub fn hub(repo: &str, file: &str) -> Result<Self, StoreError> {
        HubFile::new(repo, file, "main").map(Self::Hub)
    }

    /// A file on any server.
    pub fn url(url: &str, sha256: Digest, size: u64) -> Result<Self, StoreError> {
        if url.contains('#') {
            return Err(invalid("the address must end before '#'"));
        }
        if !(1..=LARGEST_FILE).contains(&size) {
            return Err(invalid(format!("a size of {size} bytes is not possible")));
        }
        Ok(Self::Url { url: Link::parse(url)?.as_url(), sha256, size })
    }

    /// A model of a signed catalogue.
    pub fn catalog(url: &str, model: ModelId) -> Result<Self, StoreError> {
        if url.contains('#') {
            return Err(invalid("the address must end before '#'"));
        }
        Ok(Self::Catalog { url: Link::parse(url)?.as_url(), model })
    }

    /// A file on this machine. A relative path is one from the current folder.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let absolute = std::path::absolute(path).map_err(|error| invalid(format!("{}: {error}", path.display())))?;
        match absolute.to_str() {
            Some(text) if text.len() <= LONGEST_SOURCE && !text.contains(char::is_control) => Ok(Self::File(absolute)),
            _ => Err(invalid("the path must be text of a sensible length without control characters")),
        }
    }

    /// The id that a model gets if nobody names it: that of the catalogue, or one made of the file's name.
    pub fn model_id(&self) -> Result<ModelId, StoreError> {
        let name = match self {
            Self::Catalog { model, .. } => return Ok(model.clone()),
            Self::Hub(hub) => hub.file.rsplit('/').next().unwrap_or_default().to_owned(),
            Self::Url { url, .. } => Link::parse(url)?.file_name(),
            Self::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        Ok(ModelId::of_file(&name)?)
    }

    /// The text that it can be read from again.
    pub fn text(&self) -> SourceText {
        SourceText(match self {
            Self::Hub(hub) => hub.to_string(),
            Self::Url { url, sha256, size } => format!("{url}#sha256={sha256}&size={size}"),
            Self::Catalog { url, model } => format!("catalog:{url}#{model}"),
            Self::File(path) => format!("file:{}", path.display()),
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

impl FromStr for Source {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        if text.len() > LONGEST_SOURCE || text.contains(char::is_control) {
            return Err(invalid("a source is one line of text"));
        }
        if let Some(path) = text.strip_prefix("file:") {
            if path.is_empty() {
                return Err(invalid("there is no path after file:"));
            }
            return Self::file(path);
        }
        if let Some(catalog) = text.strip_prefix("catalog:") {
            let (url, model) = catalog.split_once('#').ok_or_else(|| invalid("write catalog:ADDRESS#model"))?;
            return Self::catalog(url, model.parse()?);
        }
        if text.contains("://") {
            let (url, known) = text.split_once('#').unwrap_or((text, ""));
            let url = Link::parse(url)?.as_url();
            let (mut sha256, mut size) = (None, None);
            for part in known.split('&').filter(|part| !part.is_empty()) {
                match part.split_once('=') {
                    Some(("sha256", digest)) if sha256.is_none() => {
                        sha256 = Some(digest.parse().map_err(|error| invalid(format!("sha256: {error}")))?);
                    }
                    Some(("size", bytes)) if size.is_none() => {
                        size = Some(bytes.parse().map_err(|_| invalid("size: write a number of bytes"))?);
                    }
                    _ => return Err(invalid("after '#' an address has sha256=… and size=…, once each")),
                }
            }
            let (Some(sha256), Some(size)) = (sha256, size) else {
                return Err(invalid("a file from an address needs its digest and size: ADDRESS#sha256=…&size=…"));
            };
            return Self::url(&url, sha256, size);
        }
        if !text.is_empty() && Path::new(text).exists() {
            return Self::file(text);
        }
        text.parse().map(Self::Hub)
    }
}

/// So much of a text as an error shows: an address that is not quite one may have a query, too.
fn clipped(text: &str) -> String {
    text.split('?').next().unwrap_or_default().chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use inkling_base::{Classify, ErrorKind};

    use super::*;

    fn source(text: &str) -> Source {
        text.parse().unwrap()
    }

    #[test]
    fn texts_are_canonical() {
        let digest = Digest::of(b"x");
        let url = format!("https://a.example/m.gguf?v=1#sha256={digest}&size=7");
        for (text, canonical, id) in [
            ("o/r/m.gguf", "o/r/m.gguf@main", "m"),
            ("o/r/sub/M Q4.gguf@refs/pr/1", "o/r/sub/M Q4.gguf@refs/pr/1", "m-q4"),
            (&url, &url, "m"),
            (&url.replace("https://a", "HTTPS://A"), &url, "m"),
            ("catalog:https://a.example/c.json#tiny", "catalog:https://a.example/c.json#tiny", "tiny"),
            ("file:/models/Tiny.gguf", "file:/models/Tiny.gguf", "tiny"),
        ] {
            assert_eq!(source(text).text().as_str(), canonical);
            assert_eq!(source(canonical), source(text));
            assert_eq!(source(text).model_id().unwrap().as_str(), id);
        }
        // What exists is a file, also where it could be a repository.
        assert!(matches!(source("src/net/mod.rs"), Source::File(path) if path.is_absolute()));
    }

    #[test]
    fn queries_are_kept_and_not_shown() {
        let digest = Digest::of(b"x");
        let rest = format!("#sha256={digest}&size=7");
        for (text, shown) in [
            (format!("https://a.example/m.gguf?sign=secret{rest}"), format!("https://a.example/m.gguf?…{rest}")),
            ("catalog:https://a.example/c.json?secret#m".to_owned(), "catalog:https://a.example/c.json?…#m".to_owned()),
            (format!("https://a.example/m.gguf{rest}"), format!("https://a.example/m.gguf{rest}")),
            ("o/r/what?.gguf@main".to_owned(), "o/r/what?.gguf@main".to_owned()),
            ("file:/tmp/what?.gguf".to_owned(), "file:/tmp/what?.gguf".to_owned()),
        ] {
            let (source, kept) = (source(&text), SourceText::from(text.clone()));
            assert_eq!((source.text(), kept.as_str()), (kept.clone(), text.as_str()));
            assert_eq!([source.to_string(), kept.to_string()], [shown.clone(), shown.clone()]);
            assert_eq!(
                [format!("{source:?}"), format!("{kept:?}")],
                [format!("Source({shown})"), format!("{shown:?}")]
            );
            // Nobody goes on with what was cut.
            assert!(text == shown || shown.parse::<Source>().is_err());
        }
        // As it was before it had a type of its own.
        assert_eq!(serde_json::to_string(&SourceText::from("x?y")).unwrap(), "\"x?y\"");
        for wrong in ["https:/a/b?secret", "https://a/ b?secret", "https://a/b?secret", "catalog:https://a?secret"] {
            let error = wrong.parse::<Source>().unwrap_err();
            assert!(!format!("{error} {error:?} {:?}", error.kind()).contains("secret"), "{error}");
        }
    }

    #[test]
    fn hub_addresses_are_percent_encoded() {
        let file = HubFile::new("o/r", "a b/c#?.gguf", "refs/pr/1").unwrap();
        assert_eq!(file.url("https://h/"), "https://h/o/r/resolve/refs%2Fpr%2F1/a%20b/c%23%3F.gguf");
        assert_eq!(file.at("abc").unwrap().revision(), "abc");
    }

    #[test]
    fn tricks_are_refused() {
        let digest = Digest::of(b"x");
        let long = "x".repeat(LONGEST_SOURCE + 1);
        let bad = [
            "",
            "x",
            "o/r",
            "o/r/",
            "/o/r/f",
            "o//f",
            "../r/f.gguf",
            "o/../f.gguf",
            "o/r/../f",
            "o/r/a/./f",
            "o/r/f\0",
            "o/r/f\\g",
            "o/r/f@",
            "o/r/f@..",
            "o/r/f@a b",
            "o/r/f@/x",
            "ö/r/f",
            "file:",
            "catalog:x",
            "catalog:https://a/b",
            "catalog:https://a/b#A",
            "catalog:ftp://a#b",
            "https://a/f.gguf",
            "https://a/f#size=1",
            "https://a/f#sha256=00&size=1",
            &long,
        ];
        for bad in bad {
            let error = bad.parse::<Source>().unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::InvalidInput { .. } | ErrorKind::Network { retryable: false, .. }),
                "{bad:?}: {error}"
            );
        }
        for (address, known) in [
            ("https://u:p@a/f", "&size=1"),
            ("https://a/f", "&size=0"),
            ("https://a/f", "&size=1&size=1"),
            ("https://a/f", "&size=x"),
            ("https://a/f", "&size=99999999999999"),
        ] {
            assert!(format!("{address}#sha256={digest}{known}").parse::<Source>().is_err(), "{address} {known}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_source_or_an_error(text in "\\PC{0,80}", kind in 0_usize..5) {
            let text = ["", "file:", "catalog:https://", "https://", "o/r/"][kind].to_owned() + &text;
            if let Ok(source) = text.parse::<Source>() {
                let canonical = source.text();
                proptest::prop_assert_eq!(canonical.as_str().parse::<Source>().unwrap(), source);
            }
        }
    }
}
