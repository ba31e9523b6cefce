//! What a file that is no GGUF probably is, so that the message can say what to do instead.

use std::fmt;

/// The first bytes of a file, for a message.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstBytes(Box<[u8]>);

impl FirstBytes {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(bytes[..bytes.len().min(8)].into())
    }

    /// At most eight bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for FirstBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Debug for FirstBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A kind of file that people take for a GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LooksLike {
    /// Hugging Face safetensors.
    Safetensors,
    /// A zip archive: PyTorch checkpoints and wheels are such.
    Zip,
    /// A pickle: an older PyTorch checkpoint.
    Pickle,
    /// One of ggml's formats before GGUF.
    LegacyGgml,
    /// A web page, often a login or an error page saved under the model's name.
    Html,
    /// XML, often a storage server's error message.
    Xml,
    /// A Git LFS pointer: the small text that stands for the file.
    GitLfsPointer,
    /// JSON.
    Json,
    /// A gzip, xz, zstd or bzip2 stream.
    Compressed,
    /// Only zeros: a download that reserved its space and never came.
    Zeros,
}

impl LooksLike {
    /// Judges by the start of the file.
    pub(crate) fn guess(bytes: &[u8]) -> Option<Self> {
        let text_start = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
        let text = &bytes[text_start..bytes.len().min(text_start + 64)];
        let starts_like = |word: &str| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word.as_bytes()));
        // safetensors: a u64 length, then that many bytes of JSON.
        if let (Some(length), Some(b'{')) = (bytes.first_chunk::<8>(), bytes.get(8))
            && u64::from_le_bytes(*length) < 1 << 30
        {
            return Some(Self::Safetensors);
        }
        Some(match bytes {
            [b'P', b'K', 3 | 5, 4 | 6, ..] => Self::Zip,
            [0x80, 2..=5, ..] => Self::Pickle,
            [b'l', b'm', b'g', b'g', ..] | [b'f', b'm', b'g', b'g', ..] => Self::LegacyGgml,
            [b't', b'j', b'g', b'g', ..] | [b'a', b'l', b'g', b'g', ..] => Self::LegacyGgml,
            [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Compressed,
            [0xfd, b'7', b'z', b'X', b'Z', ..] | [b'B', b'Z', b'h', ..] => Self::Compressed,
            [0, 0, 0, 0, ..] if bytes.iter().take(4096).all(|&byte| byte == 0) => Self::Zeros,
            _ if starts_like("<!doctype html") || starts_like("<html") => Self::Html,
            _ if starts_like("<?xml") => Self::Xml,
            _ if starts_like("version https://git-lfs") => Self::GitLfsPointer,
            _ if starts_like("{") => Self::Json,
            _ => return None,
        })
    }
}

impl fmt::Display for LooksLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "it looks like safetensors: convert it to GGUF first",
            Self::Zip => "it looks like a zip archive (a PyTorch checkpoint?): unpack it or convert it to GGUF first",
            Self::Pickle => "it looks like a pickled PyTorch checkpoint: convert it to GGUF first",
            Self::LegacyGgml => "it looks like a ggml file from before GGUF: convert the model anew",
            Self::Html => "it looks like a web page: the download needs the direct link, or a login",
            Self::Xml => "it looks like XML, perhaps a server's error message: fetch it again",
            Self::GitLfsPointer => "it is a Git LFS pointer: run git lfs pull, or fetch the file itself",
            Self::Json => "it looks like JSON: name the .gguf file instead",
            Self::Compressed => "it looks compressed: decompress it first",
            Self::Zeros => "it begins with zeros only: the download was not finished",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_strangers_are_recognised() {
        for (bytes, expected) in [
            (&b"\x40\0\0\0\0\0\0\0{\"a\":1}"[..], LooksLike::Safetensors),
            (b"PK\x03\x04....", LooksLike::Zip),
            (b"\x80\x02}q\0", LooksLike::Pickle),
            (b"tjgg\x03\0\0\0", LooksLike::LegacyGgml),
            (b"lmgg", LooksLike::LegacyGgml),
            (b"\n<!DOCTYPE html><html>", LooksLike::Html),
            (b"<?xml version=", LooksLike::Xml),
            (b"version https://git-lfs.github.com/spec/v1\n", LooksLike::GitLfsPointer),
            (b"{\"model_type\"", LooksLike::Json),
            (b"\x1f\x8b\x08", LooksLike::Compressed),
            (&[0; 64], LooksLike::Zeros),
        ] {
            assert_eq!(LooksLike::guess(bytes), Some(expected), "{}", bytes.escape_ascii());
        }
        assert_eq!(LooksLike::guess(b"hello, world"), None);
        assert_eq!(LooksLike::guess(b""), None);
        assert_eq!(FirstBytes::of(b"PK\x03\x04 and more").to_string(), r#""PK\x03\x04 and""#);
    }
}
