//! Texts from files and from standard input.

use std::io::Read;
use std::path::Path;

use inkling::ErrorKind;

use crate::output::{Failure, file_error};

/// Reads a whole file, or standard input for `-`.
pub(crate) fn read_bytes(field: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let read = || {
        if path == Path::new("-") {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            std::fs::read(path)
        }
    };
    read().map_err(|error| file_error(field, path, &error))
}

/// Reads a whole text, untrimmed; bytes that are no UTF-8 are an error that says where.
pub(crate) fn read_text(field: &str, path: &Path) -> Result<String, Failure> {
    utf8(field, read_bytes(field, path)?)
}

/// The text in `bytes`; bytes that are no UTF-8 are an error that says where.
pub(crate) fn utf8(field: &str, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::Engine(
            ErrorKind::invalid(field, format!("byte {at} is not valid UTF-8: convert the text first")).into(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_the_text_stops_being_text() {
        let Err(Failure::Engine(error)) = utf8("file", b"good\xFFbad".to_vec()) else { panic!("accepted") };
        assert!(error.to_string().contains("byte 4"));
    }
}
