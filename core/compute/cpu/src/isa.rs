//! Instruction sets: which ones there are kernels for, and which this machine has.
//!
//! Detected once, when a back end is made; a test may force a lesser one. Results do not depend on the choice.

use std::fmt;
use std::str::FromStr;

use inkling_compute::ComputeError;

use crate::NAME;

/// An instruction set with kernels of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// Plain Rust, everywhere.
    Scalar,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// x86-64 with AVX-512 F, BW, VL and VNNI.
    Avx512,
    /// AArch64 without dot products (Cortex-A53 and its kind).
    Neon,
    /// AArch64 with `sdot` (Armv8.2 and later, all recent phones).
    NeonDot,
    /// AArch64 with `sdot` and `smmla` (Armv8.6 and later).
    NeonI8mm,
}

impl Isa {
    /// All of them, the best of each architecture last.
    pub const ALL: [Self; 6] = [Self::Scalar, Self::Avx2, Self::Avx512, Self::Neon, Self::NeonDot, Self::NeonI8mm];

    /// The name that users type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512-vnni",
            Self::Neon => "neon",
            Self::NeonDot => "neon-dotprod",
            Self::NeonI8mm => "neon-i8mm",
        }
    }

    /// Whether this machine can run it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => Self::Neon.is_available() && std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(target_arch = "aarch64")]
            Self::NeonI8mm => Self::NeonDot.is_available() && std::arch::is_aarch64_feature_detected!("i8mm"),
            #[allow(unreachable_patterns, reason = "which arms exist depends on the target")]
            _ => false,
        }
    }

    /// The best that this machine has. Where that cannot be known from its features, a short measurement decides.
    pub fn detect() -> Self {
        #[cfg(target_arch = "aarch64")]
        if Self::NeonI8mm.is_available() {
            return crate::kernels::fastest_neon();
        }
        Self::ALL.into_iter().rev().find(|isa| isa.is_available()).unwrap_or(Self::Scalar)
    }

    /// All that this machine has.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// `Ok` if this machine can run it.
    pub(crate) fn require(self) -> Result<Self, ComputeError> {
        if self.is_available() {
            return Ok(self);
        }
        let have: Vec<_> = Self::available().map(Self::name).collect();
        let reason = format!("this machine has no {self}; it has {}", have.join(", "));
        Err(ComputeError::Unavailable { backend: NAME, reason })
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Isa {
    type Err = String;

    /// `avx512` is accepted for `avx512-vnni`.
    fn from_str(name: &str) -> Result<Self, String> {
        let full = if name == "avx512" { Self::Avx512.name() } else { name };
        Self::ALL.into_iter().find(|isa| isa.name() == full).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.into_iter().map(Self::name).collect();
            format!("unknown instruction set {name:?}: choose {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_detection_finds_something_that_runs() {
        for isa in Isa::ALL {
            assert_eq!(isa.name().parse(), Ok(isa));
            assert_eq!(isa.require().is_ok(), isa.is_available());
        }
        assert_eq!("avx512".parse(), Ok(Isa::Avx512));
        assert!("mmx".parse::<Isa>().unwrap_err().contains("neon-dotprod"));
        assert!(Isa::detect().is_available());
    }
}
