package dev.inkling

import java.io.File
import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Signed catalogues, as the command line publishes them: releases, undoing them, encrypted models. */
class CatalogTest {
    @TempDir lateinit var temporary: Path
    private val served get() = file("served")
    private val key = ByteArray(32) { (it * 3).toByte() }

    private fun file(name: String) = File(temporary.toFile(), name)

    private fun publisher(vararg arguments: String) {
        val process = ProcessBuilder(built("INKLING_CLI"), "models", *arguments).redirectErrorStream(true).start()
        val said = process.inputStream.bufferedReader().readText()
        check(process.waitFor() == 0) { "${arguments.asList()}: $said" }
    }

    /** A folder with a root whose key is `signer`. */
    private fun publish() {
        publisher("keygen", file("signer").path)
        publisher("init", served.path, "--release", file("signer.pub").path, "--key", file("signer").path)
    }

    private fun release(number: Int, model: File, vararg arguments: String) = publisher(
        "publish", served.path, model.path, "--key", file("signer").path, "--model", "tiny", "--number", "$number", *arguments,
    )

    private fun store(server: ChaosServer, options: StoreOptions = StoreOptions(), work: suspend (InklingStore, StoreSource) -> Unit) {
        val url = server.url("/catalog.json")
        val trusted = listOf(TrustedCatalog(url, File(served, "root.json").readBytes()))
        runBlocking {
            withTimeout(60_000) {
                val all = options.copy(folder = file("store"), keepFree = 0, catalogs = trusted, onlySigned = true)
                InklingStore.open(all).use { work(it, StoreSource.catalog(url, "tiny")) }
            }
        }
    }

    /** The same model with other bytes behind it. */
    private fun another(): File = file("another.gguf").also { Demo.file.copyTo(it, overwrite = true).appendBytes(ByteArray(4096)) }

    @Test
    fun `a release is installed, updated and undone`() {
        publish()
        release(1, Demo.file)
        ChaosServer(served).use { server ->
            store(server) { store, source ->
                // What nobody signed is refused, also from the publisher's own server.
                val digest = sha256(Demo.file)
                val loose = StoreSource.url(server.url("/files/$digest"), digest, Demo.file.length())
                for (unsigned in listOf(loose, StoreSource.file(Demo.file), StoreSource.hub("o/r", "f.gguf"))) {
                    assertEquals("source", fails<InklingException.InvalidInput> { store.ensure(unsigned) }.field)
                }
                assertEquals("tiny", store.ensure(source).await())
                // Five good answers make it the one to fall back to.
                store.load("tiny").use { model ->
                    assertTrue(model.origin!!.isOnTrial)
                    repeat(5) { model.session().use { it.respond(Demo.PROMPT, Demo.greedy) } }
                }
                release(2, another(), "--golden", "The quick brown")
                assertEquals("tiny", store.ensure(source).await())
                assertEquals(1, store.list().single().release)
                assertEquals("tiny", store.ensure(source, EnsureOptions(update = true)).await())
                val two = store.list().single()
                assertTrue(two.release == 2L && two.isOnTrial && two.previous == 1L, "$two")
                store.load("tiny").use { assertEquals(2, it.origin!!.release) }
                assertEquals(1, store.rollback("tiny"))
                store.load("tiny").use { assertEquals(1, it.origin!!.release) }
                // What was undone does not come back by itself.
                store.ensure(source, EnsureOptions(update = true)).await()
                assertEquals(1, store.list().single().release)
                store.ensure(source, EnsureOptions(update = true, insist = true)).await()
                assertEquals(2, store.list().single().release)
            }
        }
    }

    @Test
    fun `a release that is too slow is given up, and the app is told`() {
        publish()
        release(1, Demo.file)
        ChaosServer(served).use { server ->
            store(server) { store, source ->
                store.ensure(source).await()
                store.load("tiny").use { model -> repeat(5) { model.session().use { it.respond(Demo.PROMPT, Demo.greedy) } } }
                release(2, another(), "--golden", "The quick brown", "--least-speed", "1e9")
                store.ensure(source, EnsureOptions(update = true)).await()
                store.load("tiny").use { model ->
                    val origin = model.origin!!
                    assertEquals(1, origin.release)
                    assertEquals(listOf("tiny" to 2L), origin.givenUp.map { it.id to it.release })
                    assertTrue("tokens a second" in origin.givenUp.single().why, origin.givenUp.single().why)
                }
            }
        }
    }

