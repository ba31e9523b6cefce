package dev.inkling

import java.io.File
import java.io.RandomAccessFile
import java.nio.file.Path
import java.time.Duration
import java.util.concurrent.CountDownLatch
import java.util.concurrent.atomic.AtomicReference
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Models by id: the whole store through HttpURLConnection, against a server that does wrong what it is told to. */
class StoreTest {
    @TempDir lateinit var temporary: Path
    private lateinit var server: ChaosServer
    private val folder get() = File(temporary.toFile(), "store")
    private val size = Demo.file.length()

    @BeforeEach
    fun start() {
        server = ChaosServer(File(temporary.toFile(), "served").apply { mkdirs() })
    }

    @AfterEach
    fun stop() = server.close()

    private val options get() = StoreOptions(folder, keepFree = 0)

    /** Runs with an open store; a test that hangs fails. */
    private fun store(options: StoreOptions = this.options, work: suspend CoroutineScope.(InklingStore) -> Unit) = runBlocking {
        withTimeout(60_000) { InklingStore.open(options).use { work(it) } }
    }

    private fun served(name: String = "tiny.gguf") = server.serve(Demo.file, "/$name")

    private suspend fun InklingDownload.untilDownloading() =
        events.first { it is DownloadEvent.Downloading && it.bytes > 0 } as DownloadEvent.Downloading

    private suspend fun InklingModel.answers() =
        session().use { assertEquals(Demo.ANSWER, it.respond(Demo.PROMPT, Demo.greedy).text) }

    /** Flips a bit of the installed file, in its second chunk. */
    private fun damage() {
        val file = File(folder, "v1/objects").walk().first { it.isFile && it.length() == size }
        RandomAccessFile(file, "rw").use {
            it.seek(1_500_000)
            val byte = it.read()
            it.seek(1_500_000)
            it.write(byte xor 4)
        }
    }

    @Test
    fun `a hub's file is installed, and its model answers by its id`() {
        server.serve(Demo.file, "/cdn/tiny")
        Hub("/o/r/resolve/main/Tiny Q4.gguf", sha256(Demo.file), size, server.url("/cdn/tiny")).use { hub ->
            store(options.copy(hub = hub.url, token = "secret")) { store ->
                val source = StoreSource.hub("o/r", "Tiny Q4.gguf")
                assertEquals(source, StoreSource.parse("o/r/Tiny Q4.gguf@main"))
                val download = store.ensure(source)
                assertEquals("tiny-q4", download.id)
                val events = download.events.toList()
                val steps = events.map { it.javaClass.simpleName }.distinct()
                assertEquals(listOf("Resolving", "Downloading", "Verifying", "Activating", "Ready"), steps, "$events")
                val last = events.filterIsInstance<DownloadEvent.Downloading>().last()
                assertEquals(size, last.total)
                assertEquals(DownloadEvent.Ready("tiny-q4"), events.last())
                // Late watchers hear the end, and what is there is not fetched again.
                assertEquals("tiny-q4", download.await())
                assertEquals("tiny-q4", store.ensure(source).await())
                assertEquals(size, server.sent("/cdn/tiny"))
                assertNull(store.download("tiny-q4"))

                val installed = store.list().single()
                assertEquals(source, installed.source)
                assertEquals(size, installed.bytes)
                assertTrue(installed.isComplete && !installed.isPinned && installed.previous == null)
                var told = 0f
                store.load("tiny-q4") { told = it }.use { model ->
                    assertEquals(1f, told)
                    assertEquals("tiny-q4", model.origin?.id)
                    assertEquals(emptyList<Any>(), model.origin?.givenUp)
                    model.answers()
                    fails<InklingException.Busy> { store.remove("tiny-q4") }
                }
                assertNotNull(store.list().single().lastUsed)
                val usage = store.usage()
                assertTrue(usage.models >= size && usage.prepared > 0 && usage.total == usage.models + usage.prepared, "$usage")
                Demo.model().use { assertNull(it.origin) }
                store.remove("tiny-q4")
                assertEquals(emptyList<Any>(), store.list())
                assertEquals(0, store.usage().total)
            }
        }
    }

