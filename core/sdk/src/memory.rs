//! How much memory the system can still give, where it says so.

use crate::{Error, ErrorKind};

/// Bytes that can be allocated without pushing other work out, by `/proc/meminfo` (Linux and Android); `None`
/// elsewhere, until the platform's own signals are wired in.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Refuses work that needs more memory than there is, before it is begun.
pub(crate) fn require(need_bytes: u64) -> Result<(), Error> {
    match available_bytes() {
        Some(have_bytes) if have_bytes < need_bytes => Err(ErrorKind::OutOfMemory { need_bytes, have_bytes }.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_needs_are_refused_where_the_system_tells() {
        assert!(require(0).is_ok());
        assert_eq!(require(u64::MAX).is_err(), available_bytes().is_some());
    }
}
