//! One request of a transfer, on a thread of its own: it asks for a run of chunks, judges the answer, and hands over
//! every chunk as soon as its last byte is there. It decides nothing else: what follows from a failure is decided by
//! whoever sees all requests.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use super::pool::Pool;
use super::{Event, Message};
use crate::net::Net;
use crate::net::link::Link;
use crate::net::open::{Address, Failure, Hop, check_encoding};
use crate::net::segment::is_strong;
use crate::piece::content_range;
use crate::{Chunks, FetchError, Response, StoreError};

/// What a request is for.
pub(super) struct Job {
    pub(super) chunks: Range<usize>,
    /// What is there already of the first chunk: fewer bytes than it has.
    pub(super) part: Vec<u8>,
    /// Whether to ask for no range, but for everything: the server knows no ranges.
    pub(super) whole: bool,
}

/// The ETag of the file, and the host that said so: others may have other names for the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) host: String,
    pub(super) etag: String,
}

/// What others see of a request while it runs.
#[derive(Default)]
pub(super) struct Pulse {
    /// Set by those who want it to end.
    pub(super) stop: AtomicBool,
    /// Bytes that came.
    pub(super) bytes: AtomicU64,
    /// What is there of the chunk that it reads.
    pub(super) have: AtomicU64,
    /// Whether it waits for the network, and not for a buffer.
    pub(super) waits: AtomicBool,
}

pub(super) struct Reader {
    pub(super) number: u64,
    pub(super) net: Net,
    pub(super) address: Address,
    /// Where the address led to before.
    pub(super) led: Option<Link>,
    pub(super) tag: Option<Tag>,
    pub(super) size: u64,
    pub(super) chunks: Arc<Chunks>,
    pub(super) job: Job,
    pub(super) pool: Arc<Pool>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) tell: Sender<Message>,
}

/// How an answer is to be read.
struct Judged {
    hop: Hop,
    /// Whether its body is the whole file, from byte 0.
    whole: bool,
    etag: Option<String>,
}

impl Reader {
    /// Runs to the end and tells it.
    pub(super) fn run(mut self) {
        let mut part = Vec::new();
        let end = catch_unwind(AssertUnwindSafe(|| self.read(&mut part)));
        let end = end.unwrap_or_else(|_| Err(StoreError::Internal("the transport panicked".to_owned()).into()));
        self.tell(Event::Ended { end, part });
    }

    fn tell(&self, event: Event) {
        // Nobody listens to a request that is no longer wanted.
        let _ = self.tell.send(Message::Of(self.number, event));
    }

    fn stopped(&self) -> bool {
        self.pulse.stop.load(Ordering::Relaxed)
    }

    /// First byte and length of what is asked for.
    fn range(&self) -> (u64, u64) {
        let have = self.job.part.len() as u64;
        let start = self.chunks.range(self.job.chunks.start).0;
        let (last, length) = self.chunks.range(self.job.chunks.end - 1);
        (start + have, last + length - start - have)
    }