    @Test
    fun `a file arrives over a network that fails`() = store { store ->
        val source = served()
        for (rule in listOf("reset=300000*2", "status=503,0*2", "truncate=700000*2", "hangup*1")) server.rule(rule)
        val download = store.ensure(source)
        val events = download.events.toList()
        assertTrue(events.any { it is DownloadEvent.Waiting && it.reason is WaitReason.Retrying }, "$events")
        store.load(download.id).use { it.answers() }
        assertTrue(server.sent("/tiny.gguf") < 2 * size, "${server.sent("/tiny.gguf")} bytes for $size")
    }

    @Test
    fun `what cannot be had is an error that says so`() = store { store ->
        val source = served()
        val gone = StoreSource.url(server.url("/gone.gguf"), sha256(Demo.file), size)
        assertEquals(server.url("/gone.gguf"), fails<InklingException.ModelNotFound> { store.ensure(gone).await() }.what)
        val other = StoreSource.url(server.url("/tiny.gguf"), "0".repeat(64), size)
        val wrong = fails<InklingException.Integrity> { store.ensure(other, EnsureOptions(id = "other")).await() }
        assertNull(wrong.chunk)
        assertEquals(emptyList<Any>(), store.list())
        assertEquals("tiny", store.ensure(source).await())
    }

    @Test
    fun `a download is paused and goes on`() = store { store ->
        server.rule("drip=2000000")
        val download = store.ensure(served())
        download.untilDownloading()
        download.pause()
        val paused = download.events.first { it == DownloadEvent.Waiting(WaitReason.Paused) }
        assertEquals(DownloadEvent.Waiting(WaitReason.Paused), paused)
        assertNotNull(store.download("tiny"))
        server.clear()
        store.download("tiny")!!.resume()
        assertEquals("tiny", download.await())
    }

    @Test
    fun `a cancelled download goes on where it was`() = store { store ->
        val source = served()
        server.rule("drip=1500000")
        val download = store.ensure(source)
        val watcher = async(Dispatchers.Default) { runCatching { download.events.toList() } }
        download.events.first { it is DownloadEvent.Downloading && it.bytes >= 2 shl 20 }
        download.cancel()
        assertTrue(watcher.await().exceptionOrNull() is InklingException.Cancelled)
        fails<InklingException.Cancelled> { download.await() }
        server.clear()
        // What it was sending when it was cancelled has been sent by then.
        Thread.sleep(200)
        val before = server.sent("/tiny.gguf")
        val first = store.ensure(source).events.first { it is DownloadEvent.Downloading } as DownloadEvent.Downloading
        assertTrue(first.bytes >= 1 shl 20, "$first")
        assertEquals("tiny", store.ensure(source).await())
        val again = server.sent("/tiny.gguf") - before
        assertTrue(again <= size - (1 shl 20) + SLACK, "$again bytes again")
        store.load("tiny").use { it.answers() }
    }

    @Test
    fun `watchers come and go, and the download stays`() = store { store ->
        server.rule("drip=1000000")
        val download = store.ensure(served())
        assertEquals(DownloadEvent.Resolving, download.events.first())
        val two = List(2) { async(Dispatchers.Default) { download.events.toList() } }
        // Before the first event, while one waits, from the dispatcher that has no threads.
        for (dispatcher in listOf(Dispatchers.Default, Dispatchers.Unconfined)) {
            launch(dispatcher, CoroutineStart.UNDISPATCHED) { download.events.collect {} }.cancelAndJoin()
        }
        download.untilDownloading()
        download.pause()
        download.events.first { it is DownloadEvent.Waiting }
        // Nothing happens now, so whoever waits is in the middle of a wait.
        repeat(20) { round ->
            val waiting = launch(if (round % 2 == 0) Dispatchers.Default else Dispatchers.Unconfined) { download.await() }
            Thread.sleep(round.toLong())
            val asked = System.nanoTime()
            waiting.cancelAndJoin()
            val took = (System.nanoTime() - asked) / 1_000_000
            assertTrue(took < 500, "leaving took $took ms")
        }
        server.clear()
        download.resume()
        val (one, other) = two.map { it.await() }
        assertEquals(one.last(), other.last())
        assertEquals(DownloadEvent.Ready("tiny"), one.last())
        assertEquals(DownloadEvent.Resolving, one.first())
    }

