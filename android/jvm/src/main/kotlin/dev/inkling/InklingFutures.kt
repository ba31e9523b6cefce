package dev.inkling

import java.time.Duration
import java.util.concurrent.CompletableFuture
import java.util.function.Consumer
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.last
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.future.future

/**
 * For Java: the functions that suspend in Kotlin, as futures. Cancelling a future stops its work. A future that fails
 * holds an [InklingException].
 */
object InklingFutures {
    // Work that belongs to nobody but its future.
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Default)

    /** See [InklingModel.load]. */
    @JvmStatic
    @JvmOverloads
    fun load(
        source: ModelSource,
        options: LoadOptions = LoadOptions(),
        onProgress: Consumer<Float> = Consumer {},
    ): CompletableFuture<InklingModel> = scope.future { InklingModel.load(source, options) { onProgress.accept(it) } }

    /** See [InklingStore.load]. */
    @JvmStatic
    @JvmOverloads
    fun load(
        store: InklingStore,
        id: String,
        options: LoadOptions = LoadOptions(),
        alternatives: List<String> = emptyList(),
        onProgress: Consumer<Float> = Consumer {},
    ): CompletableFuture<InklingModel> =
        scope.future { InklingModel.load(store, id, options, alternatives) { onProgress.accept(it) } }

    /** See [InklingModel.inspect]. */
    @JvmStatic
    fun inspect(source: ModelSource): CompletableFuture<ModelInfo> = scope.future { InklingModel.inspect(source) }

    /** See [InklingSession.respond]. */
    @JvmStatic
    @JvmOverloads
    fun respond(
        session: InklingSession,
        prompt: String,
        options: GenerationOptions = GenerationOptions(),
    ): CompletableFuture<InklingResponse> = collect(session.streamResponse(prompt, options)) {}

    /** Collects an answer; [onEvent] gets each event, and the engine waits for it. */
    @JvmStatic
    fun collect(answer: Flow<InklingEvent>, onEvent: Consumer<InklingEvent>): CompletableFuture<InklingResponse> =
        scope.future { answer.response { onEvent.accept(it) } }

    /** See [InklingSession.prewarm]. */
    @JvmStatic
    @JvmOverloads
    fun prewarm(session: InklingSession, prefix: String = ""): CompletableFuture<Void?> =
        scope.future { session.prewarm(prefix).let { null } }

    /** See [InklingStore.open]. */
    @JvmStatic
    @JvmOverloads
    fun openStore(options: StoreOptions = StoreOptions()): CompletableFuture<InklingStore> =
        scope.future { InklingStore.open(options) }

    /**
     * Watches a download until the model is installed, and gives its id; [onEvent] gets each event. Cancelling the future
     * ends the watching, not the download.
     */
    @JvmStatic
    @JvmOverloads
    fun watch(download: InklingDownload, onEvent: Consumer<DownloadEvent> = Consumer {}): CompletableFuture<String> =
        scope.future { (download.events.onEach { onEvent.accept(it) }.last() as DownloadEvent.Ready).id }

    /** See [InklingStore.fit]. */
    @JvmStatic
    @JvmOverloads
    fun fit(
        store: InklingStore,
        source: StoreSource,
        context: Int? = null,
        options: LoadOptions = LoadOptions(),
    ): CompletableFuture<ModelFit> = scope.future { store.fit(source, context, options) }

    /** See [InklingStore.list]. */
    @JvmStatic
    fun list(store: InklingStore): CompletableFuture<List<InstalledModel>> = scope.future { store.list() }

    /** See [InklingStore.verify]. */
    @JvmStatic
    @JvmOverloads
    fun verify(
        store: InklingStore,
        id: String,
        onProgress: Consumer<Float> = Consumer {},
    ): CompletableFuture<StoreVerification> = scope.future { store.verify(id) { onProgress.accept(it) } }

    /** See [InklingStore.pin]. */
    @JvmStatic
    @JvmOverloads
    fun pin(store: InklingStore, id: String, pinned: Boolean = true): CompletableFuture<Void?> =
        scope.future { store.pin(id, pinned).let { null } }

    /** See [InklingStore.remove]. */
    @JvmStatic
    fun remove(store: InklingStore, id: String): CompletableFuture<Void?> =
        scope.future { store.remove(id).let { null } }

    /** See [InklingStore.rollback]. */
    @JvmStatic
    fun rollback(store: InklingStore, id: String): CompletableFuture<Long> = scope.future { store.rollback(id) }

    /** See [InklingStore.gc]. */
    @JvmStatic
    @JvmOverloads
    fun gc(store: InklingStore, age: Duration = Duration.ofDays(7)): CompletableFuture<Long> =
        scope.future { store.gc(age) }

    /** See [InklingStore.usage]. */
    @JvmStatic
    fun usage(store: InklingStore): CompletableFuture<StoreUsage> = scope.future { store.usage() }
}
