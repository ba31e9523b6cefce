//! The command line as data: every flag of every command, and nothing that acts.
//!
//! Numbers are only parsed here. Whether they make sense (a temperature of NaN, ten thousand threads) is for the
//! engine to say, so that apps and the command line get the same answer.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::models::args::ModelsArgs;

/// Language models that live in the phone, on your desk.
#[derive(Debug, Parser)]
#[command(name = "inkling", version, args_conflicts_with_subcommands = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) chat: ChatArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Talk to a model (the default): one answer with --prompt, else a conversation
    Chat(ChatArgs),
    /// Continue a text or a list of tokens, without a chat template
    Complete(CompleteArgs),
    /// Text to token ids
    Tokenize(TokenizeArgs),
    /// Token ids to text
    Detokenize(DetokenizeArgs),
    /// Render a chat template
    Render(RenderArgs),
    /// Write the logits at some positions as a NumPy array
    Logits(LogitsArgs),
    /// Perplexity of a text, by llama-perplexity's method
    Perplexity(PerplexityArgs),
    /// Measure load, prefill and decode
    Bench(BenchArgs),
    /// Show what a GGUF file holds, what it will need, and what is unsupported
    Inspect(InspectArgs),
    /// Write a GGUF of a real model's shape with seeded random weights
    Synth(SynthArgs),
    /// The model store: pull, list, verify, remove, undo, publish
    Models(ModelsArgs),
}

/// Which model, and how it is loaded.
#[derive(Debug, Args, Clone)]
pub(crate) struct ModelArgs {
    /// GGUF file, or the id of an installed model (`inkling models list`); without it SmolLM2-135M-Instruct if `make model` has fetched it, else the tiny model inside
    #[arg(long, value_name = "F")]
    pub(crate) model: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct LoadArgs {
    /// Context in tokens [default: the model's own, at most 4096]
    #[arg(long, value_name = "N")]
    pub(crate) ctx: Option<usize>,
    /// Threads [default: the fast cores]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Back end: cpu or reference
    #[arg(long, value_name = "B", default_value = "cpu")]
    pub(crate) backend: String,
    /// Instruction set of the back end cpu: scalar, avx2, avx512-vnni, neon, ... [default: the best there is]
    #[arg(long, value_name = "I")]
    pub(crate) isa: Option<String>,
    /// Type of keys and values in the cache: f32, f16, q8_0 or q4_0
    #[arg(long, value_name = "T", default_value = "f16")]
    pub(crate) kv: String,
    /// Where packed weights are kept for the next load: beside (the model), off, or a folder
    #[arg(long, value_name = "WHERE", default_value = "beside")]
    pub(crate) weight_cache: PathBuf,
}

/// How tokens are chosen, and when to stop.
#[derive(Debug, Args, Clone, Default)]
pub(crate) struct GenerationArgs {
    /// Tokens to generate at most
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<usize>,
    /// Temperature; 0 takes the most likely token
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) temp: Option<f32>,
    /// Choose among the N most likely tokens; 0 for all
    #[arg(long, value_name = "N")]
    pub(crate) top_k: Option<usize>,
    /// Choose among the tokens that make up this probability
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) top_p: Option<f32>,
    /// Drop tokens less likely than this fraction of the most likely
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) min_p: Option<f32>,
    /// Seed of the random choice [default: a new one each time]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Stop before this text (may be given several times)
    #[arg(long, value_name = "T")]
    pub(crate) stop: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct ChatArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// One message; without it a conversation (from a pipe: one message a line)
    #[arg(long, value_name = "T")]
    pub(crate) prompt: Option<String>,
    /// Instructions to the model
    #[arg(long, value_name = "T")]
    pub(crate) system: Option<String>,
    #[command(flatten)]
    pub(crate) generation: GenerationArgs,
    /// Whether a model that can think before it answers does
    #[arg(long, value_name = "on|off")]
    pub(crate) think: Option<Switch>,
    /// One JSON document on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct CompleteArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) input: CompleteInput,
    #[command(flatten)]
    pub(crate) generation: GenerationArgs,
    /// One JSON document on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args, Clone)]
