// The keys of encrypted models.

import Foundation
internal import InklingFFI

#if canImport(Security)
import Security
#endif

/// Has the keys of encrypted models.
public protocol KeyProvider: Sendable {
    /// The 32 bytes of the key with this name. Called once for each load of an encrypted model, on the thread that loads.
    /// What it throws becomes the load's error, in words.
    func key(_ name: String) throws -> Data
}

/// A provider as the engine calls it.
final class Keys: FfiKeyProvider {
    private let provider: any KeyProvider

    init(_ provider: any KeyProvider) {
        self.provider = provider
    }

    func key(id: String) throws -> Data {
        do {
            return try provider.key(id)
        } catch {
            throw FfiTransportError.Failed(why: error.localizedDescription, retryable: false)
        }
    }
}

#if canImport(Security)
/// Keys in the Keychain of this device: those that the app was given and keeps with ``store(_:name:)``,
/// or random ones, made when they are first asked for.
///
/// They can be read once the device was unlocked after it started, so that models can be loaded in the background, and
/// never leave the device: not in a backup, not by iCloud.
public struct KeychainKeys: KeyProvider {
    /// The service under which they are kept.
    public var service: String
    /// Whether a key that is not there is made. With `false` it is an error: for models that were encrypted elsewhere.
    public var creates: Bool

    /// Keys of this service.
    public init(service: String = "dev.inkling.model-keys", creates: Bool = true) {
        self.service = service
        self.creates = creates
    }

    /// The key with this name.
    public func key(_ name: String) throws -> Data {
        if let key = try read(name) { return key }
        guard creates else { throw InklingError.invalid("key", "there is no key \(name.debugDescription) in the Keychain") }
        var key = Data(count: 32)
        let made = key.withUnsafeMutableBytes { SecRandomCopyBytes(kSecRandomDefault, 32, $0.baseAddress!) }
        guard made == errSecSuccess else { throw failed("making a key", made) }
        var item = place(name)
        item[kSecValueData] = key
        // Not while the device has not been unlocked since it started; and on this device only.
        item[kSecAttrAccessible] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
        let added = SecItemAdd(item as CFDictionary, nil)
        // Somebody else was faster: theirs is the key.
        if added == errSecDuplicateItem, let key = try read(name) { return key }
        guard added == errSecSuccess else { throw failed("keeping a key", added) }
        return key
    }

    /// Keeps a key that the app got elsewhere, in place of another of this name.
    public func store(_ key: Data, name: String) throws {
        guard key.count == 32 else { throw InklingError.invalid("key", "it has \(key.count) bytes, a key has 32") }
        try remove(name)
        var item = place(name)
        item[kSecValueData] = key
        item[kSecAttrAccessible] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
        let added = SecItemAdd(item as CFDictionary, nil)
        guard added == errSecSuccess else { throw failed("keeping a key", added) }
    }

    /// Forgets a key: nobody can read what was encrypted with it.
    public func remove(_ name: String) throws {
        let removed = SecItemDelete(place(name) as CFDictionary)
        guard removed == errSecSuccess || removed == errSecItemNotFound else { throw failed("forgetting a key", removed) }
    }

    private func place(_ name: String) -> [CFString: Any] {
        [
            kSecClass: kSecClassGenericPassword, kSecAttrService: service, kSecAttrAccount: name,
            // Without it a Mac takes its old keychain, which knows no accessibility.
            kSecUseDataProtectionKeychain: true,
        ]
    }

    private func read(_ name: String) throws -> Data? {
        var item = place(name)
        item[kSecReturnData] = true
        item[kSecMatchLimit] = kSecMatchLimitOne
        var found: CFTypeRef?
        let status = SecItemCopyMatching(item as CFDictionary, &found)
        if status == errSecItemNotFound { return nil }
        guard status == errSecSuccess, let key = found as? Data else { throw failed("reading a key", status) }
        return key
    }

    private func failed(_ what: String, _ status: OSStatus) -> InklingError {
        let why = SecCopyErrorMessageString(status, nil) as String? ?? "status \(status)"
        return InklingError.invalid("key", "\(what) in the Keychain failed: \(why)")
    }
}
#endif
