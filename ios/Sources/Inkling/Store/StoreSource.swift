// Where a store gets a model from. The engine reads the text; here it is only put together, so that no part of it can
// be taken for another.

import Foundation

/// Where a store gets a model from: a value with a text that can be typed and kept.
///
/// What is wrong with one is said by the call that uses it.
public struct StoreSource: Sendable, Hashable, CustomStringConvertible, ExpressibleByStringLiteral {
    /// All of it, as ``init(_:)`` reads it. The query of an address may be a signature: do not show it.
    public let text: String
    /// Why it cannot be used, where its text would say something else than was meant.
    let problem: String?

    private init(text: String, problem: String?) {
        self.text = text
        self.problem = problem
    }

    /// A source from its text:
    ///
    /// | text | source |
    /// |---|---|
    /// | `owner/repo/path/model.gguf@revision` | ``hub(_:_:revision:)``; `@main` may be left out |
    /// | `https://host/model.gguf#sha256=…&size=…` | ``url(_:sha256:size:)`` |
    /// | `catalog:https://host/manifest.json#model` | ``catalog(_:model:)`` |
    /// | `file:/path`, or the path of something that exists | a file on this device |
    public init(_ text: String) {
        self.init(text: text, problem: nil)
    }

    /// A source from its text, as ``init(_:)``.
    public init(stringLiteral text: String) {
        self.init(text)
    }

    /// A file in a repository ("owner/name") of a hub in the layout of Hugging Face, at a branch, tag or commit. Which
    /// hub, ``StoreOptions/hub`` says.
    public static func hub(_ repo: String, _ file: String, revision: String = "main") -> StoreSource {
        let problem: String? =
            if repo.isEmpty || repo.contains(":") {
                "\(repo.debugDescription) is no repository: write owner/name"
            } else if file.contains("://") || revision.contains("://") {
                "\(file.debugDescription) is no file of a repository"
            } else if revision.isEmpty || revision.contains("@") {
                "\(revision.debugDescription) is no revision: write a branch, a tag or a commit"
            } else {
                nil
            }
        return StoreSource(text: "\(repo)/\(file)@\(revision)", problem: problem)
    }

    /// A file on any server, which must have this digest (SHA-256, in hexadecimal) and this many bytes.
    public static func url(_ url: String, sha256: String, size: Int) -> StoreSource {
        let scheme = url.lowercased()
        let problem: String? =
            if !scheme.hasPrefix("https://") && !scheme.hasPrefix("http://") {
                "\(url.prefix { $0 != "?" }.debugDescription) is no address of the web"
            } else if url.contains("#") {
                "the address must end before '#'"
            } else {
                nil
            }
        return StoreSource(text: "\(url)#sha256=\(sha256)&size=\(size)", problem: problem)
    }

    /// A model of a signed catalogue that the store trusts (``StoreOptions/catalogs``).
    public static func catalog(_ url: String, model: String) -> StoreSource {
        StoreSource(
            text: "catalog:\(url)#\(model)", problem: url.contains("#") ? "the address must end before '#'" : nil)
    }

    /// A file on this device, which is copied into the store.
    public static func file(_ url: URL) -> StoreSource {
        file(url.path(percentEncoded: false))
    }

    /// The path of a file on this device, which is copied into the store.
    public static func file(_ path: String) -> StoreSource {
        StoreSource(text: "file:\(path)", problem: nil)
    }

    /// The text without the query of an address, which may be a signature: to be shown. What is left out leaves a mark, so
    /// that nobody takes it for the whole.
    public var description: String { Self.shown(text) }

    static func shown(_ text: String) -> String {
        let address = text.prefix { $0 != "#" }
        let before = address.prefix { $0 != "?" }
        guard before.count < address.count, before.contains("://"), !text.hasPrefix("file:") else { return text }
        return "\(before)?…\(text[address.endIndex...])"
    }

    /// The text for the engine.
    func checked() throws -> String {
        if let problem { throw InklingError.invalid("source", problem) }
        return text
    }
}
