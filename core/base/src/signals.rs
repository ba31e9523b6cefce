//! What the device says of itself: heat, battery, memory. Values that a governor can judge, and tests can make up.
//!
//! Signals are asked, never pushed: whoever wants to know asks at a moment when it can act on the answer.

use std::fmt;

/// How hot the device is, in the terms that both phone systems share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Heat {
    /// Nobody says.
    #[default]
    Unknown,
    /// As it should be.
    Nominal,
    /// Warm: work that can wait should.
    Fair,
    /// Hot: the system slows down.
    Serious,
    /// Too hot: the system may end what is not needed.
    Critical,
}

/// The thermal state.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Thermal {
    /// Now.
    pub heat: Heat,
    /// Where it is going, if the system forecasts: 1.0 is the point at which it will throttle, 0 is cool.
    pub headroom: Option<f32>,
}

/// The battery.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Battery {
    /// How full, 0 to 1.
    pub level: Option<f32>,
    /// Whether it is being charged.
    pub charging: Option<bool>,
    /// Whether the user asked to save power.
    pub saving: Option<bool>,
}

/// The way to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Network {
    /// Whether there is one.
    pub online: Option<bool>,
    /// Whether its bytes cost the user something, or are few.
    pub metered: Option<bool>,
}

/// Everything that the device says, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Conditions {
    /// Heat.
    pub thermal: Thermal,
    /// Battery.
    pub battery: Battery,
    /// Bytes that this process can still take.
    pub free_memory: Option<u64>,
}

/// Where the device's state is asked. Each method is called on the thread that wants to know, which waits for it; what
/// is not known is said so, and nothing is refused for it.
pub trait Signals: fmt::Debug + Send + Sync {
    /// The thermal state.
    fn thermal(&self) -> Thermal {
        Thermal::default()
    }

    /// The battery.
    fn battery(&self) -> Battery {
        Battery::default()
    }

    /// Bytes that this process can still take without pushing other work out.
    fn free_memory(&self) -> Option<u64> {
        system_free_memory()
    }

    /// The network.
    fn network(&self) -> Network {
        Network::default()
    }

    /// All of it but the network, which no engine needs.
    fn conditions(&self) -> Conditions {
        Conditions { thermal: self.thermal(), battery: self.battery(), free_memory: self.free_memory() }
    }
}

/// What can be known without the platform's own language: free memory on Linux and Android.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemSignals;

impl Signals for SystemSignals {}

/// Bytes by `/proc/meminfo` (Linux and Android); `None` elsewhere, where the app has to say it.
fn system_free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_what_it_can() {
        let conditions = SystemSignals.conditions();
        assert_eq!((conditions.thermal, conditions.battery), (Thermal::default(), Battery::default()));
        assert_eq!(conditions.free_memory.is_some(), cfg!(any(target_os = "linux", target_os = "android")));
    }

    #[test]
    fn heat_has_an_order() {
        assert!(Heat::Unknown < Heat::Nominal && Heat::Fair < Heat::Serious && Heat::Serious < Heat::Critical);
    }
}
