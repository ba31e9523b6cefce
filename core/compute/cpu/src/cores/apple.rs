//! Asks Apple's kernels for the cores. They name levels of performance, the fastest first: how many cores of each there
//! are (`hw.perflevel0.physicalcpu`) and what it is called (`hw.perflevel1.name`), from macOS 12 and iOS 15 on.

use std::ffi::{CString, c_char, c_int, c_void};

use super::levels::Level;

/// No processor has more levels; the number comes from outside.
const MOST_LEVELS: u32 = 8;

unsafe extern "C" {
    /// Of libSystem, which every program on these systems is linked with; declared in `<sys/sysctl.h>`.
    fn sysctlbyname(
        name: *const c_char,
        old: *mut c_void,
        old_len: *mut usize,
        new: *const c_void,
        new_len: usize,
    ) -> c_int;
}

/// The levels of performance; empty where the kernel says nothing about them.
pub(super) fn levels() -> Vec<Level> {
    let count = number("hw.nperflevels").unwrap_or(0).min(MOST_LEVELS);
    let level = |index| {
        Some(Level {
            cores: number(&format!("hw.perflevel{index}.physicalcpu"))? as usize,
            name: text(&format!("hw.perflevel{index}.name")).unwrap_or_default(),
        })
    };
    (0..count).map(level).collect::<Option<_>>().unwrap_or_default()
}

/// Reads a value into `buffer`: how many bytes it has, unless there is no such value or it does not fit.
fn read(name: &str, buffer: &mut [u8]) -> Option<usize> {
    let name = CString::new(name).ok()?;
    let mut len = buffer.len();
    // SAFETY: the name ends in NUL; the kernel writes at most `len` bytes to the buffer, which has that many and is
    // borrowed for the call, and then their number to `len`; nothing is set.
    let status = unsafe { sysctlbyname(name.as_ptr(), buffer.as_mut_ptr().cast(), &raw mut len, std::ptr::null(), 0) };
    (status == 0 && len <= buffer.len()).then_some(len)
}

fn number(name: &str) -> Option<u32> {
    let mut bytes = [0; 4];
    (read(name, &mut bytes)? == bytes.len()).then(|| u32::from_ne_bytes(bytes))
}

fn text(name: &str) -> Option<String> {
    let mut bytes = [0; 64];
    let len = read(name, &mut bytes)?;
    Some(String::from_utf8_lossy(&bytes[..len]).trim_end_matches('\0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_counts_its_cores() {
        assert!(number("hw.physicalcpu").is_some_and(|cores| cores > 0));
        assert_eq!(number("hw.no_such_value"), None);
    }
}
