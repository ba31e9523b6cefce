// An HTTP server of a few lines, that says what a test tells it to, to the byte.

import Foundation

@testable import Inkling

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Serves 127.0.0.1 on a port of its own; every connection has a thread and answers requests one after the other.
final class LocalServer: Sendable {
    struct Request: Sendable {
        let path: String
        /// By names in lower case.
        let headers: [String: String]
    }

    struct Answer: Sendable {
        var head: String
        var body = Data()
        /// Closes the connection behind the body.
        var closes = false
    }

    let port: UInt16
    /// All requests so far.
    let requests = Locked<[Request]>([])
    private let listener: Int32

    init(answer: @escaping @Sendable (Request) -> Answer) throws {
        #if os(Linux)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
        let listener = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        self.listener = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let opened = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &size) == 0
            }
        }
        guard opened else { throw Unexpected("no socket to serve on: \(errno)") }
        port = UInt16(bigEndian: address.sin_port)
        signal(SIGPIPE, SIG_IGN)
        let requests = requests
        Thread {
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else {
                    close(listener)
                    return
                }
                Thread {
                    Self.serve(connection, requests, answer)
                    close(connection)
                }.start()
            }
        }.start()
    }

    deinit {
        // Ends the thread that accepts, which closes it: its number may be another server's as soon as it is closed.
        shutdown(listener, Int32(SHUT_RDWR))
    }

    func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }

    private static func serve(
        _ connection: Int32, _ requests: Locked<[Request]>, _ answer: (Request) -> Answer
    ) {
        var text = ""
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            while !text.contains("\r\n\r\n") {
                let count = recv(connection, &buffer, buffer.count, 0)
                guard count > 0 else { return }
                text += String(decoding: buffer[..<count], as: UTF8.self)
            }
            // GETs have no body: the rest would be the next request.
            let lines = text.components(separatedBy: "\r\n")
            text = ""
            var headers: [String: String] = [:]
            for line in lines.dropFirst() {
                guard let colon = line.firstIndex(of: ":") else { continue }
                headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            }
            let request = Request(path: lines[0].components(separatedBy: " ")[1], headers: headers)
            requests.with { $0.append(request) }
            let reply = answer(request)
            guard write(connection, Data("HTTP/1.1 \(reply.head)\r\n\r\n".utf8)) else { return }
            guard write(connection, reply.body), !reply.closes else { return }
        }
    }

    private static func write(_ connection: Int32, _ data: Data) -> Bool {
        var rest = data[...]
        while !rest.isEmpty {
            let count = rest.prefix(64 << 10).withUnsafeBytes { send(connection, $0.baseAddress, $0.count, 0) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
