//! The process that is killed: random work on a store. It says a line before a call and one after, because a line that
//! was written is known even if the process is not any more.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use inkling_base::CancelToken;
use inkling_store::http::HttpTransport;
use inkling_store::slot::Why;
use inkling_store::store::{Download, EnsureOptions, Store, StoreConfig};
use inkling_store::{DownloadEvent, ModelId, Source, StoreError};

use crate::disk::Random;

/// Works until it is killed.
///
/// # Errors
/// What should not have happened.
pub fn run(store: &Path, list: &Path, seed: u64) -> Result<(), String> {
    let list = std::fs::read_to_string(list).map_err(|error| error.to_string())?;
    let mut lines = list.lines();
    let hub = lines.next().unwrap_or_default();
    let mut sources = Vec::new();
    let mut bytes = 9 << 20;
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        sources.push(
            match words[..] {
                [url, digest, size] => {
                    let size: u64 = size.parse().map_err(|_| "no size".to_owned())?;
                    bytes += size;
                    Source::url(url, digest.parse().map_err(|_| "no digest".to_owned())?, size)
                }
                _ => line.parse(),
            }
            .map_err(|error| error.to_string())?,
        );
    }
    let mut random = Random::new(seed);
    let mut config = StoreConfig::new(store);
    config.transport = Arc::new(HttpTransport::default());
    config.net.backoff = Duration::from_millis(2);
    config.net.hub = hub.to_owned();
    config.keep_free = 0;
    // Often too little for all of them.
    config.budget = random.chance(70).then(|| bytes / 2 + random.below(bytes));
    let store = Store::open(config).map_err(|error| format!("opening: {error}"))?;
    say("opened");
    loop {
        let source = sources[random.index(sources.len())].clone();
        let id = source.model_id().map_err(|error| error.to_string())?;
        if let Err(error) = call(&store, source, &id, &mut random)
            && is_broken(&error)
        {
            say(&format!("broken {id}: {error}"));
        }
        say("done");
    }
}

/// Whether an error is none of those that a healthy store may have here.
fn is_broken(error: &StoreError) -> bool {
    if let StoreError::Shared(error) = error {
        return is_broken(error);
    }
    !matches!(
        error,
        StoreError::Full { .. }
            | StoreError::NotFound { .. }
            | StoreError::InUse { .. }
            | StoreError::Invalid { .. }
            | StoreError::Cancelled
            | StoreError::Fetch(_)
            | StoreError::Download { .. }
    )
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // If nobody listens any more, nobody needs to.
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}

fn call(store: &Store, source: Source, id: &ModelId, random: &mut Random) -> Result<(), StoreError> {
    let cancel = CancelToken::new();
    match random.below(100) {
        0..45 => {
            say(&format!("begin ensure {id}"));
            follow(store.ensure(source, EnsureOptions::default())?, id, random)
        }
        45..60 => {
            say(&format!("begin update {id}"));
            let mut options = EnsureOptions::default();
            (options.update, options.insist) = (true, random.chance(50));
            follow(store.ensure(source, options)?, id, random)
        }
        60..75 => {
            say(&format!("begin lend {id}"));
            let lent = store.lend(id, &cancel, &|_, _| {})?;
            for _ in 0..random.below(7) {
                lent.good()?;
            }
            if random.chance(5) { lent.bad(Why::WrongGolden) } else { Ok(()) }
        }
        75..82 => {
            say(&format!("begin verify {id}"));
            let verified = store.verify(id, &cancel, &|_, _| {})?;
            if verified.damaged.iter().any(|(_, chunks)| !chunks.is_empty()) {
                say(&format!("broken {id} is damaged: {verified:?}"));
            }
            Ok(())
        }
        82..87 => {
            say(&format!("begin rollback {id}"));
            store.rollback(id).map(drop)
        }
        87..91 => {
            say(&format!("begin pin {id}"));
            store.pin(id, random.chance(30))
        }
        91..96 => {
            say("begin gc");
            store.gc(Duration::ZERO).map(drop)
        }
        _ => {
            say(&format!("begin remove {id}"));
            store.remove(id)
        }
    }
}

/// Follows a download to its end, or lets it be, or stops it.
fn follow(mut download: Download, id: &ModelId, random: &mut Random) -> Result<(), StoreError> {
    let mut phase = "";
    loop {
        let event = match download.next_timeout(Duration::from_millis(5)) {
            None => {
                if random.chance(1) {
                    download.cancel();
                }
                continue;
            }
            Some(event) => event?,
        };
        let now = match event {
            None => return Ok(()),
            Some(DownloadEvent::Ready(_)) => {
                say(&format!("ready {id}"));
                return Ok(());
            }
            Some(DownloadEvent::Resolving) => "resolving",
            Some(DownloadEvent::Waiting(_)) => "waiting",
            Some(DownloadEvent::Downloading(_)) => "downloading",
            Some(DownloadEvent::Verifying { .. }) => "verifying",
            Some(DownloadEvent::Activating) => "activating",
            Some(_) => "other",
        };
        if now != phase {
            phase = now;
            say(&format!("phase {phase}"));
        }
    }
}
