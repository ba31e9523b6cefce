//! The engine's log, handed to the app.
//!
//! Where no sink is given, Android's log gets it (android_logger). On Apple the Swift package brings a sink over
//! `os.Logger`: tracing-oslog would compile C on the way to a phone. The engine never logs what a user or a model wrote.

use std::cell::Cell;
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::FfiError;
use crate::guard::guard;

/// How much is logged; each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, uniffi::Enum)]
pub enum FfiLogLevel {
    /// Something failed.
    Error,
    /// Something works, but worse than it could.
    Warn,
    /// What was done.
    Info,
    /// For whoever looks for a fault.
    Debug,
    /// Everything.
    Trace,
}

impl From<Level> for FfiLogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            Level::DEBUG => Self::Debug,
            Level::TRACE => Self::Trace,
        }
    }
}

/// Takes lines of the log. Called on any thread, the engine's among them, which waits meanwhile: return soon.
#[uniffi::export(with_foreign)]
pub trait FfiLogSink: Send + Sync {
    /// One line, and the part of the engine that wrote it.
    fn log(&self, level: FfiLogLevel, target: String, line: String);
}

struct Log {
    level: FfiLogLevel,
    sink: Arc<dyn FfiLogSink>,
}

static LOG: RwLock<Option<Log>> = RwLock::new(None);
static INSTALLED: OnceLock<bool> = OnceLock::new();

thread_local! {
    /// A sink that calls the engine must not get the lines of that call.
    static LOGGING: Cell<bool> = const { Cell::new(false) };
}

/// Sends the log to `sink` from now on; without one to the platform's log, which is Android's logcat under the tag
/// `Inkling`, and nowhere on other systems. May be called again: the last sink and level count.
#[uniffi::export]
pub fn init_logging(level: FfiLogLevel, sink: Option<Arc<dyn FfiLogSink>>) -> Result<(), FfiError> {
    guard(|| {
        let ours = *INSTALLED.get_or_init(|| tracing::subscriber::set_global_default(ToApp).is_ok());
        if !ours {
            return Err(FfiError::invalid("sink", "the process has a tracing subscriber already, which gets the log"));
        }
        // The sink before is dropped outside the lock: it is the app's, and may do anything.
        let log = sink.or_else(platform_sink).map(|sink| Log { level, sink });
        let before = std::mem::replace(&mut *LOG.write().unwrap_or_else(PoisonError::into_inner), log);
        drop(before);
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    })
}

#[cfg(not(target_os = "android"))]
fn platform_sink() -> Option<Arc<dyn FfiLogSink>> {
    None
}

#[cfg(target_os = "android")]
fn platform_sink() -> Option<Arc<dyn FfiLogSink>> {
    use android_logger::{AndroidLogger, Config};
    use log::{Level, LevelFilter, Log as _, Record};

    struct Logcat(AndroidLogger);

    impl FfiLogSink for Logcat {
        fn log(&self, level: FfiLogLevel, target: String, line: String) {
            let level = match level {
                FfiLogLevel::Error => Level::Error,
                FfiLogLevel::Warn => Level::Warn,
                FfiLogLevel::Info => Level::Info,
                FfiLogLevel::Debug => Level::Debug,
                FfiLogLevel::Trace => Level::Trace,
            };
            self.0.log(&Record::builder().level(level).target(&target).args(format_args!("{target}: {line}")).build());
        }
    }

    let config = Config::default().with_tag("Inkling").with_max_level(LevelFilter::Trace);
    Some(Arc::new(Logcat(AndroidLogger::new(config))))
}

/// The subscriber: events only, no spans.
struct ToApp;

impl Subscriber for ToApp {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        // The level may change at any time.
        tracing::subscriber::Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let log = LOG.read().unwrap_or_else(PoisonError::into_inner);
        log.as_ref().is_some_and(|log| FfiLogLevel::from(*metadata.level()) <= log.level)
    }

    fn event(&self, event: &Event<'_>) {
        if LOGGING.get() {
            return;
        }
        let sink = {
            let log = LOG.read().unwrap_or_else(PoisonError::into_inner);
            log.as_ref().map(|log| Arc::clone(&log.sink))
        };
        let Some(sink) = sink else { return };
        let mut line = Line(String::new());
        event.record(&mut line);
        let metadata = event.metadata();
        LOGGING.set(true);
        // A sink that fails must not end the thread that logs, and there is nowhere to say so.
        let log = || sink.log((*metadata.level()).into(), metadata.target().to_owned(), line.0);
        let _ = catch_unwind(AssertUnwindSafe(log));
        LOGGING.set(false);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// An event as a line: what it says, then its fields.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a string cannot fail.
        let _ = match (field.name(), self.0.is_empty()) {
            ("message", true) => write!(self.0, "{value:?}"),
            ("message", false) => {
                self.0 = format!("{value:?} {}", self.0);
                Ok(())
            }
            (name, empty) => write!(self.0, "{}{name}={value:?}", if empty { "" } else { " " }),
        };
    }
}