    @Test
    fun `a download waits for a network, and for one that costs nothing`() {
        val network = AtomicReference(NetworkState(online = false, metered = true))
        store(options.copy(network = network::get)) { store ->
            val download = store.ensure(served(), EnsureOptions(unmeteredOnly = true))
            download.events.first { it == DownloadEvent.Waiting(WaitReason.NoNetwork) }
            network.set(NetworkState(online = true, metered = true))
            store.networkChanged()
            download.events.first { it == DownloadEvent.Waiting(WaitReason.Metered) }
            assertEquals(0, server.sent("/tiny.gguf"))
            network.set(NetworkState(online = true, metered = false))
            store.networkChanged()
            assertEquals("tiny", download.await())
        }
    }

    @Test
    fun `those with a higher priority come first`() = store { store ->
        server.rule("drip=200000")
        val downloads = List(4) {
            val file = File(temporary.toFile(), "m$it.gguf")
            Demo.file.copyTo(file).appendBytes(ByteArray(4096 * (it + 1)))
            store.ensure(server.serve(file, "/m$it.gguf"), EnsureOptions(priority = it))
        }
        // Two run at a time.
        for (behind in downloads.take(2)) {
            behind.events.first { it == DownloadEvent.Waiting(WaitReason.Queued) }
        }
        server.clear()
        downloads.forEach { it.await() }
        assertEquals(listOf("m0", "m1", "m2", "m3"), store.list().map { it.id })
    }

    @Test
    fun `a damaged file is found and mended with a chunk`() = store { store ->
        val source = served()
        store.ensure(source).await()
        assertEquals(StoreVerification(size, emptyList()), store.verify("tiny"))
        damage()
        var told = 0f
        val found = store.verify("tiny") { told = it }
        assertEquals(1f, told)
        assertEquals(listOf(1L), found.damaged.single().chunks)
        assertTrue(!found.isSound && !store.list().single().isComplete)
        val before = server.sent("/tiny.gguf")
        store.ensure(source).await()
        val again = server.sent("/tiny.gguf") - before
        assertTrue(again in 1..(2L shl 20), "$again bytes fetched")
        assertTrue(store.verify("tiny").isSound)
        store.load("tiny").use { it.answers() }
        val mine = runCatching { store.verify("tiny") { throw ArithmeticException("mine") } }.exceptionOrNull()
        assertTrue(mine is ArithmeticException && mine.message == "mine", "$mine")
    }

    @Test
    fun `a verification that nobody waits for any more holds nobody up`() = store { store ->
        store.ensure(served()).await()
        val (started, gate) = CompletableDeferred<Unit>() to CountDownLatch(1)
        var parts = 0
        val check = async(Dispatchers.Default) {
            store.verify("tiny") {
                parts++
                started.complete(Unit)
                gate.await()
            }
        }
        started.await()
        // The engine's thread still waits in the callback.
        check.cancelAndJoin()
        gate.countDown()
        assertTrue(store.verify("tiny").isSound)
        assertEquals(1, parts)
    }

    @Test
    fun `an alternative takes the place of a damaged model, and the app is told`() {
        store { store ->
            store.ensure(served("large.gguf"), EnsureOptions(id = "large")).await()
            // The same bytes under another id would share the file.
            val other = File(temporary.toFile(), "other.gguf")
            Demo.file.copyTo(other).appendBytes(ByteArray(4096))
            store.ensure(StoreSource.file(other), EnsureOptions(id = "small")).await()
        }
        damage()
        store { store ->
            val told = store.load("large", alternatives = listOf("missing", "small")).use { model ->
                model.answers()
                model.origin!!
            }
            assertEquals("small", told.id)
            assertEquals(listOf("large", "missing"), told.givenUp.map { it.id }.distinct())
            assertTrue(told.givenUp.all { it.why.isNotBlank() })
            fails<InklingException> { store.load("large") }
            assertEquals("missing", fails<InklingException.ModelNotFound> { store.load("missing") }.what)
        }
    }

