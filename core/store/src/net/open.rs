//! Requests that follow redirects by rules: which hosts, which headers for whom. No transport follows any by itself.
//!
//! Headers of the caller, and the token, go to the host they were meant for and never along a redirect to another.

use std::time::Duration;

use inkling_base::Clock;

use super::link::{Link, refused};
use super::{NetOptions, retry};
use crate::{Body, FetchError, Request, Response, StoreError, Transport, TransportError};

/// Something to be fetched.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Where.
    pub url: String,
    /// Headers for that host alone.
    pub headers: Vec<(String, String)>,
    /// The ETag that the file has there, if it is known from before: another one means another file.
    pub etag: Option<String>,
}

impl Address {
    /// Just a URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), headers: Vec::new(), etag: None }
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers may hold secrets, and so may queries.
        let url = Link::parse(&self.url).map_or_else(|_| "…".to_owned(), |link| link.to_string());
        f.debug_struct("Address").field("url", &url).field("etag", &self.etag).finish_non_exhaustive()
    }
}

/// What a transport says went wrong, without the query of the address.
fn discreet(link: &Link, error: TransportError) -> TransportError {
    TransportError { why: link.without_query(&error.why), ..error }
}

/// A body whose errors do not tell the query of the address either.
struct Discreet {
    body: Box<dyn Body>,
    link: Link,
}

impl Body for Discreet {
    fn read(&mut self, limit: usize) -> Result<Vec<u8>, TransportError> {
        self.body.read(limit).map_err(|error| discreet(&self.link, error))
    }

    fn read_into(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError> {
        self.body.read_into(buffer).map_err(|error| discreet(&self.link, error))
    }
}

/// Why a request brought nothing.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: StoreError,
    /// What the server asked for.
    pub(crate) after: Option<Duration>,
    /// Whether a redirect led to it: the address it named may have expired.
    pub(crate) redirected: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, after: None, redirected: false }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        StoreError::Fetch(error).into()
    }
}

impl From<crate::TransportError> for Failure {
    fn from(error: crate::TransportError) -> Self {
        StoreError::from(error).into()
    }
}

/// One step of a chain of redirects, or its end.
pub(crate) struct Hop {
    pub(crate) link: Link,
    pub(crate) response: Response,
}

/// What decides about a request and what follows from it.
pub(crate) struct Opener<'a> {
    pub(crate) transport: &'a dyn Transport,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) options: &'a NetOptions,
}

impl Opener<'_> {
    /// Asks `start` (the address itself, or where it led to before) and follows redirects until an answer is none or
    /// `enough` says that this one suffices.
    pub(crate) fn open(
        &self,
        address: &Address,
        start: Option<&Link>,
        extra: &dyn Fn(&Link) -> Vec<(String, String)>,
        enough: &dyn Fn(&Response) -> bool,
    ) -> Result<Hop, Failure> {
        let origin = Link::parse(&address.url)?;
        self.options.check_scheme(&origin)?;
        let hub = self.options.hub_link()?;
        let mut link = start.unwrap_or(&origin).clone();
        for _ in 0..=self.options.redirects {
            let mut headers = extra(&link);
            headers.push(("Accept-Encoding".to_owned(), "identity".to_owned()));
            if link.same_origin(&origin) {
                headers.extend(address.headers.iter().cloned());
            }
            if let Some(token) = self.options.token.as_ref().filter(|_| link.same_origin(&hub)) {
                headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
            }
            let redirected = link != origin;
            let request = Request { url: link.as_url(), headers };
            let response = self
                .transport
                .get(&request)
                .map_err(|error| Failure { redirected, ..discreet(&link, error).into() })?;
            if !matches!(response.status, 301 | 302 | 303 | 307 | 308) || enough(&response) {
                let body = Box::new(Discreet { body: response.body, link: link.clone() });
                return Ok(Hop { link, response: Response { body, ..response } });
            }
            let Some(location) = response.header("Location").filter(|location| !location.trim().is_empty()) else {
                return Err(FetchError::Status { status: response.status }.into());
            };
            let next = link.join(location)?;
            self.check_redirect(&origin, &hub, &link, &next)?;
            link = next;
        }
        Err(refused(&origin.to_string(), format!("it redirects more than {} times", self.options.redirects)).into())
    }

    fn check_redirect(&self, origin: &Link, hub: &Link, from: &Link, to: &Link) -> Result<(), StoreError> {
        if from.is_secure() && !to.is_secure() {
            return Err(refused(&origin.to_string(), format!("it redirects from https to {to}")));
        }
        self.options.check_scheme(to)?;
        let domains = if origin.same_origin(hub) { &self.options.hub_domains } else { &self.options.domains };
        if to.host() == origin.host() || domains.iter().any(|domain| to.is_below(domain)) {
            return Ok(());
        }
        Err(refused(&origin.to_string(), format!("it redirects to {to}, a host that is not among the allowed ones")))
    }

    /// The failure that a status is, with what the server asked for.
    pub(crate) fn status(&self, hop: &Hop, address: &Address) -> Failure {
        let after = hop.response.header("Retry-After").and_then(|text| retry::retry_after(text, self.clock.unix()));
        let redirected = Link::parse(&address.url).is_ok_and(|origin| origin != hop.link);
        Failure { after, redirected, ..FetchError::Status { status: hop.response.status }.into() }
    }
}

