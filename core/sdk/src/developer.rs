//! For tools rather than apps: look into a file, use its tokenizer or template alone, write synthetic models.

use std::sync::Arc;

use inkling_gguf::Gguf;
use inkling_text::Tokenizer;
use inkling_text::template::ChatTemplate;

use crate::{Error, ErrorKind, ModelSource};

pub use crate::probe::{Perplexity, Probe, Work};
pub use inkling_base::{Clock, SystemClock};
pub use inkling_compute::MemoryUse;
pub use inkling_gguf::{Array, Value};
#[cfg(feature = "developer")]
pub use inkling_models::synth::{Quant, SynthOptions, SynthReport, shape_names, write as synth};
pub use inkling_models::{ModelReport, SpecOptions};
pub use inkling_text::template::TemplateInput;
pub use inkling_text::{DecodeOptions, EncodeOptions};

/// The publisher's side of the store: a signed folder for any static server.
#[cfg(feature = "developer")]
pub mod publish {
    pub use inkling_store::manifest::{Keyring, PublicKey, SecretKey};
    pub use inkling_store::seal::KeyProvider;
    pub use inkling_store::{Golden, Role, StoreError};
    pub use inkling_store_publish::*;

    /// The one key that a publisher seals with.
    pub struct FileKey(String, zeroize::Zeroizing<[u8; 32]>);

    impl FileKey {
        /// The key of this name.
        pub fn new(name: &str, key: [u8; 32]) -> Self {
            Self(name.to_owned(), zeroize::Zeroizing::new(key))
        }
    }

    impl KeyProvider for FileKey {
        fn key(&self, id: &str) -> Result<zeroize::Zeroizing<[u8; 32]>, StoreError> {
            if id == self.0 {
                return Ok(self.1.clone());
            }
            Err(StoreError::Key {
                id: id.to_owned(),
                why: "there is no other key than that which was given".to_owned(),
            })
        }
    }
}

/// A store on another file system than the machine's: one that fails, for tests. Models are mapped from the machine's.
#[cfg(feature = "developer")]
pub fn open_store(
    options: crate::store::StoreOptions,
    vfs: Arc<dyn inkling_store::Vfs>,
) -> Result<crate::store::ModelStore, Error> {
    crate::store::ModelStore::open(options.vfs(vfs))
}

/// Where a GGUF keeps its chat template.
pub(crate) const TEMPLATE_KEY: &str = "tokenizer.chat_template";

/// The tokenizer of a file, which may hold a vocabulary and no weights.
pub fn tokenizer(source: &ModelSource) -> Result<Tokenizer, Error> {
    Ok(Tokenizer::from_metadata(source.open()?.metadata())?)
}

/// The chat template of a file.
pub fn chat_template(source: &ModelSource) -> Result<ChatTemplate, Error> {
    let gguf = source.open()?;
    let Some(text) = gguf.metadata().str(TEMPLATE_KEY)? else {
        return Err(ErrorKind::UnsupportedModel { what: "the file has no tokenizer.chat_template".into() }.into());
    };
    Ok(ChatTemplate::parse(text)?)
}

/// A template from its source.
pub fn parse_template(text: &str) -> Result<ChatTemplate, Error> {
    Ok(ChatTemplate::parse(text)?)
}

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
