//! Renders the cases of `scripts/template-golden.py`: one JSON object `{"source", "input", "unix"}` a line on standard
//! input, one `{"output"}` or `{"error"}` a line on standard output.

use std::io::{BufRead, Write};
use std::time::Duration;

use inkling_base::ManualClock;
use inkling_text::template::{ChatTemplate, TemplateInput};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Case {
    source: String,
    input: TemplateInput,
    #[serde(default)]
    unix: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let case: Case = serde_json::from_str(&line?)?;
        let clock = ManualClock::at(Duration::from_secs(case.unix));
        let result = ChatTemplate::parse(&case.source).and_then(|template| template.render(&case.input, &clock));
        let answer = match result {
            Ok(output) => json!({ "output": output }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}
