//! A loaded model: its text side, which any thread may use, and the engine thread that owns the rest.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use inkling_base::{CancelToken, Clock};
use inkling_compute::{Backend, Decoder, DecoderSpec, KvCache, LoadPlan, LoadWarning, MemoryUse, WeightCache, Weights};
use inkling_generate::{
    ConversationId, GenerateError, GenerationOptions, Job, JobSetup, Limits, Scheduler, Thinking, ThinkingMarkers,
    negative_log_likelihood,
};
use inkling_gguf::Gguf;
use inkling_models::{SpecOptions, read_spec};
use inkling_text::shield::ControlTokens;
use inkling_text::template::{ChatTemplate, Message, TemplateInput};
use inkling_text::{EncodeOptions, Tokenizer};

use crate::engine::Engine;
use crate::history::History;
use crate::options::runnable;
use crate::outbox::Outbox;
use crate::sink::TurnSink;
use crate::{LoadOptions, Owner, Session, SessionConfig, SessionError, Turn};

/// What a model is put together from; [`Model::load`] does it for a file.
pub struct ModelParts {
    /// The loaded decoder.
    pub decoder: Box<dyn Decoder>,
    /// Its cache, as large as all conversations together may become.
    pub cache: KvCache,
    /// What the decoder was loaded for.
    pub limits: Limits,
    /// The tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// The source of the chat template, if the model has one.
    pub template: Option<String>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Who lends the model.
    pub owner: Option<Arc<dyn Owner>>,
}

impl ModelParts {
    /// Loads the parts of `file` on `backend`; see [`Model::load`].
    pub fn load(
        file: Arc<Gguf>,
        backend: &dyn Backend,
        options: &LoadOptions,
        cancel: &CancelToken,
        progress: &dyn Fn(f32),
    ) -> Result<Self, SessionError> {
        options.validate()?;
        let tokenizer = Arc::new(Tokenizer::from_metadata(file.metadata())?);
        let template = file.metadata().str("tokenizer.chat_template")?.map(str::to_owned);
        let spec = Arc::new(read_spec(&file, &SpecOptions { context: options.context })?);
        let context = options.context_for(spec.context)?;
        let plan = LoadPlan {
            threads: options.threads_on(&backend.probe()?),
            max_batch: options.batch,
            max_outputs: options.outputs,
            weight_cache: options.weight_cache.as_ref().unwrap_or(&WeightCache::Off),
            cancel,
            progress,
        };
        let decoder = backend.load(spec, Weights::new(file), &plan)?;
        let positions = options.cache_positions.unwrap_or(context.saturating_mul(2)).max(context);
        let cache = decoder.new_cache(options.kv, positions)?;
        let limits = Limits { context, max_batch: options.batch, max_outputs: options.outputs };
        Ok(Self {
            decoder,
            cache,
            limits,
            tokenizer,
            template,
            clock: Arc::clone(&options.clock),
            owner: options.owner.clone(),
        })
    }
}

/// A loaded model, ready for conversations. Clones are the same model; when the last clone, session and turn are gone,
/// or after [`Model::close`], its memory is free.
#[derive(Clone)]
pub struct Model(Arc<Inner>);

struct Inner {
    engine: Engine,
    setup: JobSetup,
    spec: Arc<DecoderSpec>,
    warnings: Vec<LoadWarning>,
    /// A template that cannot be parsed spoils conversations, but not raw completion.
    template: Option<Result<ChatTemplate, SessionError>>,
    markers: Option<ThinkingMarkers>,
    control: ControlTokens,
    limits: Limits,
    clock: Arc<dyn Clock>,
    next_id: AtomicU64,
    /// Last, so that it goes after everything that uses what it lends.
    owner: Mutex<Option<Arc<dyn Owner>>>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("architecture", &self.0.spec.architecture)
            .field("limits", &self.0.limits)
            .finish()
    }
}

/// A rendered conversation.
pub(crate) struct Prompt {
    pub(crate) tokens: Vec<u32>,
    pub(crate) thinking: Thinking,
}

/// What a raw completion continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompletionPrompt {
    /// Text; what looks like a control token in it stays text. The token that begins a text is added where the model
    /// wants it.
    Text(String),
    /// Token ids, taken as they are.
    Tokens(Vec<u32>),
}

impl Model {
    /// Loads `file` on `backend`. `progress` is told the fraction done; `cancel` is asked between tensors.
    pub fn load(
        file: Arc<Gguf>,
        backend: &dyn Backend,
        options: &LoadOptions,
        cancel: &CancelToken,
        progress: &dyn Fn(f32),
    ) -> Result<Self, SessionError> {
        Self::from_parts(ModelParts::load(file, backend, options, cancel, progress)?)
    }

