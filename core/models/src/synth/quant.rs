//! Which tensor gets which type: the mixes of llama.cpp's quantiser, without an importance matrix.
//!
//! A mix has a main type. The head, or the embedding that doubles as one, is at least Q6_K; values, the feed-forward's
//! down matrix and the attention's output get more bits in some layers. A matrix whose columns are no multiple of the
//! type's block falls back to a type with blocks of 32.

use std::fmt;
use std::str::FromStr;

use inkling_gguf::TensorType;

use crate::ModelError;

macro_rules! quants {
    ($($name:ident = $file_type:literal, $main:ident;)*) => {
        /// A mix of tensor types, by the name that files carry.
        #[allow(non_camel_case_types, missing_docs, reason = "the names of the field, as files and tools spell them")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Quant {
            $($name,)*
        }

        impl Quant {
            /// All mixes.
            pub const ALL: &[Quant] = &[$(Quant::$name,)*];

            /// The name that users type.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The number of `general.file_type`.
            pub(super) fn file_type(self) -> u32 {
                match self {
                    $(Self::$name => $file_type,)*
                }
            }

            /// The type of most matrices.
            pub(super) fn main_type(self) -> TensorType {
                match self {
                    $(Self::$name => TensorType::$main,)*
                }
            }
        }
    };
}

quants! {
    F32 = 0, F32;
    F16 = 1, F16;
    BF16 = 32, BF16;
    Q4_0 = 2, Q4_0;
    Q4_1 = 3, Q4_1;
    Q5_0 = 8, Q5_0;
    Q5_1 = 9, Q5_1;
    Q8_0 = 7, Q8_0;
    Q2_K = 10, Q2_K;
    Q3_K_S = 11, Q3_K;
    Q3_K_M = 12, Q3_K;
    Q3_K_L = 13, Q3_K;
    Q4_K_S = 14, Q4_K;
    Q4_K_M = 15, Q4_K;
    Q5_K_S = 16, Q5_K;
    Q5_K_M = 17, Q5_K;
    Q6_K = 18, Q6_K;
    IQ4_NL = 25, IQ4_NL;
    IQ4_XS = 30, IQ4_XS;
}

impl fmt::Display for Quant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Quant {
    type Err = ModelError;

    /// Upper and lower case are the same; `Q4_K` is `Q4_K_M`, and so for Q3_K and Q5_K.
    fn from_str(name: &str) -> Result<Self, ModelError> {
        let medium = format!("{name}_M");
        let named = |wanted: &str| Self::ALL.iter().find(|quant| quant.name().eq_ignore_ascii_case(wanted)).copied();
        named(name).or_else(|| named(&medium)).ok_or_else(|| ModelError::UnknownQuant {
            name: name.to_owned(),
            known: Self::ALL.iter().map(|quant| quant.name()).collect::<Vec<_>>().join(" "),
        })
    }
}

/// What a matrix is for, as far as mixes care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The head, or an embedding that doubles as one.
    Head,
    /// Values, alone or fused with queries and keys.
    Values,
    AttentionOutput,
    Down,
    Other,
}

/// Where a matrix stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) role: Role,
    pub(super) layer: usize,
    pub(super) layers: usize,
    /// Query heads that share a key/value head.
    pub(super) group: usize,
    pub(super) columns: usize,
}

/// The type of a matrix.
pub(super) fn tensor_type(quant: Quant, place: Place) -> TensorType {
    let main = quant.main_type();
    if !main.is_quantised() {
        return main;
    }
    let mixed = match place.role {
        Role::Head if !fits(main, place.columns) || main == TensorType::Q8_0 => TensorType::Q8_0,
        Role::Head => TensorType::Q6_K,
        Role::Values => values(quant, place),
        Role::AttentionOutput => match quant {
            Quant::Q2_K => TensorType::Q3_K,
            Quant::Q3_K_M => TensorType::Q4_K,
            Quant::Q3_K_L => TensorType::Q5_K,
            _ => main,
        },
        Role::Down => down(quant, place),
        Role::Other => main,
    };
    fall_back(mixed, place.columns)
}

