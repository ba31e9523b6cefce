// The engine's log. It never holds what a user or a model wrote.

#if canImport(os)
import os
#endif
internal import InklingFFI

/// How much is logged; each level includes those before it.
public enum LogLevel: Int, Sendable, CaseIterable {
    /// Something failed.
    case error
    /// Something works, but worse than it could.
    case warn
    /// What was done.
    case info
    /// For whoever looks for a fault.
    case debug
    /// Everything.
    case trace
}

/// Takes lines of the engine's log, on any thread; return soon.
public protocol LogSink: Sendable {
    /// One line, and the part of the engine that wrote it.
    func log(_ level: LogLevel, target: String, line: String)
}

/// The engine's log.
public enum InklingLog {
    /// Sends the log to `sink` from now on; without one, nowhere. May be called again.
    public static func send(_ level: LogLevel, to sink: (any LogSink)?) throws {
        try calling { try initLogging(level: level.ffi, sink: sink.map(Lines.init)) }
    }
}

#if canImport(os)
/// The system's log, as Console shows it: the subsystem is `dev.inkling`, the category the part of the engine.
public struct SystemLogSink: LogSink {
    /// A sink for ``InklingLog/send(_:to:)``.
    public init() {}

    /// Writes the line. It is public, because the engine logs nothing that a person wrote.
    public func log(_ level: LogLevel, target: String, line: String) {
        let logger = Logger(subsystem: "dev.inkling", category: target)
        switch level {
        case .error: logger.error("\(line, privacy: .public)")
        case .warn: logger.warning("\(line, privacy: .public)")
        case .info: logger.info("\(line, privacy: .public)")
        case .debug, .trace: logger.debug("\(line, privacy: .public)")
        }
    }
}
#endif

private final class Lines: FfiLogSink {
    private let sink: any LogSink

    init(_ sink: any LogSink) {
        self.sink = sink
    }

    func log(level: FfiLogLevel, target: String, line: String) {
        sink.log(LogLevel(level), target: target, line: line)
    }
}

extension LogLevel {
    fileprivate var ffi: FfiLogLevel {
        switch self {
        case .error: .error
        case .warn: .warn
        case .info: .info
        case .debug: .debug
        case .trace: .trace
        }
    }

    fileprivate init(_ level: FfiLogLevel) {
        self =
            switch level {
            case .error: .error
            case .warn: .warn
            case .info: .info
            case .debug: .debug
            case .trace: .trace
            }
    }
}
