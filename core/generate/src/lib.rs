//! From a prompt to a stream of text.
//!
//! | module | what it holds |
//! |---|---|
//! | [`options`] | [`GenerationOptions`]: what an app may ask of a turn |
//! | [`sampler`] | [`Sampler`]: from logits to the next token |
//! | [`logprobs`] | [`TokenLogProbs`], [`negative_log_likelihood`] |
//! | [`stop`] | [`StopMatcher`]: stop strings across token borders |
//! | [`thinking`] | [`ThinkingSplitter`]: thoughts apart from the answer |
//! | [`answer`] | [`AnswerText`]: from tokens to what a reader sees |
//! | [`job`] | [`Job`]: a checked prompt with its options; [`Sink`]: where its events go |
//! | [`scheduler`] | [`Scheduler`]: one pass of the decoder serves every running turn |
//! | [`evaluate`] | logits and likelihoods of given tokens |
//! | [`event`] | [`Event`], [`Phase`], [`Stats`], [`FinishReason`]: what a turn tells its reader |
//! | [`error`] |
//!
//! Inside: `math` (reproducible exp and ln), `conversations` (what the cache holds for whom), `task` (a running turn).
//! [`GenerateError`] |

pub mod answer;
mod conversations;
pub mod error;
pub mod evaluate;
pub mod event;
pub mod job;
pub mod logprobs;
mod math;
pub mod options;
pub mod sampler;
pub mod scheduler;
pub mod stop;
mod task;
pub mod thinking;

pub use answer::{AnswerText, Piece};
pub use error::GenerateError;
pub use event::{Event, FinishReason, Phase, Stats};
pub use job::{ConversationId, EVENTS_PER_STEP, Job, JobSetup, Sink, Thinking};
pub use logprobs::{LogProb, TokenLogProbs, negative_log_likelihood};
pub use options::GenerationOptions;
pub use sampler::{Dry, Penalties, Sampler, SamplingOptions};
pub use scheduler::{Limits, Scheduler, Step};
pub use stop::StopMatcher;
pub use thinking::{Channel, Channels, ThinkingMarkers, ThinkingSplitter};
