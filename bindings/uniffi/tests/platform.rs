//! What the platform tells and fetches: signals, and the transport.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::{DEMO, block_on, engine, engine_with};
use inkling_ffi::{
    FfiBattery, FfiBatterySignal, FfiBody, FfiError, FfiFreeMemory, FfiHeader, FfiHeat, FfiLoadOptions, FfiRequest,
    FfiResponse, FfiSignals, FfiThermal, FfiThermalSignal, FfiTransport, FfiTransportError, fetch_piece,
};

struct Free(Option<u64>);

impl FfiFreeMemory for Free {
    fn available_bytes(&self) -> Option<u64> {
        self.0
    }
}

struct Hot(f32);

impl FfiThermalSignal for Hot {
    fn thermal(&self) -> FfiThermal {
        FfiThermal { heat: FfiHeat::Serious, headroom: Some(self.0) }
    }
}

struct Low(f32);

impl FfiBatterySignal for Low {
    fn battery(&self) -> FfiBattery {
        assert!(self.0 > -1.0, "the app's own fault");
        FfiBattery { level: Some(self.0), charging: Some(false), saving: None }
    }
}

fn signals(headroom: f32, level: f32) -> FfiSignals {
    FfiSignals {
        free_memory: Some(Arc::new(Free(Some(1000)))),
        thermal: Some(Arc::new(Hot(headroom))),
        battery: Some(Arc::new(Low(level))),
        network: None,
    }
}

#[test]
fn the_engine_hears_what_the_app_signals() {
    let heard = engine_with(signals(0.9, 0.2)).conditions().unwrap();
    assert_eq!(heard.thermal, FfiThermal { heat: FfiHeat::Serious, headroom: Some(0.9) });
    assert_eq!(heard.battery, FfiBattery { level: Some(0.2), charging: Some(false), saving: None });
    assert_eq!(heard.available_bytes, Some(1000));
    // What makes no sense is not known.
    let odd = engine_with(signals(f32::NAN, 7.0)).conditions().unwrap();
    assert_eq!((odd.thermal.headroom, odd.battery.level), (None, None));
    let silent = engine().conditions().unwrap();
    assert_eq!((silent.thermal.heat, silent.battery.level), (FfiHeat::Unknown, None));
}

#[test]
fn a_signal_that_throws_is_an_error() {
    let error = engine_with(signals(0.5, -2.0)).conditions().unwrap_err();
    assert!(matches!(&error, FfiError::Internal { report, .. } if report.contains("own fault")), "{error:?}");
}

#[test]
fn the_app_knows_how_much_memory_there_is() {
    let load = |free| {
        let engine = engine_with(FfiSignals { free_memory: Some(Arc::new(Free(free))), ..FfiSignals::default() });
        block_on(engine.load(DEMO.to_owned(), FfiLoadOptions::default(), None).unwrap().finish())
    };
    let error = load(Some(1000)).err().unwrap();
    assert!(matches!(error, FfiError::OutOfMemory { need_bytes, have_bytes: 1000, .. } if need_bytes > 1000));
    assert!(load(None).is_ok());
}

/// Serves 1,000 bytes; counts bodies that were ended.
#[derive(Default)]
struct Server {
    ended: Arc<AtomicUsize>,
    asked: Mutex<Vec<FfiRequest>>,
    status: u32,
    greedy: bool,
}

struct Bytes {
    left: Mutex<Vec<u8>>,
    ended: Arc<AtomicUsize>,
    greedy: bool,
}

impl FfiBody for Bytes {
    fn read(&self, limit: u32) -> Result<Vec<u8>, FfiTransportError> {
        let mut left = self.left.lock().unwrap();
        let take = if self.greedy { left.len() } else { left.len().min(limit as usize).min(7) };
        Ok(left.drain(..take).collect())
    }
    fn end(&self) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl FfiTransport for Server {
    fn get(&self, request: FfiRequest) -> Result<FfiResponse, FfiTransportError> {
        if request.url.contains("nowhere") {
            return Err(FfiTransportError::Failed { why: "no such host".to_owned(), retryable: true });
        }
        self.asked.lock().unwrap().push(request);
        let header = FfiHeader { name: "content-range".to_owned(), value: "bytes 100-199/1000".to_owned() };
        let left: Vec<u8> = if self.greedy { vec![0; 300_000] } else { (100..200).collect() };
        let body = Bytes { left: Mutex::new(left), ended: Arc::clone(&self.ended), greedy: self.greedy };
        Ok(FfiResponse { status: self.status, headers: vec![header], body: Arc::new(body) })
    }
}

fn fetch(server: &Arc<Server>, url: &str) -> Result<Vec<u8>, FfiError> {
    let token = FfiHeader { name: "authorization".to_owned(), value: "x".to_owned() };
    let transport: Arc<dyn FfiTransport> = Arc::clone(server) as _;
    fetch_piece(transport, url.to_owned(), vec![token], 100, 100)
}

#[test]
fn pieces_come_through_the_apps_transport() {
    let server = Arc::new(Server { status: 206, ..Server::default() });
    assert_eq!(fetch(&server, "https://host/model.gguf").unwrap(), (100..200).collect::<Vec<u8>>());
    assert_eq!(server.ended.load(Ordering::SeqCst), 1);
    let asked = server.asked.lock().unwrap();
    let sent: Vec<_> = asked[0].headers.iter().map(|h| (h.name.as_str(), h.value.as_str())).collect();
    assert_eq!(sent, [("authorization", "x"), ("Range", "bytes=100-199"), ("Accept-Encoding", "identity")]);
}

#[test]
fn what_goes_wrong_is_said_and_ended() {
    let server = Arc::new(Server { status: 503, ..Server::default() });
    let error = fetch(&server, "https://host/x").unwrap_err();
    assert!(matches!(&error, FfiError::Network { retryable: true, sentence } if sentence.contains("503")), "{error:?}");
    let error = fetch(&server, "https://nowhere/x").unwrap_err();
    assert!(
        matches!(&error, FfiError::Network { retryable: true, sentence } if sentence.contains("no such host")),
        "{error:?}"
    );
    let odd = Arc::new(Server { status: 70_000, ended: Arc::clone(&server.ended), ..Server::default() });
    assert!(matches!(fetch(&odd, "x"), Err(FfiError::Network { retryable: false, .. })));
    let greedy = Arc::new(Server { status: 206, greedy: true, ended: Arc::clone(&server.ended), ..Server::default() });
    assert!(matches!(fetch(&greedy, "x"), Err(FfiError::Network { retryable: false, .. })));
    assert_eq!(server.ended.load(Ordering::SeqCst), 3);
}
