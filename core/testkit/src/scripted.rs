//! A decoder that says what a test wants, and a tokenizer whose ids are bytes: for schedulers and sessions.
//!
//! The decoder keeps nothing of its own: it writes each token into the cache's pages and reads a sequence's whole
//! history back from there before it answers. A scheduler that mixes up sequences, cuts one in the wrong place or
//! forgets to compute a token therefore gets a wrong answer, as it would from a real model.

use std::sync::{Arc, Mutex};

use inkling_compute::{
    Activation, Attention, Batch, ComputeError, Decoder, DecoderSpec, FeedForward, GatedFeedForward, HostPages,
    KvCache, KvLayer, KvLayout, KvType, Layer, Linear, Matrix, MemoryUse, Mixer, Norm, Output, PAGE_POSITIONS, Rope,
    RopeStyle, SequenceId, Vector, Want,
};
use inkling_gguf::TensorId;
use inkling_text::{SpecialIds, Tokenizer, TokenizerSource};

/// Begins a message of [`CHATML`].
pub const IM_START: u32 = 256;
/// Ends a message, and an answer.
pub const IM_END: u32 = 257;
/// Opens thoughts.
pub const THINK: u32 = 258;
/// Ends thoughts.
pub const END_THINK: u32 = 259;
/// Tokens of [`byte_tokenizer`].
pub const VOCABULARY: usize = 260;

/// A chat template for [`byte_tokenizer`].
pub const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// A tokenizer in which ids 0 to 255 are bytes, followed by the tokens above.
pub fn byte_tokenizer() -> Arc<Tokenizer> {
    // GPT-2's spelling of bytes: printable ones as they are, the others from U+0100 on.
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut others = 0x100;
    let mut texts: Vec<String> = Vec::new();
    for byte in 0..=255_u8 {
        let code = if printable(&byte) {
            u32::from(byte)
        } else {
            others += 1;
            others - 1
        };
        texts.push(char::from_u32(code).unwrap().to_string());
    }
    texts.extend(["<|im_start|>", "<|im_end|>", "<think>", "</think>"].map(String::from));
    let mut types = vec![1; 256];
    types.extend([3, 3, 4, 4]);
    let source = TokenizerSource {
        model: "gpt2",
        pre: Some("gpt-2"),
        tokens: texts.iter().map(String::as_bytes).collect(),
        token_types: Some(types),
        merges: Some(Vec::new()),
        ids: SpecialIds { eos: Some(IM_END), ..SpecialIds::default() },
        ..TokenizerSource::default()
    };
    Arc::new(Tokenizer::from_source(source).unwrap())
}

/// What the decoder was asked for in one pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Sequence, first position and number of tokens of each run.
    pub runs: Vec<(SequenceId, usize, usize)>,
    /// Rows that were wanted.
    pub rows: usize,
    /// Whether logits were wanted, and not only arg-maxes.
    pub logits: bool,
}

/// Logits after a history.
pub type Script = dyn Fn(&[u32]) -> Vec<f32> + Send;
/// Called before each pass with its number, from 0; may fail, wait or panic.
pub type Before = dyn FnMut(usize) -> Result<(), ComputeError> + Send;

/// A decoder that follows a script.
pub struct ScriptedDecoder {
    spec: DecoderSpec,
    script: Box<Script>,
    before: Box<Before>,
    passes: Arc<Mutex<Vec<Pass>>>,
    count: usize,
}

impl ScriptedDecoder {
    /// A decoder of `vocabulary` tokens whose logits after a history are `script(history)`.
    pub fn new(vocabulary: usize, script: impl Fn(&[u32]) -> Vec<f32> + Send + 'static) -> Self {
        let (spec, script, before) = (spec(vocabulary), Box::new(script), Box::new(|_| Ok(())));
        Self { spec, script, before, passes: Arc::default(), count: 0 }
    }

    /// A decoder for [`byte_tokenizer`] that always takes `next(history)`.
    pub fn choosing(next: impl Fn(&[u32]) -> u32 + Send + 'static) -> Self {
        Self::new(VOCABULARY, move |history| {
            let mut logits = vec![0.0; VOCABULARY];
            logits[next(history) as usize] = 30.0;
            logits
        })
    }

    /// A decoder for [`byte_tokenizer`] that answers a [`CHATML`] conversation with `answer(last message)`.
    pub fn answering(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let tokenizer = byte_tokenizer();
        Self::choosing(move |history| {
            let starts: Vec<usize> = (0..history.len()).filter(|&at| history[at] == IM_START).collect();
            let &[.., asked, answered] = &starts[..] else { return IM_END };
            let text = |ids: &[u32]| tokenizer.decode(ids, inkling_text::DecodeOptions::default()).unwrap();
            let asked = text(&history[asked..answered]);
            let message = asked.split_once('\n').map_or("", |(_, message)| message);
            // A prompt that ends before the answer begins, as one that only fills the cache.
            let Some(said) = history.len().checked_sub(answered + 1 + "assistant\n".len()) else { return IM_END };
            let answer = answer(message.strip_suffix('\n').unwrap_or(message));
            answer.as_bytes().get(said).map_or(IM_END, |&byte| u32::from(byte))
        })
    }