    fn read(&mut self, left: &mut Vec<u8>) -> Result<(), Failure> {
        self.pulse.waits.store(true, Ordering::Relaxed);
        let (from, length) = self.range();
        let Judged { mut hop, whole, etag } = self.open()?;
        self.tell(Event::Opened { link: hop.link.clone(), etag, whole });
        let chunks = if whole { 0..self.chunks.len() } else { self.job.chunks.clone() };
        let mut part = if whole { Vec::new() } else { std::mem::take(&mut self.job.part) };
        for chunk in chunks {
            self.pulse.waits.store(false, Ordering::Relaxed);
            let Some(mut bytes) = self.pool.take(&|| self.stopped()) else { return Ok(()) };
            self.pulse.waits.store(true, Ordering::Relaxed);
            let mut have = part.len();
            bytes[..have].copy_from_slice(&part);
            part.clear();
            self.pulse.have.store(have as u64, Ordering::Relaxed);
            let need = self.chunks.range(chunk).1 as usize;
            while have < need {
                let read = hop.response.body.read_into(&mut bytes[have..need]);
                let failure = match read {
                    Ok(_) if self.stopped() => {
                        self.pool.give(bytes);
                        return Ok(());
                    }
                    Ok(0) => {
                        let at = self.chunks.range(chunk).0 + have as u64;
                        let (start, need) = if whole { (0, self.size) } else { (from, length) };
                        FetchError::WrongLength { have: at - start, need }.into()
                    }
                    Ok(more) => {
                        have += more;
                        self.pulse.have.store(have as u64, Ordering::Relaxed);
                        self.pulse.bytes.fetch_add(more as u64, Ordering::Relaxed);
                        continue;
                    }
                    Err(error) => error.into(),
                };
                if !whole {
                    // A request for the whole file would begin at byte 0 again.
                    *left = bytes[..have].to_vec();
                }
                self.pool.give(bytes);
                return Err(failure);
            }
            // Counted by whoever hears of it.
            self.pulse.have.store(0, Ordering::Relaxed);
            self.tell(Event::Chunk { chunk, bytes });
        }
        // Reading the end of the body lets the transport use the connection again. What comes after the range is
        // nobody's business: it is not read.
        let _ = hop.response.body.read_into(&mut [0]);
        Ok(())
    }

    fn open(&self) -> Result<Judged, Failure> {
        let (from, length) = self.range();
        let to = from + length - 1;
        let headers = |link: &Link| {
            let mut headers = Vec::new();
            if !self.job.whole {
                headers.push(("Range".to_owned(), format!("bytes={from}-{to}")));
                if let Some(etag) = self.etag(link).filter(|etag| is_strong(etag)) {
                    headers.push(("If-Range".to_owned(), etag.to_owned()));
                }
            }
            headers
        };
        let opener = self.net.opener();
        let hop = opener.open(&self.address, self.led.as_ref(), &headers, &|_| false)?;
        if !matches!(hop.response.status, 200 | 206) {
            return Err(opener.status(&hop, &self.address));
        }
        check_encoding(&hop.response)?;
        let etag = hop.response.header("ETag").map(|etag| etag.trim().chars().take(600).collect::<String>());
        if let (Some(known), Some(etag)) = (self.etag(&hop.link), &etag)
            && known != etag
        {
            return Err(FetchError::Changed { what: format!("its ETag is {etag} and was {known}") }.into());
        }
        let whole = hop.response.status == 200;
        let length_said = announced(&hop.response);
        if whole {
            if let Some(bytes) = length_said.filter(|&bytes| bytes != self.size) {
                return Err(self.changed_size(bytes).into());
            }
            if from != 0 && !self.job.whole {
                return Err(FetchError::NotPartial.into());
            }
        } else {
            let got = hop.response.header("Content-Range").unwrap_or_default();
            match content_range(got) {
                Some((_, _, Some(total))) if total != self.size => return Err(self.changed_size(total).into()),
                Some((first, last, Some(_))) if (first, last) == (from, to) && !self.job.whole => {}
                _ => {
                    return Err(FetchError::WrongRange { got: got.chars().take(80).collect(), from, to }.into());
                }
            }
            if let Some(have) = length_said.filter(|&bytes| bytes != length) {
                return Err(FetchError::WrongLength { have, need: length }.into());
            }
        }
        Ok(Judged { hop, whole, etag })
    }

    /// The ETag that this host said before.
    fn etag(&self, link: &Link) -> Option<&str> {
        self.tag.as_ref().filter(|tag| tag.host == link.host()).map(|tag| tag.etag.as_str())
    }

    fn changed_size(&self, bytes: u64) -> FetchError {
        FetchError::Changed { what: format!("it has {bytes} bytes where {} were announced", self.size) }
    }
}

/// The length that the body is said to have.
fn announced(response: &Response) -> Option<u64> {
    response.header("Content-Length").and_then(|text| text.trim().parse().ok())
}
