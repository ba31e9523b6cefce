//! The file system and the network as the child uses them: the real ones, with a word to the parent whenever the store
//! begins another step, so that the parent knows what a kill hit, and can wait for a step that is short.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use inkling_store::http::HttpTransport;
use inkling_store::{ModelId, Open, Request, Response, SystemVfs, Transport, TransportError};

use crate::disk::{Call, Hook, Hooked};

/// Says a line. One that was written is known even if the process is not any more.
pub fn say(line: &str) {
    let mut out = io::stdout().lock();
    // If nobody listens any more, nobody needs to.
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}

/// What the store is doing.
#[derive(Default)]
pub struct Watch(Mutex<Doing>);

#[derive(Default)]
struct Doing {
    /// A download of this model runs.
    installs: Option<String>,
    step: &'static str,
    /// Bytes of a file were asked for.
    asked: bool,
    /// A damaged file is being put together again.
    mends: bool,
}

impl Watch {
    fn doing<T>(&self, look: impl FnOnce(&mut Doing) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A call begins.
    pub fn begin(&self, call: &str, id: &ModelId) {
        let installs = matches!(call, "ensure" | "update").then(|| id.to_string());
        self.doing(|doing| *doing = Doing { installs, ..Doing::default() });
        say(&format!("begin {call} {id}"));
    }

    /// It is over.
    pub fn done(&self) {
        self.doing(|doing| *doing = Doing::default());
        say("done");
    }

    /// A step begins, or goes on.
    pub fn at(&self, step: &'static str) {
        self.doing(|doing| doing.at(step));
    }

    /// What a download tells, which is heard a little late: not when it has got further.
    pub fn heard(&self, step: &'static str) {
        self.doing(|doing| {
            if doing.step != "activate" {
                doing.at(step);
            }
        });
    }

    fn while_installing(&self, look: impl FnOnce(&mut Doing, &str)) {
        self.doing(|doing| {
            if let Some(id) = doing.installs.clone() {
                look(doing, &id);
            }
        });
    }
}

impl Doing {
    fn at(&mut self, step: &'static str) {
        if self.step != step {
            self.step = step;
            say(&format!("at {step}"));
        }
    }
}

/// The machine's file system, watched.
pub type WatchedFs = Hooked<SystemVfs, Watch>;

/// The folder of the store that a path is in, and the rest.
fn place(path: &Path) -> Option<(&str, &str)> {
    let path = path.to_str()?;
    path.rsplit_once("/v1/")?.1.split_once('/')
}

/// Whether a file that is being put together takes the place of a damaged one.
fn mends(path: &Path, name: &str) -> bool {
    let digest = name.split('/').next().unwrap_or_default();
    let base = path.ancestors().find(|folder| folder.ends_with("v1"));
    base.is_some_and(|base| base.join("quarantine").join(digest).exists())
}

impl Hook for Watch {
    fn before(&self, call: Call<'_>) -> io::Result<()> {
        let path = match call {
            Call::Open(path, _) | Call::Write(path) | Call::Remove(path) | Call::Rename(_, path) => path,
            _ => return Ok(()),
        };
        let Some((folder, name)) = place(path) else { return Ok(()) };
        match (call, folder) {
            (Call::Open(_, Open::CreateNew), "slots") => self.while_installing(|doing, id| {
                let is_own = name.starts_with(&format!("{id}."));
                doing.at(if is_own { "activate" } else { "evict" });
            }),
            (Call::Open(_, Open::CreateNew), "trust") => self.while_installing(|doing, _| doing.at("refresh")),
            (Call::Open(_, Open::Create), "staging") => {
                let mends = mends(path, name);
                self.while_installing(|doing, _| doing.mends |= mends);
            }
            (Call::Write(_), "staging") if name.ends_with("/data") => {
                let mends = mends(path, name);
                self.while_installing(|doing, _| {
                    // What nobody asked a server for was taken from a file that is there.
                    let step = if doing.asked { "download" } else { "delta" };
                    doing.at(if mends { "repair" } else { step });
                });
            }
            (Call::Rename(..), "quarantine") => self.while_installing(|doing, _| {
                doing.mends = true;
                doing.at("repair");
            }),
            (Call::Rename(from, _), "objects") if place(from).is_some_and(|(folder, _)| folder == "staging") => {
                self.while_installing(|doing, _| doing.at("activate"));
            }
            (Call::Remove(_), "objects") if !name.contains('.') => self.while_installing(|doing, _| doing.at("evict")),
            (Call::Remove(_), "staging") => {
                if let Some(digest) = name.strip_suffix("/data") {
                    // What has arrived of it is not lost by a kill.
                    say(&format!("dropped {digest}"));
                    self.while_installing(|doing, _| doing.at("evict"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// HTTP, watched.
pub struct WatchedHttp(pub Arc<Watch>, pub HttpTransport);

impl Transport for WatchedHttp {
    fn get(&self, request: &Request) -> Result<Response, TransportError> {
        let url = &request.url;
        self.0.while_installing(|doing, _| {
            if ["/root/", "/catalog.json", "/rollout.json", "/releases/"].iter().any(|part| url.contains(part)) {
                doing.at("refresh");
            } else if url.contains("/resolve/") {
                doing.at("resolve");
            } else {
                doing.asked = true;
                doing.at(if doing.mends { "repair" } else { "download" });
            }
        });
        self.1.get(request)
    }
}
