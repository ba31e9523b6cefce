//! What a back end must do, and the data it does it with.
//!
//! | module | what it holds |
//! |---|---|
//! | [`spec`] | [`DecoderSpec`]: a model as pure data; `models` writes it, back ends interpret it |
//! | [`weights`] | [`Weights`]: the mapped file, handed out as matrix and vector views |
//! | [`backend`] | the contract: [`Backend`] loads a spec, [`Decoder`] runs a forward pass |
//! | [`batch`] | what goes into a forward pass ([`Batch`]), what is wanted ([`Want`]) and what comes out ([`Output`]) |
//! | [`kv`] | [`KvCache`]: paged keys and values of many sequences |
//! | [`prepared`] | [`WeightCache`]: files of weights in a back end's own order; [`LoadWarning`] |
//! | [`error`] | [`ComputeError`] |
//!
//! # The contract in prose
//!
//! * One [`Decoder::forward`] is a whole pass over a batch of tokens of one or several sequences. It is coarse on
//!   purpose, so that a back end may fuse what it likes.
//! * **A row depends on its own sequence and nothing else.** The numbers for a token do not change with the other
//!   sequences in the batch, with how a prompt was cut into chunks, or with the number of threads, beyond what a
//!   different order of float additions makes; a back end says in [`DeviceInfo::exact_batches`] whether they are
//!   identical to the bit.
//! * Nothing is allocated for a token: buffers are sized by [`LoadPlan::max_batch`] when the model is loaded, and
//!   the cache grows by whole pages.
//! * An error leaves the cache as it was: lengths advance only when the pass has succeeded.

pub mod backend;
pub mod batch;
pub mod error;
pub mod kv;
pub mod prepared;
pub mod quant;
pub mod spec;
pub mod weights;

pub use backend::{Backend, Decoder, DeviceInfo, LoadPlan, MemoryUse};
pub use batch::{Batch, Output, Run, Want};
pub use error::ComputeError;
pub use kv::{HostPages, KvCache, KvLayer, KvLayout, KvType, PAGE_POSITIONS, PageId, PageStore, SequenceId};
pub use prepared::{LoadWarning, Prepared, WeightCache};
pub use spec::{
    Activation, Attention, DecoderSpec, FeedForward, GatedFeedForward, Layer, Linear, Matrix, Mixer, Norm, Rope,
    RopeStyle, Vector,
};
pub use weights::{MatrixView, Weights};
