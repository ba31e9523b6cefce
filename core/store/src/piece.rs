//! One range of a file. The invariant: what comes back is exactly the bytes that were asked for, as far as the server's
//! own words tell; anything else is an error.

use inkling_base::{Classify, ErrorKind};

use crate::{Request, Transport, TransportError};

/// The most bytes that one piece may have: it is held in memory.
pub const LARGEST_PIECE: u64 = 64 << 20;

/// Why a piece could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No answer, or only a part of it.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server refused or is busy.
    #[error("the server answered {status}")]
    Status {
        /// HTTP's status.
        status: u16,
    },
    /// The server ignores ranges: its answer is the whole file, which nobody asked for.
    #[error("the server sent the whole file (200) where a range was asked for")]
    NotPartial,
    /// An answer for another range.
    #[error("the server answered with the range {got:?} where bytes {from}-{to} were asked for")]
    WrongRange {
        /// What it said.
        got: String,
        /// First byte asked for.
        from: u64,
        /// Last byte asked for.
        to: u64,
    },
    /// An answer that is compressed, though it was asked for as it is.
    #[error("the server encoded its answer ({encoding}), which was asked for as it is")]
    Encoded {
        /// What it said.
        encoding: String,
    },
    /// The body is shorter or longer than the range.
    #[error("the server sent {} {have} bytes where {need} were announced", if have > need { "at least" } else { "only" })]
    WrongLength {
        /// Bytes that came; reading stops where there are too many.
        have: u64,
        /// Bytes of the range.
        need: u64,
    },
    /// The file at the address is no longer the one that was begun.
    #[error("the file has changed at its server ({what})")]
    Changed {
        /// What shows it.
        what: String,
    },
    /// A connection over which almost nothing came.
    #[error("only {bytes} bytes came in {seconds} s")]
    Stalled {
        /// Bytes.
        bytes: u64,
        /// Seconds.
        seconds: u64,
    },
    /// More than is taken from where this comes from.
    #[error("it has more than the {limit} bytes that are taken")]
    TooLarge {
        /// The most that is taken.
        limit: u64,
    },
    /// A request that makes no sense.
    #[error("length: {length} bytes is not possible: 1 to {LARGEST_PIECE}, and the range must end below 2^64")]
    Length {
        /// What was asked for.
        length: u64,
    },
}

impl Classify for FetchError {
    fn kind(&self) -> ErrorKind {
        let retryable = match self {
            Self::Transport(error) => return error.kind(),
            Self::Length { .. } => return ErrorKind::invalid("length", self.to_string()),
            Self::Status { status } => matches!(status, 408 | 425 | 429 | 500..),
            // A connection that broke off politely. Too many bytes, though, come again.
            Self::WrongLength { have, need } => have < need,
            Self::Stalled { .. } => true,
            Self::NotPartial | Self::WrongRange { .. } | Self::Encoded { .. } => false,
            Self::Changed { .. } | Self::TooLarge { .. } => false,
        };
        ErrorKind::Network { retryable, why: self.to_string() }
    }
}

/// Fetches `length` bytes that begin at `from`. A `206` with exactly this `Content-Range` is demanded, and a body of
/// exactly this length; at most one byte more than that is ever read.
pub fn fetch_piece(
    transport: &dyn Transport,
    mut request: Request,
    from: u64,
    length: u64,
) -> Result<Vec<u8>, FetchError> {
    let to = from.checked_add(length).filter(|_| (1..=LARGEST_PIECE).contains(&length));
    let to = to.ok_or(FetchError::Length { length })? - 1;
    request.headers.push(("Range".to_owned(), format!("bytes={from}-{to}")));
    request.headers.push(("Accept-Encoding".to_owned(), "identity".to_owned()));
    let mut response = transport.get(&request)?;
    match response.status {
        206 => {}
        200 => return Err(FetchError::NotPartial),
        status => return Err(FetchError::Status { status }),
    }
    let range = response.header("Content-Range").unwrap_or_default();
    if !is_range(range, from, to) {
        return Err(FetchError::WrongRange { got: range.to_owned(), from, to });
    }
    if let Some(encoding) = response.header("Content-Encoding").filter(|name| !name.eq_ignore_ascii_case("identity")) {
        return Err(FetchError::Encoded { encoding: encoding.to_owned() });
    }
    // A length below 64 MiB fits.
    let need = length as usize;
    let mut bytes = Vec::new();
    loop {
        // One byte more than is due shows that there is too much.
        let more = response.body.read(need + 1 - bytes.len())?;
        if more.is_empty() {
            break;
        }
        bytes.extend_from_slice(&more);
        if bytes.len() > need {
            break;
        }
    }
    if bytes.len() == need {
        Ok(bytes)
    } else {
        Err(FetchError::WrongLength { have: bytes.len() as u64, need: length })
    }
}

/// Whether a `Content-Range` names these bytes, of a file that holds them.
fn is_range(text: &str, from: u64, to: u64) -> bool {
    content_range(text)
        .is_some_and(|(first, last, size)| (first, last) == (from, to) && size.is_none_or(|size| size > to))
}

