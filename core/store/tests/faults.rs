//! Every fault of a server at every phase of a fetch, once and always: it ends in the right bytes or in the error that
//! the table here names, and never in wrong bytes.
#![allow(clippy::unwrap_used)]

#[path = "support/landing.rs"]
mod landing;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use inkling_base::{Classify, ErrorKind, ManualClock, SystemClock};
use inkling_store::http::{HttpTimeouts, HttpTransport};
use inkling_store::{Address, CHUNK, Control, FetchError, HubFile, Net, NetOptions, StoreError, Traffic, WaitReason};
use inkling_store_chaos::server::{Fault, Phase, Rule, Server};
use landing::{Memory, random};

/// How a fetch must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// All bytes, right.
    Right,
    /// An error of the network that may pass.
    Passing,
    /// An error of the network that stays.
    Lasting,
    /// A chunk that always arrives damaged.
    Damaged,
}
use Want::{Damaged, Lasting, Passing, Right};

/// The faults, and how a fetch ends that meets them always, or once.
fn table() -> Vec<(Fault, Want, Want)> {
    let status = |code| Fault::Status(code, None);
    let to = |url: &str| Fault::Redirect(url.to_owned());
    vec![
        (Fault::Truncate(0), Passing, Right),
        (Fault::Truncate(1000), Passing, Right),
        (Fault::Truncate(200_000), Right, Right), // It always gives something, so it is used to the end.
        (Fault::Reset(0), Passing, Right),
        (Fault::Reset(1000), Passing, Right),
        (Fault::Reset(200_000), Right, Right),
        (Fault::Whole, Lasting, Right),
        (Fault::WrongRange, Lasting, Right),
        (Fault::WrongTotal, Lasting, Lasting), // Another size is another file.
        (Fault::OtherEtag, Lasting, Lasting),
        (Fault::Flip(0), Damaged, Right),
        (Fault::Flip(99_999), Damaged, Right),
        (Fault::Drip(20_000), Passing, Right),
        (Fault::Silent, Passing, Right),
        (Fault::Mute, Passing, Right),
        (Fault::Endless, Right, Right), // What is too much is not read.
        (to("/same"), Right, Right),
        (to("https://foreign.example/m"), Lasting, Lasting),
        (to("http://foreign.example/m"), Lasting, Lasting),
        (to("file:///etc/passwd"), Lasting, Lasting),
        (to(""), Lasting, Lasting),
        (Fault::Loop, Lasting, Right),
        (status(401), Lasting, Lasting),
        (status(403), Lasting, Lasting),
        (status(404), Lasting, Lasting),
        (status(410), Lasting, Lasting),
        (status(416), Lasting, Lasting),
        (status(418), Lasting, Lasting),
        (status(204), Lasting, Lasting),
        (status(304), Lasting, Lasting),
        (status(408), Passing, Right),
        (status(425), Passing, Right),
        (status(429), Passing, Right),
        (status(500), Passing, Right),
        (Fault::Status(503, Some("0".to_owned())), Passing, Right),
        (Fault::Gzip, Lasting, Right),
        (Fault::NoRange, Lasting, Right),
        (Fault::NoLength, Right, Right),
        (Fault::NoEtag, Right, Right),
        (Fault::Hangup, Passing, Right),
        (Fault::Garbage, Passing, Right),
    ]
}

/// Where a fault at one phase differs from the table.
fn wanted(fault: &Fault, phase: Phase, always: Want) -> Want {
    match (fault, phase) {
        // What follows the first bytes is asked for from there, and that is no longer the first range.
        (Fault::Truncate(1000) | Fault::Reset(1000), Phase::First) => Right,
        // The whole file from its first byte is what was asked for, and more.
        (Fault::Whole, Phase::First | Phase::Any) => Right,
        // If it is always the same, it is the file's.
        (Fault::OtherEtag, Phase::Any) => Right,
        _ => always,
    }
}

fn options(server: &Server) -> NetOptions {
    NetOptions {
        hub: server.base(),
        connections: 3,
        request_bytes: CHUNK,
        attempts: 4,
        backoff: Duration::from_millis(2),
        longest_backoff: Duration::from_millis(20),
        stall_window: Duration::from_millis(300),
        stall_bytes: 100_000,
        seed: 7,
        ..NetOptions::default()
    }
}

fn net(server: &Server) -> Net {
    net_with(server, Duration::from_secs(5))
}