    /// Puts a model together and starts its engine thread.
    pub fn from_parts(parts: ModelParts) -> Result<Self, SessionError> {
        let ModelParts { decoder, cache, limits, tokenizer, template: source, clock, owner } = parts;
        let spec = Arc::new(decoder.spec().clone());
        let warnings = decoder.warnings().to_vec();
        for warning in &warnings {
            tracing::warn!(%warning, "loading a model");
        }
        let template = source.as_deref().map(|source| ChatTemplate::parse(source).map_err(SessionError::from));
        let source = source.unwrap_or_default();
        let markers = ThinkingMarkers::in_template(&source);
        let control = shielded_tokens(&tokenizer, &source, markers.as_ref());
        let scheduler = Scheduler::new(decoder, cache, limits, Arc::clone(&clock));
        let limits = scheduler.limits();
        let setup = JobSetup { tokenizer, context: limits.context, vocabulary: spec.vocabulary };
        let engine = Engine::start(scheduler)?;
        let (next_id, owner) = (AtomicU64::new(0), Mutex::new(owner));
        Ok(Self(Arc::new(Inner {
            engine,
            setup,
            spec,
            warnings,
            template,
            markers,
            control,
            limits,
            clock,
            next_id,
            owner,
        })))
    }

    /// Begins a conversation.
    pub fn session(&self, config: SessionConfig) -> Result<Session, SessionError> {
        self.template()?;
        let id = ConversationId(self.0.next_id.fetch_add(1, Ordering::Relaxed));
        Ok(Session::new(self.clone(), id, config))
    }

    /// Continues text or tokens without a template. A context that fills up ends it with
    /// [`inkling_generate::FinishReason::ContextFull`].
    pub fn complete(&self, prompt: CompletionPrompt, options: GenerationOptions) -> Result<Turn, SessionError> {
        options.validate(self.0.setup.vocabulary)?;
        let tokens = match prompt {
            CompletionPrompt::Text(text) if text.is_empty() => {
                return Err(SessionError::invalid("prompt", "it has 0 bytes: give at least one character"));
            }
            CompletionPrompt::Text(text) => {
                self.tokenizer().encode(&text, EncodeOptions { add_special: true, parse_special: false })?
            }
            CompletionPrompt::Tokens(tokens) => tokens,
        };
        let job = Job::new(&self.0.setup, None, tokens, Thinking::default(), options, self.now())?;
        let (turn, sink) = self.new_turn(CancelToken::new(), None);
        self.submit(job, sink)?;
        Ok(turn)
    }

