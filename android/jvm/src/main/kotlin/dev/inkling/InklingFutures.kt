package dev.inkling

import java.util.concurrent.CompletableFuture
import java.util.function.Consumer
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.flow.Flow
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
}
