//! What a rendering may use: steps and bytes.
//!
//! Every value that a template makes holds a [`Charge`] for its bytes and gives it back when it is dropped, so the
//! meter knows what is alive. An operation asks before it allocates. Both limits grow with the input, because a long
//! conversation is no attack.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::error::TemplateError;

/// Steps that any template may take; a chat template takes a few hundred per message.
const BASE_FUEL: u64 = 900_000;
/// Steps more for each byte of input.
const FUEL_PER_BYTE: u64 = 16;
/// Steps more for each pair of messages: some templates search all messages for each of them.
const FUEL_PER_PAIR: u64 = 8;
/// Bytes that may be alive at once.
const BASE_BYTES: u64 = 12 << 20;
/// Bytes more for each byte of input.
const BYTES_PER_BYTE: u64 = 12;
/// Bytes that are copied or compared for one step.
const BYTES_PER_STEP: u64 = 32;

/// The limits of one rendering and what is left of them.
#[derive(Debug)]
pub(super) struct Meter {
    fuel: AtomicU64,
    fuel_limit: u64,
    live: AtomicU64,
    byte_limit: u64,
}

impl Meter {
    /// Limits for an input of `input_bytes` with so many messages.
    pub(super) fn for_input(input_bytes: u64, messages: usize) -> Arc<Self> {
        let pairs = (messages as u64).saturating_mul(messages as u64);
        let fuel =
            BASE_FUEL.saturating_add(FUEL_PER_BYTE * input_bytes).saturating_add(FUEL_PER_PAIR.saturating_mul(pairs));
        Arc::new(Self {
            fuel: AtomicU64::new(fuel),
            fuel_limit: fuel,
            live: AtomicU64::new(0),
            byte_limit: BASE_BYTES + BYTES_PER_BYTE * input_bytes,
        })
    }

    /// Takes `steps`, or ends the rendering.
    pub(super) fn burn(&self, steps: u64) -> Result<(), TemplateError> {
        let left = self.fuel.load(Relaxed);
        match left.checked_sub(steps) {
            Some(rest) => {
                self.fuel.store(rest, Relaxed);
                Ok(())
            }
            None => {
                self.fuel.store(0, Relaxed);
                Err(TemplateError::Limit { what: "steps", limit: self.fuel_limit })
            }
        }
    }

    /// Takes the steps for touching `bytes`.
    pub(super) fn burn_bytes(&self, bytes: usize) -> Result<(), TemplateError> {
        self.burn(bytes as u64 / BYTES_PER_STEP + 1)
    }

    /// Whether `bytes` more may be allocated.
    pub(super) fn check(&self, bytes: u64) -> Result<(), TemplateError> {
        if self.live.load(Relaxed).saturating_add(bytes) > self.byte_limit {
            return Err(TemplateError::Limit { what: "bytes in use", limit: self.byte_limit });
        }
        Ok(())
    }

    /// Counts `bytes` as alive until the charge is dropped.
    pub(super) fn charge(self: &Arc<Self>, bytes: usize) -> Result<Charge, TemplateError> {
        self.check(bytes as u64)?;
        self.live.fetch_add(bytes as u64, Relaxed);
        Ok(Charge { bytes: bytes as u64, meter: Some(self.clone()) })
    }
}

/// Bytes that are alive; gives them back when dropped.
#[derive(Debug, Default)]
pub(super) struct Charge {
    bytes: u64,
    meter: Option<Arc<Meter>>,
}

impl Charge {
    /// Counts `bytes` more on the same meter.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), TemplateError> {
        if let Some(meter) = &self.meter {
            meter.check(bytes as u64)?;
            meter.live.fetch_add(bytes as u64, Relaxed);
            self.bytes += bytes as u64;
        }
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(meter) = &self.meter {
            meter.live.fetch_sub(self.bytes, Relaxed);
        }
    }
}

/// A string under construction that asks the meter before it grows.
#[derive(Debug)]
pub(super) struct Buffer {
    text: String,
    charge: Charge,
    meter: Arc<Meter>,
}

impl Buffer {
    /// An empty buffer.
    pub(super) fn new(meter: &Arc<Meter>) -> Self {
        Self { text: String::new(), charge: Charge { bytes: 0, meter: Some(meter.clone()) }, meter: meter.clone() }
    }

    /// Appends `text`.
    pub(super) fn push_str(&mut self, text: &str) -> Result<(), TemplateError> {
        let needed = self.text.len() + text.len();
        if needed > self.text.capacity() {
            // The old and the new allocation live side by side while the content moves.
            let capacity = needed.max(2 * self.text.capacity()).max(64);
            self.meter.check(capacity as u64)?;
            self.charge.grow(capacity - self.text.capacity())?;
            self.text.reserve_exact(capacity - self.text.len());
        }
        self.meter.burn_bytes(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    /// Appends one character.
    pub(super) fn push(&mut self, c: char) -> Result<(), TemplateError> {
        self.push_str(c.encode_utf8(&mut [0; 4]))
    }

    /// What was written so far.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The text; the charge ends, the caller takes a new one if the text lives on as a value.
    pub(super) fn into_string(self) -> String {
        self.text
    }
}
