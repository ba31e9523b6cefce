//! Runs the built binary on the tiny model.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The tiny model inside the binary, as a file where packed weights may be written beside it.
pub(crate) fn demo_model() -> &'static str {
    static COPIED: OnceLock<()> = OnceLock::new();
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/inkling-demo.gguf");
    COPIED.get_or_init(|| {
        let original = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/inkling-demo.gguf");
        let fresh = format!("{path}.{}", std::process::id());
        std::fs::copy(original, &fresh).and_then(|_| std::fs::rename(&fresh, path)).expect("the model can be copied");
    });
    path
}

/// What a run of the binary gave.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("standard output is text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Asserts the exit code, and that a failure said something useful and did not panic.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "standard error: {}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        assert!(code == 0 || self.stderr.contains("error: "), "{}", self.stderr);
        self
    }

    /// Asserts that standard error holds all of these.
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in: {}", self.stderr);
        }
        self
    }
}

/// Runs the binary with nothing on standard input.
pub(crate) fn inkling(args: &[&str]) -> Ran {
    inkling_reading(args, b"")
}

/// Runs the binary with these bytes on standard input; no fetched model is seen.
pub(crate) fn inkling_reading(args: &[&str], input: &[u8]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_inkling"))
        .args(args)
        .env("XDG_CACHE_HOME", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_vec();
    // From a thread, because a program that prints before it reads would wait for us as we wait for it.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the binary ends");
    // A program that fails early does not read its input; that is not our concern here.
    let _ = writer.join();
    Ran {
        code: status.code().expect("the binary was not killed"),
        stdout,
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// A file with these bytes in a folder that lives as long as the test.
pub(crate) fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a scratch file can be written");
    path
}