/// As impatient as the server is slow: only where it does not answer at all, an answer can be waited for briefly.
fn net_for(server: &Server, fault: &Fault) -> Net {
    net_with(server, if *fault == Fault::Mute { Duration::from_millis(500) } else { Duration::from_secs(5) })
}

fn net_with(server: &Server, first_byte: Duration) -> Net {
    let seconds = Duration::from_secs;
    let patience = HttpTimeouts { connect: seconds(5), first_byte, read: seconds(5) };
    Net::new(Arc::new(HttpTransport::new(patience)), Arc::new(SystemClock::default()), options(server)).unwrap()
}

fn outcome<T>(result: &Result<T, StoreError>) -> Want {
    match result.as_ref().map_err(Classify::kind) {
        Ok(_) => Right,
        Err(ErrorKind::Network { retryable: true, .. }) => Passing,
        Err(ErrorKind::Network { retryable: false, .. } | ErrorKind::ModelNotFound { .. }) => Lasting,
        Err(ErrorKind::Integrity { .. }) => Damaged,
        Err(other) => panic!("{other}"),
    }
}

/// All faults at a phase of fetching a file of five chunks and a half.
fn faults_at(phase: Phase) {
    let bytes = random(5 * CHUNK as usize + CHUNK as usize / 2, 5);
    let (mut cases, mut wrong) = (0, Vec::new());
    for (fault, always, once) in table() {
        for (times, want) in [(u32::MAX, wanted(&fault, phase, always)), (1, once)] {
            let server = Server::start().unwrap();
            server.add("/m", bytes.clone());
            server.add("/same", bytes.clone());
            server.rule(Rule::new(fault.clone(), phase).times(times));
            let landing = Memory::of(&bytes, true);
            let result = net_for(&server, &fault).fetch(
                &Address::new(server.url("/m")),
                &landing,
                &Control::new(),
                &|_: &Traffic| {},
            );
            let case = format!("{fault:?} at {phase:?} × {times}");
            // A single other ETag may hit a request whose server has told none before, or the last of all.
            let vague = fault == Fault::OtherEtag && times == 1 && phase == Phase::Any;
            if outcome(&result) != want && !vague {
                wrong.push(format!("{case}: {result:?}, not {want:?}"));
            }
            assert_eq!(result.is_ok(), landing.is_right(), "{case}");
            // Only what was checked is there.
            for chunk in 0..landing.bytes().len() / CHUNK as usize {
                let range = chunk * CHUNK as usize..(chunk + 1) * CHUNK as usize;
                let part = landing.bytes()[range.clone()].to_vec();
                assert!(part == bytes[range] || part.iter().all(|&byte| byte == 0), "{case}: chunk {chunk}");
            }
            // What failed can be gone on with once the server has come to its senses.
            server.clear();
            net(&server).fetch(&Address::new(server.url("/m")), &landing, &Control::new(), &|_: &Traffic| {}).unwrap();
            assert!(landing.is_right(), "{case}");
            cases += 1;
        }
    }
    println!("{cases} cases at {phase:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn faults_at_the_first_range() {
    faults_at(Phase::First);
}

#[test]
fn faults_at_a_middle_range() {
    faults_at(Phase::Middle);
}

#[test]
fn faults_at_the_last_range() {
    faults_at(Phase::Last);
}

#[test]
fn faults_at_every_range() {
    faults_at(Phase::Any);
}

#[test]
fn faults_at_a_manifest() {
    let bytes = random(300_000, 6);
    let mut wrong = Vec::new();
    for (fault, always, once) in table() {
        let (always, once) = match fault {
            // There is no range, no chunk and no ETag here: what has its length is it. Its signature says the rest.
            Fault::Whole | Fault::WrongRange | Fault::WrongTotal | Fault::OtherEtag | Fault::NoRange => (Right, Right),
            Fault::Flip(_) => (Right, Right),
            Fault::Endless => (Lasting, Lasting),
            Fault::Truncate(_) | Fault::Reset(_) => (Passing, Right),
            // Slow is not broken, for what is small.
            Fault::Drip(_) => (Right, Right),
            _ => (always, once),
        };
        if matches!(fault, Fault::Drip(_)) {
            continue;
        }
        for (times, want) in [(u32::MAX, always), (1, once)] {
            let server = Server::start().unwrap();
            server.add("/c", bytes.clone());
            server.add("/same", bytes.clone());
            server.rule(Rule::new(fault.clone(), Phase::Manifest).times(times));
            let short = HttpTimeouts {
                connect: Duration::from_secs(5),
                first_byte: if fault == Fault::Mute { Duration::from_millis(500) } else { Duration::from_secs(5) },
                read: Duration::from_millis(300),
            };
            let net = Net::new(Arc::new(HttpTransport::new(short)), Arc::new(SystemClock::default()), options(&server));
            let result = net.unwrap().small(&Address::new(server.url("/c")), 300_000, &Control::new());
            if outcome(&result) != want {
                wrong.push(format!("{fault:?} × {times}: {:?}, not {want:?}", result.as_ref().err()));
            }
            let flipped = matches!(fault, Fault::Flip(_));
            assert!(result.is_err() || flipped || result.unwrap() == bytes, "{fault:?} × {times}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn faults_at_a_hub() {
    let bytes = random(CHUNK as usize, 7);
    let mut wrong = Vec::new();
    for (fault, always, once) in table() {
        // What a hub answers with is a head: it has no body that could be wrong.
        let (always, once) = match fault {
            Fault::Status(..) | Fault::Hangup | Fault::Garbage | Fault::Loop | Fault::Mute => (always, once),
            Fault::Redirect(ref to) if to != "/same" => (always, once),
            _ => continue,
        };
        for (times, want) in [(u32::MAX, always), (1, once)] {
            let server = Server::start().unwrap();
            server.add_hub("o/r", "m.gguf", "main", None, bytes.clone());
            server.rule(Rule::new(fault.clone(), Phase::Resolve).times(times));
            let file = HubFile::new("o/r", "m.gguf", "main").unwrap();
            let result = net_for(&server, &fault).resolve(&file, &Control::new());
            if outcome(&result) != want {
                wrong.push(format!("{fault:?} × {times}: {result:?}, not {want:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_hub_without_digests_is_told_so() {
    let server = Server::start().unwrap();
    server.add("/o/r/resolve/main/m.gguf", random(1000, 8));
    let error = net(&server).resolve(&HubFile::new("o/r", "m.gguf", "main").unwrap(), &Control::new()).unwrap_err();
    assert!(error.to_string().contains("sha256="), "{error}");
}

#[test]
fn expired_addresses_are_asked_for_again() {
    let server = Server::start().unwrap();
    let bytes = random(6 * CHUNK as usize, 9);
    server.add_hub("o/r", "m.gguf", "main", None, bytes.clone());
    let landing = Memory::of(&bytes, true);
    let net = net(&server);
    let file = net.resolve(&HubFile::new("o/r", "m.gguf", "main").unwrap(), &Control::new()).unwrap();
    // Whatever was handed out so far is worthless after every chunk.
    let watch = |traffic: &Traffic| {
        if traffic.landed_new > 0 {
            server.expire();
        }
    };
    net.fetch(&file.address, &landing, &Control::new(), &watch).unwrap();
    assert!(landing.is_right());
    // And if it is worthless whenever it is used, that is an error.
    server.rule(Rule::new(Fault::Status(403, None), Phase::Middle));
    let landing = Memory::of(&bytes, true);
    let error = net.fetch(&file.address, &landing, &Control::new(), &|_: &Traffic| {}).unwrap_err();
    assert!(matches!(error, StoreError::Download { source: FetchError::Status { status: 403 }, .. }), "{error}");
}

#[test]
fn a_file_that_changed_is_not_appended_to() {
    let server = Server::start().unwrap();
    let (old, new) = (random(4 * CHUNK as usize, 10), random(4 * CHUNK as usize, 11));
    server.add("/m", old.clone());
    let landing = Memory::of(&old, false);
    let changed = AtomicBool::new(false);
    let watch = |traffic: &Traffic| {
        if traffic.landed_new > 0 && !changed.swap(true, Ordering::Relaxed) {
            server.add("/m", new.clone());
        }
    };
    let one = NetOptions { connections: 1, ..options(&server) };
    let net = Net::new(Arc::new(HttpTransport::default()), Arc::new(SystemClock::default()), one).unwrap();
    let error = net.fetch(&Address::new(server.url("/m")), &landing, &Control::new(), &watch).unwrap_err();
    assert!(matches!(error, StoreError::Download { source: FetchError::Changed { .. }, .. }), "{error}");
    assert!(!landing.bytes().windows(16).any(|window| window == &new[new.len() - 16..]));
    // The next run is told the ETag of the first, and notices too.
    let address = Address { etag: Some("\"the first\"".to_owned()), ..Address::new(server.url("/m")) };
    let error = net.fetch(&address, &landing, &Control::new(), &|_: &Traffic| {}).unwrap_err();
    assert!(matches!(error, StoreError::Download { source: FetchError::Changed { .. }, .. }), "{error}");
}

#[test]
fn a_server_without_ranges_gives_one_stream() {
    let server = Server::start().unwrap();
    let bytes = random(6 * CHUNK as usize + 1, 12);
    server.add("/m", bytes.clone());
    server.rule(Rule::new(Fault::Whole, Phase::Any));
    let landing = Memory::of(&bytes, true);
    landing.have(0, &bytes);
    landing.have(3, &bytes);
    net(&server).fetch(&Address::new(server.url("/m")), &landing, &Control::new(), &|_: &Traffic| {}).unwrap();
    assert!(landing.is_right());
    // One range that came as the whole and was let go of, and the whole.
    assert_eq!(server.count("/m").requests, 2);
}

#[test]
fn a_server_that_always_breaks_off_is_used_to_the_end() {
    let server = Server::start().unwrap();
    let bytes = random(2 * CHUNK as usize, 13);
    server.add("/m", bytes.clone());
    server.rule(Rule::new(Fault::Reset(100_000), Phase::Any));
    let few = NetOptions { attempts: 2, connections: 1, ..options(&server) };
    let net = Net::new(Arc::new(HttpTransport::default()), Arc::new(SystemClock::default()), few).unwrap();
    let landing = Memory::of(&bytes, true);
    net.fetch(&Address::new(server.url("/m")), &landing, &Control::new(), &|_: &Traffic| {}).unwrap();
    assert!(landing.is_right());
}

#[test]
fn busy_servers_are_left_alone_for_as_long_as_they_ask() {
    let server = Server::start().unwrap();
    let bytes = random(3 * CHUNK as usize, 14);
    server.add("/m", bytes.clone());
    server.rule(Rule::new(Fault::Status(503, Some("7".to_owned())), Phase::Nth(2)));
    let clock = Arc::new(ManualClock::at(Duration::from_secs(1_000_000)));
    let slow = NetOptions { longest_backoff: Duration::from_secs(60), ..options(&server) };
    let net = Net::new(Arc::new(HttpTransport::default()), Arc::clone(&clock) as _, slow).unwrap();
    let landing = Memory::of(&bytes, true);
    let waited = AtomicBool::new(false);
    let watch = |traffic: &Traffic| {
        if let Some(WaitReason::Retrying { after, why }) = &traffic.wait {
            assert_eq!((*after, why.as_str()), (Duration::from_secs(7), "the server answered 503"));
            waited.store(true, Ordering::Relaxed);
            clock.advance(*after);
        }
    };
    net.fetch(&Address::new(server.url("/m")), &landing, &Control::new(), &watch).unwrap();
    assert!(landing.is_right() && waited.into_inner());
}

#[test]
fn a_landing_that_cannot_go_on_ends_it() {
    struct Full(Memory);
    impl inkling_store::Landing for Full {
        fn plan(&self) -> &inkling_store::FilePlan {
            self.0.plan()
        }
        fn missing(&self) -> Vec<usize> {
            self.0.missing()
        }
        fn put(&self, chunk: usize, bytes: &[u8]) -> Result<(), StoreError> {
            assert_ne!(chunk, 3, "a defect");
            if chunk == 2 {
                return Err(StoreError::Full { what: "m".to_owned(), need: 2, have: 1 });
            }
            self.0.put(chunk, bytes)
        }
    }
    let server = Server::start().unwrap();
    let bytes = random(3 * CHUNK as usize, 15);
    server.add("/m", bytes.clone());
    let address = Address::new(server.url("/m"));
    let fetch = |landing: &Full| net(&server).fetch(&address, landing, &Control::new(), &|_: &Traffic| {}).unwrap_err();
    assert!(matches!(fetch(&Full(Memory::of(&bytes, true))), StoreError::Full { .. }));
    let bytes = random(4 * CHUNK as usize, 16);
    server.add("/m", bytes.clone());
    let full = Full(Memory::of(&bytes, true));
    full.0.have(2, &bytes);
    assert!(matches!(fetch(&full), StoreError::Internal(_)), "a panic is an error");
}
