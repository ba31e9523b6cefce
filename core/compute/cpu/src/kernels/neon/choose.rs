//! Dot products or matrix products: the ratio of their speeds is between 1 : 1 and 1 : 2 by core, and where it is near
//! 1 the simpler order of dot products wins. So both are timed for some milliseconds, once a process. Results are the
//! same to the bit, whatever is chosen.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::super::{Kernels, scratch_bytes};
use crate::activations::{BlockMeta, QuantView};
use crate::aligned::AlignedBytes;
use crate::format::{BLOCK, IntFormat, PANEL_ROWS, PanelFormat};
use crate::isa::Isa;

/// What the sets are timed on: a panel by some vectors, in the nearest caches.
const COLUMNS: usize = 512;
const VECTORS: usize = 32;
/// How long, for both together.
const TIME: Duration = Duration::from_millis(5);

/// The faster of the two sets, on a machine that has both.
pub(crate) fn fastest() -> Isa {
    static CHOSEN: OnceLock<Isa> = OnceLock::new();
    *CHOSEN.get_or_init(|| measure().unwrap_or(Isa::NeonI8mm))
}

fn measure() -> Option<Isa> {
    let sets = [Isa::NeonDot, Isa::NeonI8mm];
    let kernels = [Kernels::new(sets[0]).ok()?, Kernels::new(sets[1]).ok()?];
    let format = IntFormat::Nibble;
    let panel = vec![0x11; PanelFormat::Int(format).panel_bytes(COLUMNS)];
    let codes = vec![1; VECTORS * COLUMNS];
    let meta = vec![BlockMeta::default(); VECTORS * COLUMNS / BLOCK];
    let x = QuantView { codes: &codes, meta: &meta, columns: COLUMNS };
    let mut scratch = AlignedBytes::zeroed(scratch_bytes(COLUMNS))?;
    let mut out = [0.0; VECTORS * PANEL_ROWS];
    // The shortest of many turns is the one that nothing interrupted.
    let mut best = [Duration::MAX; 2];
    let start = Instant::now();
    while start.elapsed() < TIME {
        for (kernels, best) in kernels.iter().zip(&mut best) {
            let start = Instant::now();
            kernels.int_panels(format, &panel, 1, x, scratch.as_mut_slice(), &mut out, PANEL_ROWS);
            *best = start.elapsed().min(*best);
        }
    }
    Some(sets[usize::from(best[1] < best[0])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_chosen_where_both_are_there() {
        assert_eq!(measure().is_some(), Isa::NeonI8mm.is_available());
        if Isa::NeonI8mm.is_available() {
            assert_eq!(fastest(), fastest());
        }
    }
}
