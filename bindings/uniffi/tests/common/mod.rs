//! What the tests share: the tiny model, an executor for one future, ways to read an answer.
#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses a part of it")]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use inkling_ffi::{
    FfiEngine, FfiEngineConfig, FfiError, FfiEvent, FfiGenerationOptions, FfiLoadOptions, FfiLogitBias, FfiModel,
    FfiSession, FfiSignals, FfiStats, FfiStoreOptions, FfiStream, FfiWeightCache,
};

/// The tiny model of the command line.
pub(crate) const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../core/cli/assets/inkling-demo.gguf");
/// The token that ends its answers.
pub(crate) const END: u32 = 4095;

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// A store in this folder, which asks nobody.
pub(crate) fn store_options(folder: &std::path::Path) -> FfiStoreOptions {
    FfiStoreOptions {
        folder: folder.join("store").to_str().unwrap().to_owned(),
        hub: None,
        token: None,
        redirect_domains: Vec::new(),
        budget: None,
        keep_free: Some(0),
        catalogs: Vec::new(),
        only_signed: false,
    }
}

pub(crate) fn engine() -> Arc<FfiEngine> {
    engine_with(FfiSignals::default())
}

pub(crate) fn engine_with(signals: FfiSignals) -> Arc<FfiEngine> {
    let config = FfiEngineConfig { backend: "cpu".to_owned(), weight_cache: Some(FfiWeightCache::Off) };
    FfiEngine::new(config, signals).unwrap()
}

pub(crate) fn load(path: &str, options: FfiLoadOptions) -> Result<Arc<FfiModel>, FfiError> {
    let load = engine().load(path.to_owned(), options, None)?;
    block_on(load.finish())
}

pub(crate) fn demo() -> Arc<FfiModel> {
    load(DEMO, FfiLoadOptions::default()).unwrap()
}

pub(crate) fn session(model: &FfiModel) -> Arc<FfiSession> {
    model.session(None, Vec::new()).unwrap()
}

pub(crate) fn greedy() -> FfiGenerationOptions {
    FfiGenerationOptions { temperature: Some(0.0), ..FfiGenerationOptions::default() }
}

/// An answer that never ends by itself, with one event for each token.
pub(crate) fn endless() -> FfiGenerationOptions {
    let ban = FfiLogitBias { token: END, amount: f32::NEG_INFINITY };
    FfiGenerationOptions { logit_bias: vec![ban], log_probs: Some(0), ..greedy() }
}

/// Everything that an answer tells, and how it ended.
pub(crate) fn read(stream: &FfiStream) -> (Vec<FfiEvent>, Result<FfiStats, FfiError>) {
    let mut events = Vec::new();
    let outcome = loop {
        match block_on(stream.next()) {
            Ok(Some(batch)) => {
                assert!(!batch.is_empty());
                events.extend(batch);
            }
            Ok(None) => match events.last() {
                Some(FfiEvent::Finished { stats }) => break Ok(stats.clone()),
                other => panic!("the last event is {other:?}"),
            },
            Err(error) => break Err(error),
        }
    };
    assert_eq!(block_on(stream.next()), Ok(None), "nothing after the end");
    (events, outcome)
}

pub(crate) fn text(events: &[FfiEvent]) -> String {
    let delta = |event: &FfiEvent| match event {
        FfiEvent::Text { delta } => Some(delta.clone()),
        _ => None,
    };
    events.iter().filter_map(delta).collect()
}

pub(crate) fn tokens(events: &[FfiEvent]) -> usize {
    events.iter().filter(|event| matches!(event, FfiEvent::LogProbs { .. })).count()
}
