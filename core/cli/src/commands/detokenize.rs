//! `inkling detokenize`: token ids to text, printed as it is.

use inkling::developer::{self, DecodeOptions};

use crate::args::DetokenizeArgs;
use crate::model::source;
use crate::output::{Failure, print};

pub(crate) fn run(args: &DetokenizeArgs) -> Result<(), Failure> {
    let tokenizer = developer::tokenizer(&source(args.model.as_deref()))?;
    let text = tokenizer
        .decode(&args.tokens, DecodeOptions { keep_special: true })
        .map_err(|error| Failure::Engine(error.into()))?;
    print(&text)
}
