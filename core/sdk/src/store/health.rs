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

/// Runs the release's golden prompts, if they are `comparable` as the model is loaded; the speed of a device that is too
/// `hot` says nothing. The outer error is the engine's and says nothing about the release.
pub(crate) fn check(
    model: &Model,
    release: &Release,
    comparable: bool,
    hot: bool,
) -> Result<Result<(), Unhealthy>, Error> {
    // One token at least: a model that ends the process when it is asked should do so while that is counted.
    let options = GenerationOptions::default().greedy().max_tokens(1);
    model.complete(CompletionPrompt::Tokens(vec![0]), options)?.collect()?;
    if !comparable {
        return Ok(Ok(()));
    }
    let mut best: Option<f64> = None;
    // A phone may be busy once.
    for _ in 0..2 {
        let speed = match ask(model, release)? {
            Ok(speed) => speed,
            Err(unhealthy) => return Ok(Err(unhealthy)),
        };
        let Some(speed) = speed else { return Ok(Ok(())) };
        let fastest = best.map_or(speed, |best| best.max(speed));
        if hot || fastest >= release.least_speed {
            return Ok(Ok(()));
        }
        best = Some(fastest);
    }
    let speed = best.unwrap_or_default();
    let why = format!("{speed:.1} tokens a second, and its publisher asks for {:.1}", release.least_speed);
    Ok(Err(Unhealthy { what: Why::TooSlow, why }))
}

/// Asks all golden prompts; gives tokens per second, if there were enough of them.
fn ask(model: &Model, release: &Release) -> Result<Result<Option<f64>, Unhealthy>, Error> {
    let (mut tokens, mut seconds) = (0, 0.0);
    for (index, golden) in release.golden.iter().enumerate() {
        let length = model.tokenize(&golden.prompt)?.len() + golden.tokens.len();
        // One that does not fit into the context of this app cannot be asked here.
        if golden.tokens.is_empty() || length > model.context() {
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
    Ok(Ok((tokens > 0 && seconds > 0.0).then(|| tokens as f64 / seconds)))
}