    @Test
    fun `a release that says other words than its publisher is given up, and the app is told once`() {
        publish()
        release(1, Demo.file)
        ChaosServer(served).use { server ->
            store(server) { store, source ->
                store.ensure(source).await()
                store.load("tiny").use { model -> repeat(5) { model.session().use { it.respond(Demo.PROMPT, Demo.greedy) } } }
                file("golden.json").writeText("""[{"prompt": "The quick brown", "tokens": [7, 8, 9]}]""")
                release(2, another(), "--golden-file", file("golden.json").path)
                store.ensure(source, EnsureOptions(update = true)).await()
                assertEquals(2, store.list().single().release)
                store.load("tiny").use { model ->
                    val origin = model.origin!!
                    assertEquals(1, origin.release)
                    assertEquals(listOf("tiny" to 2L), origin.givenUp.map { it.id to it.release })
                    assertTrue("golden prompt 0" in origin.givenUp.single().why, origin.givenUp.single().why)
                }
                store.load("tiny").use { assertEquals(emptyList<Any>(), it.origin!!.givenUp) }
                store.ensure(source, EnsureOptions(update = true)).await()
                assertEquals(1, store.list().single().release)
            }
        }
    }

    @Test
    fun `an encrypted model needs its key`() {
        publish()
        file("key").writeBytes(key)
        release(1, Demo.file, "--seal", "secret=${file("key").path}")
        ChaosServer(served).use { server ->
            store(server) { store, source ->
                store.ensure(source).await()
                assertEquals("keys", fails<InklingException.InvalidInput> { store.load("tiny") }.field)
            }
            val asked = mutableListOf<String>()
            val keys = KeyProvider { asked += it; key }
            store(server, StoreOptions(keys = keys)) { store, _ ->
                store.load("tiny").use { model ->
                    model.session().use { assertEquals(Demo.ANSWER, it.respond(Demo.PROMPT, Demo.greedy).text) }
                }
                assertEquals(setOf("secret"), asked.toSet())
                // Nothing of it lies on the disk in the clear, neither its bytes nor what is prepared from them.
                assertEquals(0, store.usage().prepared)
                val beginning = Demo.file.readBytes().copyOf(4).decodeToString()
                for (object_ in File(file("store"), "v1/objects").walk().filter { it.isFile }) {
                    assertTrue(object_.readBytes().copyOf(4).decodeToString() != beginning, "$object_")
                }
            }
            for (bad in listOf(KeyProvider { ByteArray(31) }, KeyProvider { error("locked") })) {
                store(server, StoreOptions(keys = bad)) { store, _ ->
                    val why = fails<InklingException> { store.load("tiny") }.message!!
                    assertTrue("31 bytes" in why || "locked" in why, why)
                }
            }
            store(server, StoreOptions(keys = { ByteArray(32) })) { store, _ ->
                fails<InklingException> { store.load("tiny") }
            }
        }
    }

    @Test
    fun `another publisher's root is not believed`() {
        publish()
        release(1, Demo.file)
        ChaosServer(served).use { server ->
            val url = server.url("/catalog.json")
            publisher("keygen", file("thief").path)
            publisher("init", file("theirs").path, "--release", file("thief.pub").path, "--key", file("thief").path)
            val theirs = listOf(TrustedCatalog(url, File(file("theirs"), "root.json").readBytes()))
            runBlocking {
                InklingStore.open(StoreOptions(file("store"), keepFree = 0, catalogs = theirs)).use { store ->
                    fails<InklingException> { store.ensure(StoreSource.catalog(url, "tiny")).await() }
                    assertEquals(emptyList<Any>(), store.list())
                }
            }
        }
    }
}
