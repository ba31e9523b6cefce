//! The command line of Inkling, for developers of apps and of Inkling itself.
//!
//! | module | what |
//! |---|---|
//! | `args` | the flags |
//! | `commands` | one file per command |
//! | `model` | which model, loaded with a progress bar |
//! | `generation` | generation options from the flags |
//! | `store` | where models are kept, if nobody says otherwise |
//! | `progress` | progress bars |
//! | `answer` | an answer as it comes |
//! | `interrupt` | Ctrl-C |
//! | `input` | texts from files and pipes |
//! | `metadata` | metadata values as JSON |
//! | `npy` | NumPy arrays |
//! | `system` | what the operating system says about memory and heat |
//! | `output` | results, errors, exit codes |

mod answer;
mod args;
mod commands;
mod generation;
mod input;
mod interrupt;
mod metadata;
mod model;
mod npy;
mod output;
mod progress;
mod store;
mod system;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args::Cli { command, chat } = args::Cli::parse();
    output::finish(commands::run(command, chat))
}
