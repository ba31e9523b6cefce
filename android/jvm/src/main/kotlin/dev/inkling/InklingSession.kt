package dev.inkling

import dev.inkling.ffi.FfiMessage
import dev.inkling.ffi.FfiSession
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.collect

/** A message of a conversation. The [role] is `system`, `user` or `assistant`. */
data class Message(val role: String, val content: String)

internal fun Message.ffi() = FfiMessage(role.whole("transcript"), content.whole("transcript"))

/**
 * A conversation. One answer runs at a time; the next one computes only what is new. Any thread may use it.
 */
class InklingSession internal constructor(private val ffi: FfiSession) : AutoCloseable {
    private val turns = Turns()

    /**
     * Asks the model. The flow is cold: collecting it asks, and cancelling its collector stops the engine within one
     * token. A collector that is slow slows the engine down and loses nothing.
     *
     * Collecting fails with [InklingException.Busy] while another answer is on its way. An answer that was cancelled
     * stays in the [transcript] as far as it came; one that failed leaves no trace.
     */
    @JvmOverloads
    fun streamResponse(prompt: String, options: GenerationOptions = GenerationOptions()): Flow<InklingEvent> =
        turns.events { ffi.stream(prompt.whole("prompt"), options.ffi()) }

    /** Asks the model and waits for the whole answer. */
    suspend fun respond(prompt: String, options: GenerationOptions = GenerationOptions()): InklingResponse =
        streamResponse(prompt, options).response {}

    /**
     * Gets ready for the next message, which may be known to begin with [prefix]: what is known of it runs through the
     * model. Returns when that is done. A message that comes meanwhile takes over.
     */
    suspend fun prewarm(prefix: String = "") = turns.events { ffi.prewarm(prefix.whole("prefix")) }.collect {}

    /** All messages so far, instructions first. Setting it waits for an answer that was cancelled. */
    var transcript: List<Message>
        get() = calling { ffi.transcript() }.map { Message(it.role, it.content) }
        set(messages) = calling { ffi.setTranscript(messages.map { it.ffi() }) }

    /** Whether an answer is on its way that was not cancelled. */
    val isResponding: Boolean get() = calling { ffi.isResponding() }

    /**
     * Asks the answer that is on its way to stop: what was generated is still delivered, then it finishes as
     * [FinishReason.Cancelled]. Returns at once; does nothing if there is none.
     */
    fun cancel() = turns.cancelStreams()

    /** Cancels the answer that is on its way, waits until it has ended, and frees its memory. Closing twice is harmless. */
    override fun close() {
        try {
            unlessClosed { ffi.cancelAndWait() }
        } finally {
            ffi.destroy()
        }
    }
}

/** Collects an answer; `onEvent` sees each event. */
internal suspend fun Flow<InklingEvent>.response(onEvent: (InklingEvent) -> Unit): InklingResponse {
    val text = StringBuilder()
    val thinking = StringBuilder()
    var stats: Stats? = null
    collect { event ->
        onEvent(event)
        when (event) {
            is InklingEvent.Text -> text.append(event.delta)
            is InklingEvent.Thinking -> thinking.append(event.delta)
            is InklingEvent.Finished -> stats = event.stats
            else -> {}
        }
    }
    // Every answer ends with its stats or throws.
    return InklingResponse(text.toString(), thinking.toString(), stats!!)
}
