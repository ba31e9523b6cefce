//! What the operating system says about this process and this machine, for `bench`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often anonymous memory is looked at.
const SAMPLE: Duration = Duration::from_millis(3);

/// The largest amounts of memory that this process has had; `None` where the system does not say.
pub(crate) struct PeakMemory {
    /// All resident pages, mapped files included.
    pub(crate) resident: Option<u64>,
    /// Pages of our own, which cannot be dropped.
    pub(crate) anonymous: Option<u64>,
}

/// Looks at anonymous memory again and again, because the system remembers the peak of all pages only.
pub(crate) struct MemoryWatch {
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MemoryWatch {
    pub(crate) fn start() -> Self {
        let (peak, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (theirs, until) = (Arc::clone(&peak), Arc::clone(&stop));
        let watch = move || {
            while !until.load(Ordering::Relaxed) {
                theirs.fetch_max(status("RssAnon:").unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(SAMPLE);
            }
        };
        // Without a thread, what is held at the end is all that is known.
        let thread = std::thread::Builder::new().name("memory".to_owned()).spawn(watch).ok();
        Self { peak, stop, thread }
    }

    /// The peaks up to now.
    pub(crate) fn peak(&self) -> PeakMemory {
        let now = status("RssAnon:");
        let anonymous = now.map(|now| now.max(self.peak.load(Ordering::Relaxed)));
        PeakMemory { resident: status("VmHWM:"), anonymous }
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and its end is all that matters.
            let _ = thread.join();
        }
    }
}

/// A line of `/proc/self/status`, in bytes.
fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The thermal state, for comparisons between phones. Desktops do not have one that means the same.
pub(crate) fn thermal_state() -> &'static str {
    "unknown"
}

/// Asks the system to forget the file's pages, so that the next load is a cold one. Best effort: pages that another
/// process maps stay, and only Linux is asked.
pub(crate) fn drop_from_page_cache(path: &Path) {
    #[cfg(target_os = "linux")]
    if let Ok(file) = std::fs::File::open(path) {
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = path;
}