/// First and last byte that a `Content-Range` names, and the size of the whole if it does.
pub(crate) fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let (range, size) = text.trim().strip_prefix("bytes ")?.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let size = if size == "*" { None } else { Some(number(size)?) };
    Some((number(first)?, number(last)?, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, Response};

    /// Answers with what it was made of, in chunks of three bytes.
    struct Server {
        status: u16,
        range: Option<&'static str>,
        encoding: Option<&'static str>,
        body: Vec<u8>,
        breaks_at: Option<usize>,
    }

    struct Chunks {
        body: Vec<u8>,
        at: usize,
        breaks_at: Option<usize>,
    }

    impl Body for Chunks {
        fn read(&mut self, limit: usize) -> Result<Vec<u8>, TransportError> {
            if self.breaks_at.is_some_and(|at| self.at >= at) {
                return Err(TransportError { why: "connection reset".to_owned(), retryable: true });
            }
            let end = (self.at + limit.min(3)).min(self.body.len());
            let bytes = self.body[self.at..end].to_vec();
            self.at = end;
            Ok(bytes)
        }
    }

    impl Transport for Server {
        fn get(&self, request: &Request) -> Result<Response, TransportError> {
            assert!(request.headers.contains(&("Range".to_owned(), "bytes=10-19".to_owned())));
            assert!(request.headers.contains(&("Accept-Encoding".to_owned(), "identity".to_owned())));
            let headers = [("content-range", self.range), ("content-encoding", self.encoding)].into_iter();
            let headers = headers.filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
            let body = Chunks { body: self.body.clone(), at: 0, breaks_at: self.breaks_at };
            Ok(Response { status: self.status, headers, body: Box::new(body) })
        }
    }

    fn good() -> Server {
        Server {
            status: 206,
            range: Some("bytes 10-19/100"),
            encoding: None,
            body: (10..20).collect(),
            breaks_at: None,
        }
    }

    fn fetch(server: &Server) -> Result<Vec<u8>, FetchError> {
        fetch_piece(server, Request { url: "x".to_owned(), headers: Vec::new() }, 10, 10)
    }

    fn retryable(server: &Server) -> bool {
        match fetch(server).unwrap_err().kind() {
            ErrorKind::Network { retryable, .. } => retryable,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn exactly_what_was_asked_for() {
        assert_eq!(fetch(&good()).unwrap(), (10..20).collect::<Vec<u8>>());
        assert!(fetch(&Server { range: Some(" bytes 10-19/*"), encoding: Some("Identity"), ..good() }).is_ok());
    }

    #[test]
    fn anything_else_is_an_error() {
        assert_eq!(fetch(&Server { status: 200, ..good() }), Err(FetchError::NotPartial));
        for status in [302, 403, 404, 416] {
            assert_eq!(fetch(&Server { status, ..good() }), Err(FetchError::Status { status }));
            assert!(!retryable(&Server { status, ..good() }));
        }
        for status in [408, 429, 500, 503] {
            assert!(retryable(&Server { status, ..good() }));
        }
        let ranges =
            ["bytes 0-9/100", "bytes 10-20/100", "bytes 10-19/19", "10-19/100", "bytes */100", "", "bytes 10-19"];
        for range in ranges {
            let error = fetch(&Server { range: Some(range), ..good() }).unwrap_err();
            assert!(matches!(&error, FetchError::WrongRange { got, .. } if got == range), "{error}");
        }
        assert!(matches!(fetch(&Server { range: None, ..good() }), Err(FetchError::WrongRange { .. })));
        let packed = Server { encoding: Some("gzip"), ..good() };
        assert_eq!(fetch(&packed), Err(FetchError::Encoded { encoding: "gzip".to_owned() }));
        assert!(!retryable(&packed));
    }

    #[test]
    fn bodies_have_the_length_of_the_range() {
        let short = Server { body: (10..19).collect(), ..good() };
        assert_eq!(fetch(&short), Err(FetchError::WrongLength { have: 9, need: 10 }));
        assert!(retryable(&short));
        let endless = Server { body: vec![0; 1 << 20], ..good() };
        assert!(matches!(fetch(&endless), Err(FetchError::WrongLength { have: 11, need: 10 })));
        assert!(!retryable(&endless));
        let broken = Server { breaks_at: Some(6), ..good() };
        assert!(matches!(fetch(&broken), Err(FetchError::Transport(_))) && retryable(&broken));
    }

    #[test]
    fn absurd_lengths_are_refused() {
        for (from, length) in [(0, 0), (0, u64::MAX), (u64::MAX, 2), (0, LARGEST_PIECE + 1)] {
            let request = Request { url: "x".to_owned(), headers: Vec::new() };
            let error = fetch_piece(&good(), request, from, length).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::InvalidInput { field, .. } if field == "length"), "{error}");
        }
    }

    #[test]
    fn the_cause_is_in_the_sentence() {
        let error = fetch(&Server { status: 503, ..good() }).unwrap_err();
        assert_eq!(error.kind().to_string(), "the network failed (the server answered 503): try again");
    }
}
