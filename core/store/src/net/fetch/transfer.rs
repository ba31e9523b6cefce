//! The thread that decides: which chunks are asked for, what a failure means, when it is over.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use super::lander::Queue;
use super::pool::Pool;
use super::reader::{Job, Pulse, Reader, Tag};
use super::{Event, Message, Traffic};
use crate::net::control::Control;
use crate::net::link::Link;
use crate::net::open::{Address, Failure};
use crate::net::{Net, given_up, is_busy, tries};
use crate::{Chunks, FetchError, Landing, StoreError, WaitReason};

/// How often the clock and the connections are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How often the gate is asked.
const ASK: Duration = Duration::from_secs(1);
/// Bytes after which news are told without waiting for the next tick.
const NEWS: u64 = 1 << 20;
/// So much of a chunk counts as progress, though the connection broke before its end.
const PROGRESS: usize = 64 << 10;
/// How often an address is asked anew because what it led to has expired, without a chunk in between.
const EXPIRED: u32 = 3;

/// A request that runs.
struct Connection {
    /// The chunks that it will still bring.
    chunks: Range<usize>,
    /// What it was given of the first.
    part: usize,
    /// The count of failures when it began: those that began before a failure count as one with it.
    epoch: u64,
    pulse: Arc<Pulse>,
    counted: u64,
    /// Since when, and from which count, its bytes are watched.
    since: (Duration, u64),
}

pub(super) struct Transfer<'a> {
    net: &'a Net,
    address: &'a Address,
    control: &'a Control,
    watch: &'a dyn Fn(&Traffic),
    pool: &'a Arc<Pool>,
    queue: &'a Queue,
    tell: Sender<Message>,
    origin: Link,
    size: u64,
    chunks: Arc<Chunks>,
    /// Chunks that have neither landed nor arrived.
    wanted: BTreeSet<usize>,
    /// Chunks that have arrived and not landed.
    arrived: BTreeSet<usize>,
    /// Beginnings of chunks.
    parts: HashMap<usize, Vec<u8>>,
    connections: BTreeMap<u64, Connection>,
    started: u64,
    /// Requests at a time.
    limit: usize,
    /// Whether the server has answered as it should.
    opened: bool,
    /// Whether it has given a range.
    ranges: bool,
    /// Whether it gives the whole file only.
    whole: bool,
    /// Where the address leads.
    led: Option<Link>,
    tag: Option<Tag>,
    failures: u32,
    epoch: u64,
    expired: u32,
    damaged: HashMap<usize, u32>,
    /// When the next request may be sent, and why not before.
    pause: Option<(Duration, WaitReason)>,
    blocked: Option<WaitReason>,
    asked: Option<Duration>,
    news: Traffic,
    told: (Duration, Option<WaitReason>),
}

impl<'a> Transfer<'a> {
    #[allow(clippy::too_many_arguments)] // What one call was given, kept together.
    pub(super) fn new(
        net: &'a Net,
        address: &'a Address,
        landing: &'a dyn Landing,
        control: &'a Control,
        watch: &'a dyn Fn(&Traffic),
        pool: &'a Arc<Pool>,
        queue: &'a Queue,
        tell: Sender<Message>,
    ) -> Result<Self, StoreError> {
        let origin = Link::parse(&address.url)?;
        let plan = landing.plan();
        let tag = address.etag.as_ref().map(|etag| Tag { host: origin.host().to_owned(), etag: etag.clone() });
        Ok(Self {
            net,
            address,
            control,
            watch,
            pool,
            queue,
            tell,
            origin,
            size: plan.size,
            chunks: Arc::new(plan.chunks.clone()),
            wanted: landing.missing().into_iter().filter(|&chunk| chunk < plan.chunks.len()).collect(),
            arrived: BTreeSet::new(),
            parts: HashMap::new(),
            connections: BTreeMap::new(),
            started: 0,
            limit: net.options().connections.clamp(1, 16),
            opened: false,
            ranges: false,
            whole: false,
            led: None,
            tag,
            failures: 0,
            epoch: 0,
            expired: 0,
            damaged: HashMap::new(),
            pause: None,
            blocked: None,
            asked: None,
            news: Traffic::default(),
            told: (net.clock().monotonic(), None),
        })
    }

