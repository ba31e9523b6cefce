//! What happened, in numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Phases that a long run must have hit.
pub const PHASES: [&str; 9] =
    ["download", "verify", "activate", "delta", "repair", "evict", "gc", "catalogue refresh", "load"];
/// Kills after which a run is long.
pub const LONG: u64 = 1000;

/// What happened.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Children that were killed.
    pub kills: u64,
    /// Kills by the part of the store that was at work.
    pub phases: BTreeMap<String, u64>,
    /// Kills by what the child was doing.
    pub during: BTreeMap<String, u64>,
    /// The time that children lived, and that the parent spent with opened stores.
    pub lived: Duration,
    /// See `lived`.
    pub opened: Duration,
    /// Calls of children that came back.
    pub calls: u64,
    /// Objects that were found, and those whose bytes were compared for it: the others had not changed since.
    pub objects: u64,
    /// See `objects`.
    pub compared: u64,
    /// Slots that were read.
    pub slots: u64,
    /// Recorded chunks that were compared.
    pub chunks: u64,
    /// Models that the parent loaded after a kill.
    pub loads: u64,
    /// Releases that were published.
    pub releases: u64,
    /// Older documents that were offered to the parent's copy, and refusals by children.
    pub replays: u64,
    /// See `replays`.
    pub refused: u64,
    /// Files that the parent damaged, and that were found whole again.
    pub damaged: u64,
    /// See `damaged`.
    pub repaired: u64,
    /// Updates that nobody disturbed: how many, the bytes of their files, the bytes that were fetched, and the largest
    /// share of a file.
    pub updates: u64,
    /// See `updates`.
    pub update_bytes: u64,
    /// See `updates`.
    pub update_fetched: u64,
    /// See `updates`.
    pub update_share: f64,
    /// Downloads whose bytes were counted, and how many were fetched again after a kill: in all, and at most.
    pub counted: u64,
    /// See `counted`.
    pub again: u64,
    /// See `counted`.
    pub most_again: u64,
    /// Bytes that were served.
    pub served: u64,
}

impl Tally {
    /// Phases that must be hit and were not.
    pub fn missed(&self) -> Vec<&'static str> {
        PHASES.into_iter().filter(|phase| !self.phases.contains_key(*phase)).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / 1048576.0;
        let (lived, opened) = (self.lived.as_secs_f64(), self.opened.as_secs_f64());
        writeln!(
            f,
            "  children lived for {lived:.0} s; opening, loading and updating what they left took {opened:.0} s"
        )?;
        for (phase, count) in &self.phases {
            writeln!(f, "  {count:5} during {phase}")?;
        }
        writeln!(
            f,
            "  {} calls came back; found afterwards: {} objects ({} of them read and compared, the others unchanged \
             since), {} slots, {} recorded chunks; {} models loaded",
            self.calls, self.objects, self.compared, self.slots, self.chunks, self.loads
        )?;
        writeln!(
            f,
            "  {} signed releases; older catalogues: {} offered after kills, none accepted; {} refusals by children",
            self.releases, self.replays, self.refused
        )?;
        writeln!(
            f,
            "  {} undisturbed updates: {:.1} of {:.1} MiB fetched, at most {:.0} % of a file",
            self.updates,
            mib(self.update_fetched),
            mib(self.update_bytes),
            100.0 * self.update_share
        )?;
        writeln!(f, "  {} files damaged on purpose, {} of them found whole again", self.damaged, self.repaired)?;
        write!(
            f,
            "  {:.1} MiB served; fetched again: {:.2} MiB a download on average, {:.2} MiB at most, of {} downloads",
            mib(self.served),
            mib(self.again) / self.counted.max(1) as f64,
            mib(self.most_again),
            self.counted
        )
    }
}
