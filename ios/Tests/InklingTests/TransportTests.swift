// URLSession as the engine's transport, against a server on this machine.

import Foundation
import InklingFFI
import Testing

@testable import Inkling

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

@Suite struct TransportTests {
    static let file = Data((0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) })

    /// A server as it should be, for ``file``.
    static func ranged(_ request: LocalServer.Request) -> LocalServer.Answer {
        let bounds = request.headers["range"]!.dropFirst("bytes=".count).split(separator: "-").map { Int($0)! }
        let piece = file[bounds[0]...bounds[1]]
        let range = "Content-Range: bytes \(bounds[0])-\(bounds[1])/\(file.count)"
        return .init(head: "206 Partial Content\r\n\(range)\r\nContent-Length: \(piece.count)\r\nSet-Cookie: a=b", body: piece)
    }

    /// Fetches as the engine does, which blocks a thread.
    func fetch(
        _ url: String, from: UInt64 = 0, length: UInt64 = 1000, with transport: URLSessionTransport = URLSessionTransport()
    ) async throws -> Data {
        try await blocking {
            try fetchPiece(
                transport: transport, url: url, headers: [FfiHeader(name: "X-Test", value: "ä b")], from: from,
                length: length)
        }
    }

    func network(_ work: () async throws -> Void) async throws -> Bool {
        let error = try await failure(work)
        guard case .network(let retryable, _) = error else { throw Unexpected("\(error.kind): \(error)") }
        return retryable
    }

    @Test func piecesAreFetchedAndNothingIsAdded() async throws {
        let server = try LocalServer(answer: Self.ranged)
        let transport = URLSessionTransport()
        for (from, length) in [(0, 1), (0, 1000), (65_537, 100_000), (199_999, 1), (0, 200_000)] {
            let piece = try await fetch(server.url("/file"), from: UInt64(from), length: UInt64(length), with: transport)
            #expect(piece == Self.file[from..<from + length])
        }
        let seen = server.requests.with { $0 }
        #expect(seen.count == 5 && seen.allSatisfy { $0.path == "/file" && $0.headers["accept-encoding"] == "identity" })
        #expect(seen.allSatisfy { $0.headers["cookie"] == nil && $0.headers["x-test"] == "ä b" })
        #expect(seen[2].headers["range"] == "bytes=65537-165536")
    }

    @Test func redirectsAreToldAndNotFollowed() async throws {
        let server = try LocalServer { request in
            request.path == "/there"
                ? Self.ranged(request) : .init(head: "302 Found\r\nLocation: /there\r\nContent-Length: 0")
        }
        let response = try await blocking { [url = server.url("/here")] in
            try URLSessionTransport().get(request: FfiRequest(url: url, headers: []))
        }
        #expect(response.status == 302)
        #expect(response.headers.contains { $0.name.lowercased() == "location" && $0.value == "/there" })
        response.body.end()
        #expect(try await network { _ = try await fetch(server.url("/here")) } == false)
        #expect(server.requests.with { $0.map(\.path) } == ["/here", "/here"])
    }

    @Test func aServerThatRefuses() async throws {
        let server = try LocalServer { request in
            .init(head: "\(request.path.dropFirst()) Sorry\r\nContent-Length: 4", body: Data("Nope".utf8))
        }
        #expect(try await network { _ = try await fetch(server.url("/404")) } == false)
        #expect(try await network { _ = try await fetch(server.url("/503")) } == true)
        #expect(try await network { _ = try await fetch(server.url("/200")) } == false)
    }

    @Test func anAnswerThatBreaksOff() async throws {
        let server = try LocalServer { request in
            var answer = Self.ranged(request)
            answer.body = answer.body.prefix(500)
            answer.closes = true
            return answer
        }
        #expect(try await network { _ = try await fetch(server.url("/file")) } == true)
        let silent = try LocalServer { _ in .init(head: "", closes: true) }
        _ = try await network { _ = try await fetch(silent.url("/file")) }
    }

    @Test func nobodyThere() async throws {
        let port = try LocalServer(answer: Self.ranged).port
        #expect(try await network { _ = try await fetch("http://127.0.0.1:\(port)/file") } == true)
        for url in ["", "file:///etc/passwd", "no address", "http://", "ftp://127.0.0.1/"] {
            #expect(try await network { _ = try await fetch(url) } == false, "\(url)")
        }
    }

    @Test func encodedBodiesAreRefused() async throws {
        // "Hello" through gzip.
        let bytes: [UInt8] = [
            0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x82, 0x89, 0xd1, 0xf7, 5, 0, 0, 0,
        ]
        let server = try LocalServer { _ in
            let head = "206 Partial Content\r\nContent-Range: bytes 0-4/5\r\nContent-Encoding: gzip"
            return .init(head: "\(head)\r\nContent-Length: \(bytes.count)", body: Data(bytes))
        }
        #expect(try await network { _ = try await fetch(server.url("/file"), length: 5) } == false)
    }

    /// It gets every byte, in pieces of the size that it asks for.
    @Test func aSlowReaderLosesNothing() async throws {
        let whole = Data((0..<8 << 20).map { UInt8(truncatingIfNeeded: $0 >> 10) })
        let server = try LocalServer { _ in .init(head: "200 OK\r\nContent-Length: \(whole.count)", body: whole) }
        try await blocking {
            let response = try URLSessionTransport().get(request: FfiRequest(url: server.url("/file"), headers: []))
            Thread.sleep(forTimeInterval: 0.1)
            var read = Data()
            while true {
                let bytes = try response.body.read(limit: 10_000)
                if bytes.isEmpty { break }
                #expect(bytes.count <= 10_000)
                read.append(bytes)
            }
            #expect(read == whole)
            response.body.end()
        }
    }

    @Test func aServerThatFloodsIsCutOff() async throws {
        // What the session would tell, without a server: how fast one is read is up to the system.
        let task = URLSession.shared.dataTask(with: try #require(URL(string: "http://127.0.0.1/")))
        let transfer = Transfer(task)
        let part = Data(repeating: 7, count: 8 << 20)
        for _ in 0..<9 { transfer.receive(part) }
        #expect(try transfer.read(limit: .max) == part)
        for _ in 0..<2 { transfer.receive(part) }
        #expect(throws: FfiTransportError.self) { try transfer.read(limit: .max) }
    }

    @Test func aTransferMayEndInTheMiddle() async throws {
        let whole = Data(repeating: 7, count: 4 << 20)
        let server = try LocalServer { _ in .init(head: "200 OK\r\nContent-Length: \(whole.count)", body: whole) }
        try await blocking { [url = server.url("/file")] in
            let transport = URLSessionTransport()
            for _ in 0..<10 {
                let response = try transport.get(request: FfiRequest(url: url, headers: []))
                #expect(!(try response.body.read(limit: 10)).isEmpty)
                response.body.end()
                #expect(throws: FfiTransportError.self) { try response.body.read(limit: 10) }
            }
        }
    }
}
