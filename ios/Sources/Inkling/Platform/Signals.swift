// What the device says of itself: memory, heat, battery. On Linux, where the tests run, the engine asks by itself.

import Foundation
internal import InklingFFI

#if canImport(Darwin) && os(iOS)
import os
#endif
#if canImport(UIKit) && os(iOS)
import UIKit
#endif

extension FfiSignals {
    /// The signals of this device; the app may know better how much memory there is. The network matters to a store only.
    static func device(availableMemory: (@Sendable () -> Int?)?, network: NetworkSignal? = nil) -> FfiSignals {
        let memory = availableMemory.map(FreeMemory.init)
        #if canImport(Darwin)
        return FfiSignals(
            freeMemory: memory ?? .system, thermal: ThermalSignal(), battery: BatterySignal.shared, network: network)
        #else
        return FfiSignals(freeMemory: memory, network: network)
        #endif
    }
}

/// How much memory the app can still take.
final class FreeMemory: FfiFreeMemory {
    private let ask: @Sendable () -> Int?

    init(_ ask: @escaping @Sendable () -> Int?) {
        self.ask = ask
    }

    func availableBytes() -> UInt64? {
        ask().map { UInt64(clamping: $0) }
    }

    #if os(iOS)
    /// What is left of the app's limit, asked anew each time: it shrinks and grows.
    static var system: FreeMemory? { FreeMemory { limit(os_proc_available_memory()) } }

    /// 0 says that the process has no limit of its own, as in the simulator.
    private static func limit(_ bytes: Int) -> Int? { bytes == 0 ? nil : bytes }
    #else
    /// A Mac has no limit for an app: the engine asks the system.
    static var system: FreeMemory? { nil }
    #endif
}

#if canImport(Darwin)
/// The heat, which the engine asks for when it wants to know. Somebody who listens to
/// `ProcessInfo.thermalStateDidChangeNotification` must read the state once before: here every question reads it.
final class ThermalSignal: FfiThermalSignal {
    func thermal() -> FfiThermal {
        let heat: FfiHeat =
            switch ProcessInfo.processInfo.thermalState {
            case .nominal: .nominal
            case .fair: .fair
            case .serious: .serious
            case .critical: .critical
            @unknown default: .unknown
            }
        // Apple's systems forecast nothing.
        return FfiThermal(heat: heat, headroom: nil)
    }
}

/// The battery. Its level belongs to the main actor, and the engine's threads must not wait for that: what was known
/// last is kept here, and every question asks for news.
final class BatterySignal: FfiBatterySignal {
    static let shared = BatterySignal()
    private let known = Locked((level: Float?.none, charging: Bool?.none))

    private init() {
        refresh()
    }

    func battery() -> FfiBattery {
        refresh()
        let (level, charging) = known.with { $0 }
        return FfiBattery(level: level, charging: charging, saving: ProcessInfo.processInfo.isLowPowerModeEnabled)
    }

    private func refresh() {
        #if canImport(UIKit) && os(iOS)
        Task { @MainActor [known] in
            let device = UIDevice.current
            device.isBatteryMonitoringEnabled = true
            let level = device.batteryLevel < 0 ? nil : device.batteryLevel
            let charging: Bool? =
                switch device.batteryState {
                case .charging, .full: true
                case .unplugged: false
                case .unknown: nil
                @unknown default: nil
                }
            known.with { $0 = (level, charging) }
        }
        #endif
    }
}
#endif