    pub(super) fn run(mut self, told: &Receiver<Message>) -> Result<(), StoreError> {
        let end = self.work(told);
        self.abandon_all();
        self.tell_news(true);
        end
    }

    fn work(&mut self, told: &Receiver<Message>) -> Result<(), StoreError> {
        loop {
            self.control.check()?;
            if self.wanted.is_empty() && self.arrived.is_empty() {
                return Ok(());
            }
            self.ask_gate();
            if self.blocked.is_none() {
                self.watch_stalls()?;
                self.launch()?;
            }
            self.tell_news(false);
            let now = self.now();
            let pause = self.pause.as_ref().map(|(until, _)| until.saturating_sub(now));
            let tick = pause.filter(|left| !left.is_zero()).map_or(TICK, |left| left.min(TICK));
            // One message, and then all that are there: looking at everything else after each would be waste.
            if let Ok(message) = told.recv_timeout(tick) {
                self.hear(message)?;
                while let Ok(message) = told.try_recv() {
                    self.hear(message)?;
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.net.clock().monotonic()
    }

    fn ask_gate(&mut self) {
        let now = self.now();
        if self.asked.is_some_and(|asked| now.saturating_sub(asked) < ASK) {
            return;
        }
        self.asked = Some(now);
        self.blocked = self.control.blocked();
        if self.blocked.is_some() {
            self.abandon_all();
        }
    }

    /// Starts as many requests as there may be.
    fn launch(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        if self.pause.as_ref().is_some_and(|(until, _)| now < *until) {
            return Ok(());
        }
        self.pause = None;
        // The first answer says where the bytes are and whether there are ranges: until then one request is enough.
        let limit = if self.opened && !self.whole { self.limit } else { 1 };
        while self.connections.len() < limit {
            let Some(job) = self.next_job() else { break };
            self.start(job, now)?;
        }
        Ok(())
    }

    /// The first chunks that nobody fetches.
    fn next_job(&mut self) -> Option<Job> {
        if self.whole {
            let all = !self.wanted.is_empty();
            return all.then(|| Job { chunks: 0..self.chunks.len(), part: Vec::new(), whole: true });
        }
        let free = |chunk: &usize| !self.connections.values().any(|connection| connection.chunks.contains(chunk));
        let mut wanted = self.wanted.iter().copied().filter(free);
        let first = wanted.next()?;
        let mut end = first + 1;
        let mut bytes = self.chunks.range(first).1;
        for chunk in wanted {
            bytes += self.chunks.range(chunk).1;
            if chunk != end || bytes > self.net.options().request_bytes || self.parts.contains_key(&chunk) {
                break;
            }
            end += 1;
        }
        let part = self.parts.remove(&first).unwrap_or_default();
        Some(Job { chunks: first..end, part, whole: false })
    }

    fn start(&mut self, job: Job, now: Duration) -> Result<(), StoreError> {
        self.started += 1;
        let pulse = Arc::new(Pulse::default());
        let connection = Connection {
            chunks: job.chunks.clone(),
            part: job.part.len(),
            epoch: self.epoch,
            pulse: Arc::clone(&pulse),
            counted: 0,
            since: (now, 0),
        };
        let reader = Reader {
            number: self.started,
            net: self.net.clone(),
            address: self.address.clone(),
            led: self.led.clone(),
            tag: self.tag.clone(),
            size: self.size,
            chunks: Arc::clone(&self.chunks),
            job,
            pool: Arc::clone(self.pool),
            pulse,
            tell: self.tell.clone(),
        };
        let thread = std::thread::Builder::new().name("inkling-net".to_owned()).spawn(move || reader.run());
        thread.map_err(|error| StoreError::Internal(format!("no thread for the network: {error}")))?;
        self.connections.insert(self.started, connection);
        Ok(())
    }

    fn hear(&mut self, message: Message) -> Result<(), StoreError> {
        match message {
            Message::Wake => self.asked = None,
            Message::Put { chunk, length, result } => self.put(chunk, length, result)?,
            Message::Of(number, event) => {
                self.count(number);
                match event {
                    Event::Chunk { chunk, bytes } => self.chunk(number, chunk, bytes),
                    Event::Opened { link, etag, whole } => self.answered(number, link, etag, whole),
                    Event::Ended { end, part } => {
                        let connection = self.connections.remove(&number);
                        if let (Some(connection), Err(failure)) = (connection, end) {
                            self.failed(&connection, failure, part)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes over the bytes that a connection has counted.
    fn count(&mut self, number: u64) {
        if let Some(connection) = self.connections.get_mut(&number) {
            let bytes = connection.pulse.bytes.load(Ordering::Relaxed);
            self.news.bytes_new += bytes - connection.counted;
            connection.counted = bytes;
        }
    }

    fn chunk(&mut self, number: u64, chunk: usize, bytes: Vec<u8>) {
        let known = self.connections.get_mut(&number);
        let known = known.map(|connection| connection.chunks.start = chunk + 1).is_some();
        if known && self.wanted.remove(&chunk) {
            self.arrived.insert(chunk);
            self.queue.push(chunk, bytes);
        } else {
            self.pool.give(bytes);
        }
    }

    fn answered(&mut self, number: u64, link: Link, etag: Option<String>, whole: bool) {
        if !self.connections.contains_key(&number) {
            return;
        }
        if let Some(etag) = etag {
            if link.host() == self.origin.host() {
                self.news.etag = Some(etag.clone());
            }
            if self.tag.as_ref().is_none_or(|tag| tag.host != link.host()) {
                self.tag = Some(Tag { host: link.host().to_owned(), etag });
            }
        }
        self.led = (link != self.origin).then_some(link);
        self.opened = true;
        if whole {
            // It goes on to the end of the file: whatever else is under way would come twice.
            self.whole = true;
            self.abandon(|other| other != number);
            if let Some(connection) = self.connections.get_mut(&number) {
                connection.chunks = 0..self.chunks.len();
            }
        } else {
            self.ranges = true;
        }
    }

    fn put(&mut self, chunk: usize, length: u64, result: Result<(), StoreError>) -> Result<(), StoreError> {
        self.arrived.remove(&chunk);
        match result {
            Ok(()) => {
                self.news.landed_new += length;
                self.failures = 0;
                self.expired = 0;
            }
            Err(StoreError::Damaged { file, chunk: number }) => {
                let times = self.damaged.entry(chunk).or_insert(0);
                *times += 1;
                if *times >= self.net.options().damaged_attempts {
                    return Err(StoreError::Damaged { file, chunk: number });
                }
                // Another server of the same name may have it whole.
                self.led = None;
                self.wanted.insert(chunk);
                if self.whole {
                    // The one stream may have passed it: only another one brings it again.
                    self.abandon_all();
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn failed(&mut self, connection: &Connection, failure: Failure, part: Vec<u8>) -> Result<(), StoreError> {
        let now = self.now();
        let first = connection.chunks.start;
        // What came is more than what it was given only if the chunk is still the first of its request.
        if part.len() >= connection.part + PROGRESS {
            self.failures = 0;
        }
        if !part.is_empty() && self.wanted.contains(&first) && self.parts.len() < 16 {
            self.parts.insert(first, part);
        }
        let Failure { error, after, redirected } = failure;
        let mut allowed = tries(&error, self.net.options());
        match &error {
            StoreError::Fetch(FetchError::NotPartial) if !self.ranges => {
                // It knows no ranges at all: the whole file, then, from its beginning.
                self.whole = true;
                self.abandon_all();
                return Ok(());
            }
            StoreError::Fetch(FetchError::NotPartial) => self.limit = 1,
            StoreError::Fetch(FetchError::Status { status: 401 | 403 | 404 | 410 }) if redirected => {
                self.expired += 1;
                if self.expired <= EXPIRED {
                    allowed = u32::MAX;
                }
            }
            error if is_busy(error) => self.limit = 1,
            _ => {}
        }
        // Whatever it was, the address knows best where the bytes are now.
        if redirected || connection.pulse.bytes.load(Ordering::Relaxed) == 0 {
            self.led = None;
        }
        if connection.epoch == self.epoch {
            self.epoch += 1;
            self.failures += 1;
        }
        if self.failures.max(1) >= allowed {
            return Err(given_up(self.address, self.failures.max(1), error));
        }
        let after = self.net.backoff(self.failures, after);
        let until = now.saturating_add(after);
        if self.pause.as_ref().is_none_or(|(other, _)| *other < until) {
            self.pause = Some((until, WaitReason::Retrying { after, why: error.to_string() }));
        }
        Ok(())
    }

    /// Gives up connections over which almost nothing comes.
    fn watch_stalls(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        let options = self.net.options();
        let mut stalled = Vec::new();
        for (&number, connection) in &mut self.connections {
            let bytes = connection.pulse.bytes.load(Ordering::Relaxed);
            self.news.bytes_new += bytes - connection.counted;
            connection.counted = bytes;
            let (since, before) = connection.since;
            let waits = connection.pulse.waits.load(Ordering::Relaxed);
            if !waits || bytes - before >= options.stall_bytes {
                connection.since = (now, bytes);
            } else if now.saturating_sub(since) >= options.stall_window {
                stalled.push((number, bytes - before));
            }
        }
        if !stalled.is_empty() {
            self.pool.wake();
        }
        for (number, bytes) in stalled {
            if let Some(connection) = self.connections.remove(&number) {
                connection.pulse.stop.store(true, Ordering::Relaxed);
                let seconds = self.net.options().stall_window.as_secs();
                self.failed(&connection, FetchError::Stalled { bytes, seconds }.into(), Vec::new())?;
            }
        }
        Ok(())
    }

    fn abandon(&mut self, which: impl Fn(u64) -> bool) {
        self.connections.retain(|&number, connection| {
            if which(number) {
                connection.pulse.stop.store(true, Ordering::Relaxed);
            }
            !which(number)
        });
        self.pool.wake();
    }

    fn abandon_all(&mut self) {
        let numbers: Vec<u64> = self.connections.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.count(number));
        self.abandon(|_| true);
    }

    /// What has arrived of chunks that have not landed.
    fn under_way(&self) -> u64 {
        let arrived: u64 = self.arrived.iter().map(|&chunk| self.chunks.range(chunk).1).sum();
        let parts: usize = self.parts.values().map(Vec::len).sum();
        let read: u64 = self.connections.values().map(|read| read.pulse.have.load(Ordering::Relaxed)).sum();
        arrived + parts as u64 + read
    }

    fn tell_news(&mut self, last: bool) {
        let now = self.now();
        let wait = match (&self.blocked, &self.pause) {
            (Some(reason), _) => Some(reason.clone()),
            (None, Some((_, reason))) if self.connections.is_empty() => Some(reason.clone()),
            _ => None,
        };
        let bytes = self.news.bytes_new.max(self.news.landed_new);
        let due = bytes > 0 && now.saturating_sub(self.told.0) >= 2 * TICK;
        if !(last || due || bytes >= NEWS || wait != self.told.1) {
            return;
        }
        self.told = (now, wait.clone());
        let etag = self.news.etag.clone();
        let mut news = std::mem::take(&mut self.news);
        self.news.etag = etag;
        news.under_way = self.under_way();
        news.connections = self.connections.len();
        news.wait = if last { None } else { wait };
        (self.watch)(&news);
    }
}
