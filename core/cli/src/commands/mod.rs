//! One file per command. Each takes its arguments, asks the engine, and prints.

mod bench;
mod chat;
mod complete;
mod detokenize;
mod inspect;
mod logits;
pub(crate) mod models;
mod perplexity;
mod render;
mod synth;
mod tokenize;

use crate::args::{ChatArgs, Command};
use crate::output::Failure;

/// Runs the command that was given; without one, a chat.
pub(crate) fn run(command: Option<Command>, chat: ChatArgs) -> Result<(), Failure> {
    match command.unwrap_or(Command::Chat(chat)) {
        Command::Chat(args) => chat::run(&args),
        Command::Complete(args) => complete::run(&args),
        Command::Tokenize(args) => tokenize::run(&args),
        Command::Detokenize(args) => detokenize::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Logits(args) => logits::run(&args),
        Command::Perplexity(args) => perplexity::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Synth(args) => synth::run(&args),
        Command::Models(args) => models::run(&args),
    }
}