    @Test
    fun `a budget is kept, and says what is missing`() = store(options.copy(budget = size + 1000)) { store ->
        store.ensure(served()).await()
        store.pin("tiny")
        assertTrue(store.list().single().isPinned)
        val other = File(temporary.toFile(), "other.gguf")
        Demo.file.copyTo(other).appendBytes(ByteArray(4096))
        val source = StoreSource.file(other)
        val full = fails<InklingException.StorageFull> { store.ensure(source).await() }
        assertTrue(full.needBytes == size + 4096 && full.haveBytes in 0..1000, "${full.needBytes} of ${full.haveBytes}")
        val fit = store.fit(source)
        assertTrue(fit is ModelFit.NoStorage && fit.needBytes == size + 4096, "$fit")
        store.pin("tiny", false)
        fails<InklingException.StorageFull> { store.ensure(source).await() }
        assertTrue(store.gc(Duration.ZERO) >= 0)
    }

    @Test
    fun `whether a model fits is known before it is fetched`() = store { store ->
        val source = served()
        val fit = store.fit(source, context = 128) as ModelFit.Yes
        assertEquals(size, fit.downloadBytes)
        val large = store.fit(source, context = 512, LoadOptions(availableMemory = { fit.needBytes + 10_000 }))
        assertTrue(large is ModelFit.NoMemory && large.suggestion.isNotBlank(), "$large")
        assertTrue(server.sent("/tiny.gguf") <= 2 shl 20, "${server.sent("/tiny.gguf")}")
        // A server that does not answer holds nobody up who leaves.
        server.rule("silent")
        val asked = async(Dispatchers.Default) { store.fit(source) }
        Thread.sleep(100)
        withTimeout(1_000) { asked.cancelAndJoin() }
    }

    @Test
    fun `a store that is closed ends its downloads, and the next one goes on`() {
        val source = served()
        server.rule("drip=1500000")
        runBlocking {
            val store = InklingStore.open(options)
            fails<InklingException.Busy> { InklingStore.open(options) }
            val download = store.ensure(source)
            val watcher = async(Dispatchers.Default) { runCatching { download.await() }.exceptionOrNull() }
            download.events.first { it is DownloadEvent.Downloading && it.bytes >= 2 shl 20 }
            val asked = System.nanoTime()
            store.close()
            store.close()
            assertTrue(System.nanoTime() - asked < 3_000_000_000)
            assertTrue(withTimeout(5_000) { watcher.await() } is InklingException.Cancelled)
            fails<InklingException.Cancelled> { store.ensure(source) }
            fails<InklingException.Cancelled> { store.list() }
            store.networkChanged()
            download.cancel()
        }
        server.clear()
        Thread.sleep(200)
        val before = server.sent("/tiny.gguf")
        lateinit var left: InklingModel
        store { store ->
            store.ensure(source).await()
            val again = server.sent("/tiny.gguf") - before
            assertTrue(again <= size - (1 shl 20) + SLACK, "$again bytes again")
            left = store.load("tiny")
        }
        // Models outlive their store, and the folder is free when both are gone.
        runBlocking { left.use { it.answers() } }
        store { assertEquals(1, it.list().size) }
    }

    @Test
    fun `loads and verifications are cancelled with their coroutines`() = store { store ->
        store.ensure(served()).await()
        repeat(10) { round ->
            val load = async(Dispatchers.Default) { store.load("tiny").close() }
            val check = async(Dispatchers.Default) { store.verify("tiny") }
            repeat(round * 100) { Thread.onSpinWait() }
            load.cancelAndJoin()
            check.cancelAndJoin()
        }
        assertTrue(store.verify("tiny").isSound)
        store.load("tiny").use { it.answers() }
    }

