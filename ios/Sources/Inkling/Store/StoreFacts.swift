// What a store says: what is installed, what fits, what is used, what was given up.

import Foundation
internal import InklingFFI

/// An installed model.
public struct InstalledModel: Sendable, Hashable, Identifiable {
    /// Its id.
    public let id: String
    /// Where it comes from.
    public let source: StoreSource
    /// The release that the next load takes.
    public let release: Int
    /// Whether that has yet to prove itself.
    public let isOnTrial: Bool
    /// The release that a rollback would bring back.
    public let previous: Int?
    /// Bytes of its files.
    public let bytes: Int
    /// Whether it is kept whatever happens.
    public let isPinned: Bool
    /// When it was last loaded, if ever.
    public let lastUsed: Date?
    /// Whether all files that it needs are there, as far as is known without reading them.
    public let isComplete: Bool
}

/// Whether a model will run here.
public enum ModelFit: Sendable, Hashable {
    /// It will, with so many bytes of memory, of which so many can be had (if somebody knows), after so many were
    /// downloaded.
    case yes(needBytes: Int, haveBytes: Int?, downloadBytes: Int)
    /// There is not enough memory. The suggestion says what would fit.
    case noMemory(needBytes: Int, haveBytes: Int, suggestion: String)
    /// There is not enough space on the disk, also if other models went. The suggestion says what would help.
    case noStorage(needBytes: Int, haveBytes: Int, suggestion: String)

    /// Whether it will.
    public var isYes: Bool {
        if case .yes = self { true } else { false }
    }
}

/// What became of a verification.
public struct StoreVerification: Sendable, Hashable {
    /// A file that is not as it was published.
    public struct Damage: Sendable, Hashable {
        /// Its name.
        public let file: String
        /// Its damaged chunks, counted from 0; none if the file is missing.
        public let chunks: [Int]
    }

    /// Bytes read.
    public let bytes: Int
    /// What is damaged. ``InklingStore/ensure(_:options:)`` fetches that again, and nothing else.
    public let damaged: [Damage]

    /// Whether all is well.
    public var isSound: Bool { damaged.isEmpty }
}

/// What takes how much, in bytes.
public struct StoreUsage: Sendable, Hashable {
    /// Files of installed models.
    public let models: Int
    /// What the engine prepared from them.
    public let prepared: Int
    /// Downloads that are not complete.
    public let downloads: Int
    /// What no model needs, and what is damaged: ``InklingStore/gc(olderThan:)`` frees it.
    public let unused: Int
    /// All of it.
    public let total: Int
}

/// Where a model from a store comes from.
public struct ModelOrigin: Sendable, Hashable {
    /// What was given up while the model was loaded.
    public struct GivenUp: Sendable, Hashable {
        /// The model.
        public let id: String
        /// The release that is not used any more; `nil` if the model could not be loaded this time, which says nothing about
        /// the next.
        public let release: Int?
        /// Why, in words.
        public let why: String
    }

    /// Its id: another one than was asked for if an alternative had to do.
    public let id: String
    /// Its release.
    public let release: Int
    /// Whether that has yet to prove itself.
    public let isOnTrial: Bool
    /// What was given up on the way. An app should know, and perhaps its user.
    public let givenUp: [GivenUp]
}

extension InstalledModel {
    init(_ model: FfiInstalled) {
        self.init(
            id: model.id,
            source: StoreSource(model.source),
            release: Int(clamping: model.release),
            isOnTrial: model.onTrial,
            previous: model.previous.map { Int(clamping: $0) },
            bytes: Int(clamping: model.bytes),
            isPinned: model.pinned,
            lastUsed: model.lastUsed == 0 ? nil : Date(timeIntervalSince1970: Double(model.lastUsed)),
            isComplete: model.complete
        )
    }
}

extension ModelFit {
    init(_ fit: FfiFit) {
        self =
            switch fit {
            case .yes(let need, let have, let download):
                .yes(
                    needBytes: Int(clamping: need), haveBytes: have.map { Int(clamping: $0) },
                    downloadBytes: Int(clamping: download))
            case .noMemory(let need, let have, let suggestion):
                .noMemory(needBytes: Int(clamping: need), haveBytes: Int(clamping: have), suggestion: suggestion)
            case .noStorage(let need, let have, let suggestion):
                .noStorage(needBytes: Int(clamping: need), haveBytes: Int(clamping: have), suggestion: suggestion)
            }
    }
}

extension StoreVerification {
    init(_ verified: FfiVerified) {
        self.init(
            bytes: Int(clamping: verified.bytes),
            damaged: verified.damaged.map { Damage(file: $0.file, chunks: $0.chunks.map { Int(clamping: $0) }) }
        )
    }
}

extension StoreUsage {
    init(_ usage: FfiStoreUsage) {
        self.init(
            models: Int(clamping: usage.models),
            prepared: Int(clamping: usage.prepared),
            downloads: Int(clamping: usage.downloads),
            unused: Int(clamping: usage.unused),
            total: Int(clamping: usage.total)
        )
    }
}

extension ModelOrigin {
    init(_ origin: FfiOrigin) {
        self.init(
            id: origin.id,
            release: Int(clamping: origin.release),
            isOnTrial: origin.onTrial,
            givenUp: origin.givenUp.map { GivenUp(id: $0.id, release: $0.release.map { Int(clamping: $0) }, why: $0.why) }
        )
    }
}
