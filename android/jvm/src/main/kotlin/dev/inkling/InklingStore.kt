package dev.inkling

import dev.inkling.ffi.FfiProgress
import dev.inkling.ffi.FfiStore
import java.io.File
import java.time.Duration
import java.util.concurrent.CancellationException
import java.util.concurrent.atomic.AtomicReference
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.async
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.job
import kotlinx.coroutines.withContext

/**
 * A folder of models by id: installed over bad networks, verified, kept up to date, lent to engines. Any thread may use
 * it; one process at a time, and one object in it, has a folder open.
 *
 * A model that is listed is complete and was verified. A download survives the end of the app: [ensure] goes on where it
 * was.
 */
class InklingStore private constructor(internal val ffi: FfiStore) : AutoCloseable {
    @Volatile private var closed = false

    /**
     * Sees to it that a model is installed. Returns at once; the download goes on by itself and belongs to the store.
     * Asking again for the same model gives the same download; asking for one that is there asks nobody, unless
     * [EnsureOptions.update] says so.
     *
     * Fails with what can be known at once: a source that may not be used, an id that is taken by another one.
     */
    @JvmOverloads
    @Throws(InklingException::class)
    fun ensure(source: StoreSource, options: EnsureOptions = EnsureOptions()): InklingDownload =
        InklingDownload(calling { ffi.ensure(source.text.whole("source"), options.ffi()) })

    /**
     * The download of a model that is on its way. Who has it by the model's id means the model: where an update follows
     * that was asked for meanwhile, pausing, resuming and cancelling this one do the same to that.
     */
    @Throws(InklingException::class)
    fun download(id: String): InklingDownload? = calling { ffi.download(id.whole("id")) }?.let(::InklingDownload)

    /**
     * Whether a model will run here with a context of so many tokens, asked before it is fetched: only its header is.
     * Cancelling the coroutine returns at once; a request that is on its way ends by itself.
     */
    suspend fun fit(source: StoreSource, context: Int? = null, options: LoadOptions = LoadOptions()): ModelFit {
        val tokens = size("context", context ?: options.context)
        return InklingModel.engine(options).let { engine ->
            leaving { engine.use { ffi.fit(it, source.text.whole("source"), tokens, options.kv?.whole("kv")).fit() } }
        }
    }

    /** All models that are installed. */
    suspend fun list(): List<InstalledModel> = working { ffi.list().map { it.model() } }

    /**
     * Loads an installed model. While it is loaded its file stays, whatever happens to the store. A new release must first
     * say what its publisher says it says; one that is no good is given up for the one before it, and after the last the
     * [alternatives] are tried: [InklingModel.origin] tells. Packed weights are kept in the store, and go with the model.
     *
     * Cancelling the coroutine stops the load. [onProgress] hears the part done, 0 to 1, on a thread of the engine, which
     * waits for it.
     */
    suspend fun load(
        id: String,
        options: LoadOptions = LoadOptions(),
        alternatives: List<String> = emptyList(),
        onProgress: (Float) -> Unit = {},
    ): InklingModel = InklingModel.load(this, id, options, alternatives, onProgress)

    /**
     * Reads every byte of a model's files and compares them with their digests. What is damaged, [ensure] fetches again,
     * and nothing else. Cancelling the coroutine, or closing the store, stops it. [onProgress] hears the part done, 0 to
     * 1, on the thread that reads; what it throws ends the verification and comes out here.
     */
    suspend fun verify(id: String, onProgress: (Float) -> Unit = {}): StoreVerification {
        val job = currentCoroutineContext().job
        val thrown = AtomicReference<Throwable>()
        val progress = object : FfiProgress {
            override fun loaded(fraction: Float) {
                // One that was cancelled is about to stop, and has nobody to tell.
                if (thrown.get() != null || !job.isActive) return
                try {
                    if (closed) throw InklingException.Cancelled("it was closed")
                    onProgress(fraction)
                } catch (error: Throwable) {
                    thrown.set(error)
                    // The engine takes it as a reason to stop.
                    throw error
                }
            }
        }
        val verification = calling { ffi.verify(id.whole("id"), progress) }
        return try {
            calling { verification.finish() }.verification()
        } catch (error: InklingException) {
            throw thrown.get() ?: error
        } finally {
            // Stops it, if it still runs.
            verification.close()
        }
    }