    @Test
    fun `nonsense is refused with its field`() {
        fun field(work: suspend () -> Unit) = fails<InklingException.InvalidInput> { work() }.field
        store { store ->
            for (text in listOf("", "x", "o/r", "../r/f.gguf", "o/r/f\u0000", "https://a/f.gguf", "catalog:x", "\n", "file:")) {
                assertEquals("source", field { store.ensure(StoreSource.parse(text)) }, text)
            }
            assertEquals("source", field { store.ensure(StoreSource.parse("\uD83E")) })
            for ((repo, revision) in listOf("file:/etc" to "main", "o" to "main", "o/r/x" to "main", "o/r" to "a@b")) {
                assertEquals("source", field { StoreSource.hub(repo, "f.gguf", revision) })
            }
            assertEquals("source", field { StoreSource.url("file:///etc/passwd", "0".repeat(64), 1) })
            assertEquals("source", field { StoreSource.catalog("https://a/b#c", "d") })
            assertEquals("source", field { store.ensure(StoreSource.url("https://a/f", "00", 1)) })
            assertEquals("source", field { store.ensure(StoreSource.url("https://a/f", "0".repeat(64), -1)) })
            // The engine says what is wrong with an address as an error of the network that stays.
            val secret = StoreSource.url("https://u:p@a/f", "0".repeat(64), 1)
            assertTrue(!fails<InklingException.Network> { store.ensure(secret) }.retryable)
            fails<InklingException> { store.ensure(StoreSource.url("http://example.invalid/f", "0".repeat(64), 1)).await() }
            assertEquals("source", field { store.ensure(StoreSource.catalog("https://a/b", "c")) })
            for (id in listOf("", "A", "../x", "a b", "a\u0000", "x".repeat(200), "con", "\uDD80")) {
                assertEquals("id", field { store.ensure(StoreSource.file(Demo.file), EnsureOptions(id = id)) }, id)
                assertEquals("id", field { store.load(id) }, id)
                assertEquals("id", field { store.remove(id) }, id)
                assertEquals("id", field { store.download(id) }, id)
                assertEquals("id", field { store.callOff(id) }, id)
            }
            for (work in listOf<suspend () -> Unit>(
                { store.verify("none") }, { store.pin("none") }, { store.remove("none") }, { store.rollback("none") },
                { store.load("none").close() },
            )) assertEquals("none", fails<InklingException.ModelNotFound> { work() }.what)
            assertEquals("context", field { store.fit(StoreSource.file(Demo.file), context = -1) })
            assertEquals("age", field { store.gc(Duration.ofSeconds(-1)) })
            // An id stands for one source.
            store.ensure(StoreSource.file(Demo.file), EnsureOptions(id = "one")).await()
            assertEquals("id", field { store.ensure(served(), EnsureOptions(id = "one")).await() })
            assertEquals("file", field { store.handOver("x", 0, Demo.file) })
        }
        val file = File(temporary.toFile(), "file").apply { writeText("x") }
        for (bad in listOf(file, File("a\u0000b"))) {
            assertEquals("store", field { InklingStore.open(StoreOptions(bad)).close() }, "$bad")
        }
        assertEquals("folder", field { InklingStore.open(StoreOptions(File("\uD83E"))).close() })
        assertEquals("folder", field { InklingStore.open().close() })
        assertEquals("budget", field { InklingStore.open(options.copy(budget = -1)).close() })
    }

    @Test
    fun `parts that others fetched are taken`() = store { store ->
        val source = served()
        val segments = store.segments(source, partBytes = 1 shl 20)
        assertEquals("tiny", segments.id)
        assertTrue(segments.parts.size > 1 && segments.parts.sumOf { it.length } == size, "$segments")
        store.callOff(segments.id)
        assertEquals("tiny", fails<InklingException.ModelNotFound> { store.remove("tiny") }.what)
        assertEquals(segments.parts, store.segments(source, partBytes = 1 shl 20).parts)
        val bytes = Demo.file.readBytes()
        for (part in segments.parts) {
            val fetched = File(temporary.toFile(), "part")
            fetched.writeBytes(bytes.copyOfRange(part.from.toInt(), (part.from + part.length).toInt()))
            val installed = if (part == segments.parts.last()) listOf("tiny") else emptyList()
            assertEquals(HandedOver(part.length, installed), store.handOver(part.file, part.from, fetched))
        }
        assertEquals("tiny", store.list().single().id)
        assertEquals(0, store.segments(source, partBytes = 1 shl 20).parts.size)
        val before = server.sent("/tiny.gguf")
        assertEquals("tiny", store.ensure(source).await())
        assertEquals(before, server.sent("/tiny.gguf"))
    }

    private companion object {
        /** What the server still pours into a connection whose other end has gone. */
        const val SLACK = 256 shl 10
    }
}