    /// Runs `tokens` by themselves, in chunks of at most `chunk`, and returns the logits at the positions `at`, which
    /// must ascend: `at.len()` rows of one value a token of the vocabulary. Turns wait meanwhile.
    pub fn logits(
        &self,
        tokens: Vec<u32>,
        at: Vec<usize>,
        chunk: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<f32>, SessionError> {
        let cancel = cancel.clone();
        let vocabulary = self.0.setup.vocabulary;
        self.0
            .engine
            .run(move |scheduler| {
                let mut rows = Vec::with_capacity(at.len() * vocabulary);
                scheduler.evaluate(&tokens, &at, chunk, &cancel, &mut |_, logits| {
                    rows.extend_from_slice(logits);
                    Ok(())
                })?;
                Ok::<_, GenerateError>(rows)
            })?
            .map_err(SessionError::from)
    }

    /// `−ln p(tokens[i] | tokens[..i])` for each `i` from `first` (at least 1) to the end: what perplexity is the mean
    /// and exponential of. Turns wait meanwhile.
    pub fn negative_log_likelihoods(
        &self,
        tokens: Vec<u32>,
        first: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<f64>, SessionError> {
        if first == 0 || first >= tokens.len() {
            let why = format!("{first} leaves nothing to score: give a number from 1 to below {} tokens", tokens.len());
            return Err(SessionError::invalid("first", why));
        }
        let (cancel, chunk) = (cancel.clone(), self.0.limits.max_batch);
        self.0
            .engine
            .run(move |scheduler| {
                let at: Vec<usize> = (first - 1..tokens.len() - 1).collect();
                let mut scores = Vec::with_capacity(at.len());
                scheduler.evaluate(&tokens, &at, chunk, &cancel, &mut |position, logits| {
                    scores.push(negative_log_likelihood(logits, tokens[position + 1])?);
                    Ok(())
                })?;
                Ok::<_, GenerateError>(scores)
            })?
            .map_err(SessionError::from)
    }

    /// Renders and tokenizes a conversation as [`Session::stream`] does. What users wrote cannot become a control token.
    pub(crate) fn render(&self, messages: Vec<Message>, thinking: Option<bool>) -> Result<Prompt, SessionError> {
        let template = self.template()?;
        let tokenizer = self.tokenizer();
        let text = |id: Option<u32>| id.and_then(|id| tokenizer.token_text(id)).map(str::to_owned);
        let input = TemplateInput {
            enable_thinking: thinking,
            bos_token: text(tokenizer.bos()),
            eos_token: text(tokenizer.eos()),
            ..TemplateInput::new(messages)
        };
        let rendered = template.render_shielded(&input, &*self.0.clock, &self.0.control)?;
        // The template has written the token that begins a text itself, if the model wants one.
        let options = EncodeOptions { add_special: false, parse_special: true };
        let tokens = tokenizer.encode_shielded(&rendered.text, rendered.shield, options)?;
        let markers = self.0.markers.clone();
        let opened = markers.as_ref().is_some_and(|markers| markers.opened_by(&rendered.text));
        Ok(Prompt { tokens, thinking: Thinking { markers, opened } })
    }

    /// The token ids of a conversation that asks for an answer to `messages`.
    pub fn prompt_tokens(&self, messages: Vec<Message>, thinking: Option<bool>) -> Result<Vec<u32>, SessionError> {
        Ok(self.render(messages, thinking)?.tokens)
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.0.setup.tokenizer
    }

    /// The chat template; [`SessionError::NoTemplate`] if there is none, or why it cannot be used.
    pub fn template(&self) -> Result<&ChatTemplate, SessionError> {
        self.0.template.as_ref().ok_or(SessionError::NoTemplate)?.as_ref().map_err(Clone::clone)
    }

    /// The markers of the model's thoughts, if it was taught to think.
    pub fn thinking_markers(&self) -> Option<&ThinkingMarkers> {
        self.0.markers.as_ref()
    }

    /// The decoder as data.
    pub fn spec(&self) -> &Arc<DecoderSpec> {
        &self.0.spec
    }

    /// What went wrong during the load and did not keep the model from running, but costs something each time.
    pub fn warnings(&self) -> &[LoadWarning] {
        &self.0.warnings
    }

    /// Context and batch sizes in force.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Bytes of the decoder, and of the cache pages in use.
    pub fn memory(&self) -> Result<(MemoryUse, u64), SessionError> {
        self.0.engine.run(|scheduler| (scheduler.decoder().memory(), scheduler.cache_bytes()))
    }

    /// Changes the number of worker threads from the next pass on, 1 to 512; more than can run at a time are taken as
    /// so many. Answers do not change, nothing is loaded again, turns go on: it may be called at every token.
    pub fn set_threads(&self, threads: usize) -> Result<(), SessionError> {
        let options = LoadOptions { threads: Some(threads), ..LoadOptions::default() };
        options.validate()?;
        let threads = runnable(threads);
        self.0.engine.run(move |scheduler| scheduler.decoder().set_threads(threads))
    }

    /// Ends the engine thread: running turns end with [`SessionError::Closed`], later calls get it too. Returns when
    /// the memory is free; closing twice is harmless.
    pub fn close(&self) {
        self.0.engine.close();
        // Nobody reads what was lent any more. It goes when the lock is free again: an owner may take its time.
        let owner = self.0.owner.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(owner);
    }

    pub(crate) fn close_conversation(&self, id: ConversationId) {
        self.0.engine.close_conversation(id);
    }

    pub(crate) fn nudge(&self) {
        self.0.engine.nudge().nudge();
    }

    pub(crate) fn setup(&self) -> &JobSetup {
        &self.0.setup
    }

    pub(crate) fn now(&self) -> Duration {
        self.0.clock.monotonic()
    }

    /// Who lends the model, as long as it is loaded.
    pub(crate) fn owner(&self) -> Option<Arc<dyn Owner>> {
        // Every change under this lock is one assignment.
        self.0.owner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The two ends of a turn.
    pub(crate) fn new_turn(&self, cancel: CancelToken, history: Option<Arc<History>>) -> (Turn, TurnSink) {
        let outbox = Arc::new(Outbox::default());
        let turn = Turn::new(Arc::clone(&outbox), cancel.clone(), self.0.engine.nudge().clone(), self.clone());
        let obituary = self.0.engine.obituary().clone();
        (turn, TurnSink { outbox, cancel, obituary, silent: false, history, answer: String::new() })
    }

    pub(crate) fn submit(&self, job: Job, sink: TurnSink) -> Result<(), SessionError> {
        self.0.engine.start_turn(job, Box::new(sink))
    }
}

/// The tokens that text from outside must not become: the control tokens, and those that some files mark as
/// user-defined although the template builds turns from them. Markers of thoughts are not among them, because templates
/// look for them in earlier answers.
fn shielded_tokens(tokenizer: &Tokenizer, template: &str, markers: Option<&ThinkingMarkers>) -> ControlTokens {
    let is_marker = |text: &str| markers.is_some_and(|m| m.open.trim_end() == text || m.close == text);
    let of_template = tokenizer.special_tokens().filter(|(text, _)| template.contains(text) && !is_marker(text));
    ControlTokens::new(tokenizer.control_tokens().chain(of_template).map(|(text, _)| text))
}
