//! Heat, battery and memory, as the platform's own language tells them.
//!
//! Small synchronous traits: each is asked on a thread of the engine that wants to know now. One that throws is an error
//! of what asked; one that does not know says so.

use std::fmt;
use std::sync::Arc;

use inkling::{Battery, Conditions, Heat, Network, Signals, SystemSignals, Thermal};

/// How hot the device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum FfiHeat {
    /// Nobody says.
    Unknown,
    /// As it should be.
    Nominal,
    /// Warm.
    Fair,
    /// Hot: the system slows down.
    Serious,
    /// Too hot: the system may end what is not needed.
    Critical,
}

/// The thermal state.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
pub struct FfiThermal {
    /// Now.
    pub heat: FfiHeat,
    /// Where it is going: 1.0 is where the system will throttle.
    pub headroom: Option<f32>,
}

/// The battery.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
pub struct FfiBattery {
    /// How full, 0 to 1.
    pub level: Option<f32>,
    /// Whether it is being charged.
    pub charging: Option<bool>,
    /// Whether the user asked to save power.
    pub saving: Option<bool>,
}

/// What the engine hears of the device.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
pub struct FfiConditions {
    /// Heat.
    pub thermal: FfiThermal,
    /// Battery.
    pub battery: FfiBattery,
    /// Bytes that the process can still take.
    pub available_bytes: Option<u64>,
}

/// Says how much memory the app can still take, where only its own language can find out.
#[uniffi::export(with_foreign)]
pub trait FfiFreeMemory: Send + Sync {
    /// Bytes; `None` if nobody knows. Asked before a model is loaded, on the thread that loads.
    fn available_bytes(&self) -> Option<u64>;
}

/// Says how hot the device is.
#[uniffi::export(with_foreign)]
pub trait FfiThermalSignal: Send + Sync {
    /// Now.
    fn thermal(&self) -> FfiThermal;
}

/// Says how the battery is.
#[uniffi::export(with_foreign)]
pub trait FfiBatterySignal: Send + Sync {
    /// Now.
    fn battery(&self) -> FfiBattery;
}

/// The way to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct FfiNetwork {
    /// Whether there is one.
    pub online: Option<bool>,
    /// Whether its bytes cost the user something, or are few.
    pub metered: Option<bool>,
}

/// Says what network there is.
#[uniffi::export(with_foreign)]
pub trait FfiNetworkSignal: Send + Sync {
    /// Now.
    fn network(&self) -> FfiNetwork;
}

/// The signals that an app brings; what is left out, the system is asked where it tells.
#[derive(Clone, Default, uniffi::Record)]
pub struct FfiSignals {
    /// Memory.
    #[uniffi(default = None)]
    pub free_memory: Option<Arc<dyn FfiFreeMemory>>,
    /// Heat.
    #[uniffi(default = None)]
    pub thermal: Option<Arc<dyn FfiThermalSignal>>,
    /// Battery.
    #[uniffi(default = None)]
    pub battery: Option<Arc<dyn FfiBatterySignal>>,
    /// The network.
    #[uniffi(default = None)]
    pub network: Option<Arc<dyn FfiNetworkSignal>>,
}

impl fmt::Debug for FfiSignals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = |signal: bool| if signal { "the app" } else { "the system" };
        f.debug_struct("FfiSignals")
            .field("free_memory", &has(self.free_memory.is_some()))
            .field("thermal", &has(self.thermal.is_some()))
            .field("battery", &has(self.battery.is_some()))
            .field("network", &has(self.network.is_some()))
            .finish()
    }
}

impl Signals for FfiSignals {
    fn thermal(&self) -> Thermal {
        self.thermal.as_ref().map_or_else(|| SystemSignals.thermal(), |app| app.thermal().into())
    }

    fn battery(&self) -> Battery {
        self.battery.as_ref().map_or_else(|| SystemSignals.battery(), |app| app.battery().into())
    }

    fn network(&self) -> Network {
        self.network.as_ref().map_or_else(|| SystemSignals.network(), |app| app.network().into())
    }

    fn free_memory(&self) -> Option<u64> {
        self.free_memory.as_ref().map_or_else(|| SystemSignals.free_memory(), |app| app.available_bytes())
    }
}

impl From<FfiThermal> for Thermal {
    fn from(thermal: FfiThermal) -> Self {
        let heat = match thermal.heat {
            FfiHeat::Unknown => Heat::Unknown,
            FfiHeat::Nominal => Heat::Nominal,
            FfiHeat::Fair => Heat::Fair,
            FfiHeat::Serious => Heat::Serious,
            FfiHeat::Critical => Heat::Critical,
        };
        // Android answers NaN when it is asked too often.
        Self { heat, headroom: thermal.headroom.filter(|headroom| headroom.is_finite()) }
    }
}

impl From<FfiBattery> for Battery {
    fn from(battery: FfiBattery) -> Self {
        let level = battery.level.filter(|level| (0.0..=1.0).contains(level));
        Self { level, charging: battery.charging, saving: battery.saving }
    }
}

impl From<FfiNetwork> for Network {
    fn from(network: FfiNetwork) -> Self {
        Self { online: network.online, metered: network.metered }
    }
}

impl From<Conditions> for FfiConditions {
    fn from(conditions: Conditions) -> Self {
        let Conditions { thermal, battery, free_memory } = conditions;
        let heat = match thermal.heat {
            Heat::Unknown => FfiHeat::Unknown,
            Heat::Nominal => FfiHeat::Nominal,
            Heat::Fair => FfiHeat::Fair,
            Heat::Serious => FfiHeat::Serious,
            Heat::Critical => FfiHeat::Critical,
        };
        Self {
            thermal: FfiThermal { heat, headroom: thermal.headroom },
            battery: FfiBattery { level: battery.level, charging: battery.charging, saving: battery.saving },
            available_bytes: free_memory,
        }
    }
}
