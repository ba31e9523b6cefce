//! How fast it goes and how long it will take, as people read it: over the last seconds, not since the beginning.

use std::collections::VecDeque;
use std::time::Duration;

/// The time over which a rate is taken.
const WINDOW: Duration = Duration::from_secs(10);
/// The least time between two marks, which bounds their number.
const STEP: Duration = Duration::from_millis(100);

/// Counts bytes by the time that it is told. Pure: the same calls give the same rates.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    total: u64,
    /// Times and totals, ascending; the first is where the window begins.
    marks: VecDeque<(Duration, u64)>,
}

impl Meter {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `bytes` arrived, at `now`. Also called with 0, as time passes.
    pub fn add(&mut self, now: Duration, bytes: u64) {
        if self.marks.is_empty() {
            // What arrived until now took a time that nobody knows.
            self.marks.push_back((now, self.total));
        }
        self.total = self.total.saturating_add(bytes);
        let several = self.marks.len() > 1;
        match self.marks.back_mut() {
            Some((last, total)) if several && now.saturating_sub(*last) < STEP => *total = self.total,
            _ => self.marks.push_back((now, self.total)),
        }
        while self.marks.len() > 2 && now.saturating_sub(self.marks[1].0) >= WINDOW {
            self.marks.pop_front();
        }
    }

    /// A wait ended: the time it took does not count.
    pub fn restart(&mut self) {
        self.marks.clear();
    }

    /// All bytes.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes per second over the last seconds before `now`; `None` until there was some time to measure.
    pub fn rate(&self, now: Duration) -> Option<f64> {
        let (start, before) = *self.marks.front()?;
        let time = now.saturating_sub(start);
        (time >= STEP).then(|| (self.total - before) as f64 / time.as_secs_f64())
    }

    /// How long `left` bytes will take at this rate.
    pub fn eta(&self, now: Duration, left: u64) -> Option<Duration> {
        let rate = self.rate(now)?;
        // Nobody waits for a century.
        let seconds = (rate > 0.0).then(|| left as f64 / rate).filter(|&seconds| seconds < 3.0e9)?;
        Some(Duration::from_secs_f64(seconds))
    }
}

#[cfg(test)]
mod tests {
    use inkling_base::{Clock, ManualClock};

    use super::*;

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let clock = ManualClock::at(Duration::from_secs(1000));
        let mut meter = Meter::new();
        assert_eq!((meter.rate(clock.monotonic()), meter.eta(clock.monotonic(), 5)), (None, None));
        meter.add(clock.monotonic(), 0);
        for (bytes, seconds) in [(100, 30), (1000, 30)] {
            for _ in 0..seconds * 10 {
                clock.advance(Duration::from_millis(100));
                meter.add(clock.monotonic(), bytes / 10);
            }
            let rate = meter.rate(clock.monotonic()).unwrap();
            assert!((rate / bytes as f64 - 1.0).abs() < 0.02, "{rate}");
        }
        let eta = meter.eta(clock.monotonic(), 10_000).unwrap();
        assert!((9.8..10.2).contains(&eta.as_secs_f64()), "{eta:?}");
        assert_eq!(meter.total(), 33_000);
        assert!(meter.marks.len() < 110);
        // Silence shows at once, and for ever there is no end.
        clock.advance(Duration::from_secs(10));
        assert!(meter.rate(clock.monotonic()).unwrap() < 600.0);
        clock.advance(Duration::from_secs(3600));
        meter.add(clock.monotonic(), 0);
        clock.advance(Duration::from_secs(11));
        meter.add(clock.monotonic(), 0);
        assert_eq!((meter.rate(clock.monotonic()), meter.eta(clock.monotonic(), 1)), (Some(0.0), None));
    }

    #[test]
    fn waits_do_not_count() {
        let mut meter = Meter::new();
        let at = Duration::from_secs;
        meter.add(at(0), 0);
        meter.add(at(1), 100);
        meter.restart();
        meter.add(at(1000), 0);
        meter.add(at(1001), 100);
        assert_eq!(meter.rate(at(1001)), Some(100.0));
    }
}