/// Refuses what is encoded, though it was asked for as it is.
pub(crate) fn check_encoding(response: &Response) -> Result<(), FetchError> {
    match response.header("Content-Encoding") {
        Some(name) if !name.trim().is_empty() && !name.trim().eq_ignore_ascii_case("identity") => {
            Err(FetchError::Encoded { encoding: name.chars().take(40).collect() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use inkling_base::ManualClock;

    use super::*;

    /// Answers by a table of redirects; what is not in it is 200.
    struct Maze {
        doors: Vec<(&'static str, &'static str)>,
        seen: Mutex<Seen>,
    }

    struct Nothing;

    impl Body for Nothing {
        fn read(&mut self, _: usize) -> Result<Vec<u8>, TransportError> {
            Ok(Vec::new())
        }
    }

    impl Transport for Maze {
        fn get(&self, request: &Request) -> Result<Response, TransportError> {
            let names = request.headers.iter().map(|(name, _)| name.clone()).collect();
            self.seen.lock().unwrap().push((request.url.clone(), names));
            let door = self.doors.iter().find(|(from, _)| *from == request.url);
            let headers = door.map(|(_, to)| ("LOCATION".to_owned(), (*to).to_owned())).into_iter().collect();
            Ok(Response { status: if door.is_some() { 302 } else { 200 }, headers, body: Box::new(Nothing) })
        }
    }

    /// URLs, each with the names of its headers.
    type Seen = Vec<(String, Vec<String>)>;

    fn walk(doors: &[(&'static str, &'static str)], url: &str) -> (Result<String, String>, Seen) {
        let maze = Maze { doors: doors.to_vec(), seen: Mutex::default() };
        let options = NetOptions {
            hub: "https://hub.example".to_owned(),
            token: Some("secret".to_owned()),
            hub_domains: vec!["cdn.example".to_owned()],
            ..NetOptions::default()
        };
        let opener = Opener { transport: &maze, clock: &ManualClock::default(), options: &options };
        let address = Address { headers: vec![("X-Own".to_owned(), "1".to_owned())], ..Address::new(url) };
        let hop = opener.open(&address, None, &|_| Vec::new(), &|_| false);
        let result = hop.map(|hop| hop.link.as_url()).map_err(|failure| failure.error.to_string());
        (result, maze.seen.into_inner().unwrap())
    }

    /// As some platforms do, it names the address when something goes wrong: at once, or in the middle of the body.
    struct Talker {
        late: bool,
    }

    struct Sentence(String);

    impl Sentence {
        fn error(&self) -> TransportError {
            TransportError { why: format!("{} went away", self.0), retryable: true }
        }
    }

    impl Body for Sentence {
        fn read(&mut self, _: usize) -> Result<Vec<u8>, TransportError> {
            Err(self.error())
        }
    }

    impl Transport for Talker {
        fn get(&self, request: &Request) -> Result<Response, TransportError> {
            let sentence = Sentence(request.url.clone());
            if !self.late {
                return Err(sentence.error());
            }
            Ok(Response { status: 200, headers: Vec::new(), body: Box::new(sentence) })
        }
    }

    #[test]
    fn what_transports_say_loses_the_query() {
        for late in [false, true] {
            let (clock, options) = (ManualClock::default(), NetOptions::default());
            let opener = Opener { transport: &Talker { late }, clock: &clock, options: &options };
            let address = Address::new("https://a.example/m?sign=secret");
            let said = match opener.open(&address, None, &|_| Vec::new(), &|_| false) {
                Err(failure) => vec![failure.error.to_string()],
                Ok(mut hop) => vec![
                    hop.response.body.read(1).unwrap_err().to_string(),
                    hop.response.body.read_into(&mut [0]).unwrap_err().to_string(),
                ],
            };
            for why in said {
                assert!(why.contains("a.example/m") && !why.contains("secret"), "{why}");
            }
        }
    }

    #[test]
    fn secrets_stay_with_the_host_they_are_for() {
        let (end, seen) = walk(
            &[("https://hub.example/m", "/n"), ("https://hub.example/n", "https://eu.cdn.example/x?sign=1")],
            "https://hub.example/m",
        );
        assert_eq!(end.unwrap(), "https://eu.cdn.example/x?sign=1");
        for (url, headers) in &seen {
            let own = url.starts_with("https://hub.example");
            assert_eq!(headers.contains(&"Authorization".to_owned()), own, "{url}");
            assert_eq!(headers.contains(&"X-Own".to_owned()), own, "{url}");
        }
        // The token is for the hub, not for whoever is asked.
        let (_, seen) = walk(&[], "https://hub.example.evil/m");
        assert!(!seen[0].1.contains(&"Authorization".to_owned()) && seen[0].1.contains(&"X-Own".to_owned()));
        let (_, seen) = walk(&[], "https://hub.example:444/m");
        assert!(!seen[0].1.contains(&"Authorization".to_owned()));
    }

    #[test]
    fn redirects_lead_to_known_hosts() {
        let start = "https://a.example/m";
        for (to, why) in [
            ("https://b.example/", "not among the allowed"),
            ("https://cdn.example/", "not among the allowed"),
            ("http://a.example/m", "from https to"),
            ("http://localhost/m", "from https to"),
            ("https://u:p@a.example/m", "user name"),
            ("file:///etc/passwd", "only https"),
            ("https://a.example/m", "more than 8 times"),
        ] {
            let (end, seen) = walk(&[("https://a.example/m", to)], start);
            let error = end.unwrap_err();
            assert!(error.contains(why), "{to}: {error}");
            assert!(seen.iter().all(|(url, _)| url == start), "{seen:?}");
        }
        assert!(walk(&[("https://a.example/m", "https://a.example:8443/n")], start).0.is_ok());
        assert!(walk(&[], "http://a.example/m").0.unwrap_err().contains("only https"));
        assert!(walk(&[], "http://127.0.0.1:1/m").0.is_ok());
    }
}
