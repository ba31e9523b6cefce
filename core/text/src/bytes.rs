//! The two spellings of raw bytes inside vocabularies.
//!
//! Byte-level BPE writes each byte as one printable character (GPT-2's table): printable Latin-1 stands for itself,
//! the other 68 bytes are numbered from U+0100. SentencePiece writes a byte that no piece covers as `<0x0A>`.

use std::sync::OnceLock;

/// The character that stands for a byte.
pub(crate) fn byte_to_char(byte: u8) -> char {
    tables().0[byte as usize]
}

/// The byte that a character stands for.
pub(crate) fn char_to_byte(c: char) -> Option<u8> {
    tables().1.get(c as usize).copied().flatten()
}

/// Appends the bytes that a token of byte-level BPE stands for; false, and nothing appended, if a character is not in
/// the table.
pub(crate) fn append_byte_level(text: &str, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    for c in text.chars() {
        let Some(byte) = char_to_byte(c) else {
            out.truncate(before);
            return false;
        };
        out.push(byte);
    }
    true
}

/// The byte of a token written `<0xNN>`.
pub(crate) fn parse_hex_byte(text: &[u8]) -> Option<u8> {
    match text {
        [b'<', b'0', b'x', high, low, b'>'] => {
            let digit = |c: u8| char::from(c).to_digit(16);
            Some((digit(*high)? * 16 + digit(*low)?) as u8)
        }
        _ => None,
    }
}

/// `<0xNN>` for a byte.
pub(crate) fn hex_byte(byte: u8) -> [u8; 6] {
    let digit = |nibble: u8| b"0123456789ABCDEF"[nibble as usize];
    [b'<', b'0', b'x', digit(byte >> 4), digit(byte & 15), b'>']
}

type Tables = ([char; 256], [Option<u8>; 512]);

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let mut forth = ['\0'; 256];
        let mut back = [None; 512];
        let mut next = '\u{100}'..='\u{1FF}';
        for byte in 0..=u8::MAX {
            let printable = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
            let c = if printable { char::from(byte) } else { next.next().unwrap_or_default() };
            forth[byte as usize] = c;
            back[c as usize] = Some(byte);
        }
        (forth, back)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_own_character() {
        for byte in 0..=u8::MAX {
            assert_eq!(char_to_byte(byte_to_char(byte)), Some(byte));
            assert_eq!(parse_hex_byte(&hex_byte(byte)), Some(byte));
        }
        assert_eq!(byte_to_char(b' '), 'Ġ');
        assert_eq!(byte_to_char(b'\n'), 'Ċ');
        assert_eq!(byte_to_char(0xAD), 'Ń');
        assert_eq!(char_to_byte(' '), None);
        assert_eq!(char_to_byte('▁'), None);
        assert_eq!(parse_hex_byte(b"<0xG0>"), None);
    }
}