    /** Keeps a model whatever happens, or no longer. */
    suspend fun pin(id: String, pinned: Boolean = true) = working { ffi.pin(id.whole("id"), pinned) }

    /** Removes a model and all its releases; fails with [InklingException.Busy] while it is loaded. */
    suspend fun remove(id: String) = working { ffi.remove(id.whole("id")) }

    /** Goes back to the release before, at the next load. Gives its number. */
    suspend fun rollback(id: String): Long = working { ffi.rollback(id.whole("id")).toLong() }

    /**
     * Removes what nobody needs, and downloads that nobody went on with for this time. Gives the bytes that are free
     * again.
     */
    suspend fun gc(age: Duration = Duration.ofDays(7)): Long =
        working { ffi.gc(bytes("age", age.seconds)).toLong() }

    /** What takes how much. */
    suspend fun usage(): StoreUsage = working { ffi.usage().usage() }

    /**
     * What a model still needs, in parts of about so many bytes, for whoever fetches them by other means. Cancelling the
     * coroutine returns at once; a request that is on its way ends by itself.
     */
    suspend fun segments(source: StoreSource, partBytes: Long, options: EnsureOptions = EnsureOptions()): Segments =
        leaving {
            ffi.segments(source.text.whole("source"), options.ffi(), bytes("bytes", partBytes)).segments()
        }

    /**
     * Nobody fetches parts of this model any more: what has come stays for the next download, its room is free for who
     * needs it. Harmless if nobody did.
     */
    suspend fun callOff(id: String) = working { ffi.callOff(id.whole("id")) }

    /**
     * Takes a part that was fetched: [part] holds the bytes of [file] from [from] on. With the last part that a model
     * lacks, that model is installed: the release that its source had when it was asked for [segments]. Needs no network.
     */
    suspend fun handOver(file: String, from: Long, part: File): HandedOver =
        working { ffi.handOver(file.whole("file"), bytes("from", from), part.path.whole("path")).handedOver() }

    /** Looks at the network again, for an app that has learned that it changed. On Android that is done for it. */
    fun networkChanged() = unlessClosed { ffi.networkChanged() }

    /**
     * Ends all downloads, with [InklingException.Cancelled] for their watchers; what has arrived stays for the next time.
     * Waits up to two seconds for them. Models that are loaded stay. Closing twice is harmless.
     */
    override fun close() {
        closed = true
        Platform.closed(this)
        ffi.destroy()
    }

    /** On a thread that may wait for the disk. */
    private suspend fun <T> working(work: () -> T): T = withContext(Dispatchers.IO) { calling(work) }

    companion object {
        /** Threads that may wait for a server, and whose callers may leave. */
        private val waiting = CoroutineScope(SupervisorJob() + Dispatchers.IO.limitedParallelism(64))

        /** What cannot be stopped is left behind by a coroutine that is cancelled. */
        private suspend fun <T> leaving(work: () -> T): T = waiting.async { calling(work) }.await()

        /**
         * Opens a store, or makes one where there is none. Fails with [InklingException.Busy] while another process or
         * another object has it open.
         */
        @JvmStatic
        suspend fun open(options: StoreOptions = StoreOptions()): InklingStore {
            var opened: InklingStore? = null
            try {
                return withContext(Dispatchers.IO) {
                    val store = calling { InklingStore(FfiStore(options.ffi(), options.services())) }
                    store.also { opened = it }.also(Platform::opened)
                }
            } catch (cancelled: CancellationException) {
                // It came too late for whoever asked.
                opened?.close()
                throw cancelled
            }
        }
    }
}
