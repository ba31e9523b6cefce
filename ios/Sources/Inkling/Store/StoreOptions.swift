// What a store is made of, and how a model is to be had.

import Foundation
internal import InklingFFI

/// A catalogue that an app trusts: a signed list of models and their releases.
public struct TrustedCatalog: Sendable, Hashable {
    /// Its address.
    public var url: String
    /// The root document that came with the app: it says whose signatures count.
    public var root: Data

    /// A catalogue and its root.
    public init(url: String, root: Data) {
        self.url = url
        self.root = root
    }
}

/// What is known of the network. What is `nil`, nobody knows; then nothing waits for it.
public struct NetworkState: Sendable, Hashable {
    /// Whether there is one.
    public var online: Bool?
    /// Whether its bytes cost the user something, or are few.
    public var metered: Bool?

    /// A state.
    public init(online: Bool? = nil, metered: Bool? = nil) {
        self.online = online
        self.metered = metered
    }
}

/// What a store is made of. What is left out is as the engine thinks best.
public struct StoreOptions: Sendable {
    /// Its folder, which is made if need be. `nil` is `Inkling` in Application Support.
    ///
    /// On Apple's systems it is excluded from backups, since models can be had again, and its files can be read once the
    /// device was unlocked after it started: a download that ends in the night must be able to write.
    public var folder: URL?
    /// Where repositories live; `nil` is the usual hub.
    public var hub: String?
    /// Said to the hub, and to nobody else.
    public var token: String?
    /// Domains, with all below them, to which addresses may redirect.
    public var redirectDomains: [String]
    /// Bytes that all models together may take; those that were not used for the longest time go first.
    public var budget: Int?
    /// Bytes that stay free on the disk for others; `nil` is 256 MiB.
    public var keepFree: Int?
    /// Catalogues whose signatures are checked.
    public var catalogs: [TrustedCatalog]
    /// Take models from these catalogues only.
    public var onlySigned: Bool
    /// Has the keys of encrypted models: `KeychainKeys` where there is a Keychain, or the app's own.
    public var keys: (any KeyProvider)?
    /// Says what network there is; called on threads of the engine, which wait for it. Without it the system is asked,
    /// where it tells. Call ``InklingStore/networkChanged()`` when the answer changes.
    public var network: (@Sendable () -> NetworkState)?
    /// Says how many bytes of memory the app can still take; called on another thread. Without it the system is asked,
    /// where it tells.
    public var availableMemory: (@Sendable () -> Int?)?

    /// The options; every one may be left out.
    public init(
        folder: URL? = nil,
        hub: String? = nil,
        token: String? = nil,
        redirectDomains: [String] = [],
        budget: Int? = nil,
        keepFree: Int? = nil,
        catalogs: [TrustedCatalog] = [],
        onlySigned: Bool = false,
        keys: (any KeyProvider)? = nil,
        network: (@Sendable () -> NetworkState)? = nil,
        availableMemory: (@Sendable () -> Int?)? = nil
    ) {
        self.folder = folder
        self.hub = hub
        self.token = token
        self.redirectDomains = redirectDomains
        self.budget = budget
        self.keepFree = keepFree
        self.catalogs = catalogs
        self.onlySigned = onlySigned
        self.keys = keys
        self.network = network
        self.availableMemory = availableMemory
    }
}

/// How a model is to be had. What is left out is as the engine thinks best.
public struct EnsureOptions: Sendable, Hashable, Codable {
    /// The id under which it is kept: lower-case letters, digits, `.`, `_`, `-`; `nil` makes one of the file's name.
    public var id: String?
    /// Wait for a network whose bytes cost nothing; `false` expressly allows any, also to a download that is on its way
    /// and was told to wait. `nil` leaves it to those who want the same model; any network if they say nothing either.
    public var unmeteredOnly: Bool?
    /// Those with greater numbers come first.
    public var priority: Int
    /// Take a release that failed here before.
    public var insist: Bool
    /// Ask whether there is a later release, also if one is installed.
    public var update: Bool

    /// The options; every one may be left out.
    public init(
        id: String? = nil,
        unmeteredOnly: Bool? = nil,
        priority: Int = 0,
        insist: Bool = false,
        update: Bool = false
    ) {
        self.id = id
        self.unmeteredOnly = unmeteredOnly
        self.priority = priority
        self.insist = insist
        self.update = update
    }
}

extension StoreOptions {
    /// For the engine, in this folder.
    func ffi(folder: URL) throws -> FfiStoreOptions {
        try FfiStoreOptions(
            folder: folder.path(percentEncoded: false),
            hub: hub,
            token: token,
            redirectDomains: redirectDomains,
            budget: bytes("budget", budget),
            keepFree: bytes("keep_free", keepFree),
            catalogs: catalogs.map { FfiCatalog(url: $0.url, root: $0.root) },
            onlySigned: onlySigned
        )
    }
}

extension EnsureOptions {
    func ffi() throws -> FfiEnsureOptions {
        guard let priority = Int32(exactly: priority) else {
            throw InklingError.invalid("priority", "\(priority) is not possible: give a number of 32 bits")
        }
        return FfiEnsureOptions(
            id: id, unmeteredOnly: unmeteredOnly, priority: priority, insist: insist, update: update)
    }
}

/// The engine counts bytes without a sign.
func bytes(_ field: String, _ number: Int?) throws -> UInt64? {
    guard let number else { return nil }
    guard let fitting = UInt64(exactly: number) else {
        throw InklingError.invalid(field, "\(number) bytes are not possible: give a number from 0")
    }
    return fitting
}