fn values(quant: Quant, place: Place) -> TensorType {
    match quant {
        Quant::Q2_K if place.group >= 4 => TensorType::Q4_K,
        Quant::Q2_K => TensorType::Q3_K,
        Quant::Q3_K_M if place.layer < 2 => TensorType::Q5_K,
        Quant::Q3_K_M => TensorType::Q4_K,
        Quant::Q3_K_L => TensorType::Q5_K,
        Quant::IQ4_NL | Quant::IQ4_XS if place.group >= 4 => TensorType::Q5_K,
        Quant::Q4_K_M | Quant::Q5_K_M if deserves_more(place) => TensorType::Q6_K,
        Quant::Q4_K_S if place.layer < 4 => TensorType::Q5_K,
        _ => quant.main_type(),
    }
}

fn down(quant: Quant, place: Place) -> TensorType {
    let first_eighth = place.layer < place.layers / 8;
    match quant {
        Quant::Q2_K => TensorType::Q3_K,
        Quant::Q3_K_M if place.layer < place.layers / 16 => TensorType::Q5_K,
        Quant::Q3_K_M => TensorType::Q4_K,
        Quant::Q3_K_L => TensorType::Q5_K,
        Quant::Q4_K_M | Quant::Q5_K_M if deserves_more(place) => TensorType::Q6_K,
        Quant::Q4_K_S | Quant::IQ4_NL | Quant::IQ4_XS if first_eighth => TensorType::Q5_K,
        _ => quant.main_type(),
    }
}

/// The first and last eighth of the layers, and every third between.
fn deserves_more(place: Place) -> bool {
    let Place { layer, layers, .. } = place;
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

fn fits(kind: TensorType, columns: usize) -> bool {
    (columns as u64).is_multiple_of(kind.block_elements())
}

fn fall_back(kind: TensorType, columns: usize) -> TensorType {
    if fits(kind, columns) {
        return kind;
    }
    let smaller = match kind {
        TensorType::IQ4_XS => TensorType::IQ4_NL,
        TensorType::Q2_K | TensorType::Q3_K => TensorType::Q4_0,
        TensorType::Q4_K => TensorType::Q5_0,
        TensorType::Q5_K => TensorType::Q5_1,
        TensorType::Q6_K => TensorType::Q8_0,
        _ => TensorType::F16,
    };
    if fits(smaller, columns) { smaller } else { TensorType::F16 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(role: Role, layer: usize, columns: usize) -> Place {
        Place { role, layer, layers: 28, group: 2, columns }
    }

    #[test]
    fn names_are_found_in_any_case() {
        for &quant in Quant::ALL {
            assert_eq!(quant.name().to_lowercase().parse::<Quant>().unwrap(), quant);
        }
        assert_eq!("q4_k".parse::<Quant>().unwrap(), Quant::Q4_K_M);
        assert!("Q4_K_X".parse::<Quant>().unwrap_err().to_string().contains("IQ4_XS"));
    }

    #[test]
    fn mixes_give_more_bits_where_it_matters() {
        let down = |layer| tensor_type(Quant::Q4_K_M, place(Role::Down, layer, 3072));
        let more: Vec<usize> = (0..28).filter(|&layer| down(layer) == TensorType::Q6_K).collect();
        assert_eq!(more, [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 24, 25, 26, 27]);
        assert_eq!(tensor_type(Quant::Q4_K_M, place(Role::Head, 0, 1024)), TensorType::Q6_K);
        assert_eq!(tensor_type(Quant::Q8_0, place(Role::Head, 0, 1024)), TensorType::Q8_0);
        assert_eq!(tensor_type(Quant::F16, place(Role::Head, 0, 1024)), TensorType::F16);
        assert_eq!(tensor_type(Quant::Q2_K, place(Role::Values, 5, 1024)), TensorType::Q3_K);
    }

    #[test]
    fn columns_that_no_block_divides_fall_back() {
        // SmolLM2-135M is 576 wide: no multiple of 256.
        assert_eq!(tensor_type(Quant::Q4_K_M, place(Role::Other, 3, 576)), TensorType::Q5_0);
        assert_eq!(tensor_type(Quant::Q4_1, place(Role::Head, 0, 576)), TensorType::Q8_0);
        assert_eq!(tensor_type(Quant::IQ4_XS, place(Role::Other, 3, 576)), TensorType::IQ4_NL);
        assert_eq!(tensor_type(Quant::Q4_K_M, place(Role::Other, 3, 100)), TensorType::F16);
    }
}
