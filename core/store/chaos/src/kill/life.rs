//! A child's life and its end.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::disk::Random;

/// When a child is killed.
#[derive(Debug, Clone)]
pub struct Death {
    /// At the latest after this time.
    pub after: Duration,
    /// Earlier, when it has said this, and some time after that.
    pub at: Option<(String, Duration)>,
}

impl Death {
    /// At any moment of the time.
    pub fn any(longest: Duration, random: &mut Random) -> Self {
        Self { after: Duration::from_micros(random.below(longest.as_micros() as u64)), at: None }
    }

    /// A while after a word: mostly a short one, because what matters is often over soon.
    pub fn at(word: &str, longest: Duration, random: &mut Random) -> Self {
        let most = [300, 4_000, 40_000][random.index(3)];
        let delay = Duration::from_micros(random.below(most));
        Self { after: longest, at: Some((word.to_owned(), delay)) }
    }
}

/// What a child is told.
pub struct Told<'a> {
    /// The program.
    pub program: &'a Path,
    /// Where the store is.
    pub store: &'a Path,
    /// What there is to install.
    pub list: &'a Path,
    /// Of what it does.
    pub seed: u64,
    /// What it does first.
    pub first: &'a str,
}

/// Starts a child, kills it, and gives what it said.
pub fn live_and_die(told: &Told<'_>, death: &Death) -> Result<Vec<String>, String> {
    let mut command = Command::new(told.program);
    command.arg("child").arg(told.store).arg(told.list).arg(told.seed.to_string()).arg(told.first);
    // Reading the system's certificates would take longer than many a child lives.
    command.env("SSL_CERT_FILE", "/dev/null").env_remove("SSL_CERT_DIR");
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| format!("{}: {error}", told.program.display()))?;
    let stdout = child.stdout.take().ok_or("no output")?;
    // Whether it was the word that was waited for, or that it has done all that it was told to do.
    let (sender, heard) = mpsc::channel::<bool>();
    let awaited = death.at.as_ref().map(|(word, _)| word.clone());
    let reader = std::thread::spawn(move || {
        let mut words = Vec::new();
        let mut reader = BufReader::new(stdout);
        let mut line = String::new();
        // A line that was cut off was not said.
        while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.ends_with('\n') {
            let is_word = awaited.as_ref().is_some_and(|word| line.starts_with(word));
            if is_word || line == "free\n" {
                // It may have died.
                let _ = sender.send(is_word);
            }
            words.push(line.trim_end().to_owned());
            line.clear();
        }
        words
    });
    match &death.at {
        Some((_, delay)) => {
            let mut said = heard.recv_timeout(death.after);
            if said == Ok(false) {
                // The moment did not come, but something may as well.
                said = heard.recv_timeout(death.after / 5);
            }
            if said == Ok(true) {
                std::thread::sleep(*delay);
            }
        }
        None => std::thread::sleep(death.after),
    }
    child.kill().map_err(|error| error.to_string())?;
    let status = child.wait().map_err(|error| error.to_string())?;
    let words = reader.join().map_err(|_| "the reader panicked".to_owned())?;
    if status.signal() == Some(9) {
        return Ok(words);
    }
    let last = words.last().cloned().unwrap_or_default();
    Err(format!("the child ended by itself ({status}); the last that it said: {last}"))
}
