// Who fetches parts: the system's session, behind a protocol, so that what is decided about parts runs where there is no
// such session.

import Foundation

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// Fetches parts, also while nobody listens.
protocol PartSession: Sendable {
    /// Tells this listener what happens, and what happened before; it is not kept alive.
    func listen(_ listener: any PartListener)
    /// Begins to fetch, not before so many seconds have passed.
    func begin(_ request: URLRequest, _ part: BackgroundPart, after: Double) throws
    /// The parts that have not ended, whoever began them.
    func running() async -> [BackgroundPart]
    /// Ends those of a model.
    func cancel(id: String) async
    /// There will be no listener any more.
    func end()
}

/// Hears what became of parts, one call at a time.
protocol PartListener: AnyObject, Sendable {
    func received(_ part: BackgroundPart, bytes: Int)
    /// The file is gone when this returns.
    func finished(_ part: BackgroundPart, _ request: URLRequest, _ answer: PartAnswer, file: URL)
    func failed(_ part: BackgroundPart, _ request: URLRequest, _ error: any Error)
    /// Everything that happened while nobody listened has been told.
    func toldAll()
}

/// The system's session. On Apple's systems it is one that goes on in the background; on Linux, where there is none, an
/// ordinary one that ends with the process.
final class SystemPartSession: NSObject, PartSession, URLSessionDownloadDelegate, @unchecked Sendable {
    private weak var listener: (any PartListener)?
    /// Made when somebody listens: a session tells at once what happened before. Written once, before anything is told.
    private var session: URLSession?
    private let configuration: URLSessionConfiguration

    init(identifier: String, discretionary: Bool) {
        #if canImport(FoundationNetworking)
        configuration = .default
        #else
        configuration = .background(withIdentifier: identifier)
        configuration.isDiscretionary = discretionary
        configuration.sessionSendsLaunchEvents = true
        #endif
        configuration.urlCache = nil
        configuration.httpCookieStorage = nil
        configuration.httpShouldSetCookies = false
    }

    func listen(_ listener: any PartListener) {
        self.listener = listener
        session = URLSession(configuration: configuration, delegate: self, delegateQueue: nil)
    }

    func begin(_ request: URLRequest, _ part: BackgroundPart, after: Double) throws {
        guard let session else { return }
        var request = request
        #if !canImport(FoundationNetworking)
        request.allowsExpensiveNetworkAccess = part.options.unmeteredOnly != true
        request.allowsConstrainedNetworkAccess = part.options.unmeteredOnly != true
        #endif
        let task = session.downloadTask(with: request)
        task.taskDescription = try part.described()
        #if canImport(FoundationNetworking)
        DispatchQueue.global().asyncAfter(deadline: .now() + after) { task.resume() }
        #else
        if after > 0 { task.earliestBeginDate = Date(timeIntervalSinceNow: after) }
        task.countOfBytesClientExpectsToReceive = Int64(part.length)
        task.resume()
        #endif
    }

    func running() async -> [BackgroundPart] {
        await tasks().compactMap { BackgroundPart.read($0.taskDescription) }
    }

    func cancel(id: String) async {
        for task in await tasks() where BackgroundPart.read(task.taskDescription)?.id == id { task.cancel() }
    }

    func end() {
        // The system goes on with its tasks; the session would keep itself and its delegate alive.
        session?.finishTasksAndInvalidate()
    }

    private func tasks() async -> [URLSessionTask] {
        guard let session else { return [] }
        return await withCheckedContinuation { continuation in
            session.getAllTasks { tasks in
                continuation.resume(returning: tasks.filter { $0.state != .completed })
            }
        }
    }

    // MARK: what the session tells, on a queue of its own

    func urlSession(
        _ session: URLSession, downloadTask task: URLSessionDownloadTask, didWriteData bytes: Int64,
        totalBytesWritten total: Int64, totalBytesExpectedToWrite expected: Int64
    ) {
        guard let part = BackgroundPart.read(task.taskDescription) else { return }
        listener?.received(part, bytes: Int(clamping: total))
    }

    func urlSession(
        _ session: URLSession, downloadTask task: URLSessionDownloadTask, didFinishDownloadingTo file: URL
    ) {
        guard let part = BackgroundPart.read(task.taskDescription), let request = task.originalRequest else { return }
        let response = task.response as? HTTPURLResponse
        let answer = PartAnswer(
            status: response?.statusCode ?? 0,
            range: response?.value(forHTTPHeaderField: "Content-Range"),
            encoding: response?.value(forHTTPHeaderField: "Content-Encoding"),
            retryAfter: response?.value(forHTTPHeaderField: "Retry-After")
        )
        listener?.finished(part, request, answer, file: file)
        #if canImport(FoundationNetworking)
        // Apple's removes it by itself.
        try? FileManager.default.removeItem(at: file)
        #endif
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        guard let error, let part = BackgroundPart.read(task.taskDescription), let request = task.originalRequest
        else { return }
        listener?.failed(part, request, error)
    }

    #if !canImport(FoundationNetworking)
    func urlSessionDidFinishEvents(forBackgroundURLSession session: URLSession) {
        listener?.toldAll()
    }
    #endif
}
