package dev.inkling

import dev.inkling.ffi.FfiEngine
import dev.inkling.ffi.FfiEngineConfig
import dev.inkling.ffi.FfiLoad
import dev.inkling.ffi.FfiLoadOptions
import dev.inkling.ffi.FfiModel
import dev.inkling.ffi.FfiProgress
import dev.inkling.ffi.FfiPrompt
import java.util.concurrent.atomic.AtomicReference
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.job
import kotlinx.coroutines.withContext

/** What a file holds, without loading it. */
data class ModelInfo(
    val architecture: String?,
    val name: String?,
    /** Weights, counted one by one. */
    val parameters: Long,
    val weightBytes: Long,
    /** Tokens that the model was made for, if the file says so. */
    val context: Long?,
    /** Bytes that one token of a conversation takes in the cache; 0 if the model cannot run. */
    val cacheBytesPerToken: Long,
    /** Everything that keeps it from being used; empty if it can be loaded. */
    val problems: List<String>,
)

/** What does not change while a model is loaded. */
data class ModelFacts(
    val architecture: String,
    /** Tokens that it knows. */
    val vocabulary: Long,
    /** Tokens that a conversation may hold. */
    val context: Long,
    /** Whether it was taught to think before it answers. */
    val canThink: Boolean,
    /** Why it cannot hold conversations, if so; raw completion it always can. */
    val chatProblem: String?,
    /** What cost something during the load, and will again. */
    val warnings: List<String>,
)

/** Bytes that a model uses. */
data class MemoryUse(
    /** Weights in mapped files: the system may drop and read them again. */
    val mappedBytes: Long,
    /** Memory that the system cannot take back, without the cache. */
    val ownedBytes: Long,
    /** Keys and values of conversations. */
    val cacheBytes: Long,
)

/**
 * A loaded model. Any thread may use it.
 *
 * [close] ends everything that runs on it and frees its memory; without it, that happens some time after the model, its
 * sessions and its answers are unreachable.
 */
class InklingModel private constructor(private val ffi: FfiModel) : AutoCloseable {
    /** What does not change while it is loaded. */
    val facts: ModelFacts = calling { ffi.facts() }.let {
        ModelFacts(
            it.architecture,
            it.vocabulary.toLong(),
            it.context.toLong(),
            it.canThink,
            it.chatProblem,
            it.warnings,
        )
    }

    /** Where it comes from, if a store lent it. */
    val origin: ModelOrigin? = calling { ffi.origin() }?.origin()

    /** Begins a conversation, or goes on with one: [transcript] comes behind the [instructions]. */
    @JvmOverloads
    @Throws(InklingException::class)
    fun session(instructions: String? = null, transcript: List<Message> = emptyList()): InklingSession =
        InklingSession(calling { ffi.session(instructions?.whole("instructions"), transcript.map { it.ffi() }) })

    /** Continues a text without a template. Nothing is computed before the flow is collected. */
    @JvmOverloads
    fun complete(text: String, options: GenerationOptions = GenerationOptions()): Flow<InklingEvent> =
        Turns().events { ffi.complete(FfiPrompt.Text(text.whole("prompt")), options.ffi()) }

    /** Continues token ids, taken as they are. */
    @JvmOverloads
    fun complete(tokens: List<Int>, options: GenerationOptions = GenerationOptions()): Flow<InklingEvent> =
        Turns().events { ffi.complete(FfiPrompt.Tokens(tokens.tokenIds()), options.ffi()) }

    /** The token ids of a text. What looks like a control token in it stays text. */
    @Throws(InklingException::class)
    fun tokenize(text: String): List<Int> = calling { ffi.tokenize(text.whole("text")) }.map { it.toInt() }

    /** The text of token ids, without control tokens. */
    @Throws(InklingException::class)
    fun detokenize(tokens: List<Int>): String = calling { ffi.detokenize(tokens.tokenIds()) }

