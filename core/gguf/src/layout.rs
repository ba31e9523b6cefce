//! Where tensors lie: the one place where their sizes are computed, in checked `u64`, and compared with the file.
//!
//! Parser and writer both come here, so what one writes the other accepts. [`place`] looks at a single tensor,
//! [`check_extents`] at all tensors of a file together.

use crate::error::GgufError;
use crate::limits::MAX_GAP_BYTES;
use crate::tensor::{Shape, TensorInfo};
use crate::tensor_type::TensorType;

/// The data section of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DataSection {
    /// Where it starts, a multiple of the alignment.
    pub(crate) start: u64,
    /// What every tensor's offset is a multiple of.
    pub(crate) alignment: u64,
    /// The size of the whole file.
    pub(crate) file_bytes: u64,
    /// Which part of a split model this file is, from 0.
    pub(crate) part: u32,
}

/// The next multiple of `alignment`, a power of two.
pub(crate) fn align_up(value: u64, alignment: u64) -> Option<u64> {
    Some(value.checked_add(alignment - 1)? & !(alignment - 1))
}

/// Checks a tensor's dimensions, size and place. `offset` counts from the start of the data section.
pub(crate) fn place(
    name: &str,
    kind: TensorType,
    dimensions: &[u64],
    offset: u64,
    section: DataSection,
) -> Result<TensorInfo, GgufError> {
    let name = || name.to_owned();
    let shape = Shape::new(dimensions).map_err(|source| GgufError::BadShape { name: name(), source })?;
    let (columns, rows) = (shape.columns(), shape.rows());
    if !columns.is_multiple_of(kind.block_elements()) {
        return Err(GgufError::RaggedRow { name: name(), kind, columns });
    }
    let bytes = kind
        .row_bytes(columns)
        .and_then(|row| row.checked_mul(rows))
        .ok_or_else(|| GgufError::TensorSizeOverflow { name: name(), kind, columns, rows })?;

    let DataSection { start: data_start, alignment, file_bytes, part } = section;
    if !offset.is_multiple_of(alignment) {
        return Err(GgufError::Misaligned { name: name(), offset, alignment });
    }
    let overflow = || GgufError::ExtentOverflow { name: name(), offset, bytes, data_start };
    let start = data_start.checked_add(offset).ok_or_else(overflow)?;
    let end = start.checked_add(bytes).ok_or_else(overflow)?;
    if end > file_bytes {
        return Err(GgufError::TensorPastEnd { name: name(), end, file_bytes });
    }
    Ok(TensorInfo { name: name(), kind, shape, bytes, part, offset: start })
}

/// Checks that the tensors of a file neither overlap nor leave absurd gaps, wherever their descriptions stand.
pub(crate) fn check_extents(tensors: &[TensorInfo], section: DataSection) -> Result<(), GgufError> {
    // A file without tensors ends where it likes.
    if tensors.is_empty() {
        return Ok(());
    }
    let mut order: Vec<&TensorInfo> = tensors.iter().collect();
    order.sort_unstable_by_key(|tensor| tensor.offset);
    let mut end = section.start;
    let mut last: Option<&TensorInfo> = None;
    for tensor in order {
        // The sum cannot overflow: `place` has compared it with the file's size.
        if let (Some(bytes @ 1..), Some(last)) = (end.checked_sub(tensor.offset), last) {
            return Err(GgufError::Overlap { first: last.name.clone(), second: tensor.name.clone(), bytes });
        }
        check_gap(end, tensor.offset, last, Some(tensor))?;
        end = tensor.offset + tensor.bytes;
        last = Some(tensor);
    }
    check_gap(end, section.file_bytes, last, None)
}

fn check_gap(from: u64, to: u64, after: Option<&TensorInfo>, before: Option<&TensorInfo>) -> Result<(), GgufError> {
    let bytes = to.saturating_sub(from);
    if bytes <= MAX_GAP_BYTES {
        return Ok(());
    }
    let name = |tensor: Option<&TensorInfo>| tensor.map(|tensor| tensor.name.clone());
    Err(GgufError::Gap { after: name(after), before: name(before), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTION: DataSection = DataSection { start: 64, alignment: 32, file_bytes: 1 << 20, part: 0 };

    #[test]
    fn padding_never_wraps() {
        assert_eq!(align_up(0, 32), Some(0));
        assert_eq!(align_up(1, 32), Some(32));
        assert_eq!(align_up(32, 32), Some(32));
        assert_eq!(align_up(u64::MAX - 31, 32), Some(u64::MAX - 31));
        assert_eq!(align_up(u64::MAX - 30, 32), None);
    }

    #[test]
    fn the_size_follows_from_type_and_shape() {
        let tensor = place("w", TensorType::Q4_K, &[512, 3], 96, SECTION).unwrap();
        assert_eq!((tensor.bytes, tensor.offset, tensor.row_bytes()), (3 * 288, 160, 288));
    }

    #[test]
    fn numbers_that_wrap_are_refused() {
        let wide = DataSection { file_bytes: u64::MAX, ..SECTION };
        let error = place("w", TensorType::F64, &[1 << 31, 1 << 31], 0, wide).unwrap_err();
        assert!(matches!(error, GgufError::TensorSizeOverflow { .. }), "{error}");
        let error = place("w", TensorType::I8, &[64], u64::MAX - 31, wide).unwrap_err();
        assert!(matches!(error, GgufError::ExtentOverflow { .. }), "{error}");
        let error = place("w", TensorType::I8, &[64], u64::MAX - 95, wide).unwrap_err();
        assert!(matches!(error, GgufError::ExtentOverflow { .. }), "{error}");
    }
}
