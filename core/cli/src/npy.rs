//! NumPy's array format, version 1.0: a header line and little-endian numbers.
//!
//! Source: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::io::{self, Write};

/// The header and data of the array start at multiples of this.
const ALIGN: usize = 64;
/// Magic, version and the length of the header.
const PREAMBLE: usize = 10;

/// Writes the header of a float32 array of shape `[rows, columns]`.
pub(crate) fn write_header(out: &mut impl Write, rows: usize, columns: usize) -> io::Result<()> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let padded = (PREAMBLE + header.len() + 1).next_multiple_of(ALIGN) - PREAMBLE;
    header.extend(std::iter::repeat_n(' ', padded - header.len() - 1));
    header.push('\n');
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&(header.len() as u16).to_le_bytes())?;
    out.write_all(header.as_bytes())
}

/// Writes one row.
pub(crate) fn write_row(out: &mut impl Write, row: &[f32]) -> io::Result<()> {
    row.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_aligned_and_ends_with_a_line() {
        for (rows, columns) in [(1, 1), (10, 49_152), (123_456, 151_936)] {
            let mut bytes = Vec::new();
            write_header(&mut bytes, rows, columns).unwrap();
            assert_eq!(bytes.len() % ALIGN, 0);
            assert_eq!(usize::from(u16::from_le_bytes([bytes[8], bytes[9]])), bytes.len() - PREAMBLE);
            assert_eq!(bytes.last(), Some(&b'\n'));
        }
    }
}
