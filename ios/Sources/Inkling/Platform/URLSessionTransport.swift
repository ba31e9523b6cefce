// HTTP through the system's own stack, which knows the user's proxies, certificates and network settings.

import Foundation
internal import InklingFFI

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// Sends the engine's requests. It follows no redirects, keeps no cookies, caches nothing and decodes nothing: the engine
/// wants the bytes that were published, and says so with what it asks for.
///
/// One session serves all requests, so that connections are used again.
final class URLSessionTransport: FfiTransport {
    private let hub = Hub()
    private let session: URLSession

    init() {
        let configuration = URLSessionConfiguration.ephemeral
        configuration.urlCache = nil
        configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
        configuration.httpCookieStorage = nil
        configuration.httpShouldSetCookies = false
        // Without a byte for this long, it has failed.
        configuration.timeoutIntervalForRequest = 30
        session = URLSession(configuration: configuration, delegate: hub, delegateQueue: nil)
    }

    deinit {
        // The session would keep itself and its delegate alive.
        session.finishTasksAndInvalidate()
    }

    func get(request: FfiRequest) throws -> FfiResponse {
        guard let url = URL(string: request.url), ["http", "https"].contains(url.scheme?.lowercased()) else {
            throw FfiTransportError.Failed(why: "\(request.url) is no address of the web", retryable: false)
        }
        var asked = URLRequest(url: url)
        for header in request.headers { asked.addValue(header.value, forHTTPHeaderField: header.name) }
        // Otherwise the system would ask for gzip by itself.
        asked.setValue("identity", forHTTPHeaderField: "Accept-Encoding")
        let task = session.dataTask(with: asked)
        let transfer = Transfer(task)
        hub.add(transfer)
        task.resume()
        return try transfer.answer()
    }
}

/// Hears of all tasks of the session and tells the transfer that each belongs to.
private final class Hub: NSObject, URLSessionDataDelegate {
    private let transfers = Locked<[Int: Transfer]>([:])

    func add(_ transfer: Transfer) {
        transfers.with { $0[transfer.task.taskIdentifier] = transfer }
    }

    private func transfer(_ task: URLSessionTask) -> Transfer? {
        transfers.with { $0[task.taskIdentifier] }
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping (URLRequest?) -> Void
    ) {
        // On Linux this answer is not told again.
        transfer(task)?.begin(response)
        completionHandler(nil)
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
    ) {
        transfer(dataTask)?.begin(response)
        completionHandler(.allow)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        transfer(dataTask)?.receive(data)
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        transfers.with { $0.removeValue(forKey: task.taskIdentifier) }?.end(error)
    }
}

/// One request and the body that comes for it, where its reader waits for what the session brings.
///
/// A session cannot be held up: a data task that is suspended starts over when it is resumed (Apple's documentation says
/// so, and on Linux its bytes came twice). So what waits here unread is bounded in another way: the engine asks for pieces
/// of at most 64 MiB, and a server that sends much more than that to a reader who does not read is cut off.
final class Transfer: FfiBody, @unchecked Sendable {
    static let mostUnread = 72 << 20

    let task: URLSessionDataTask
    /// Guards everything below.
    private let condition = NSCondition()
    private var response: HTTPURLResponse?
    private var chunks: [Data] = []
    private var unread = 0
    private var outcome: Result<Void, FfiTransportError>?

    init(_ task: URLSessionDataTask) {
        self.task = task
    }

    // MARK: what the session tells

    func begin(_ response: URLResponse) {
        condition.withLock {
            self.response = response as? HTTPURLResponse
            condition.broadcast()
        }
    }

    func receive(_ data: Data) {
        condition.withLock {
            guard outcome == nil, !data.isEmpty else { return }
            chunks.append(data)
            unread += data.count
            if unread > Self.mostUnread {
                let why = "more than \(Self.mostUnread) bytes came before anybody read them"
                outcome = .failure(.Failed(why: why, retryable: false))
                chunks = []
                cancel()
            }
            condition.broadcast()
        }
    }

    func end(_ error: (any Error)?) {
        condition.withLock {
            // What broke off after it began may be gone on with.
            if outcome == nil { outcome = error.map { .failure(Self.failed($0, begun: response != nil)) } ?? .success(()) }
            condition.broadcast()
        }
    }

    // MARK: what the engine asks

    /// Waits for the status and the headers.
    func answer() throws -> FfiResponse {
        let answer = try condition.withLock {
            while response == nil && outcome == nil { condition.wait() }
            guard let response else {
                try outcome?.get()
                throw FfiTransportError.Failed(why: "the server's answer is not HTTP", retryable: false)
            }
            return response
        }
        let headers = answer.allHeaderFields.map { FfiHeader(name: "\($0)", value: "\($1)") }
        let coding = headers.first { $0.name.lowercased() == "content-encoding" }?.value ?? "identity"
        if coding.lowercased() != "identity" {
            end()
            // It has been decoded already, and the bytes that were sent are lost.
            throw FfiTransportError.Failed(why: "the server insists on \(coding)", retryable: false)
        }
        return FfiResponse(status: UInt32(clamping: answer.statusCode), headers: headers, body: self)
    }

    func read(limit: UInt32) throws -> Data {
        try condition.withLock {
            while chunks.isEmpty && outcome == nil { condition.wait() }
            guard var first = chunks.first else {
                try outcome?.get()
                return Data()
            }
            if first.count > Int(limit) {
                let rest = first.dropFirst(Int(limit))
                first = first.prefix(Int(limit))
                chunks[0] = rest
            } else {
                chunks.removeFirst()
            }
            unread -= first.count
            return first
        }
    }

    func end() {
        condition.withLock {
            outcome = .failure(.Failed(why: "the transfer was ended", retryable: false))
            chunks = []
            condition.broadcast()
        }
        cancel()
    }

    private func cancel() {
        // Linux's URLSession, on which only tests run, ends the process now and then when a task is cancelled that is
        // receiving (swift-corelibs-foundation 6.0.3). There what still comes is passed over.
        #if !canImport(FoundationNetworking)
        task.cancel()
        #endif
    }

    private static func failed(_ error: any Error, begun: Bool) -> FfiTransportError {
        let temporary: Set<URLError.Code> = [
            .timedOut, .cannotFindHost, .cannotConnectToHost, .networkConnectionLost, .dnsLookupFailed,
            .notConnectedToInternet, .internationalRoamingOff, .callIsActive, .dataNotAllowed, .badServerResponse,
        ]
        let code = (error as? URLError)?.code
        return .Failed(why: error.localizedDescription, retryable: begun || code.map(temporary.contains) ?? false)
    }
}
