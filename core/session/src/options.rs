//! How a model is loaded.

use std::sync::Arc;

use inkling_base::{Clock, SystemClock};
use inkling_compute::{DeviceInfo, KvType, WeightCache};

use crate::{Owner, SessionError};

/// Threads that anyone could mean.
const MOST_THREADS: usize = 512;
/// A context that is chosen when nobody chooses: enough for a long chat, small enough for a phone.
const USUAL_CONTEXT: usize = 4096;

/// How to load a model.
#[derive(Clone)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Tokens that one conversation may hold; `None` takes what the model was made for, but at most 4096.
    pub context: Option<usize>,
    /// Positions that all conversations together may hold in the cache; `None` takes two contexts. Memory is used
    /// only as positions are.
    pub cache_positions: Option<usize>,
    /// How keys and values are stored.
    pub kv: KvType,
    /// Worker threads, 1 to 512; `None` takes what suits the device: on the CPU, one for each fast core. More than
    /// can run at a time are taken as so many.
    pub threads: Option<usize>,
    /// Tokens of a prompt that run through the model at a time.
    pub batch: usize,
    /// Turns that can get a token in the same pass; also rows of logits held at a time.
    pub outputs: usize,
    /// Where weights that the back end has packed are kept for the next load; `None` leaves it to the engine that loads
    /// the model, and without one keeps none.
    pub weight_cache: Option<WeightCache>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Who lends the model, if that wants to know how it does.
    pub owner: Option<Arc<dyn Owner>>,
}

impl std::fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadOptions")
            .field("context", &self.context)
            .field("cache_positions", &self.cache_positions)
            .field("kv", &self.kv)
            .field("threads", &self.threads)
            .field("batch", &self.batch)
            .field("outputs", &self.outputs)
            .field("weight_cache", &self.weight_cache)
            .finish_non_exhaustive()
    }
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            context: None,
            cache_positions: None,
            kv: KvType::default(),
            threads: None,
            batch: 512,
            outputs: 4,
            weight_cache: None,
            clock: Arc::new(SystemClock::default()),
            owner: None,
        }
    }
}

impl LoadOptions {
    /// Refuses what no model can do; asked before anything is loaded.
    pub fn validate(&self) -> Result<(), SessionError> {
        let range = |field, value: usize, most: usize| {
            if (1..=most).contains(&value) {
                Ok(())
            } else {
                Err(SessionError::invalid(field, format!("{value} is not possible: give a number from 1 to {most}")))
            }
        };
        range("threads", self.threads.unwrap_or(1), MOST_THREADS)?;
        range("context", self.context.unwrap_or(1), u32::MAX as usize)?;
        range("cache_positions", self.cache_positions.unwrap_or(1), u32::MAX as usize)?;
        range("batch", self.batch, 1 << 16)?;
        range("outputs", self.outputs, 1 << 12)
    }

    /// Tokens of a context when the caller names none and the model was made for more.
    pub fn usual_context(&self) -> usize {
        self.context.unwrap_or(USUAL_CONTEXT)
    }

    /// Worker threads in force on a device.
    pub fn threads_on(&self, device: &DeviceInfo) -> usize {
        runnable(self.threads.unwrap_or(device.threads))
    }

    /// The context for a model that was made for `made_for` positions.
    pub(crate) fn context_for(&self, made_for: usize) -> Result<usize, SessionError> {
        match self.context {
            Some(context) if context > made_for => {
                let why = format!("{context} tokens, but the model was made for {made_for}: give at most that");
                Err(SessionError::invalid("context", why))
            }
            Some(context) => Ok(context),
            None => Ok(made_for.min(USUAL_CONTEXT)),
        }
    }
}

/// No more threads than the system runs at a time (quotas and affinity included): workers without a core would only
/// keep the others waiting, since each phase of a pass ends when the last of them has done its part.
pub(crate) fn runnable(threads: usize) -> usize {
    let most = std::thread::available_parallelism().map_or(MOST_THREADS, usize::from);
    threads.min(most).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_the_devices_unless_named_and_never_more_than_can_run() {
        let device = |threads| DeviceInfo { device: String::new(), features: Vec::new(), threads, exact_batches: true };
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        let mut options = LoadOptions::default();
        assert_eq!(options.threads_on(&device(1)), 1);
        assert_eq!(options.threads_on(&device(most + 1)), most);
        options.threads = Some(most);
        assert_eq!(options.threads_on(&device(1)), most);
        options.threads = Some(512);
        assert_eq!(options.threads_on(&device(1)), most);
    }

    #[test]
    fn refuses_impossible_numbers() {
        let why = |change: &dyn Fn(&mut LoadOptions)| {
            let mut options = LoadOptions::default();
            change(&mut options);
            options.validate().unwrap_err().to_string()
        };
        assert!(LoadOptions::default().validate().is_ok());
        assert!(why(&|o| o.threads = Some(0)).starts_with("threads: 0"));
        assert!(why(&|o| o.threads = Some(10_000)).starts_with("threads: 10000"));
        assert!(why(&|o| o.context = Some(0)).starts_with("context: 0"));
        assert!(why(&|o| o.batch = 0).starts_with("batch: 0"));
        assert!(why(&|o| o.outputs = 0).starts_with("outputs: 0"));
        let options = LoadOptions { context: Some(9000), ..LoadOptions::default() };
        assert!(options.context_for(8192).unwrap_err().to_string().contains("made for 8192"));
    }
}
