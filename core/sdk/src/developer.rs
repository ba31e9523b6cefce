//! For tools rather than apps: look into a file, use its tokenizer or template alone, write synthetic models.

use inkling_text::Tokenizer;
use inkling_text::template::ChatTemplate;

use crate::inspect::TEMPLATE_KEY;
use crate::{Error, ErrorKind, ModelSource};

pub use crate::inspect::{Inspection, inspect};
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
    vfs: std::sync::Arc<dyn inkling_store::Vfs>,
) -> Result<crate::store::ModelStore, Error> {
    crate::store::ModelStore::open(options.vfs(vfs))
}

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
