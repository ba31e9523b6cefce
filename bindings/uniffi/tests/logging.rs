//! The log, which a process has once: so this file has one test.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::engine;
use inkling_ffi::{FfiLogLevel, FfiLogSink, init_logging};

struct Lines(Mutex<Vec<(FfiLogLevel, String, String)>>, AtomicUsize);

impl FfiLogSink for Lines {
    fn log(&self, level: FfiLogLevel, target: String, line: String) {
        self.0.lock().unwrap().push((level, target, line));
        // Calls the engine from inside: its lines must not come back here.
        let model = engine().inspect("/nowhere".to_owned());
        assert!(model.is_err());
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn the_log_goes_where_the_app_wants_it() {
    const SECRET: &str = "a secret that only the model may know";
    let lines = Arc::new(Lines(Mutex::default(), AtomicUsize::new(0)));
    init_logging(FfiLogLevel::Trace, Some(lines.clone())).unwrap();
    init_logging(FfiLogLevel::Trace, Some(lines.clone())).unwrap();
    let model = common::demo();
    let session = common::session(&model);
    common::read(&session.stream(SECRET.to_owned(), common::greedy()).unwrap()).1.unwrap();
    model.shut_down().unwrap();
    let seen = lines.0.lock().unwrap().clone();
    let ended = seen.iter().find(|(_, _, line)| line.starts_with("the engine thread ends")).unwrap();
    assert_eq!((ended.0, ended.1.as_str()), (FfiLogLevel::Debug, "inkling_session::engine"));
    assert!(!seen.iter().any(|(_, _, line)| line.contains("secret")));
    assert!(lines.1.load(Ordering::SeqCst) >= 1);

    init_logging(FfiLogLevel::Warn, Some(lines.clone())).unwrap();
    let known = lines.0.lock().unwrap().len();
    common::demo().shut_down().unwrap();
    init_logging(FfiLogLevel::Trace, None).unwrap();
    common::demo().shut_down().unwrap();
    assert_eq!(lines.0.lock().unwrap().len(), known);
    assert_eq!(Arc::strong_count(&lines), 1);
}
