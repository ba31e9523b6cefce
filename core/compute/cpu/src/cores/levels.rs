//! What Apple's levels of performance mean for [`super::Cores`]. Apart from asking the kernel, so that it is tested
//! everywhere.

use super::CoreClass;

/// The name of slow cores. That of fast ones has changed ("Performance", "Super"), and a processor may have two kinds.
const LITTLE: &str = "Efficiency";

/// Cores of the same kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Level {
    /// How many there are.
    pub(super) cores: usize,
    /// What Apple calls it.
    pub(super) name: String,
}

/// Classes of cores, fastest first as the levels are. Nobody says how fast they are, so their speeds are ranks.
pub(super) fn classes(levels: &[Level]) -> Vec<CoreClass> {
    let ranks = (1..=levels.len() as u32).rev();
    let class = |(level, speed): (&Level, u32)| CoreClass { speed, cores: level.cores, little: level.name == LITTLE };
    levels.iter().zip(ranks).map(class).filter(|class| class.cores > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(levels: &[(usize, &str)]) -> Vec<(u32, usize, bool)> {
        let levels: Vec<_> = levels.iter().map(|&(cores, name)| Level { cores, name: name.to_owned() }).collect();
        classes(&levels).iter().map(|class| (class.speed, class.cores, class.little)).collect()
    }

    #[test]
    fn efficiency_cores_are_little() {
        assert_eq!(found(&[(2, "Performance"), (4, "Efficiency")]), [(2, 2, false), (1, 4, true)]);
        assert_eq!(found(&[(6, "Super"), (12, "Performance")]), [(2, 6, false), (1, 12, false)]);
    }

    #[test]
    fn odd_answers_are_taken_as_they_are() {
        assert_eq!(found(&[]), []);
        assert_eq!(found(&[(8, "")]), [(1, 8, false)]);
        assert_eq!(found(&[(6, "Efficiency")]), [(1, 6, true)]);
        assert_eq!(found(&[(0, "Performance"), (6, "Efficiency")]), [(1, 6, true)]);
    }
}
