//! A loaded model, as apps see it: [`inkling_session::Model`] with the facade's error.

use std::sync::Arc;

use inkling_generate::Limits;
use inkling_models::SpecOptions;
use inkling_session as inner;
use inkling_text::{DecodeOptions, EncodeOptions, Tokenizer};

use crate::{
    CompletionPrompt, Error, GenerationOptions, LoadWarning, MemoryUse, Message, ModelSource, Session, SessionConfig,
    Turn, inspect,
};

/// A loaded model, ready for conversations. Clones are the same model; when the last clone, session and turn are gone,
/// or after [`Model::close`], its memory is free.
#[derive(Debug, Clone)]
pub struct Model(pub(crate) inner::Model);

impl Model {
    /// Begins a conversation; a model without a usable chat template is [`crate::ErrorKind::UnsupportedModel`].
    pub fn session(&self, config: SessionConfig) -> Result<Session, Error> {
        Ok(Session(self.0.session(config)?))
    }

    /// Continues text or tokens without a template. A context that fills up ends it with
    /// [`crate::FinishReason::ContextFull`].
    pub fn complete(&self, prompt: CompletionPrompt, options: GenerationOptions) -> Result<Turn, Error> {
        Ok(Turn::new(self.0.complete(prompt, options)?))
    }

    /// The token ids of a text. What looks like a control token in it stays text; the token that begins a text is added
    /// where the model wants one.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, Error> {
        Ok(self.tokenizer().encode(text, EncodeOptions { add_special: true, parse_special: false })?)
    }

    /// The text of token ids, without control tokens.
    pub fn detokenize(&self, tokens: &[u32]) -> Result<String, Error> {
        Ok(self.tokenizer().decode(tokens, DecodeOptions::default())?)
    }

    /// The token ids of a conversation that asks for an answer to `messages`.
    pub fn prompt_tokens(&self, messages: Vec<Message>, thinking: Option<bool>) -> Result<Vec<u32>, Error> {
        Ok(self.0.prompt_tokens(messages, thinking)?)
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        self.0.tokenizer()
    }

    /// The architecture, as the file names it.
    pub fn architecture(&self) -> &str {
        &self.0.spec().architecture
    }

    /// Tokens that the model knows.
    pub fn vocabulary(&self) -> usize {
        self.0.spec().vocabulary
    }

    /// Tokens that a conversation may hold.
    pub fn context(&self) -> usize {
        self.limits().context
    }

    /// Context and batch sizes in force.
    pub fn limits(&self) -> Limits {
        self.0.limits()
    }

    /// Whether the model was taught to think before it answers.
    pub fn can_think(&self) -> bool {
        self.0.thinking_markers().is_some()
    }

    /// Why the model cannot hold conversations, if so; raw completion it always can.
    pub fn chat_problem(&self) -> Option<Error> {
        self.0.template().err().map(Error::from)
    }

    /// What went wrong during the load and did not keep the model from running, but costs something each time.
    pub fn warnings(&self) -> &[LoadWarning] {
        self.0.warnings()
    }

    /// Bytes of the decoder, and of the cache pages in use.
    pub fn memory(&self) -> Result<(MemoryUse, u64), Error> {
        Ok(self.0.memory()?)
    }

    /// Changes the number of worker threads from the next pass on, 1 to 512; more than can run at a time are taken as
    /// so many. Answers do not change, nothing is loaded again, turns go on: it may be called at every token.
    pub fn set_threads(&self, threads: usize) -> Result<(), Error> {
        Ok(self.0.set_threads(threads)?)
    }

    /// Ends the engine thread: running turns end with [`crate::ErrorKind::Cancelled`], later calls get it too. Returns
    /// when the memory is free; closing twice is harmless.
    pub fn close(&self) {
        self.0.close();
    }
}

/// What an app may want to know of a file before it loads it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelInfo {
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
    /// Bytes that one token of a conversation takes in the cache, with the usual type of cache; 0 if the model cannot run.
    pub cache_bytes_per_token: u64,
    /// Everything that keeps it from being used, in words; empty if it can be loaded.
    pub problems: Vec<String>,
}

impl ModelInfo {
    /// Looks into a file without loading it; one that is damaged is an error, one that is unsupported is described.
    pub fn of(source: &ModelSource) -> Result<Self, Error> {
        let found = inspect::inspect(source, &SpecOptions::default())?;
        let need = found.model.memory(1, crate::KvType::default());
        Ok(Self {
            cache_bytes_per_token: need.map_or(0, |need| need.kv_bytes_per_token),
            architecture: found.model.architecture,
            name: found.model.name,
            parameters: found.model.parameters,
            weight_bytes: found.model.weight_bytes,
            context: found.model.context,
            problems: found.problems,
        })
    }
}