    /** Bytes that it uses now. */
    suspend fun memory(): MemoryUse = withContext(Dispatchers.Default) {
        calling { ffi.memory() }.let {
            MemoryUse(it.mappedBytes.toLong(), it.ownedBytes.toLong(), it.cacheBytes.toLong())
        }
    }

    /** Changes the number of worker threads from the next token on. Answers do not change. */
    suspend fun setThreads(threads: Int) = withContext(Dispatchers.Default) {
        if (threads < 1) throw InklingException.InvalidInput("threads", "$threads is not possible: give at least 1")
        calling { ffi.setThreads(threads.toUInt()) }
    }

    /**
     * Ends answers that are on their way (with [InklingException.Cancelled]) and frees the memory before it returns: one
     * token, or one chunk of a prompt. Later calls of anything that belongs to the model get that exception too. Closing
     * twice is harmless.
     */
    override fun close() {
        try {
            unlessClosed { ffi.shutDown() }
        } finally {
            ffi.destroy()
        }
    }

    companion object {
        /**
         * Loads a model. Cancelling the coroutine stops the load. [onProgress] hears the part done, 0 to 1, on a thread
         * of the engine, which waits for it; what it throws ends the load and comes out here.
         */
        @JvmStatic
        suspend fun load(
            source: ModelSource,
            options: LoadOptions = LoadOptions(),
            onProgress: (Float) -> Unit = {},
        ): InklingModel =
            loading(options, onProgress) { engine, given, progress -> engine.load(source.path.whole("path"), given, progress) }

        /** Loads a model that a store has: see [InklingStore.load]. */
        @JvmStatic
        suspend fun load(
            store: InklingStore,
            id: String,
            options: LoadOptions = LoadOptions(),
            alternatives: List<String> = emptyList(),
            onProgress: (Float) -> Unit = {},
        ): InklingModel = loading(options, onProgress) { engine, given, progress ->
            store.ffi.load(engine, id.whole("id"), alternatives.map { it.whole("alternatives") }, given, progress)
        }

        private suspend fun loading(
            options: LoadOptions,
            onProgress: (Float) -> Unit,
            begin: (FfiEngine, FfiLoadOptions, FfiProgress) -> FfiLoad,
        ): InklingModel {
            val given = options.ffi()
            return engine(options).use { engine ->
                val thrown = AtomicReference<Throwable>()
                val job = currentCoroutineContext().job
                val progress = object : FfiProgress {
                    override fun loaded(fraction: Float) {
                        // A load that was cancelled is about to stop, and has nobody to tell.
                        if (thrown.get() != null || !job.isActive) return
                        try {
                            onProgress(fraction)
                        } catch (error: Throwable) {
                            thrown.set(error)
                            // The engine takes it as a reason to stop.
                            throw error
                        }
                    }
                }
                val load = calling { begin(engine, given, progress) }
                try {
                    InklingModel(calling { load.finish() })
                } catch (error: InklingException) {
                    throw thrown.get() ?: error
                } finally {
                    // Stops it, if it still runs.
                    load.close()
                }
            }
        }

        /** Looks into a file without loading it. */
        @JvmStatic
        suspend fun inspect(source: ModelSource): ModelInfo = withContext(Dispatchers.IO) {
            engine(LoadOptions()).use { engine ->
                calling { engine.inspect(source.path.whole("path")) }.let {
                    ModelInfo(
                        it.architecture,
                        it.name,
                        it.parameters.toLong(),
                        it.weightBytes.toLong(),
                        it.context?.toLong(),
                        it.cacheBytesPerToken.toLong(),
                        it.problems,
                    )
                }
            }
        }

        internal suspend fun engine(options: LoadOptions): FfiEngine = withContext(Dispatchers.Default) {
            val signals = Platform.signals.let { it.copy(freeMemory = options.availableMemory.ffi() ?: it.freeMemory) }
            calling { FfiEngine(FfiEngineConfig(options.backend.whole("backend"), options.weightCache.ffi()), signals) }
        }
    }
}
