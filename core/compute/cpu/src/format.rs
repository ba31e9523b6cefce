//! Panel layouts: which bytes a packed matrix consists of.
//!
//! A panel is 16 rows of a matrix. Its columns come in blocks of 32, its bytes in chunks: the scales of the 16 rows,
//! then their codes. Fifteen GGUF types become eleven integer layouts and three of plain floats; none loses a bit:
//!
//! | GGUF | codes | scales | bits a weight (GGUF) |
//! |---|---|---|---|
//! | Q4_0 | nibbles − 8 | f16 a block | 4.5 (4.5) |
//! | Q4_1 | nibbles | f16 scale and min a block | 5 (5) |
//! | Q4_K | nibbles | f16 × 8 bit, scale and min, blocks of 32 | 4.625 (4.5) |
//! | Q2_K | nibbles | f16 × 8 bit, scale and min, blocks of 16 | 5.125 (2.625) |
//! | Q3_K | nibbles − 4 | f16 × 8 bit, blocks of 16 | 4.5625 (3.4375) |
//! | IQ4_NL | nibbles into 16 levels | f16 a block | 4.5 (4.5) |
//! | IQ4_XS | nibbles into 16 levels | f16 × 8 bit, blocks of 32 | 4.3125 (4.25) |
//! | Q8_0, Q5_0 | signed bytes | f16 a block | 8.5 (8.5, 5.5) |
//! | Q5_1 | signed bytes | f16 scale and min a block | 9 (6) |
//! | Q5_K | signed bytes | f16 × 8 bit, scale and min, blocks of 32 | 8.625 (5.5) |
//! | Q6_K | signed bytes | f16 × 8 bit, blocks of 16 | 8.5625 (6.5625) |
//!
//! A nibble byte holds column `k` in its low half and column `k + 16` in its high half, so that the two halves of a
//! block are an AND and a shift away. The codes of four columns of a row lie together (what one lane of a dot product
//! eats), those of the 16 rows follow each other.
//!
//! A layout is a type with constants ([`Shape`]), so that a kernel is written once and compiled for each of them.
//! [`Expanded`] is the layout that a panel is unpacked into before many columns are multiplied with it.

use inkling_gguf::TensorType;

/// Rows of a panel.
pub(crate) const PANEL_ROWS: usize = 16;
/// Columns of a block: those that share an activation scale.
pub(crate) const BLOCK: usize = 32;
/// Blocks of a chunk whose scales have two levels: 256 columns.
pub(crate) const SUPER_BLOCKS: usize = 8;
/// What the nibbles of IQ4_NL and IQ4_XS stand for.
pub(crate) const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// How the codes of a block of 16 rows by 32 columns are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codes {
    /// Nibbles, 0 to 15; [`Shape::OFFSET`] is to be taken off.
    Nibbles,
    /// Nibbles that stand for [`LEVELS`].
    Levels,
    /// Signed bytes.
    Signed,
    /// Unsigned bytes; [`Shape::OFFSET`] is to be taken off.
    Unsigned,
}

/// How scales (and minima) are stored in front of the codes of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scales {
    /// 16 f16, then 16 f16 minima.
    Half,
    /// For 8 blocks: 16 f16, then 16 f16 of the minima; then 16 signed bytes a part of a block, then those of the
    /// minima. A scale is the product of the two, exact in f32.
    Super,
    /// 16 f32 a part of a block, then 16 f32 minima a part.
    Float,
}

/// A panel layout at compile time. `w = scale · (code − OFFSET) + min`.
pub(crate) trait Shape {
    /// How codes are stored.
    const CODES: Codes;
    /// How scales are stored.
    const SCALES: Scales;
    /// Whether there are minima.
    const MINS: bool;
    /// Whether each 16 columns have their own scale, not each 32.
    const HALVES: bool;
    /// What to take off an unsigned code.
    const OFFSET: i32;

