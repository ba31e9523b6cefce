//! What is known of a tensor without its data: name, type, shape and place.
//!
//! Invariant: a [`TensorInfo`] exists only after `layout::place` has checked it, so its numbers never overflow and
//! its bytes lie inside the file.

use std::fmt;

use crate::limits::MAX_DIMENSIONS;
use crate::tensor_type::TensorType;

/// The index of a tensor in [`Gguf::tensors`](crate::Gguf::tensors).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(pub u32);

/// One to four dimensions, the fastest first: columns, rows, and so on. No dimension is 0 and the number of
/// elements fits into an `i64`. A shape without dimensions is one element.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Dimensions that the file does not name are 1.
    dimensions: [u64; MAX_DIMENSIONS],
    rank: u8,
}

/// Why dimensions are no shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// More dimensions than ggml has.
    #[error("has {found} dimensions, at most {MAX_DIMENSIONS} are possible")]
    TooManyDimensions {
        /// How many there are.
        found: u64,
    },
    /// A dimension is 0.
    #[error("dimension {axis} is 0")]
    ZeroDimension {
        /// Which one, counted from 0, the fastest first.
        axis: usize,
    },
    /// The product of the dimensions does not fit.
    #[error("has more than 2^63 - 1 elements")]
    TooManyElements,
}

impl Shape {
    /// The shape with these dimensions.
    pub fn new(dimensions: &[u64]) -> Result<Self, ShapeError> {
        let rank = dimensions.len();
        let mut all = [1; MAX_DIMENSIONS];
        all.get_mut(..rank).ok_or(ShapeError::TooManyDimensions { found: rank as u64 })?.copy_from_slice(dimensions);
        if let Some(axis) = all.iter().position(|&dimension| dimension == 0) {
            return Err(ShapeError::ZeroDimension { axis });
        }
        let elements = all.iter().try_fold(1_u64, |product, &dimension| product.checked_mul(dimension));
        if elements.is_none_or(|elements| elements > i64::MAX as u64) {
            return Err(ShapeError::TooManyElements);
        }
        Ok(Self { dimensions: all, rank: rank as u8 })
    }

    /// The dimensions that the file names, the fastest first.
    pub fn dimensions(&self) -> &[u64] {
        &self.dimensions[..usize::from(self.rank)]
    }

    /// How many dimensions the file names.
    pub fn rank(&self) -> usize {
        self.rank.into()
    }

    /// The size of a dimension; 1 for those that the file does not name.
    pub fn dimension(&self, axis: usize) -> u64 {
        self.dimensions.get(axis).copied().unwrap_or(1)
    }

    /// The length of a row: the fastest dimension.
    pub fn columns(&self) -> u64 {
        self.dimensions[0]
    }

    /// The number of rows: the product of the dimensions after the first.
    pub fn rows(&self) -> u64 {
        self.dimensions[1..].iter().product()
    }

    /// The number of elements.
    pub fn elements(&self) -> u64 {
        self.dimensions.iter().product()
    }
}

impl fmt::Display for Shape {
    /// `2048 × 32000`, the fastest first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rank == 0 {
            return f.write_str("1");
        }
        for (axis, dimension) in self.dimensions().iter().enumerate() {
            let separator = if axis == 0 { "" } else { " × " };
            write!(f, "{separator}{dimension}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.dimensions().fmt(f)
    }
}

/// What a file says of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// Its name, unique in the model.
    pub name: String,
    /// Its element type.
    pub kind: TensorType,
    /// Its dimensions.
    pub shape: Shape,
    /// The size of its data.
    pub bytes: u64,
    /// The part of the model it lies in, counted from 0.
    pub part: u32,
    /// Where its data starts in that part, counted from the start of the file.
    pub offset: u64,
}

impl TensorInfo {
    /// The length of a row.
    pub fn columns(&self) -> u64 {
        self.shape.columns()
    }

    /// The number of rows, over all further dimensions.
    pub fn rows(&self) -> u64 {
        self.shape.rows()
    }

    /// The number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.elements()
    }

    /// The bytes of a row.
    pub fn row_bytes(&self) -> u64 {
        self.bytes / self.rows()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_count_rows_over_all_further_dimensions() {
        let shape = Shape::new(&[64, 3, 5]).unwrap();
        assert_eq!((shape.columns(), shape.rows(), shape.elements(), shape.rank()), (64, 15, 960, 3));
        assert_eq!((shape.dimension(2), shape.dimension(3), shape.dimension(9)), (5, 1, 1));
        assert_eq!(shape.to_string(), "64 × 3 × 5");
        let scalar = Shape::new(&[]).unwrap();
        assert_eq!((scalar.columns(), scalar.rows(), scalar.elements()), (1, 1, 1));
    }

    #[test]
    fn impossible_dimensions_are_refused() {
        assert_eq!(Shape::new(&[1; 5]), Err(ShapeError::TooManyDimensions { found: 5 }));
        assert_eq!(Shape::new(&[3, 0]), Err(ShapeError::ZeroDimension { axis: 1 }));
        // 2^32 * 2^32 wraps to 0 in 64 bits.
        assert_eq!(Shape::new(&[1 << 32, 1 << 32]), Err(ShapeError::TooManyElements));
        assert_eq!(Shape::new(&[1 << 63]), Err(ShapeError::TooManyElements));
    }
}
