package dev.inkling

import dev.inkling.ffi.FfiException
import dev.inkling.ffi.InternalException

/**
 * What went wrong: one class for each kind, with its fields; [message] is a sentence for people that says what to do.
 *
 * The classes are the same in every language that Inkling speaks.
 */
sealed class InklingException(sentence: String, cause: Throwable? = null) : Exception(sentence, cause) {
    /** No model at this place. */
    class ModelNotFound internal constructor(val what: String, sentence: String) : InklingException(sentence)

    /** The file is damaged or is no model file at all; [location] says where that shows. */
    class ModelCorrupt internal constructor(val location: String, sentence: String) : InklingException(sentence)

    /** A sound file of a kind that this engine cannot run. */
    class UnsupportedModel internal constructor(val what: String, sentence: String) : InklingException(sentence)

    /** The work needs more memory than there is. */
    class OutOfMemory internal constructor(val needBytes: Long, val haveBytes: Long, sentence: String) :
        InklingException(sentence)

    /** The conversation or prompt does not fit into the context of [limit] tokens. */
    class ContextOverflow internal constructor(val limit: Long, val used: Long, sentence: String) :
        InklingException(sentence)

    /** The back end cannot run here. */
    class BackendUnavailable internal constructor(val backend: String, val reason: String, sentence: String) :
        InklingException(sentence)

    /**
     * The work was cancelled, or what it used was closed. A coroutine that is cancelled gets its usual
     * `CancellationException` and not this.
     */
    class Cancelled internal constructor(sentence: String = "cancelled") : InklingException(sentence)

    /** What is asked for is in use: a session that answers, a store that is open elsewhere, a model that is loaded. */
    class Busy internal constructor(sentence: String) : InklingException(sentence)

    /** The disk is full. */
    class StorageFull internal constructor(val needBytes: Long, val haveBytes: Long, sentence: String) :
        InklingException(sentence)

    /** The network failed. */
    class Network internal constructor(val retryable: Boolean, sentence: String) : InklingException(sentence)

    /** Stored bytes are not the bytes that were published; [chunk] is the first that is wrong, if that is known. */
    class Integrity internal constructor(val file: String, val chunk: Long?, sentence: String) :
        InklingException(sentence)

    /** A value that the caller passed cannot be used; [why] says what would be right. */
    class InvalidInput internal constructor(val field: String, val why: String, sentence: String = "$field: $why") :
        InklingException(sentence)

    /** A defect of the engine: please send [report]. */
    class Internal internal constructor(val report: String, sentence: String, cause: Throwable? = null) :
        InklingException(sentence, cause)
}

/**
 * The string itself, if it consists of whole characters: half of a surrogate pair cannot be told to the engine. Asked
 * before a call, because the generated code would fail in the middle of one and keep what it had begun to hand over.
 */
internal fun String.whole(field: String): String {
    var at = 0
    while (at < length) {
        val pair = this[at].isHighSurrogate() && at + 1 < length && this[at + 1].isLowSurrogate()
        if (this[at].isSurrogate() && !pair) {
            throw InklingException.InvalidInput(field, "it has half of a surrogate pair: give whole characters")
        }
        at += if (pair) 2 else 1
    }
    return this
}

/** Calls the engine; whatever goes wrong there is an [InklingException]. */
internal inline fun <T> calling(work: () -> T): T =
    try {
        work()
    } catch (error: FfiException) {
        throw error.translated()
    } catch (error: InternalException) {
        throw InklingException.Internal(error.toString(), "internal error, please report it: $error", error)
    } catch (error: IllegalStateException) {
        // What the generated code throws for a handle that another thread has closed.
        if (error !is java.util.concurrent.CancellationException && error.message?.endsWith("destroyed") == true) {
            throw InklingException.Cancelled("it was closed")
        }
        throw error
    }

/** As [calling], for what need not be done to a handle that is closed, or whose model is. */
internal inline fun unlessClosed(work: () -> Unit) {
    try {
        calling(work)
    } catch (closed: InklingException.Cancelled) {
        // There is nothing left to do.
    }
}

internal fun FfiException.translated(): InklingException =
    when (this) {
        is FfiException.ModelNotFound -> InklingException.ModelNotFound(what, sentence)
        is FfiException.ModelCorrupt -> InklingException.ModelCorrupt(location, sentence)
        is FfiException.UnsupportedModel -> InklingException.UnsupportedModel(what, sentence)
        is FfiException.OutOfMemory -> InklingException.OutOfMemory(needBytes.toLong(), haveBytes.toLong(), sentence)
        is FfiException.ContextOverflow -> InklingException.ContextOverflow(limit.toLong(), used.toLong(), sentence)
        is FfiException.BackendUnavailable -> InklingException.BackendUnavailable(backend, reason, sentence)
        is FfiException.Cancelled -> InklingException.Cancelled(sentence)
        is FfiException.Busy -> InklingException.Busy(sentence)
        is FfiException.StorageFull -> InklingException.StorageFull(needBytes.toLong(), haveBytes.toLong(), sentence)
        is FfiException.Network -> InklingException.Network(retryable, sentence)
        is FfiException.Integrity -> InklingException.Integrity(file, chunk?.toLong(), sentence)
        is FfiException.InvalidInput -> InklingException.InvalidInput(`field`, why, sentence)
        is FfiException.Internal -> InklingException.Internal(report, sentence)
    }