    /// Parts of a block with a scale of their own.
    const PARTS: usize = if Self::HALVES { 2 } else { 1 };
    /// Kinds of scales: one, or two with minima.
    const KINDS: usize = if Self::MINS { 2 } else { 1 };
    /// Blocks of a chunk.
    const CHUNK_BLOCKS: usize = if matches!(Self::SCALES, Scales::Super) { SUPER_BLOCKS } else { 1 };
    /// Bytes of the codes of a block.
    const CODE_BYTES: usize =
        if matches!(Self::CODES, Codes::Nibbles | Codes::Levels) { PANEL_ROWS * BLOCK / 2 } else { PANEL_ROWS * BLOCK };
    /// Bytes of the f16 or f32 scales of one kind at the head of a chunk.
    const WIDE_BYTES: usize = if matches!(Self::SCALES, Scales::Float) { 64 * Self::PARTS } else { 32 };
    /// Bytes of the 8-bit scales of one kind.
    const SMALL_BYTES: usize =
        if matches!(Self::SCALES, Scales::Super) { SUPER_BLOCKS * Self::PARTS * PANEL_ROWS } else { 0 };
    /// Bytes before the codes of a chunk.
    const HEAD_BYTES: usize = (Self::WIDE_BYTES + Self::SMALL_BYTES) * Self::KINDS;
    /// Bytes of a chunk.
    const CHUNK_BYTES: usize = Self::HEAD_BYTES + Self::CHUNK_BLOCKS * Self::CODE_BYTES;
}

/// What a panel is unpacked into before many columns are multiplied with it: a byte a code, f32 scales.
pub(crate) struct Expanded<const SIGNED: bool, const OFFSET: i32, const MINS: bool, const HALVES: bool>;

impl<const SIGNED: bool, const OFFSET: i32, const MINS: bool, const HALVES: bool> Shape
    for Expanded<SIGNED, OFFSET, MINS, HALVES>
{
    const CODES: Codes = if SIGNED { Codes::Signed } else { Codes::Unsigned };
    const SCALES: Scales = Scales::Float;
    const MINS: bool = MINS;
    const HALVES: bool = HALVES;
    const OFFSET: i32 = OFFSET;
}

/// Bytes that any panel of `blocks` blocks may need when expanded.
pub(crate) const fn expanded_bytes(blocks: usize) -> usize {
    blocks * <Expanded<true, 0, true, true> as Shape>::CHUNK_BYTES
}

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident: $codes:ident, $scales:ident, $mins:literal, $halves:literal, $offset:literal;)*) => {
        /// The integer layouts, named by codes, scales, minima and blocks of 16.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum IntFormat {
            $($(#[$doc])* $name,)*
        }

        /// The layouts as types.
        pub(crate) mod shape {
            use super::{Codes, Scales, Shape};
            $(
                pub(crate) struct $name;
                impl Shape for $name {
                    const CODES: Codes = Codes::$codes;
                    const SCALES: Scales = Scales::$scales;
                    const MINS: bool = $mins;
                    const HALVES: bool = $halves;
                    const OFFSET: i32 = $offset;
                }
            )*
        }
    };
}

shapes! {
    // Codes, scales, minima, blocks of 16, offset.
    /// Q4_0.
    Nibble: Nibbles, Half, false, false, 8;
    /// Q4_1.
    NibbleMin: Nibbles, Half, true, false, 0;
    /// Q4_K.
    NibbleSuperMin: Nibbles, Super, true, false, 0;
    /// Q2_K.
    NibbleSuperMinHalf: Nibbles, Super, true, true, 0;
    /// Q3_K.
    NibbleSuperHalf: Nibbles, Super, false, true, 4;
    /// IQ4_NL.
    Level: Levels, Half, false, false, 0;
    /// IQ4_XS.
    LevelSuper: Levels, Super, false, false, 0;
    /// Q8_0, Q5_0.
    Byte: Signed, Half, false, false, 0;
    /// Q5_1.
    ByteMin: Signed, Half, true, false, 0;
    /// Q5_K.
    ByteSuperMin: Signed, Super, true, false, 0;
    /// Q6_K.
    ByteSuperHalf: Signed, Super, false, true, 0;
}

