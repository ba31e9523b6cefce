//! Names, paths and addresses that strangers chose.

use std::fmt::Write as _;

use crate::StoreError;
use crate::id::is_reserved;

/// The most bytes of a name.
const LONGEST_NAME: usize = 200;
/// The most bytes of a path.
const LONGEST_PATH: usize = 500;

/// Whether a name is that of one file in one folder, on every system: nothing that separates, leads elsewhere, or cannot
/// be seen. What is wrong with it if not.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        Err("it must have 1 to 200 bytes")
    } else if name.chars().any(|c| c.is_control() || "/\\:*?\"<>|".contains(c)) {
        Err("control characters and / \\ : * ? \" < > | are not allowed")
    } else if name.chars().any(is_invisible) {
        Err("characters that cannot be seen are not allowed")
    } else if name.starts_with(['.', ' ']) || name.ends_with(['.', ' ']) {
        Err("it must not begin or end with '.' or a space")
    } else if is_reserved(name) {
        Err("some systems reserve this name")
    } else {
        Ok(())
    }
}

/// Marks of direction and characters of no width, by which one name looks like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// What two names have in common that are the same file on a system which ignores case.
pub(super) fn folded(name: &str) -> String {
    // Upper case first: some letters (ſ, ẞ) only meet there.
    name.to_uppercase().to_lowercase()
}

/// Whether a path stays below where it starts and means the same in a URL as on a disk: names of letters, digits,
/// `.`, `_`, `-` and `~`, with `/` between them.
pub(super) fn check_path(path: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-~".contains(c);
    if path.is_empty() || path.len() > LONGEST_PATH {
        return Err("it must have 1 to 500 bytes");
    }
    path.split('/').try_for_each(|name| {
        if name.is_empty() || !name.chars().all(plain) {
            Err("it must consist of names of letters, digits, '.', '_', '-' and '~' with '/' between them")
        } else {
            check_name(name)
        }
    })
}

/// The address of something that a catalogue names, beside the catalogue and on its host: `path` in place of the last
/// part of `catalog_url`, whose query is not passed on.
pub fn resolve(catalog_url: &str, path: &str) -> Result<String, StoreError> {
    let no = |url: &str, why: &str| StoreError::Address { url: url.chars().take(200).collect(), why: why.to_owned() };
    check_path(path).map_err(|why| no(path, why))?;
    let end = catalog_url.find(['?', '#']).unwrap_or(catalog_url.len());
    let base = &catalog_url[..end];
    let host = base.find("://").map_or(0, |at| at + 3);
    let place = base.get(host..).unwrap_or_default();
    match place.rfind('/') {
        _ if host == 0 || place.is_empty() || place.starts_with('/') => {
            Err(no(base, "it is no address of a catalogue"))
        }
        Some(slash) => Ok(format!("{}/{path}", &base[..host + slash])),
        None => Ok(format!("{base}/{path}")),
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Exactly so many bytes from hexadecimal digits.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        // Two digits make less than 256.
        *byte = (digit(0)? * 16 + digit(1)?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_file_everywhere() {
        for good in ["a", "model.gguf", "Größe 7B (Q4).gguf", "a..b", "console"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let long = "a".repeat(201);
        let bad = [
            "",
            ".",
            "..",
            "../a",
            "a/b",
            "/a",
            "a\\b",
            "C:",
            "a\0",
            "a\n",
            "\u{7f}",
            "nul",
            "COM1.gguf",
            "a.",
            "a ",
            " a",
            ".a",
            "a\u{202e}b",
            "a\u{200b}",
            &long,
        ];
        for bad in bad {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(folded("MASSE.gguf"), folded("maſſe.GGUF"));
    }

    #[test]
    fn paths_stay_below() {
        for good in ["a", "files/0a", "a/b/c.d~e_f-g"] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        for bad in
            ["", "/a", "a/", "a//b", "a/../b", "..", "./a", "a%2fb", "a?b", "a#b", "a b", "ä", "a/nul", "http://x"]
        {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses_stay_on_the_host() {
        let of = |url: &str| resolve(url, "files/a").ok();
        assert_eq!(of("https://h/m/catalog.json?token=1").as_deref(), Some("https://h/m/files/a"));
        assert_eq!(of("https://h:8/catalog.json#x").as_deref(), Some("https://h:8/files/a"));
        assert_eq!(of("https://h").as_deref(), Some("https://h/files/a"));
        assert_eq!(of("https://h?a/b").as_deref(), Some("https://h/files/a"));
        for wrong in ["", "catalog.json", "https://", "file:///a/catalog.json", "://h/x?://"] {
            assert!(of(wrong).is_none_or(|url| wrong.starts_with("://") && url == "://h/files/a"), "{wrong}");
        }
        assert!(resolve("https://h/c", "//evil/x").is_err() && resolve("https://h/c", "https://evil/x").is_err());
    }
}
