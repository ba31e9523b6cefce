//! What runs a model. The one place that knows the back ends by name.

use std::str::FromStr;

use inkling_compute::{Backend, KvType};
use inkling_compute_cpu::{Cpu, CpuOptions, Isa};
use inkling_compute_reference::Reference;

use crate::{Error, ErrorKind};

/// What runs a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum BackendChoice {
    /// The fast one.
    #[default]
    Cpu,
    /// The exact one, for comparisons: plain f32, slow.
    Reference,
}

impl BackendChoice {
    /// The back end; `isa` forces an instruction set on one that has several.
    pub(crate) fn backend(self, isa: Option<Isa>) -> Result<Box<dyn Backend>, Error> {
        match (self, isa) {
            (Self::Cpu, None) => Ok(Box::new(Cpu::default())),
            (Self::Cpu, Some(isa)) => Ok(Box::new(Cpu::new(CpuOptions::with_isa(isa)))),
            (Self::Reference, None) => Ok(Box::new(Reference)),
            (Self::Reference, Some(isa)) => {
                let why = format!("{isa} is for the back end cpu: reference is plain Rust and takes none");
                Err(ErrorKind::invalid("isa", why).into())
            }
        }
    }
}

impl FromStr for BackendChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "cpu" => Ok(Self::Cpu),
            "reference" => Ok(Self::Reference),
            "vulkan" | "metal" => Err(ErrorKind::BackendUnavailable {
                backend: name.to_owned(),
                reason: "this build has none: choose cpu".to_owned(),
            }
            .into()),
            _ => Err(ErrorKind::invalid("backend", format!("{name:?} is unknown: choose cpu or reference")).into()),
        }
    }
}

/// Reads the name of an instruction set of the CPU back end; an unknown one is refused with those that this machine has.
/// Whether the machine has the one that is named, [`crate::Engine::new`] checks.
pub fn parse_isa(name: &str) -> Result<Isa, Error> {
    name.parse().map_err(|_| {
        let have: Vec<_> = Isa::available().map(Isa::name).collect();
        ErrorKind::invalid("isa", format!("{name:?} is unknown: this machine has {}", have.join(", "))).into()
    })
}

/// Reads `f32`, `f16`, `q8_0` or `q4_0`.
pub fn parse_kv_type(name: &str) -> Result<KvType, Error> {
    name.parse().map_err(|why: String| ErrorKind::invalid("kv", why).into())
}
