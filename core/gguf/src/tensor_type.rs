//! The element types of ggml tensors and the sizes of their blocks.
//!
//! A row is a whole number of blocks; a block holds `block_elements` values in `block_bytes` bytes. Numbers, names
//! and sizes are those of ggml; the sizes follow from the block structs there (for example Q4_K: two f16 scales,
//! 12 bytes of packed 6-bit scales, 128 bytes of nibbles for 256 values). That a size is known does not mean that a
//! back end can compute with the type: back ends say that for themselves.

use std::fmt;
use std::str::FromStr;

macro_rules! tensor_types {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $elements:literal, $bytes:expr;)*) => {
        /// The element type of a tensor. Its discriminant is ggml's number.
        #[allow(non_camel_case_types, reason = "the names of the field, as files and tools spell them")]
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        #[non_exhaustive]
        pub enum TensorType {
            $($(#[$doc])* $name = $number,)*
        }

        impl TensorType {
            /// All types, in the order of their numbers.
            pub const ALL: &[TensorType] = &[$(TensorType::$name,)*];

            /// The type with this number in a file.
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Name, elements and bytes of a block.
            const fn facts(self) -> (&'static str, u64, u64) {
                match self {
                    $(Self::$name => (stringify!($name), $elements, $bytes),)*
                }
            }
        }
    };
}

tensor_types! {
    /// 32-bit float.
    F32 = 0, 1, 4;
    /// IEEE half.
    F16 = 1, 1, 2;
    /// 4 bits, one scale for 32.
    Q4_0 = 2, 32, 2 + 16;
    /// 4 bits, scale and minimum for 32.
    Q4_1 = 3, 32, 2 + 2 + 16;
    /// 5 bits, one scale for 32.
    Q5_0 = 6, 32, 2 + 4 + 16;
    /// 5 bits, scale and minimum for 32.
    Q5_1 = 7, 32, 2 + 2 + 4 + 16;
    /// 8 bits, one scale for 32.
    Q8_0 = 8, 32, 2 + 32;
    /// 8 bits with scale and sum for 32: a format of activations. ggml's Python table counts two f32 (40 bytes),
    /// its C struct two f16 (36 bytes); the C struct is what computes. No file is known to contain it.
    Q8_1 = 9, 32, 2 + 2 + 32;
    /// 2-bit K-quant.
    Q2_K = 10, 256, 2 + 2 + 16 + 64;
    /// 3-bit K-quant.
    Q3_K = 11, 256, 2 + 64 + 32 + 12;
    /// 4-bit K-quant.
    Q4_K = 12, 256, 2 + 2 + 12 + 128;
    /// 5-bit K-quant.
    Q5_K = 13, 256, 2 + 2 + 12 + 128 + 32;
    /// 6-bit K-quant.
    Q6_K = 14, 256, 2 + 128 + 64 + 16;
    /// 8-bit K-quant with f32 scale and sums: a format of activations.
    Q8_K = 15, 256, 4 + 256 + 32;
    /// 2.06 bits, codebook.
    IQ2_XXS = 16, 256, 2 + 64;
    /// 2.31 bits, codebook.
    IQ2_XS = 17, 256, 2 + 64 + 8;
    /// 3.06 bits, codebook.
    IQ3_XXS = 18, 256, 2 + 64 + 32;
    /// 1.56 bits, codebook.
    IQ1_S = 19, 256, 2 + 32 + 16;
    /// 4 bits, non-linear levels, one scale for 32.
    IQ4_NL = 20, 32, 2 + 16;
    /// 3.44 bits, codebook.
    IQ3_S = 21, 256, 2 + 64 + 32 + 8 + 4;
    /// 2.5 bits, codebook.
    IQ2_S = 22, 256, 2 + 64 + 16;
    /// 4.25 bits, non-linear levels, 6-bit scales.
    IQ4_XS = 23, 256, 2 + 2 + 128 + 4;
    /// Signed byte.
    I8 = 24, 1, 1;
    /// 16-bit integer.
    I16 = 25, 1, 2;
    /// 32-bit integer.
    I32 = 26, 1, 4;
    /// 64-bit integer.
    I64 = 27, 1, 8;
    /// 64-bit float.
    F64 = 28, 1, 8;
    /// 1.75 bits, codebook.
    IQ1_M = 29, 256, 32 + 16 + 8;
    /// The upper half of an f32.
    BF16 = 30, 1, 2;
    /// Ternary, five values in a byte.
    TQ1_0 = 34, 256, 2 + 4 * 13;
    /// Ternary, four values in a byte.
    TQ2_0 = 35, 256, 2 + 64;
    /// OCP microscaling: 4-bit floats, one 8-bit exponent for 32.
    MXFP4 = 39, 32, 1 + 16;
    /// NVIDIA's 4-bit floats: an 8-bit float scale for 16, four of them in a block.
    NVFP4 = 40, 64, 4 + 32;
    /// One bit, one scale for 128.
    Q1_0 = 41, 128, 2 + 16;
    /// Two bits, one scale for 64. Files of a fork that has one scale for 128 under this number show as overlapping.
    Q2_0 = 42, 64, 2 + 16;
}

impl TensorType {
    /// Its number in a file.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Its name as ggml spells it, for example `Q4_K`.
    pub const fn name(self) -> &'static str {
        self.facts().0
    }

    /// Elements of a block: 1 for plain numbers.
    pub const fn block_elements(self) -> u64 {
        self.facts().1
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> u64 {
        self.facts().2
    }

    /// Whether a block holds more than one element.
    pub const fn is_quantised(self) -> bool {
        self.block_elements() > 1
    }

    /// Bytes of a row of `columns` elements; `None` when they are no whole number of blocks, or the product
    /// overflows.
    pub const fn row_bytes(self, columns: u64) -> Option<u64> {
        if !columns.is_multiple_of(self.block_elements()) {
            return None;
        }
        (columns / self.block_elements()).checked_mul(self.block_bytes())
    }

    /// The name of a type that ggml once had under this number and gave up: such files must be made anew.
    pub(crate) const fn removed_name(number: u32) -> Option<&'static str> {
        Some(match number {
            4 => "Q4_2",
            5 => "Q4_3",
            31 => "Q4_0_4_4",
            32 => "Q4_0_4_8",
            33 => "Q4_0_8_8",
            36 => "IQ4_NL_4_4",
            37 => "IQ4_NL_4_8",
            38 => "IQ4_NL_8_8",
            _ => return None,
        })
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no tensor type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown tensor type {name:?}: use a name like F16, Q8_0 or Q4_K")]
pub struct UnknownTensorType {
    /// What was asked for.
    pub name: String,
}

impl FromStr for TensorType {
    type Err = UnknownTensorType;

    /// Upper and lower case are the same.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|kind| kind.name().eq_ignore_ascii_case(name));
        found.copied().ok_or_else(|| UnknownTensorType { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_go_both_ways() {
        assert_eq!(TensorType::ALL.len(), 35);
        for &kind in TensorType::ALL {
            assert_eq!(TensorType::from_number(kind.number()), Some(kind));
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(kind.name().to_lowercase().parse(), Ok(kind));
            assert_eq!(TensorType::removed_name(kind.number()), None, "{kind} is in use");
        }
        assert!("Q4_Z".parse::<TensorType>().is_err());
        assert_eq!(TensorType::from_number(43), None);
    }

    #[test]
    fn bits_per_weight_are_the_published_ones() {
        let bits = |kind: TensorType| 8.0 * kind.block_bytes() as f64 / kind.block_elements() as f64;
        for (kind, expected) in [
            (TensorType::Q4_0, 4.5),
            (TensorType::Q8_0, 8.5),
            (TensorType::Q2_K, 2.625),
            (TensorType::Q3_K, 3.4375),
            (TensorType::Q4_K, 4.5),
            (TensorType::Q5_K, 5.5),
            (TensorType::Q6_K, 6.5625),
            (TensorType::IQ2_XXS, 2.0625),
            (TensorType::IQ2_XS, 2.3125),
            (TensorType::IQ2_S, 2.5625),
            (TensorType::IQ3_XXS, 3.0625),
            (TensorType::IQ3_S, 3.4375),
            (TensorType::IQ1_S, 1.5625),
            (TensorType::IQ1_M, 1.75),
            (TensorType::IQ4_NL, 4.5),
            (TensorType::IQ4_XS, 4.25),
            (TensorType::TQ1_0, 1.6875),
            (TensorType::TQ2_0, 2.0625),
            (TensorType::MXFP4, 4.25),
            (TensorType::NVFP4, 4.5),
        ] {
            assert_eq!(bits(kind), expected, "{kind}");
        }
    }

    #[test]
    fn a_row_is_a_whole_number_of_blocks() {
        assert_eq!(TensorType::Q4_K.row_bytes(512), Some(288));
        assert_eq!(TensorType::Q4_K.row_bytes(513), None);
        assert_eq!(TensorType::F64.row_bytes(u64::MAX), None);
    }
}
