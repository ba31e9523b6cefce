//! `inkling perplexity`: how well a model predicts a text.

use serde_json::json;

use crate::args::PerplexityArgs;
use crate::input::read_text;
use crate::model::{load_probe, options};
use crate::output::{Failure, print, print_json};
use crate::progress::bar;

/// Tokens of a window when --ctx does not say: llama-perplexity's.
const USUAL_WINDOW: usize = 512;

pub(crate) fn run(args: &PerplexityArgs) -> Result<(), Failure> {
    let text = read_text("file", &args.file)?;
    let mut options = options(&args.model.load)?;
    options.context = options.context.or(Some(USUAL_WINDOW));
    let mut probe = load_probe(&args.model, options)?;
    let bar = bar(1, "scoring {wide_bar} {pos}/{len} windows, {eta} left");
    let result = probe.perplexity(&text, |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let result = result?;
    if args.json {
        return print_json(&json!({ "perplexity": result.perplexity, "tokens": result.tokens }));
    }
    print(&format!("perplexity {:.4} over {} tokens\n", result.perplexity, result.tokens))
}
