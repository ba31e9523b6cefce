//! `inkling chat`: one answer, or a conversation.

use std::io::{BufRead, IsTerminal, stdin, stdout};

use inkling::{Error, ErrorKind, GenerationOptions, Session, SessionConfig};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use serde_json::json;

use crate::answer::{self, stats_json};
use crate::args::{ChatArgs, Switch};
use crate::output::{Failure, print, print_json};
use crate::{generation, input, interrupt, model};

pub(crate) fn run(args: &ChatArgs) -> Result<(), Failure> {
    let mut options = generation::options(&args.generation);
    options.thinking = args.think.map(|switch| switch == Switch::On);
    interrupt::install()?;
    let model = model::load(&args.model)?;
    let mut config = SessionConfig::default();
    if let Some(system) = &args.system {
        config = config.instructions(system.as_str());
    }
    let session = model.session(config)?;
    match &args.prompt {
        Some(prompt) => once(&session, prompt, options, args.json),
        None if stdin().is_terminal() && stdout().is_terminal() && !args.json => converse(&session, &options),
        None => script(&session, &options, args.json),
    }
}

/// One message, one answer.
fn once(session: &Session, prompt: &str, options: GenerationOptions, as_json: bool) -> Result<(), Failure> {
    let answer = answer::read(session.stream(prompt, options)?, as_json)?;
    if as_json {
        return print_json(&document(&answer));
    }
    print("\n")?;
    answer::report(&answer.stats);
    Ok(())
}

fn document(answer: &answer::Answer) -> serde_json::Value {
    json!({
        "text": answer.text,
        "thinking": answer.thinking,
        "finish": answer.stats.finish.name(),
        "stats": stats_json(&answer.stats),
    })
}

/// A conversation from a pipe: one message a line, each shown before its answer. An error ends it; `--json` then
/// prints the answers that came before.
fn script(session: &Session, options: &GenerationOptions, as_json: bool) -> Result<(), Failure> {
    let mut answers = Vec::new();
    let result = stdin().lock().split(b'\n').try_for_each(|line| {
        let line = input::utf8("standard input", line.map_err(|error| input_error(&error))?)?;
        let message = line.trim_end_matches('\r');
        if message.trim().is_empty() {
            return Ok(());
        }
        if !as_json {
            print(&format!("> {message}\n"))?;
        }
        let answer = answer::read(session.stream(message, options.clone())?, as_json)?;
        if as_json {
            answers.push(document(&answer));
            Ok(())
        } else {
            print("\n\n")
        }
    });
    if as_json {
        print_json(&answers)?;
    }
    result
}

/// A conversation at a terminal. Ctrl-C stops the answer; at the prompt, a second one quits.
fn converse(session: &Session, options: &GenerationOptions) -> Result<(), Failure> {
    let mut editor = DefaultEditor::new().map_err(|error| input_error(&error))?;
    eprintln!("Ctrl-C stops an answer, Ctrl-D ends the conversation.");
    let mut asked_to_quit = false;
    loop {
        match editor.readline("> ") {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                asked_to_quit = false;
                // The history only serves the arrow keys: a line that it refuses is no loss.
                let _ = editor.add_history_entry(&line);
                answer_or_complain(session, &line, options)?;
            }
            Err(ReadlineError::Interrupted) if !asked_to_quit => {
                asked_to_quit = true;
                eprintln!("Ctrl-C again quits.");
            }
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(input_error(&error)),
        }
    }
}

/// An error of one turn does not end the conversation.
fn answer_or_complain(session: &Session, line: &str, options: &GenerationOptions) -> Result<(), Failure> {
    let result =
        session.stream(line, options.clone()).map_err(Failure::Engine).and_then(|turn| answer::read(turn, false));
    match result {
        Ok(answer) => {
            print("\n")?;
            answer::report(&answer.stats);
            Ok(())
        }
        Err(Failure::Engine(error)) => {
            eprintln!("error: {error}");
            Ok(())
        }
        Err(closed) => Err(closed),
    }
}

fn input_error(error: &dyn std::error::Error) -> Failure {
    Failure::Engine(Error::from(ErrorKind::invalid("standard input", error.to_string())))
}
