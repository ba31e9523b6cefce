//! Reads a GGUF's metadata into a [`DecoderSpec`]: pure data, one small file per family.
//!
//! [`read_spec`] is the way in: it finds the family by `general.architecture`, lets it map keys and tensors to a
//! spec, and makes sure that every tensor of the file has a purpose. What comes out needs no further checks: shapes
//! agree with the file, numbers are bounded, rope frequencies are final. [`report`] does the same for people, and
//! collects everything that is wrong instead of stopping at the first.
//!
//! A new family is one file in `families` that says how its keys and tensors map to a spec, and a line in the
//! registry there.
//!
//! | module | what |
//! |---|---|
//! | `families` | the registry, and one file per architecture |
//! | `reader` | a file being read: the ledger of its tensors and the problems found |
//! | `hyper` | the numbers that all families share, bounded |
//! | `features` | keys that change the computation in ways no back end knows |
//! | `rope` | rope scaling: linear, frequency factors, yarn, longrope |
//! | `blocks` | attention, feed-forward and head from their tensors |
//! | `report` | what `inspect` shows |
//! | `error` | [`ModelError`] |
//! | `synth` | files of real models' shapes with random weights (feature `synth`) |

mod blocks;
mod error;
mod families;
mod features;
mod hyper;
mod reader;
mod report;
mod rope;
#[cfg(feature = "synth")]
pub mod synth;

use inkling_compute::DecoderSpec;
use inkling_gguf::Gguf;

pub use error::ModelError;
pub use families::supported_architectures;
pub use report::{MemoryNeed, ModelReport, TypeShare, report};

/// What a spec depends on besides the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpecOptions {
    /// Positions that the model will be used with. Only models with two sets of rope factors (longrope) look at it:
    /// up to the file's `rope.scaling.original_context_length` they use the short factors, beyond it the long ones,
    /// and [`DecoderSpec::context`] says how far the chosen ones reach. `None` chooses the short ones.
    pub context: Option<usize>,
}

/// Reads the decoder that `gguf` describes.
///
/// The error names the first thing that is wrong; [`report`] lists them all.
pub fn read_spec(gguf: &Gguf, options: &SpecOptions) -> Result<DecoderSpec, ModelError> {
    let (spec, problems) = families::read(gguf, options);
    match (problems.into_iter().next(), spec) {
        (Some(problem), _) | (None, Err(problem)) => Err(problem),
        (None, Ok(spec)) => Ok(spec),
    }
}
