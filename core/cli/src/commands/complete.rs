//! `inkling complete`: raw continuation, no template.

use inkling::CompletionPrompt;
use serde_json::json;

use crate::answer::{self, stats_json};
use crate::args::CompleteArgs;
use crate::output::{Failure, print, print_json};
use crate::{generation, interrupt, model};

pub(crate) fn run(args: &CompleteArgs) -> Result<(), Failure> {
    let options = generation::options(&args.generation);
    interrupt::install()?;
    let model = model::load(&args.model)?;
    let prompt = match (&args.input.tokens, &args.input.prompt) {
        (Some(tokens), _) => CompletionPrompt::Tokens(tokens.clone()),
        (None, text) => CompletionPrompt::Text(text.clone().unwrap_or_default()),
    };
    let answer = answer::read(model.complete(prompt, options)?, args.json)?;
    if args.json {
        return print_json(&json!({
            "tokens": answer.stats.tokens,
            "text": answer.text,
            "finish": answer.stats.finish.name(),
            "stats": stats_json(&answer.stats),
        }));
    }
    print("\n")?;
    answer::report(&answer.stats);
    Ok(())
}
