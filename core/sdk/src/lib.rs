//! Inkling: language models that live in the phone. The facade that apps, bindings and the command line use.
//!
//! ```no_run
//! use inkling::{Engine, EngineConfig, Event, GenerationOptions, LoadOptions, ModelSource, SessionConfig};
//!
//! # fn main() -> Result<(), inkling::Error> {
//! let engine = Engine::new(EngineConfig::default())?;
//! let model = engine.load(ModelSource::file("qwen3-0.6b.gguf"), LoadOptions::default(), |_fraction| {})?;
//! let session = model.session(SessionConfig::default().instructions("Be brief."))?;
//! let mut turn = session.stream("Good morning?", GenerationOptions::default())?;
//! while let Some(event) = turn.next()? {
//!     if let Event::Text(delta) = event {
//!         print!("{delta}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | module | what |
//! |---|---|
//! | `engine` | [`Engine`]: loads models |
//! | `backend` | [`BackendChoice`]: what runs them |
//! | `model` | [`Model`], [`ModelInfo`]: loaded, or looked at before |
//! | `session` | [`Session`], [`Turn`]: conversations and running answers |
//! | `source` | [`ModelSource`]: where a model comes from |
//! | [`store`] | [`store::ModelStore`]: models by id, downloaded, verified, updated, undone |
//! | [`transport`] | the platform's HTTP, behind one trait |
//! | `inspect` | what a file holds, without loading it |
//! | `error` | [`Error`]: a stable kind and the chain of causes |
//! | [`developer`] | for tools: files, tokenizers, templates, logits, synthetic models |
//!
//! Every function fails with [`Error`] and nothing else. Events, options and stats come from `inkling-generate`.

mod backend;
pub mod developer;
mod engine;
mod error;
mod inspect;
mod model;
mod probe;
mod session;
mod source;
pub mod store;
pub mod transport;

pub use backend::{BackendChoice, parse_isa, parse_kv_type};
pub use engine::{Engine, EngineConfig};
pub use error::Error;
pub use inkling_base::{Battery, CancelToken, Conditions, ErrorKind, Heat, Network, Signals, SystemSignals, Thermal};
pub use inkling_compute::{KvType, LoadWarning, MemoryUse, Prepared, WeightCache};
pub use inkling_compute_cpu::Isa;
pub use inkling_gguf::include_aligned;
pub use inkling_session::{
    Canceller, CompletionPrompt, Event, FinishReason, GenerationOptions, LoadOptions, LogProb, Message, Phase, Polled,
    Response, SamplingOptions, SessionConfig, Stats, TokenLogProbs,
};
pub use model::{Model, ModelInfo};
pub use session::{Session, Turn};
pub use source::ModelSource;
