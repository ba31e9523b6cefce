//! `inkling tokenize`: text to token ids.

use inkling::developer::{self, EncodeOptions};
use serde_json::json;

use crate::args::TokenizeArgs;
use crate::input::read_text;
use crate::model::source;
use crate::output::{Failure, print, print_json};

pub(crate) fn run(args: &TokenizeArgs) -> Result<(), Failure> {
    let tokenizer = developer::tokenizer(&source(args.model.as_deref()))?;
    let text = read_text("file", &args.file)?;
    let options = EncodeOptions { add_special: !args.no_bos, parse_special: args.special };
    let encode = |text: &str| tokenizer.encode(text, options).map_err(|error| Failure::Engine(error.into()));
    if args.lines {
        // Not `lines()`, which takes the carriage returns away: a line is tokenized as it is.
        for line in text.split_terminator('\n') {
            print(&format!("{}\n", json!(encode(line)?)))?;
        }
        return Ok(());
    }
    let ids = encode(&text)?;
    if args.json {
        return print_json(&json!({ "ids": ids }));
    }
    let shown: Vec<String> = ids.iter().map(u32::to_string).collect();
    print(&format!("{}\n", shown.join(",")))
}
