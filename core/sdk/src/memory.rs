//! How much memory can still be had: the system says so, or the app does.

use std::fmt;
use std::sync::Arc;

use crate::{Error, ErrorKind};

/// Who says how much memory can still be had, before a model is loaded.
#[derive(Clone, Default)]
pub struct FreeMemory(Option<Arc<Ask>>);

/// Bytes, or `None` where nobody knows.
type Ask = dyn Fn() -> Option<u64> + Send + Sync;

impl FreeMemory {
    /// Asks the app: the platforms know what a process may still take, and some of them tell only their own languages.
    /// `None` refuses nothing.
    pub fn asking(ask: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(ask)))
    }

    /// Refuses work that needs more memory than there is, before it is begun.
    pub(crate) fn require(&self, need_bytes: u64) -> Result<(), Error> {
        match self.0.as_ref().map_or_else(available_bytes, |ask| ask()) {
            Some(have_bytes) if have_bytes < need_bytes => {
                Err(ErrorKind::OutOfMemory { need_bytes, have_bytes }.into())
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for FreeMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "the app" } else { "the system" })
    }
}

/// Bytes that can be allocated without pushing other work out, by `/proc/meminfo` (Linux and Android); `None`
/// elsewhere, where the app has to say it.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_needs_are_refused_where_the_system_tells() {
        let system = FreeMemory::default();
        assert!(system.require(0).is_ok());
        assert_eq!(system.require(u64::MAX).is_err(), available_bytes().is_some());
    }

    #[test]
    fn an_app_knows_better() {
        let tight = FreeMemory::asking(|| Some(1000));
        assert!(tight.require(1000).is_ok());
        let error = tight.require(1001).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::OutOfMemory { need_bytes: 1001, have_bytes: 1000 });
        assert!(FreeMemory::asking(|| None).require(u64::MAX).is_ok());
    }
}