#[group(required = true, multiple = false)]
pub(crate) struct CompleteInput {
    /// Text to continue
    #[arg(long, value_name = "T")]
    pub(crate) prompt: Option<String>,
    /// Token ids to continue, as they are
    #[arg(long, value_name = "1,2,3", value_delimiter = ',')]
    pub(crate) tokens: Option<Vec<u32>>,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct TokenizeArgs {
    /// GGUF file
    #[arg(long, value_name = "F")]
    pub(crate) model: Option<PathBuf>,
    /// File to read; - is standard input
    #[arg(long, value_name = "F", default_value = "-")]
    pub(crate) file: PathBuf,
    /// Read special tokens in the text as such
    #[arg(long)]
    pub(crate) special: bool,
    /// Leave out the tokens that the model puts around a text
    #[arg(long)]
    pub(crate) no_bos: bool,
    /// One JSON array a line of input
    #[arg(long)]
    pub(crate) lines: bool,
    /// {"ids":[…]}
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct DetokenizeArgs {
    /// GGUF file
    #[arg(long, value_name = "F")]
    pub(crate) model: Option<PathBuf>,
    /// Token ids
    #[arg(long, value_name = "1,2,3", value_delimiter = ',', required = true)]
    pub(crate) tokens: Vec<u32>,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct RenderArgs {
    #[command(flatten)]
    pub(crate) source: RenderSource,
    /// JSON: {messages, tools?, add_generation_prompt, enable_thinking?, bos_token, eos_token}; - is standard input
    #[arg(long, value_name = "CASE.json")]
    pub(crate) input: PathBuf,
}

#[derive(Debug, Args, Clone)]
#[group(required = true, multiple = false)]
pub(crate) struct RenderSource {
    /// GGUF file whose template is used
    #[arg(long, value_name = "F")]
    pub(crate) model: Option<PathBuf>,
    /// Template file
    #[arg(long, value_name = "F")]
    pub(crate) template: Option<PathBuf>,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct LogitsArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Token ids
    #[arg(long, value_name = "1,2,3", value_delimiter = ',', required = true)]
    pub(crate) tokens: Vec<u32>,
    /// Positions whose logits are written [default: all]
    #[arg(long, value_name = "0,31", value_delimiter = ',')]
    pub(crate) at: Option<Vec<usize>>,
    /// NumPy file to write: float32 [positions, vocabulary]
    #[arg(long, value_name = "F.npy")]
    pub(crate) out: PathBuf,
    /// Prefill in chunks of N tokens
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<usize>,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct PerplexityArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Text file; - is standard input
    #[arg(long, value_name = "F")]
    pub(crate) file: PathBuf,
    /// {"perplexity": …, "tokens": …}
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Prompt tokens; 0 leaves prefill out
    #[arg(short = 'p', value_name = "N", default_value_t = 512)]
    pub(crate) prompt_tokens: usize,
    /// Generated tokens; 0 leaves decode out
    #[arg(short = 'n', value_name = "N", default_value_t = 128)]
    pub(crate) generated_tokens: usize,
    /// Tokens already in the context
    #[arg(short = 'd', value_name = "DEPTH", default_value_t = 0)]
    pub(crate) depth: usize,
    /// Repetitions
    #[arg(short = 'r', value_name = "N", default_value_t = 5)]
    pub(crate) repetitions: usize,
    /// Also time passes that check so many tokens of one sequence at once, beside passes of one
    #[arg(long, value_name = "4,8", value_delimiter = ',')]
    pub(crate) batches: Vec<usize>,
    /// Also let N conversations decode together, beside one alone
    #[arg(long, value_name = "N")]
    pub(crate) sessions: Option<usize>,
    /// Do not load the model from a cold disk first
    #[arg(long)]
    pub(crate) skip_cold: bool,
    /// One JSON document on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct InspectArgs {
    /// GGUF file
    #[arg(value_name = "F")]
    pub(crate) file: PathBuf,
    /// One JSON document on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct SynthArgs {
    /// qwen3-0.6b, smollm2-135m, gemma3-270m, tiny-llama, …
    #[arg(value_name = "SHAPE")]
    pub(crate) shape: String,
    /// File to write
    #[arg(value_name = "OUT.gguf")]
    pub(crate) out: PathBuf,
    /// Quantisation: Q4_K_M, Q8_0, F16, …
    #[arg(long, value_name = "Q")]
    pub(crate) quant: String,
    /// GGUF whose vocabulary is copied
    #[arg(long, value_name = "V.gguf")]
    pub(crate) vocab: Option<PathBuf>,
    /// Seed of the weights
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Layers, if not the real model's number
    #[arg(long, value_name = "N")]
    pub(crate) layers: Option<usize>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn chat_is_the_default_command() {
        let cli = Cli::try_parse_from(["inkling", "--prompt", "Hi", "--temp", "0"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.chat.prompt.as_deref(), Some("Hi"));
    }

    #[test]
    fn usage_errors_exit_with_two() {
        for bad in [&["inkling", "complete"][..], &["inkling", "--threads", "many"], &["inkling", "nonsense"]] {
            assert_eq!(Cli::try_parse_from(bad).unwrap_err().exit_code(), 2);
        }
    }
}
