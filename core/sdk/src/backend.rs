//! What runs a model. The one place that knows the back ends by name.

use std::str::FromStr;

use inkling_compute::{Backend, KvType};
use inkling_compute_cpu::Cpu;
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
    pub(crate) fn backend(self) -> Box<dyn Backend> {
        match self {
            Self::Cpu => Box::new(Cpu::default()),
            Self::Reference => Box::new(Reference),
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

/// Reads `f32`, `f16` or `q8_0`.
pub fn parse_kv_type(name: &str) -> Result<KvType, Error> {
    name.parse().map_err(|why: String| ErrorKind::invalid("kv", why).into())
}
