//! Rows into pages and back. What is read is what the cache's type kept of what was written.

use inkling_compute::{ComputeError, HostPages, KvCache, KvType, PAGE_POSITIONS, Run, quant};
use inkling_gguf::TensorType;

use crate::unsupported;

/// Keys or values.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Keys,
    Values,
}

/// One layer's keys or values in a cache.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) layer: usize,
    pub(crate) heads: usize,
    pub(crate) width: usize,
    pub(crate) side: Side,
}

impl Place {
    /// Where a row lies in its page.
    fn bytes(&self, pages: &HostPages, head: usize, position: usize) -> std::ops::Range<usize> {
        let layout = pages.layout();
        let (start, row) = match self.side {
            Side::Keys => (layout.keys(self.layer, head), layout.key_row_bytes(self.layer)),
            Side::Values => (layout.values(self.layer, head), layout.value_row_bytes(self.layer)),
        };
        let start = start + position % PAGE_POSITIONS * row;
        start..start + row
    }
}

/// How a cache of this type keeps elements.
fn stored_as(kind: KvType) -> Result<TensorType, ComputeError> {
    match kind {
        KvType::F32 => Ok(TensorType::F32),
        KvType::F16 => Ok(TensorType::F16),
        KvType::Q8_0 => Ok(TensorType::Q8_0),
        KvType::Q4_0 => Ok(TensorType::Q4_0),
        other => Err(unsupported(format!("a {} cache", other.name()))),
    }
}

const FOREIGN: ComputeError = ComputeError::BadBatch { why: "the cache was made by another back end" };

/// Writes the rows of a run: `rows` is `[position, head, width]`.
pub(crate) fn write(kv: &mut KvCache, run: Run, place: Place, rows: &[f32]) -> Result<(), ComputeError> {
    let pages: Vec<_> = kv.pages(run.sequence).to_vec();
    let store = kv.store_mut::<HostPages>().ok_or(FOREIGN)?;
    let kind = stored_as(store.layout().kind())?;
    for (index, row) in rows.chunks_exact(place.width).enumerate() {
        let (position, head) = (run.start + index / place.heads, index % place.heads);
        let bytes = place.bytes(store, head, position);
        quant::quantize(kind, row, &mut store.page_mut(pages[position / PAGE_POSITIONS])[bytes])?;
    }
    Ok(())
}

/// Reads everything up to the end of a run, `[head, position, width]`.
pub(crate) fn read(kv: &KvCache, run: Run, place: Place) -> Result<Vec<f64>, ComputeError> {
    let pages = kv.pages(run.sequence);
    let store = kv.store::<HostPages>().ok_or(FOREIGN)?;
    let kind = stored_as(store.layout().kind())?;
    let positions = run.start + run.count;
    let mut row = vec![0.0_f32; place.width];
    let mut out = Vec::with_capacity(place.heads * positions * place.width);
    for head in 0..place.heads {
        for position in 0..positions {
            let bytes = place.bytes(store, head, position);
            quant::dequantize(kind, &store.page(pages[position / PAGE_POSITIONS])[bytes], &mut row)?;
            out.extend(row.iter().copied().map(f64::from));
        }
    }
    Ok(out)
}
