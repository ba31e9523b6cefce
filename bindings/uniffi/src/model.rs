//! Loaded models, and what can be known of a file before it is loaded.

use std::sync::Arc;

use inkling::{CompletionPrompt, Model, ModelInfo, SessionConfig};

use crate::guard::guard;
use crate::session::messages;
use crate::{FfiError, FfiGenerationOptions, FfiMessage, FfiOrigin, FfiSession, FfiStream};

/// What a file holds, without loading it.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct FfiModelInfo {
    /// The architecture, if the file names one.
    pub architecture: Option<String>,
    /// The name, if the file has one.
    pub name: Option<String>,
    /// Weights, counted one by one.
    pub parameters: u64,
    /// Bytes of the weights.
    pub weight_bytes: u64,
    /// Tokens that the model was made for, if the file says so.
    pub context: Option<u64>,
    /// Bytes that one token of a conversation takes in the cache; 0 if the model cannot run.
    pub cache_bytes_per_token: u64,
    /// Everything that keeps it from being used, in words; empty if it can be loaded.
    pub problems: Vec<String>,
}

impl From<ModelInfo> for FfiModelInfo {
    fn from(info: ModelInfo) -> Self {
        Self {
            architecture: info.architecture,
            name: info.name,
            parameters: info.parameters,
            weight_bytes: info.weight_bytes,
            context: info.context,
            cache_bytes_per_token: info.cache_bytes_per_token,
            problems: info.problems,
        }
    }
}

/// What does not change while a model is loaded.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiModelFacts {
    /// The architecture, as the file names it.
    pub architecture: String,
    /// Tokens that it knows.
    pub vocabulary: u64,
    /// Tokens that a conversation may hold.
    pub context: u64,
    /// Whether it was taught to think before it answers.
    pub can_think: bool,
    /// Why it cannot hold conversations, if so; raw completion it always can.
    pub chat_problem: Option<String>,
    /// What cost something during the load, and will again.
    pub warnings: Vec<String>,
}

/// Bytes that a model uses now.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiMemoryUse {
    /// Weights in mapped files: the system may drop and read them again.
    pub mapped_bytes: u64,
    /// Memory that the system cannot take back, without the cache.
    pub owned_bytes: u64,
    /// Keys and values of conversations.
    pub cache_bytes: u64,
}

/// What a raw completion continues.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum FfiPrompt {
    /// Text; what looks like a control token in it stays text.
    Text {
        /// The text.
        text: String,
    },
    /// Token ids, taken as they are.
    Tokens {
        /// The ids.
        ids: Vec<u32>,
    },
}

/// A loaded model. Its memory is free when the last handle of it, of its sessions and of its streams is gone, or after
/// [`FfiModel::shut_down`].
#[derive(Debug, uniffi::Object)]
pub struct FfiModel(Model, Option<FfiOrigin>);

impl FfiModel {
    pub(crate) fn new(model: Model, origin: Option<FfiOrigin>) -> Arc<Self> {
        Arc::new(Self(model, origin))
    }
}

#[uniffi::export]
impl FfiModel {
    /// What does not change while it is loaded.
    pub fn facts(&self) -> Result<FfiModelFacts, FfiError> {
        guard(|| {
            Ok(FfiModelFacts {
                architecture: self.0.architecture().to_owned(),
                vocabulary: self.0.vocabulary() as u64,
                context: self.0.context() as u64,
                can_think: self.0.can_think(),
                chat_problem: self.0.chat_problem().map(|problem| problem.to_string()),
                warnings: self.0.warnings().iter().map(ToString::to_string).collect(),
            })
        })
    }

    /// Where it comes from, if a store lent it.
    pub fn origin(&self) -> Result<Option<FfiOrigin>, FfiError> {
        guard(|| Ok(self.1.clone()))
    }

    /// Bytes that it uses now. Waits for the step that runs.
    pub fn memory(&self) -> Result<FfiMemoryUse, FfiError> {
        guard(|| {
            let (memory, cache_bytes) = self.0.memory()?;
            Ok(FfiMemoryUse { mapped_bytes: memory.mapped, owned_bytes: memory.owned + memory.scratch, cache_bytes })
        })
    }

    /// The token ids of a text. What looks like a control token in it stays text.
    pub fn tokenize(&self, text: String) -> Result<Vec<u32>, FfiError> {
        guard(|| Ok(self.0.tokenize(&text)?))
    }

    /// The text of token ids, without control tokens.
    pub fn detokenize(&self, ids: Vec<u32>) -> Result<String, FfiError> {
        guard(|| Ok(self.0.detokenize(&ids)?))
    }

    /// The token ids of a conversation that asks for an answer.
    pub fn prompt_tokens(&self, transcript: Vec<FfiMessage>, thinking: Option<bool>) -> Result<Vec<u32>, FfiError> {
        guard(|| Ok(self.0.prompt_tokens(messages(transcript), thinking)?))
    }

    /// Begins a conversation, or goes on with one: `transcript` comes behind the instructions.
    pub fn session(
        &self,
        instructions: Option<String>,
        transcript: Vec<FfiMessage>,
    ) -> Result<Arc<FfiSession>, FfiError> {
        guard(|| {
            let mut config = SessionConfig::default().messages(messages(transcript));
            config.instructions = instructions;
            Ok(FfiSession::new(self.0.session(config)?))
        })
    }

    /// Continues a prompt without a template.
    pub fn complete(&self, prompt: FfiPrompt, options: FfiGenerationOptions) -> Result<Arc<FfiStream>, FfiError> {
        guard(|| {
            let prompt = match prompt {
                FfiPrompt::Text { text } => CompletionPrompt::Text(text),
                FfiPrompt::Tokens { ids } => CompletionPrompt::Tokens(ids),
            };
            Ok(FfiStream::new(self.0.complete(prompt, options.into())?))
        })
    }

    /// Changes the number of worker threads from the next step on, 1 to 512. Answers do not change.
    pub fn set_threads(&self, threads: u32) -> Result<(), FfiError> {
        guard(|| Ok(self.0.set_threads(threads as usize)?))
    }

    /// Ends it: answers that are on their way end with `Cancelled`, later calls get it too. Returns when the memory is
    /// free, and blocks its thread until then; a second time is harmless. (Not `close`: Kotlin's handles have that.)
    pub fn shut_down(&self) -> Result<(), FfiError> {
        guard(|| {
            self.0.close();
            Ok(())
        })
    }
}
