//! The facade as Swift and Kotlin see it. Not an API for apps: the hand-written Swift package and Android library are.
//!
//! Everything that is exported begins with `Ffi`, so that the hand-written layers have the plain names.
//!
//! | module | what |
//! |---|---|
//! | [`engine`] | [`FfiEngine`], [`FfiLoad`]: loading, looking into files |
//! | [`model`] | [`FfiModel`]: tokens, sessions, completions |
//! | [`session`] | [`FfiSession`]: conversations |
//! | [`stream`] | [`FfiStream`]: a running answer, pulled in batches |
//! | [`event`] | [`FfiEvent`], [`FfiStats`]: what an answer is made of |
//! | [`options`] | how to load and how to generate |
//! | [`error`] | [`FfiError`]: the kinds of errors |
//! | [`signals`] | [`FfiSignals`]: heat, battery, memory, as the platform tells them |
//! | [`store`] | [`FfiStore`]: models by id, downloaded, verified, updated, undone |
//! | [`transport`] | [`FfiTransport`]: the platform's HTTP |
//! | [`java`] | how a JVM gets in: `JNI_OnLoad`, the application context |
//! | [`log`] | [`init_logging`]: the engine's log goes where the app wants it |
//!
//! # Rules
//!
//! * Every function fails with [`FfiError`], also where nothing can fail: only so a panic becomes an error
//!   ([`FfiError::Internal`]) and not the end of the app. `guard` sees to it.
//! * Nothing here is clever. What an app may want in another form is done in its own language, what all apps want is
//!   done in the facade.
//! * Objects are handles: dropping the last one stops what it does and frees what it holds.

pub mod engine;
pub mod error;
pub mod event;
mod guard;
#[cfg(not(target_vendor = "apple"))]
pub mod java;
pub mod log;
pub mod model;
pub mod options;
pub mod session;
pub mod signals;
pub mod store;
pub mod stream;
pub mod transport;
mod work;

pub use engine::{FfiEngine, FfiEngineConfig, FfiLoad, FfiProgress, FfiWeightCache};
pub use error::FfiError;
pub use event::{FfiEvent, FfiFinish, FfiLogProb, FfiStats};
pub use log::{FfiLogLevel, FfiLogSink, init_logging};
pub use model::{FfiMemoryUse, FfiModel, FfiModelFacts, FfiModelInfo, FfiPrompt};
pub use options::{FfiGenerationOptions, FfiLoadOptions, FfiLogitBias};
pub use session::{FfiMessage, FfiSession};
pub use signals::{
    FfiBattery, FfiBatterySignal, FfiConditions, FfiFreeMemory, FfiHeat, FfiNetwork, FfiNetworkSignal, FfiSignals,
    FfiThermal, FfiThermalSignal,
};
pub use store::{
    FfiCatalog, FfiDamaged, FfiDownload, FfiDownloadEvent, FfiEnsureOptions, FfiFit, FfiGivenUp, FfiInstalled,
    FfiKeyProvider, FfiOrigin, FfiPart, FfiSegments, FfiStore, FfiStoreOptions, FfiStoreServices, FfiStoreUsage,
    FfiVerified, FfiVerify, FfiWait,
};
pub use stream::FfiStream;
pub use transport::{FfiBody, FfiHeader, FfiRequest, FfiResponse, FfiTransport, FfiTransportError, fetch_piece};

uniffi::setup_scaffolding!();

/// The version of the library.
#[uniffi::export]
pub fn version() -> Result<String, FfiError> {
    Ok(env!("CARGO_PKG_VERSION").to_owned())
}
