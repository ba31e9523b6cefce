package dev.inkling

import dev.inkling.ffi.FfiBody
import dev.inkling.ffi.FfiHeader
import dev.inkling.ffi.FfiRequest
import dev.inkling.ffi.FfiResponse
import dev.inkling.ffi.FfiTransport
import dev.inkling.ffi.FfiTransportException
import java.io.IOException
import java.io.InputStream
import java.net.HttpURLConnection
import java.net.MalformedURLException
import java.net.URL
import java.net.UnknownServiceException
import java.util.concurrent.atomic.AtomicBoolean
import javax.net.ssl.SSLHandshakeException
import javax.net.ssl.SSLPeerUnverifiedException

/**
 * HTTP by the platform: its certificates, its proxies, the app's network security rules.
 *
 * Redirects are answers like any other, and bytes come as the server keeps them: whoever asks checks both. Functions
 * block. Everything that goes wrong is a [FfiTransportException], which says whether trying again may help.
 */
internal class UrlTransport(private val timeoutMilliseconds: Int = 30_000) : FfiTransport {
    override fun get(request: FfiRequest): FfiResponse = telling {
        val connection = URL(request.url).openConnection() as? HttpURLConnection
            ?: throw MalformedURLException("no address of the web: ${request.url}")
        try {
            connection.instanceFollowRedirects = false
            connection.useCaches = false
            connection.connectTimeout = timeoutMilliseconds
            connection.readTimeout = timeoutMilliseconds
            for (header in request.headers) connection.addRequestProperty(header.name, header.value)
            // Unless it is asked for by name, Android asks for gzip and unpacks it in secret.
            connection.setRequestProperty("Accept-Encoding", "identity")
            val status = connection.responseCode
            if (status < 0) throw IOException("the server's answer is not HTTP")
            val headers = connection.headerFields.orEmpty().flatMap { (name, values) ->
                // The line with the status has no name.
                if (name == null) emptyList() else values.map { FfiHeader(name, it) }
            }
            val stream = if (status < 400) connection.inputStream else connection.errorStream
            FfiResponse(status.toUInt(), headers, UrlBody(connection, stream))
        } catch (error: Throwable) {
            connection.disconnect()
            throw error
        }
    }
}

/**
 * What is left of an answer. On Android, [end] on another thread also ends a [read] that waits; desktop Java waits for the
 * read, which has a time limit.
 */
private class UrlBody(private val connection: HttpURLConnection, private val stream: InputStream?) : FfiBody {
    private val closed = AtomicBoolean()

    override fun read(limit: UInt): ByteArray = telling {
        check(!closed.get()) { "the transfer was ended" }
        val buffer = ByteArray(minOf(limit, LARGEST_READ).toInt())
        val count = stream?.read(buffer) ?: -1
        if (count == buffer.size) buffer else buffer.copyOf(maxOf(count, 0))
    }

    override fun end() {
        if (!closed.compareAndSet(false, true)) return
        connection.disconnect()
        try {
            stream?.close()
        } catch (error: IOException) {
            // It is over in any case.
        }
    }

    private companion object {
        const val LARGEST_READ = 65_536u
    }
}

/** Tells what goes wrong as the engine wants it. */
private inline fun <T> telling(work: () -> T): T =
    try {
        work()
    } catch (error: IOException) {
        // Certificates, addresses and rules do not change by asking again; networks do.
        val final = error is MalformedURLException || error is UnknownServiceException ||
            error is SSLHandshakeException || error is SSLPeerUnverifiedException
        throw FfiTransportException.Failed("$error", !final)
    } catch (error: RuntimeException) {
        // No right to use the network, a header that cannot be sent, a transfer that was ended.
        throw FfiTransportException.Failed("$error", false)
    }
