//! Whether a new release says what its publisher says it says, and fast enough: asked when it is first loaded, before
//! the app gets it.

use inkling_store::Release;
use inkling_store::slot::Why;

use crate::{CompletionPrompt, Error, GenerationOptions, Model};

/// What a release that is not taken did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unhealthy {
    pub(crate) what: Why,
    pub(crate) why: String,
}

/// Runs the release's golden prompts. The outer error is the engine's and says nothing about the release.
pub(crate) fn check(model: &Model, release: &Release) -> Result<Result<(), Unhealthy>, Error> {
    if release.golden.is_empty() {
        // One token at least: a model that ends the process when it is asked should do so while that is counted.
        let options = GenerationOptions::default().greedy().max_tokens(1);
        model.complete(CompletionPrompt::Tokens(vec![0]), options)?.collect()?;
    }
    let (mut tokens, mut seconds) = (0, 0.0);
    for (index, golden) in release.golden.iter().enumerate() {
        if golden.tokens.is_empty() {
            continue;
        }
        let options = GenerationOptions::default().greedy().max_tokens(golden.tokens.len());
        let answer = model.complete(CompletionPrompt::Text(golden.prompt.clone()), options)?.collect()?;
        if answer.stats.tokens != golden.tokens {
            let at = answer.stats.tokens.iter().zip(&golden.tokens).take_while(|(got, want)| got == want).count();
            let why = format!("golden prompt {index}: token {at} of {} is another one", golden.tokens.len());
            return Ok(Err(Unhealthy { what: Why::WrongGolden, why }));
        }
        // The first token belongs to the prompt.
        tokens += answer.stats.generated_tokens.saturating_sub(1);
        seconds += answer.stats.decode_time.as_secs_f64();
    }
    let speed = if seconds > 0.0 { tokens as f64 / seconds } else { f64::INFINITY };
    if tokens > 0 && speed < release.least_speed {
        let why = format!("{speed:.1} tokens a second, and its publisher asks for {:.1}", release.least_speed);
        return Ok(Err(Unhealthy { what: Why::TooSlow, why }));
    }
    Ok(Ok(()))
}
