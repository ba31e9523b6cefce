//! The file system and the network as the child uses them: the real ones, with a word to the parent whenever the store
//! begins another step, so that the parent knows what a kill hit, and can wait for a step that is short.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use inkling_store::http::HttpTransport;
use inkling_store::vfs::Stat;
use inkling_store::{ModelId, Open, Request, Response, SystemVfs, Transport, TransportError, Vfs, VfsFile};

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
pub struct WatchedFs(pub Arc<Watch>);

/// The folder of the store that a path is in, and the rest.
fn place(path: &Path) -> Option<(&str, &str)> {
    let path = path.to_str()?;
    path.rsplit_once("/v1/")?.1.split_once('/')
}

impl Vfs for WatchedFs {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn VfsFile>> {
        let file = SystemVfs.open(path, how)?;
        match place(path) {
            Some(("slots", name)) if how == Open::CreateNew => self.0.while_installing(|doing, id| {
                let is_own = name.starts_with(&format!("{id}."));
                doing.at(if is_own { "activate" } else { "evict" });
            }),
            Some(("trust", _)) if how == Open::CreateNew => self.0.while_installing(|doing, _| doing.at("refresh")),
            Some(("staging", name)) if how == Open::Create => {
                let digest = name.split('/').next().unwrap_or_default();
                let base = path.ancestors().find(|folder| folder.ends_with("v1"));
                let mends = base.is_some_and(|base| base.join("quarantine").join(digest).exists());
                self.0.while_installing(|doing, _| doing.mends |= mends);
                return Ok(Box::new(WatchedFile { file, watch: Arc::clone(&self.0), mends }));
            }
            _ => {}
        }
        Ok(file)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        SystemVfs.stat(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<std::path::PathBuf>> {
        SystemVfs.read_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        SystemVfs.create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match (place(from), place(to)) {
            (_, Some(("quarantine", _))) => self.0.while_installing(|doing, _| {
                doing.mends = true;
                doing.at("repair");
            }),
            (Some(("staging", _)), Some(("objects", _))) => self.0.while_installing(|doing, _| doing.at("activate")),
            _ => {}
        }
        SystemVfs.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        if let Some(("objects", name)) = place(path)
            && !name.contains('.')
        {
            self.0.while_installing(|doing, _| doing.at("evict"));
        }
        if let Some(("staging", name)) = place(path)
            && let Some(digest) = name.strip_suffix("/data")
        {
            // What has arrived of it is not lost by a kill.
            say(&format!("dropped {digest}"));
            self.0.while_installing(|doing, _| doing.at("evict"));
        }
        SystemVfs.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        SystemVfs.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        SystemVfs.sync_dir(path)
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        SystemVfs.free_space(path)
    }
}

/// The bytes of a file that is being put together.
struct WatchedFile {
    file: Box<dyn VfsFile>,
    watch: Arc<Watch>,
    mends: bool,
}

impl VfsFile for WatchedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.watch.while_installing(|doing, _| {
            // What nobody asked a server for was taken from a file that is there.
            let step = if doing.asked { "download" } else { "delta" };
            doing.at(if self.mends { "repair" } else { step });
        });
        self.file.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn stat(&self) -> io::Result<Stat> {
        self.file.stat()
    }

    fn try_lock(&self, shared: bool) -> io::Result<bool> {
        self.file.try_lock(shared)
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