    /// Calls `before` before each pass.
    pub fn before(mut self, before: impl FnMut(usize) -> Result<(), ComputeError> + Send + 'static) -> Self {
        self.before = Box::new(before);
        self
    }

    /// The passes so far; stays readable while the decoder runs.
    pub fn passes(&self) -> Arc<Mutex<Vec<Pass>>> {
        Arc::clone(&self.passes)
    }
}

impl Decoder for ScriptedDecoder {
    fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    fn new_cache(&self, _kind: KvType, positions: usize) -> Result<KvCache, ComputeError> {
        let layout = KvLayout::new("scripted", KvType::F32, &[KvLayer { heads: 1, key_width: 1, value_width: 1 }])?;
        Ok(KvCache::new(Box::new(HostPages::new(layout)), positions))
    }

    fn forward(
        &mut self,
        batch: &Batch<'_>,
        kv: &mut KvCache,
        want: Want<'_>,
        output: &mut Output,
    ) -> Result<(), ComputeError> {
        let number = self.count;
        self.count += 1;
        (self.before)(number)?;
        batch.validate(self.spec.vocabulary, usize::MAX)?;
        want.validate(batch.len(), usize::MAX)?;
        kv.prepare(batch)?;
        let mut histories = Vec::new();
        let mut first = 0;
        for run in batch.runs {
            write(kv, run.sequence, run.start, &batch.tokens[first..first + run.count]);
            let history = read(kv, run.sequence, run.start + run.count);
            histories.extend((run.start..run.start + run.count).map(|end| history[..=end].to_vec()));
            first += run.count;
        }
        let logits: Vec<Vec<f32>> = want.rows().iter().map(|&row| (self.script)(&histories[row])).collect();
        match want {
            Want::Nothing => {}
            Want::Logits(rows) => {
                output.begin_logits(rows.len(), self.spec.vocabulary).copy_from_slice(&logits.concat());
            }
            Want::Argmax(rows) => {
                for (out, logits) in output.begin_argmax(rows.len()).iter_mut().zip(&logits) {
                    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    *out = logits.iter().position(|&logit| logit == best).unwrap() as u32;
                }
            }
            _ => return Err(ComputeError::BadBatch { why: "the script cannot say that" }),
        }
        self.passes.lock().unwrap().push(Pass {
            runs: batch.runs.iter().map(|run| (run.sequence, run.start, run.count)).collect(),
            rows: want.rows().len(),
            logits: matches!(want, Want::Logits(_)),
        });
        kv.commit(batch);
        Ok(())
    }

    fn set_threads(&mut self, _threads: usize) {}

    fn memory(&self) -> MemoryUse {
        MemoryUse::default()
    }
}

fn write(kv: &mut KvCache, sequence: SequenceId, start: usize, tokens: &[u32]) {
    for (position, token) in (start..).zip(tokens) {
        let page = kv.pages(sequence)[position / PAGE_POSITIONS];
        let store = kv.store_mut::<HostPages>().unwrap();
        store.page_mut(page)[position % PAGE_POSITIONS * 4..][..4].copy_from_slice(&token.to_le_bytes());
    }
}

fn read(kv: &KvCache, sequence: SequenceId, len: usize) -> Vec<u32> {
    let store = kv.store::<HostPages>().unwrap();
    let pages = kv.pages(sequence);
    (0..len)
        .map(|position| {
            let bytes = &store.page(pages[position / PAGE_POSITIONS])[position % PAGE_POSITIONS * 4..][..4];
            u32::from_le_bytes(bytes.try_into().unwrap())
        })
        .collect()
}

/// A spec of the right vocabulary; its tensors are never looked at.
fn spec(vocabulary: usize) -> DecoderSpec {
    let matrix = Matrix { tensor: TensorId(0), first_row: 0, rows: vocabulary, columns: 1 };
    let linear = || Linear { weight: matrix, bias: None };
    let norm = || Norm { weight: Vector { tensor: TensorId(0), first: 0, len: 1 }, epsilon: 1e-6 };
    let attention = Attention {
        heads: 1,
        kv_heads: 1,
        key_width: 1,
        value_width: 1,
        query: linear(),
        key: linear(),
        value: linear(),
        output: linear(),
        query_norm: None,
        key_norm: None,
        rope: Rope { style: RopeStyle::Halves, frequencies: Vec::new(), magnitude: 1.0 },
        window: None,
        scale: 1.0,
        softcap: None,
    };
    let gated = GatedFeedForward { gate: linear(), up: linear(), down: linear(), activation: Activation::Silu };
    DecoderSpec {
        architecture: "scripted".to_owned(),
        vocabulary,
        width: 1,
        context: 1 << 20,
        embedding: matrix,
        embedding_scale: 1.0,
        layers: vec![Layer {
            mixer_norm: norm(),
            mixer: Mixer::Attention(attention),
            mixer_post_norm: None,
            feed_forward_norm: norm(),
            feed_forward: FeedForward::Gated(gated),
            feed_forward_post_norm: None,
        }],
        final_norm: norm(),
        head: linear(),
        logit_scale: 1.0,
        logit_softcap: None,
    }
}
