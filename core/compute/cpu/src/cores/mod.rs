//! The machine's cores by speed, and how many threads a model should run on.
//!
//! Phones mix cores: one or two very fast, some fast, some little. A little core does a third of a fast one's work, and
//! everybody waits for it where workers meet, so by default a model runs on the fast cores alone. Which those are says
//! Linux (and Android) in `/sys/devices/system/cpu`, and Apple's kernels when they are asked; elsewhere all cores count
//! as equal.
//!
//! Threads are not pinned: the scheduler of a phone moves busy threads to fast cores by itself, and knows about heat.
//! [`crate::Cpu`] asks when it is probed; [`inkling_compute::DeviceInfo`] carries the answer to whoever loads a model.

#[cfg(target_vendor = "apple")]
mod apple;
#[cfg(any(target_vendor = "apple", test))]
mod levels;
mod sysfs;

use std::fmt;
use std::path::Path;

/// Where Linux describes the cores.
#[cfg(not(target_vendor = "apple"))]
const ROOT: &str = "/sys/devices/system/cpu";
/// Where it says which of them this thread may run on: the affinity mask, and Android's cpuset of the app's state.
#[cfg(not(target_vendor = "apple"))]
const STATUS: &str = "/proc/thread-self/status";

/// Little cores are those below the widest gap in speed, if the faster side of the gap is at least this much faster.
/// Measured by the kernel's capacities: an A520 has 0.44 of the next class in a Snapdragon 8 Gen 3, an A55 0.43 in a
/// Snapdragon 695 and 0.32 in a Tensor; the slower A720s of a Dimensity 9300 have 0.58 and are not little.
const GAP_OF_CAPACITIES: f64 = 0.55;
/// Clocks alone understate the difference: an A55 runs at 0.74 of an A78's clock and does 0.43 of its work.
const GAP_OF_CLOCKS: f64 = 0.85;

/// Cores of the same speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreClass {
    /// How fast one is: the kernel's capacity (1024 for the fastest) or, where it gives none, the highest clock in kHz;
    /// on Apple's systems only a rank, the highest for the fastest.
    /// Only comparisons inside one machine mean something; 0 if nothing is known.
    pub speed: u32,
    /// How many there are; two hardware threads of a core are one.
    pub cores: usize,
    /// Whether they are left out by default.
    pub little: bool,
}

/// The cores that this process may run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores {
    /// Fastest first; empty if the system says nothing about them.
    classes: Vec<CoreClass>,
    /// Threads that can run at the same time: affinity and quotas included.
    parallelism: usize,
}

/// What a speed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Capacity,
    Clock,
    Unknown,
}

impl Cores {
    /// The cores of this machine, as they are now: an app in the background may have fewer.
    pub fn here() -> Self {
        let parallelism = std::thread::available_parallelism().map_or(1, usize::from);
        #[cfg(target_vendor = "apple")]
        return Self { classes: levels::classes(&apple::levels()), parallelism };
        #[cfg(not(target_vendor = "apple"))]
        Self::read(Path::new(ROOT), Path::new(STATUS), parallelism)
    }

    /// The cores described by the tree at `root`, as far as the file `status` (in the manner of `/proc/self/status`)
    /// allows them. `parallelism` bounds the threads whatever the tree says.
    pub fn read(root: &Path, status: &Path, parallelism: usize) -> Self {
        let (mut found, measure) = sysfs::cores(root, sysfs::allowed(status).as_deref());
        found.sort_unstable_by(|a, b| b.cmp(a));
        let mut classes: Vec<CoreClass> = Vec::new();
        for speed in found {
            match classes.last_mut() {
                Some(class) if class.speed == speed => class.cores += 1,
                _ => classes.push(CoreClass { speed, cores: 1, little: false }),
            }
        }
        let gap = match measure {
            Measure::Capacity => GAP_OF_CAPACITIES,
            Measure::Clock => GAP_OF_CLOCKS,
            Measure::Unknown => 0.0,
        };
        mark_little(&mut classes, gap);
        Self { classes, parallelism: parallelism.max(1) }
    }

    /// Classes of cores, fastest first; empty if the system says nothing about them.
    pub fn classes(&self) -> &[CoreClass] {
        &self.classes
    }

    /// Threads for a model when nobody says how many: the fast cores, at least 1, never more than can run at a time.
    pub fn default_threads(&self) -> usize {
        let fast: usize = self.classes.iter().filter(|class| !class.little).map(|class| class.cores).sum();
        if fast == 0 { self.parallelism } else { fast.min(self.parallelism) }
    }
}

/// Cuts the classes at the widest gap, if it is wide enough.
fn mark_little(classes: &mut [CoreClass], gap: f64) {
    let ratio = |index: usize| f64::from(classes[index].speed) / f64::from(classes[index - 1].speed);
    let widest = (1..classes.len()).min_by(|&a, &b| ratio(a).total_cmp(&ratio(b)));
    if let Some(cut) = widest.filter(|&cut| ratio(cut) < gap) {
        classes[cut..].iter_mut().for_each(|class| class.little = true);
    }
}

impl fmt::Display for Cores {
    /// `8 cores: 1 × 1024, 5 × 890, 2 little × 381`; for equal cores their number alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores: usize = self.classes.iter().map(|class| class.cores).sum();
        let plural = |count: usize| if count == 1 { "core" } else { "cores" };
        match &self.classes[..] {
            [] => write!(f, "{} {}", self.parallelism, plural(self.parallelism)),
            [_] => write!(f, "{cores} {}", plural(cores)),
            classes => {
                write!(f, "{cores} {}: ", plural(cores))?;
                for (index, class) in classes.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    let little = if class.little { "little " } else { "" };
                    write!(f, "{comma}{} {little}× {}", class.cores, class.speed)?;
                }
                Ok(())
            }
        }
    }
}
