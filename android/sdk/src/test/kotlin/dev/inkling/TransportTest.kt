package dev.inkling

import com.sun.net.httpserver.HttpExchange
import com.sun.net.httpserver.HttpServer
import dev.inkling.ffi.FfiException
import dev.inkling.ffi.FfiHeader
import dev.inkling.ffi.FfiRequest
import dev.inkling.ffi.FfiTransportException
import dev.inkling.ffi.fetchPiece
import java.net.InetAddress
import java.net.InetSocketAddress
import java.net.ServerSocket
import java.util.concurrent.CountDownLatch
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicReference
import org.junit.After
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config

/** HttpURLConnection as the engine wants it, against servers on this machine. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34], manifest = Config.NONE)
class TransportTest {
    private val server = HttpServer.create(InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0)
    private val threads = Executors.newCachedThreadPool()
    private val address get() = "http://${server.address.hostString}:${server.address.port}"
    private val transport = UrlTransport(5_000)
    private val seen = AtomicReference<Map<String, List<String>>>()

    /** A file of which pieces can be had. */
    private val file = ByteArray(300_000) { (it * 7 + it / 251).toByte() }

    @Before
    fun start() {
        Inkling.init(Host.context)
        server.executor = threads
        server.start()
    }

    @After
    fun stop() {
        server.stop(0)
        threads.shutdownNow()
    }

    private fun serve(path: String, answer: (HttpExchange) -> Unit) = server.createContext(path) { exchange ->
        seen.set(exchange.requestHeaders)
        exchange.use { answer(it) }
    }

    private fun HttpExchange.send(status: Int, body: ByteArray, vararg headers: Pair<String, String>) {
        for ((name, value) in headers) responseHeaders.add(name, value)
        sendResponseHeaders(status, if (body.isEmpty()) -1 else body.size.toLong())
        responseBody.write(body)
    }

    private fun get(path: String, vararg headers: FfiHeader) = transport.get(FfiRequest("$address$path", headers.asList()))

    private fun all(path: String, limit: UInt = 1000u): ByteArray {
        val body = get(path).body
        var bytes = byteArrayOf()
        while (true) {
            val more = body.read(limit)
            assertTrue("${more.size} bytes", more.size.toUInt() <= limit)
            if (more.isEmpty()) break
            bytes += more
        }
        body.end()
        return bytes
    }

    private fun servePieces(path: String) = serve(path) {
        val range = it.requestHeaders.getFirst("Range")
        val (from, to) = Regex("bytes=(\\d+)-(\\d+)").matchEntire(range)!!.destructured
        it.send(
            206,
            file.copyOfRange(from.toInt(), to.toInt() + 1),
            "Content-Range" to "bytes $from-$to/${file.size}",
        )
    }

    @Test
    fun `status, headers and body arrive, whatever the status is`() {
        serve("/file") { it.send(200, file, "X-Twice" to "a", "X-Twice" to "b") }
        serve("/gone") { it.send(404, "gone".toByteArray()) }
        serve("/empty") { it.send(503, byteArrayOf()) }
        val answer = get("/file", FfiHeader("X-Mine", "1"), FfiHeader("X-Mine", "2"))
        assertEquals(200u, answer.status)
        val twice = answer.headers.filter { it.name.equals("x-twice", ignoreCase = true) }.map { it.value }
        assertEquals(setOf("a", "b"), twice.toSet())
        answer.body.end()
        assertEquals(listOf("1", "2"), seen.get()["X-mine"]!!.sorted())
        assertArrayEquals(file, all("/file"))
        assertArrayEquals(file, all("/file", 1_000_000u))
        assertEquals(404u, get("/gone").status)
        assertEquals("gone", all("/gone").decodeToString())
        assertEquals(503u, get("/empty").status)
        assertEquals(0, all("/empty").size)
    }

    @Test
    fun `redirects are answers`() {
        serve("/old") { it.send(302, byteArrayOf(), "Location" to "$address/new") }
        serve("/new") { it.send(200, file) }
        val answer = get("/old")
        assertEquals(302u, answer.status)
        assertEquals("$address/new", answer.headers.first { it.name.equals("Location", true) }.value)
    }

    @Test
    fun `bytes come as they are, and packing is not asked for`() {
        val packed = java.io.ByteArrayOutputStream().also { out ->
            java.util.zip.GZIPOutputStream(out).use { it.write(file) }
        }.toByteArray()
        serve("/packed") { it.send(200, packed, "Content-Encoding" to "gzip") }
        assertArrayEquals(packed, all("/packed"))
        assertEquals(listOf("identity"), seen.get()["Accept-encoding"])
    }

    @Test
    fun `the engine fetches pieces through it`() {
        servePieces("/model")
        val url = "$address/model"
        assertArrayEquals(file.copyOfRange(1, 70_001), fetchPiece(transport, url, listOf(), 1uL, 70_000uL))
        assertEquals(listOf("identity"), seen.get()["Accept-encoding"])
        val size = file.size.toULong()
        assertArrayEquals(file.copyOfRange(file.size - 5, file.size), fetchPiece(transport, url, listOf(), size - 5uL, 5uL))
    }

    @Test
    fun `what the engine does not take is an error of the network`() {
        serve("/whole") { it.send(200, file) }
        serve("/other") { it.send(206, ByteArray(10), "Content-Range" to "bytes 5-14/300000") }
        serve("/down") { it.send(503, byteArrayOf()) }
        serve("/packed") {
            it.send(206, ByteArray(10), "Content-Range" to "bytes 0-9/300000", "Content-Encoding" to "gzip")
        }
        for (path in listOf("/whole", "/other", "/missing", "/down", "/packed")) {
            fails<FfiException.Network> { fetchPiece(transport, "$address$path", listOf(), 0uL, 10uL) }
        }
    }

    @Test
    fun `trying again helps against networks only`() {
        val free = ServerSocket(0, 1, InetAddress.getLoopbackAddress()).use { it.localPort }
        fun retryable(url: String, vararg headers: FfiHeader): Boolean =
            fails<FfiTransportException.Failed> { transport.get(FfiRequest(url, headers.asList())) }.retryable
        assertTrue("nobody listens", retryable("http://127.0.0.1:$free/"))
        assertTrue("no such host", retryable("http://host.invalid/"))
        assertFalse("not the web", retryable("file:///etc/hosts"))
        assertFalse("no address", retryable("model.gguf"))
        assertFalse("no header", retryable("$address/", FfiHeader("A\nB", "c")))
    }

    @Test
    fun `a server that falls silent runs into the time limit`() {
        val silence = CountDownLatch(1)
        serve("/silent") {
            it.sendResponseHeaders(200, 1000)
            it.responseBody.write(ByteArray(10))
            it.responseBody.flush()
            silence.await(30, TimeUnit.SECONDS)
        }
        val body = UrlTransport(300).get(FfiRequest("$address/silent", listOf())).body
        assertEquals(10, body.read(10u).size)
        assertTrue(fails<FfiTransportException.Failed> { body.read(10u) }.retryable)
        body.end()
        silence.countDown()
    }

    @Test
    fun `an end in the middle ends the transfer`() {
        val broken = CountDownLatch(1)
        serve("/endless") {
            it.sendResponseHeaders(200, 1L shl 40)
            try {
                while (true) it.responseBody.write(file)
            } finally {
                broken.countDown()
            }
        }
        val body = get("/endless").body
        assertTrue(body.read(10u).isNotEmpty())
        body.end()
        assertTrue("the server still sends", broken.await(10, TimeUnit.SECONDS))
        body.end()
        assertFalse("over is over", fails<FfiTransportException.Failed> { body.read(10u) }.retryable)
    }

    @Test
    fun `a body that ends too soon is no whole answer`() {
        ServerSocket(0, 1, InetAddress.getLoopbackAddress()).use { socket ->
            threads.submit {
                socket.accept().use {
                    it.getInputStream().read(ByteArray(4096))
                    val head = "HTTP/1.1 206 Partial\r\nContent-Length: 100\r\nContent-Range: bytes 0-99/300\r\n\r\n"
                    it.getOutputStream().write(head.toByteArray() + ByteArray(40))
                }
            }
            val url = "http://127.0.0.1:${socket.localPort}/"
            val error = fails<FfiException.Network> { fetchPiece(transport, url, listOf(), 0uL, 100uL) }
            assertTrue(error.retryable)
        }
    }
}
