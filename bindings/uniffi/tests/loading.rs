//! Loading: progress, cancelling, callbacks that fail.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::{Arc, Mutex};

use common::{DEMO, block_on, engine};
use inkling_ffi::{FfiError, FfiLoadOptions, FfiProgress};

struct Progress<F: Fn(f32) + Send + Sync>(F);

impl<F: Fn(f32) + Send + Sync> FfiProgress for Progress<F> {
    fn loaded(&self, fraction: f32) {
        (self.0)(fraction);
    }
}

fn options() -> FfiLoadOptions {
    FfiLoadOptions::default()
}

#[test]
fn progress_ascends_to_the_end() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    let progress = Progress(move |fraction| list.lock().unwrap().push(fraction));
    let load = engine().load(DEMO.to_owned(), options(), Some(Arc::new(progress))).unwrap();
    let model = block_on(load.finish()).unwrap();
    let told = told.lock().unwrap();
    assert!(told.is_sorted() && *told.last().unwrap() == 1.0, "{told:?}");
    assert!(matches!(block_on(load.finish()), Err(FfiError::InvalidInput { field, .. }) if field == "load"));
    drop(load);
    assert_eq!(model.facts().unwrap().architecture, "qwen3");
}

#[test]
fn a_load_can_be_cancelled_at_any_time() {
    let engine = engine();
    let load = engine.load(DEMO.to_owned(), options(), None).unwrap();
    load.cancel().unwrap();
    load.cancel().unwrap();
    assert!(matches!(block_on(load.finish()), Err(FfiError::Cancelled { .. })));
    load.cancel().unwrap();
    for _ in 0..50 {
        drop(engine.load(DEMO.to_owned(), options(), None).unwrap());
    }
}

#[test]
fn a_callback_that_fails_is_an_error() {
    let progress = Progress(|_| panic!("the app's own fault"));
    let load = engine().load(DEMO.to_owned(), options(), Some(Arc::new(progress))).unwrap();
    let error = block_on(load.finish()).unwrap_err();
    assert!(matches!(&error, FfiError::Internal { report, .. } if report.contains("own fault")), "{error:?}");
}

#[test]
fn a_file_can_be_looked_into() {
    let info = engine().inspect(DEMO.to_owned()).unwrap();
    assert_eq!((info.architecture.as_deref(), info.problems.len()), (Some("qwen3"), 0));
    assert!(info.parameters > 1_000_000 && info.weight_bytes > 1_000_000 && info.cache_bytes_per_token > 0);
}
