//! `inkling render`: a chat template's text, printed as it is.

use inkling::developer::{self, SystemClock, TemplateInput};
use inkling::{ErrorKind, ModelSource};

use crate::args::RenderArgs;
use crate::input::read_text;
use crate::output::{Failure, print};

pub(crate) fn run(args: &RenderArgs) -> Result<(), Failure> {
    let template = match (&args.source.model, &args.source.template) {
        (Some(model), _) => developer::chat_template(&ModelSource::file(model))?,
        (None, Some(file)) => developer::parse_template(&read_text("template", file)?)?,
        (None, None) => {
            return Err(Failure::Engine(ErrorKind::invalid("template", "give --model or --template").into()));
        }
    };
    let case: TemplateInput = serde_json::from_str(&read_text("input", &args.input)?)
        .map_err(|error| Failure::Engine(ErrorKind::invalid("input", error.to_string()).into()))?;
    let text = template.render(&case, &SystemClock::default()).map_err(|error| Failure::Engine(error.into()))?;
    print(&text)
}
