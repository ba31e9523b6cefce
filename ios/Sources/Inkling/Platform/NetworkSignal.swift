// Which network there is: what the app says, or the system, where it tells. On Linux nobody knows, and nothing waits.

import Foundation
internal import InklingFFI

#if canImport(Network)
import Network
#endif

/// The network, as the engine asks for it.
final class NetworkSignal: FfiNetworkSignal {
    private let ask: @Sendable () -> NetworkState

    /// `changed` is called on any thread when the system says that the network is another one.
    init(_ app: (@Sendable () -> NetworkState)?, changed: @escaping @Sendable () -> Void) {
        if let app {
            ask = app
            return
        }
        #if canImport(Network)
        let system = SystemNetwork(changed)
        ask = { system.state }
        #else
        ask = { NetworkState() }
        #endif
    }

    func network() -> FfiNetwork {
        let state = ask()
        return FfiNetwork(online: state.online, metered: state.metered)
    }
}

#if canImport(Network)
/// The way to the network, as the system sees it. The monitor has a queue of its own and tells only that.
private final class SystemNetwork: @unchecked Sendable {
    private let monitor = NWPathMonitor()
    /// Nothing is known before the monitor has told: downloads do not wait for that.
    private let known = Locked(NetworkState())

    var state: NetworkState { known.with { $0 } }

    init(_ changed: @escaping @Sendable () -> Void) {
        monitor.pathUpdateHandler = { [known] path in
            // A way that costs money (cellular, a phone's hotspot), or on which the user saves (Low Data Mode). One that
            // comes up when it is asked for is there.
            let metered = path.isExpensive || path.isConstrained
            known.with { $0 = NetworkState(online: path.status != .unsatisfied, metered: metered) }
            changed()
        }
        monitor.start(queue: DispatchQueue(label: "dev.inkling.network"))
    }

    deinit {
        monitor.cancel()
    }
}
#endif
