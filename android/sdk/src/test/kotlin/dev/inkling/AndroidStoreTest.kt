package dev.inkling

import android.net.ConnectivityManager
import android.net.NetworkCapabilities
import com.sun.net.httpserver.HttpServer
import java.net.InetAddress
import java.net.InetSocketAddress
import java.security.MessageDigest
import java.util.concurrent.Executors
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertSame
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.shadows.ShadowNetworkCapabilities

/** A store as an app on Android has it: what init gives, the platform's HTTP, the network's changes. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34], manifest = Config.NONE)
class AndroidStoreTest {
    private val bytes = Host.file.readBytes()
    private val threads = Executors.newCachedThreadPool()
    private val server = HttpServer.create(InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0).apply {
        executor = threads
        createContext("/tiny.gguf") { exchange ->
            exchange.use {
                val range = it.requestHeaders.getFirst("Range")?.let(Regex("bytes=(\\d+)-(\\d+)")::matchEntire)
                val (from, to) = range?.destructured?.let { (from, to) -> from.toInt() to to.toInt() } ?: (0 to bytes.size - 1)
                it.responseHeaders.add("Content-Range", "bytes $from-$to/${bytes.size}")
                it.sendResponseHeaders(206, (to - from + 1).toLong())
                it.responseBody.write(bytes, from, to - from + 1)
            }
        }
        start()
    }
    private val digest = MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }
    private val source =
        StoreSource.url("http://127.0.0.1:${server.address.port}/tiny.gguf", digest, bytes.size.toLong())

    @Before
    fun init() = Inkling.init(Host.context)

    @After
    fun stop() {
        server.stop(0)
        threads.shutdownNow()
        Inkling.storeFolder.deleteRecursively()
    }

    @Test
    fun `a store needs no options, and is where neither backups nor cleaners come`() = runBlocking {
        // The application that init saw first; each of Robolectric's tests has another one.
        val folder = Inkling.storeFolder
        assertTrue(folder.path, folder.path.endsWith("${Host.context.noBackupFilesDir.name}/inkling/store"))
        InklingStore.open(StoreOptions(keepFree = 0, network = { NetworkState(true, false) })).use { store ->
            assertEquals("tiny", store.ensure(source).await())
            assertTrue(folder.isDirectory)
            store.load("tiny").use { model ->
                assertEquals("tiny", model.origin?.id)
                model.session().use { assertEquals(Host.ANSWER, it.respond(Host.PROMPT, GenerationOptions.greedy()).text) }
            }
        }
    }

    @Test
    fun `a download goes on when Android has found a network`() = runBlocking {
        // Robolectric's own network has not been tried. Init's listener is that of the first test, so this has its own.
        val connectivity = Host.context.getSystemService(ConnectivityManager::class.java)
        val before = Platform.signals
        val network = AndroidNetwork(Host.context, Platform::networkChanged)
        Platform.signals = before.copy(network = network)
        try {
            fun tell(vararg those: Int) = shadowOf(connectivity).networkCallbacks.forEach { listener ->
                val capabilities: NetworkCapabilities = ShadowNetworkCapabilities.newInstance()
                those.forEach { shadowOf(capabilities).addCapability(it) }
                listener.onCapabilitiesChanged(connectivity.activeNetwork!!, capabilities)
            }
            val online = intArrayOf(
                NetworkCapabilities.NET_CAPABILITY_INTERNET,
                NetworkCapabilities.NET_CAPABILITY_VALIDATED,
            )
            tell()
            InklingStore.open(StoreOptions(keepFree = 0)).use { store ->
                withTimeout(20_000) {
                    val download = store.ensure(source, EnsureOptions(unmeteredOnly = true))
                    download.events.first { it == DownloadEvent.Waiting(WaitReason.NoNetwork) }
                    tell(*online)
                    download.events.first { it == DownloadEvent.Waiting(WaitReason.Metered) }
                    tell(*online, NetworkCapabilities.NET_CAPABILITY_NOT_METERED)
                    assertEquals("tiny", download.await())
                }
            }
        } finally {
            Platform.signals = before
        }
    }

    @Test
    fun `the keys of encrypted models are those of init`() = assertSame(Inkling.keys, Platform.keys)
}
