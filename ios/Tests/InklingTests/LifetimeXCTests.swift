// What must not happen beside other tests: resident memory and the process's one log. XCTest runs these one by one.

import Foundation
import XCTest

@testable import Inkling

final class LifetimeXCTests: XCTestCase {
    #if os(Linux)
    /// Resident bytes of this process.
    private func resident() throws -> Int {
        let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
        return Int(fields[1])! * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    func testTurnsLeaveNothingBehind() async throws {
        let model = try await Demo.model()
        func turns(_ count: Int) async throws {
            for turn in 0..<count {
                let session = try InklingSession(model: model)
                switch turn % 4 {
                case 0:
                    // Read to the end.
                    _ = try await session.respond(to: Demo.prompt, options: .greedy)
                case 1:
                    // Left.
                    for try await event in session.streamResponse(to: Demo.prompt, options: Demo.endless) {
                        if case .text = event { break }
                    }
                case 2:
                    // Cancelled.
                    let task = Task { try await session.respond(to: Demo.prompt, options: Demo.endless) }
                    task.cancel()
                    _ = try? await task.value
                default:
                    // Refused.
                    _ = try? await session.respond(to: "", options: .greedy)
                }
            }
        }
        try await turns(200)
        let before = try resident()
        try await turns(1_000)
        let grown = try resident() - before
        print("resident memory: \(before) bytes, and \(grown) more after 1 000 turns")
        XCTAssertLessThan(grown, 2 << 20)
        try await cacheIsEmpty(model)
    }
    #endif

    /// A session that a task held goes with the task, which may be a moment after its value.
    private func cacheIsEmpty(_ model: InklingModel) async throws {
        for _ in 0..<10_000 where try await model.memory().cacheBytes > 0 { try await Task.sleep(for: .milliseconds(1)) }
        let cache = try await model.memory().cacheBytes
        XCTAssertEqual(cache, 0)
    }

    func testSessionsAndModelsComeAndGo() async throws {
        let model = try await Demo.model()
        for _ in 0..<10_000 { _ = try InklingSession(model: model).streamResponse(to: "Hello").makeAsyncIterator() }
        for _ in 0..<1_000 {
            var answer = try InklingSession(model: model).streamResponse(to: "Hello").makeAsyncIterator()
            _ = try await answer.next()
        }
        try await cacheIsEmpty(model)
        for _ in 0..<20 { await (try Demo.model()).close() }
    }

    func testTheLogGoesWhereTheAppWantsIt() async throws {
        final class Lines: LogSink {
            let all = Locked<[String]>([])
            func log(_ level: LogLevel, target: String, line: String) {
                all.with { $0.append("\(level) \(target) \(line)") }
            }
        }
        let lines = Lines()
        try InklingLog.send(.trace, to: lines)
        let model = try await Demo.model()
        _ = try await InklingSession(model: model).respond(to: "a secret", options: .greedy.limited(3))
        await model.close()
        let seen = lines.all.with { $0 }
        XCTAssertTrue(seen.contains { $0.hasPrefix("debug inkling_session::engine the engine thread ends") }, "\(seen)")
        XCTAssertFalse(seen.contains { $0.contains("secret") })
        try InklingLog.send(.trace, to: nil)
        await (try Demo.model()).close()
        XCTAssertEqual(lines.all.with { $0 }, seen)
    }
}
