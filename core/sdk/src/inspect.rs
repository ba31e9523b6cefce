//! Looking into a file without loading it.

use std::sync::Arc;

use inkling_gguf::Gguf;
use inkling_models::{ModelReport, SpecOptions};
use inkling_text::Tokenizer;
use inkling_text::template::ChatTemplate;

use crate::{Error, ModelSource};

/// Where a GGUF keeps its chat template.
pub(crate) const TEMPLATE_KEY: &str = "tokenizer.chat_template";

/// What a file holds and whether it can be run.
pub struct Inspection {
    /// The file: its metadata and tensors.
    pub file: Arc<Gguf>,
    /// The model in it.
    pub model: ModelReport,
    /// Everything that keeps it from being used, in words.
    pub problems: Vec<String>,
}

/// Looks into a file; one that is damaged is an error, one that is unsupported is described.
pub fn inspect(source: &ModelSource, options: &SpecOptions) -> Result<Inspection, Error> {
    let file = source.open()?;
    let model = inkling_models::report(&file, options);
    let mut problems: Vec<String> = model.problems.iter().map(ToString::to_string).collect();
    if let Err(error) = Tokenizer::from_metadata(file.metadata()) {
        problems.push(format!("tokenizer: {error}"));
    }
    if let Ok(Some(text)) = file.metadata().str(TEMPLATE_KEY)
        && let Err(error) = ChatTemplate::parse(text)
    {
        problems.push(format!("chat template: {error}"));
    }
    Ok(Inspection { file, model, problems })
}
