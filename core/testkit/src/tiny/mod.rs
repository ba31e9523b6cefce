//! A whole small model file: weights of one of the families, a tokenizer, a chat template.
//!
//! The weights are noise, so what it says means nothing; but everything that loads and runs real models loads and runs
//! it. Logits keep the scale of a real model's.

mod vocabulary;

use inkling_gguf::{Gguf, GgufWriter, TensorType};

use crate::tensors::Tensors;

pub use vocabulary::SMALLEST_VOCABULARY;

/// A model family, as `general.architecture` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Llama 3.2, SmolLM2.
    Llama,
    /// Qwen2.5: biases.
    Qwen2,
    /// Qwen3: norms on query and key heads.
    Qwen3,
    /// Gemma 3: windows, norms before and after.
    Gemma3,
    /// Phi-3: fused matrices.
    Phi3,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Llama, Self::Qwen2, Self::Qwen3, Self::Gemma3, Self::Phi3];

    /// Its name in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma3 => "gemma3",
            Self::Phi3 => "phi3",
        }
    }
}

/// A model to write. Change what a test is about and leave the rest.
#[derive(Debug, Clone)]
pub struct TinyModel {
    /// The family.
    pub family: Family,
    /// Seed of the weights.
    pub seed: u64,
    /// Type of all matrices but the embedding (Q8_0 or F16 where rows are no whole number of its blocks).
    pub weights: TensorType,
    /// Type of the embedding.
    pub embedding: TensorType,
    /// Tokens, [`SMALLEST_VOCABULARY`] at least.
    pub vocabulary: usize,
    /// Width of the hidden state.
    pub width: usize,
    /// Inner width of the feed-forward parts.
    pub inner: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_width: usize,
    /// Positions.
    pub context: usize,
    /// The window of Gemma's local layers.
    pub window: usize,
    /// Whether the embedding is the head too.
    pub tied: bool,
    /// The chat template; `None` leaves the key out.
    pub template: Option<String>,
}

/// A template in the manner of ChatML.
pub const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}\
<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

impl TinyModel {
    /// 64 wide, two layers, Q8_0, 300 tokens: loads in a blink.
    pub fn new(family: Family) -> Self {
        Self {
            family,
            seed: 1,
            weights: TensorType::Q8_0,
            embedding: TensorType::Q8_0,
            vocabulary: 300,
            width: 64,
            inner: 96,
            layers: 2,
            heads: 2,
            kv_heads: 1,
            head_width: 32,
            context: 512,
            window: 16,
            tied: family != Family::Phi3,
            template: Some(CHATML.to_owned()),
        }
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut writer = GgufWriter::new();
        self.keys(&mut writer);
        vocabulary::keys(&mut writer, self.vocabulary);
        if let Some(template) = &self.template {
            writer.set("tokenizer.chat_template", template.as_str()).unwrap();
        }
        self.tensors().into_file(writer)
    }

    /// The file, opened in memory.
    pub fn gguf(&self) -> Gguf {
        Gguf::from_vec(self.bytes()).unwrap()
    }

    fn keys(&self, writer: &mut GgufWriter) {
        let family = self.family.name();
        writer.set("general.architecture", family).unwrap();
        writer.set("general.name", format!("tiny-{family}")).unwrap();
        let numbers = [
            ("block_count", self.layers),
            ("context_length", self.context),
            ("embedding_length", self.width),
            ("feed_forward_length", self.inner),
            ("attention.head_count", self.heads),
            ("attention.head_count_kv", self.kv_heads),
            ("attention.key_length", self.head_width),
            ("attention.value_length", self.head_width),
            ("rope.dimension_count", self.head_width),
            ("vocab_size", self.vocabulary),
        ];
        for (name, number) in numbers {
            writer.set(&format!("{family}.{name}"), number as u32).unwrap();
        }
        writer.set(&format!("{family}.rope.freq_base"), 10_000.0_f32).unwrap();
        writer.set(&format!("{family}.attention.layer_norm_rms_epsilon"), 1e-6_f32).unwrap();
        if self.family == Family::Gemma3 {
            writer.set("gemma3.attention.sliding_window", self.window as u32).unwrap();
        }
    }

    fn tensors(&self) -> Tensors {
        let mut tensors = Tensors::new(self.seed);
        tensors.matrix("token_embd.weight", self.embedding, self.vocabulary, self.width, 1.0);
        for layer in 0..self.layers {
            self.layer(layer, &mut tensors);
        }
        tensors.vector("output_norm.weight", self.width, 3.0, 0.1);
        if !self.tied {
            tensors.matrix("output.weight", self.weights, self.vocabulary, self.width, 1.0);
        }
        tensors
    }

    fn layer(&self, layer: usize, tensors: &mut Tensors) {
        let (width, inner, kind) = (self.width, self.inner, self.weights);
        let (queries, keys) = (self.heads * self.head_width, self.kv_heads * self.head_width);
        let name = |part: &str| format!("blk.{layer}.{part}");
        let mut norm = |part: &str, len: usize, mean: f32| {
            tensors.vector(&name(part), len, mean, 0.1);
        };
        norm("attn_norm.weight", width, 1.0);
        norm("ffn_norm.weight", width, 1.0);
        if self.family == Family::Gemma3 {
            norm("post_attention_norm.weight", width, 1.0);
            norm("post_ffw_norm.weight", width, 1.0);
        }
        if matches!(self.family, Family::Qwen3 | Family::Gemma3) {
            norm("attn_q_norm.weight", self.head_width, 1.5);
            norm("attn_k_norm.weight", self.head_width, 1.5);
        }
        if self.family == Family::Qwen2 {
            for (part, len) in [("attn_q.bias", queries), ("attn_k.bias", keys), ("attn_v.bias", keys)] {
                tensors.vector(&name(part), len, 0.0, 0.3);
            }
        }
        let mut matrix = |part: &str, rows: usize, columns: usize, gain: f32| {
            tensors.matrix(&name(part), kind, rows, columns, gain);
        };
        if self.family == Family::Phi3 {
            matrix("attn_qkv.weight", queries + 2 * keys, width, 1.5);
            matrix("ffn_up.weight", 2 * inner, width, 1.0);
        } else {
            matrix("attn_q.weight", queries, width, 1.5);
            matrix("attn_k.weight", keys, width, 1.5);
            matrix("attn_v.weight", keys, width, 1.0);
            matrix("ffn_gate.weight", inner, width, 1.0);
            matrix("ffn_up.weight", inner, width, 1.0);
        }
        matrix("attn_output.weight", width, queries, 1.0);
        matrix("ffn_down.weight", width, inner, 1.0);
    }
}
