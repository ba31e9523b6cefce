// Where models live on Apple's systems, and what the system is told about that place.

import Foundation

enum ModelFolder {
    /// The folder of a store: there, and marked for what it is. What is wrong with it, the engine says in its own words
    /// when it opens it.
    static func prepared(_ chosen: URL?) throws -> URL {
        let folder = try chosen ?? usual()
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        #if canImport(Darwin)
        mark(folder)
        #endif
        return folder
    }

    private static func usual() throws -> URL {
        // Not Caches, which the system empties when space is short, and not Documents, which belongs to the user.
        try FileManager.default.url(
            for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true
        ).appending(path: "Inkling", directoryHint: .isDirectory)
    }

    #if canImport(Darwin)
    private static func mark(_ folder: URL) {
        // What can be downloaded again does not belong into anybody's backup, says Apple's guideline, and gigabytes of it
        // fill iCloud. The mark holds for all that is in the folder.
        var (marked, values) = (folder, URLResourceValues())
        values.isExcludedFromBackup = true
        try? marked.setResourceValues(values)
        #if !os(macOS)
        // A download goes on, and ends, while the device is locked, when files of the strictest classes cannot be opened;
        // nor could a mapped model be read on. New files take the class of their folder.
        let kind = FileProtectionType.completeUntilFirstUserAuthentication
        try? FileManager.default.setAttributes([.protectionKey: kind], ofItemAtPath: folder.path(percentEncoded: false))
        #endif
    }
    #endif
}
