//! Small valid models in memory, whose keys and tensors a test may change before the file is made.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(unreachable_pub, reason = "a module of each test, and no crate of its own")]
#![allow(dead_code, reason = "each test file uses a part")]

use inkling_gguf::{Gguf, GgufWriter, TensorType, Value};

pub const FAMILIES: [&str; 5] = ["llama", "qwen2", "qwen3", "gemma3", "phi3"];
pub const LAYERS: usize = 2;
pub const WIDTH: u64 = 64;
pub const HEADS: u64 = 4;
pub const KV_HEADS: u64 = 2;
pub const HEAD_WIDTH: u64 = 16;
pub const INNER: u64 = 96;
pub const VOCABULARY: u64 = 40;

#[derive(Debug, Clone)]
pub struct Tensor {
    pub name: String,
    pub kind: TensorType,
    pub dimensions: Vec<u64>,
    /// The elements, if they matter; zeros otherwise.
    pub numbers: Vec<f32>,
}

#[derive(Debug, Clone)]
pub struct Small {
    pub architecture: &'static str,
    pub keys: Vec<(String, Value)>,
    pub tensors: Vec<Tensor>,
}

impl Small {
    pub fn new(architecture: &'static str) -> Self {
        let mut small = Self { architecture, keys: Vec::new(), tensors: Vec::new() };
        small.keys.push(("general.architecture".to_owned(), architecture.into()));
        for (name, value) in [
            ("block_count", LAYERS as u64),
            ("context_length", 131_072),
            ("embedding_length", WIDTH),
            ("feed_forward_length", INNER),
            ("attention.head_count", HEADS),
            ("attention.head_count_kv", KV_HEADS),
            ("attention.key_length", HEAD_WIDTH),
            ("attention.value_length", HEAD_WIDTH),
            ("rope.dimension_count", HEAD_WIDTH),
        ] {
            small.set(name, value as u32);
        }
        small.set("attention.layer_norm_rms_epsilon", 1e-5_f32);
        small.add("token_embd.weight", &[WIDTH, VOCABULARY]);
        small.add("output_norm.weight", &[WIDTH]);
        for layer in 0..LAYERS {
            small.layer(layer);
        }
        small
    }

    fn layer(&mut self, layer: usize) {
        let (queries, keys) = (HEADS * HEAD_WIDTH, KV_HEADS * HEAD_WIDTH);
        let architecture = self.architecture;
        let mut add = |name: &str, dimensions: &[u64]| self.add(&format!("blk.{layer}.{name}.weight"), dimensions);
        add("attn_norm", &[WIDTH]);
        add("attn_output", &[queries, WIDTH]);
        add("ffn_norm", &[WIDTH]);
        add("ffn_down", &[INNER, WIDTH]);
        if architecture == "phi3" {
            add("attn_qkv", &[WIDTH, queries + 2 * keys]);
            add("ffn_up", &[WIDTH, 2 * INNER]);
            return;
        }
        add("attn_q", &[WIDTH, queries]);
        add("attn_k", &[WIDTH, keys]);
        add("attn_v", &[WIDTH, keys]);
        add("ffn_gate", &[WIDTH, INNER]);
        add("ffn_up", &[WIDTH, INNER]);
        if matches!(architecture, "qwen3" | "gemma3") {
            add("attn_q_norm", &[HEAD_WIDTH]);
            add("attn_k_norm", &[HEAD_WIDTH]);
        }
        if architecture == "gemma3" {
            add("post_attention_norm", &[WIDTH]);
            add("post_ffw_norm", &[WIDTH]);
        }
    }

    /// Sets a key under the architecture's name.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.set_whole(&format!("{}.{name}", self.architecture), value)
    }

    /// Sets a key by its whole name.
    pub fn set_whole(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.keys.retain(|(known, _)| known != key);
        self.keys.push((key.to_owned(), value.into()));
        self
    }

    pub fn add(&mut self, name: &str, dimensions: &[u64]) {
        let (kind, dimensions) = (TensorType::F32, dimensions.to_vec());
        self.tensors.push(Tensor { name: name.to_owned(), kind, dimensions, numbers: Vec::new() });
    }

    pub fn add_numbers(&mut self, name: &str, numbers: &[f32]) -> &mut Self {
        let (name, dimensions) = (name.to_owned(), vec![numbers.len() as u64]);
        self.tensors.push(Tensor { name, kind: TensorType::F32, dimensions, numbers: numbers.to_vec() });
        self
    }

    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.tensors.retain(|tensor| tensor.name != name);
        self
    }

    /// The file; `None` if no valid GGUF can say this.
    pub fn try_build(&self) -> Option<Gguf> {
        let mut writer = GgufWriter::new();
        for (key, value) in &self.keys {
            writer.set(key, value.clone()).ok()?;
        }
        for tensor in &self.tensors {
            writer.tensor(&tensor.name, tensor.kind, &tensor.dimensions).ok()?;
        }
        if writer.data_bytes() > 1 << 24 {
            return None;
        }
        let sizes: Vec<usize> = writer.tensors().iter().map(|tensor| tensor.bytes as usize).collect();
        let mut data = writer.write_to(Vec::new()).ok()?;
        for (tensor, size) in self.tensors.iter().zip(sizes) {
            let mut bytes: Vec<u8> = tensor.numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            bytes.resize(size, 0);
            data.push(&bytes).ok()?;
        }
        Gguf::from_vec(data.finish().ok()?).ok()
    }

    pub fn build(&self) -> Gguf {
        self.try_build().unwrap()
    }
}