/// Runs `$body` with `$shape` standing for the type of `$format`'s layout.
macro_rules! with_shape {
    ($format:expr, $shape:ident => $body:expr) => {
        $crate::format::with_shape!(@ $format, $shape, $body,
            Nibble NibbleMin NibbleSuperMin NibbleSuperMinHalf NibbleSuperHalf Level LevelSuper
            Byte ByteMin ByteSuperMin ByteSuperHalf)
    };
    (@ $format:expr, $shape:ident, $body:expr, $($name:ident)*) => {
        match $format {
            $($crate::format::IntFormat::$name => {
                type $shape = $crate::format::shape::$name;
                $body
            })*
        }
    };
}
pub(crate) use with_shape;

impl IntFormat {
    /// Blocks of a chunk.
    pub(crate) fn chunk_blocks(self) -> usize {
        with_shape!(self, S => S::CHUNK_BLOCKS)
    }

    /// Bytes of a chunk of 16 rows.
    pub(crate) fn chunk_bytes(self) -> usize {
        with_shape!(self, S => S::CHUNK_BYTES)
    }
}

/// Plain floats: 16 rows by 1 column, column after column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FloatFormat {
    /// 32 bits.
    F32,
    /// IEEE half.
    F16,
    /// The upper half of an f32.
    BF16,
}

impl FloatFormat {
    /// Bytes of an element.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }
}

/// A panel layout at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PanelFormat {
    /// Multiplied with quantised activations.
    Int(IntFormat),
    /// Multiplied with f32 activations.
    Float(FloatFormat),
}

impl PanelFormat {
    /// The layout for a GGUF type; `None` if this back end does not know it.
    pub(crate) fn of(kind: TensorType) -> Option<Self> {
        Some(match kind {
            TensorType::F32 => Self::Float(FloatFormat::F32),
            TensorType::F16 => Self::Float(FloatFormat::F16),
            TensorType::BF16 => Self::Float(FloatFormat::BF16),
            TensorType::Q4_0 => Self::Int(IntFormat::Nibble),
            TensorType::Q4_1 => Self::Int(IntFormat::NibbleMin),
            TensorType::Q4_K => Self::Int(IntFormat::NibbleSuperMin),
            TensorType::Q2_K => Self::Int(IntFormat::NibbleSuperMinHalf),
            TensorType::Q3_K => Self::Int(IntFormat::NibbleSuperHalf),
            TensorType::IQ4_NL => Self::Int(IntFormat::Level),
            TensorType::IQ4_XS => Self::Int(IntFormat::LevelSuper),
            TensorType::Q8_0 | TensorType::Q5_0 => Self::Int(IntFormat::Byte),
            TensorType::Q5_1 => Self::Int(IntFormat::ByteMin),
            TensorType::Q5_K => Self::Int(IntFormat::ByteSuperMin),
            TensorType::Q6_K => Self::Int(IntFormat::ByteSuperHalf),
            _ => return None,
        })
    }

    /// Bytes of a panel of `columns` columns, which the format can hold.
    pub(crate) fn panel_bytes(self, columns: usize) -> usize {
        match self {
            Self::Int(format) => columns / (format.chunk_blocks() * BLOCK) * format.chunk_bytes(),
            Self::Float(format) => columns * PANEL_ROWS * format.bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_a_weight_are_those_of_the_table() {
        let bits = |kind| PanelFormat::of(kind).unwrap().panel_bytes(256) as f64 * 8.0 / (16.0 * 256.0);
        for (kind, expected) in [
            (TensorType::Q4_0, 4.5),
            (TensorType::Q4_1, 5.0),
            (TensorType::Q4_K, 4.625),
            (TensorType::Q2_K, 5.125),
            (TensorType::Q3_K, 4.5625),
            (TensorType::IQ4_NL, 4.5),
            (TensorType::IQ4_XS, 4.3125),
            (TensorType::Q8_0, 8.5),
            (TensorType::Q5_1, 9.0),
            (TensorType::Q5_K, 8.625),
            (TensorType::Q6_K, 8.5625),
            (TensorType::F16, 16.0),
        ] {
            assert_eq!(bits(kind), expected, "{kind:?}");
        }
        assert_eq!(PanelFormat::of(TensorType::IQ1_S), None);
    }
}
