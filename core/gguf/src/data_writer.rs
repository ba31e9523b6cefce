//! The second half of writing a file: the data of the declared tensors, in pieces of any size.

use std::io::{self, Write};

use crate::error::GgufError;
use crate::layout;
use crate::tensor::TensorInfo;

/// Takes the data of the declared tensors, in order and in pieces of any size, and puts the padding between them.
#[derive(Debug)]
#[must_use = "the file is complete only after finish()"]
pub struct DataWriter<W> {
    out: W,
    tensors: Vec<TensorInfo>,
    alignment: u64,
    total: u64,
    /// The tensor that is being written.
    current: usize,
    /// Bytes of the data section written so far.
    position: u64,
}

impl<W: Write> DataWriter<W> {
    /// For tensors whose offsets count from the data section, which ends after `total` bytes.
    pub(crate) fn new(out: W, tensors: Vec<TensorInfo>, alignment: u64, total: u64) -> Self {
        Self { out, tensors, alignment, total, current: 0, position: 0 }
    }

    /// The tensor whose data comes next; `None` when all is written.
    pub fn next_tensor(&self) -> Option<&TensorInfo> {
        self.tensors.get(self.current)
    }

    /// Appends data. A piece may end anywhere, also in a later tensor.
    pub fn push(&mut self, mut data: &[u8]) -> Result<(), GgufError> {
        while !data.is_empty() {
            let Some(tensor) = self.tensors.get(self.current) else {
                return Err(GgufError::TooMuchData { given: data.len() as u64 });
            };
            let end = tensor.offset + tensor.bytes;
            let missing = usize::try_from(end - self.position).unwrap_or(usize::MAX);
            let (now, later) = data.split_at(data.len().min(missing));
            self.put(now)?;
            if self.position == end {
                self.current += 1;
                let padded = layout::align_up(end, self.alignment).unwrap_or(end);
                self.pad((padded - end) as usize)?;
            }
            data = later;
        }
        Ok(())
    }

    fn pad(&mut self, mut bytes: usize) -> Result<(), GgufError> {
        const ZEROS: [u8; 256] = [0; 256];
        while bytes > 0 {
            let now = bytes.min(ZEROS.len());
            self.put(&ZEROS[..now])?;
            bytes -= now;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), GgufError> {
        let failed = |source: io::Error| GgufError::CannotWrite { bytes_left: self.total - self.position, source };
        self.out.write_all(bytes).map_err(failed)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Makes sure that all data came, and flushes.
    pub fn finish(mut self) -> Result<W, GgufError> {
        if let Some(tensor) = self.next_tensor() {
            let missing = tensor.offset + tensor.bytes - self.position;
            return Err(GgufError::DataMissing { name: tensor.name.clone(), missing });
        }
        self.out.flush().map_err(|source| GgufError::CannotWrite { bytes_left: 0, source })?;
        Ok(self.out)
    }
}
