//! What the operating system says about this process and this machine, for `bench`.

use inkling::ModelSource;

/// The largest amounts of memory that this process has had; `None` where the system does not say.
pub(crate) struct PeakMemory {
    /// All resident pages, mapped files included.
    pub(crate) resident: Option<u64>,
    /// Pages of our own, which cannot be dropped: what is held now, at the end of the measurement.
    pub(crate) anonymous: Option<u64>,
}

/// Reads `/proc/self/status`.
pub(crate) fn peak_memory() -> PeakMemory {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    PeakMemory { resident: field("VmHWM:"), anonymous: field("RssAnon:") }
}

/// The thermal state, for comparisons between phones. Desktops do not have one that means the same.
pub(crate) fn thermal_state() -> &'static str {
    "unknown"
}

/// Asks the system to forget the file's pages, so that the next load is a cold one. Best effort: pages that another
/// process maps stay, and only Linux is asked.
pub(crate) fn drop_from_page_cache(source: &ModelSource) {
    #[cfg(target_os = "linux")]
    if let ModelSource::File(path) = source
        && let Ok(file) = std::fs::File::open(path)
    {
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = source;
}
