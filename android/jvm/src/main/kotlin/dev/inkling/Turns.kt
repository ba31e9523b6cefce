package dev.inkling

import dev.inkling.ffi.FfiStream
import java.util.concurrent.ConcurrentHashMap
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.launch
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlinx.coroutines.withContext

/**
 * The answers of one conversation that are on their way: at most one that the engine works on, those that are being
 * cancelled, and those that will learn that they are too many.
 *
 * Cancelling a coroutine returns before the coroutine has ended. Whoever cancels an answer and asks again at once must
 * not be told that the session is busy with what was cancelled: so a cancelled answer is marked at the moment of the
 * cancelling, on the thread that cancels, and the next one waits for marked ones to end.
 */
internal class Turns {
    private val turns = ConcurrentHashMap.newKeySet<Turn>()

    /** The events of an answer that [start] begins. */
    fun events(start: () -> FfiStream): Flow<InklingEvent> = flow {
        coroutineScope {
            val turn = Turn()
            turns += turn
            val watch = launch(Dispatchers.Unconfined, CoroutineStart.UNDISPATCHED) {
                suspendCancellableCoroutine<Nothing> { it.invokeOnCancellation { turn.cancel() } }
            }
            try {
                for (before in turns) if (before !== turn && before.cancelled) before.ended.join()
                // Tokenizing a long conversation takes a while, and so may an answer before it that was cancelled.
                withContext(Dispatchers.Default) { turn.began(calling(start)) }
                while (true) {
                    val batch = calling { turn.stream!!.next() } ?: break
                    for (event in batch) emit(event.event())
                }
            } finally {
                // Closing the last handle cancels the answer, and the engine lets the next one wait for its end.
                turn.stream?.close()
                turns -= turn
                turn.ended.complete(Unit)
                watch.cancel()
            }
        }
    }

    /** Asks the engine to stop; what was generated is still delivered. */
    fun cancelStreams() = turns.forEach { it.cancelStream() }

    private class Turn {
        val ended = CompletableDeferred<Unit>()

        @Volatile var cancelled = false
            private set

        @Volatile var stream: FfiStream? = null
            private set

        fun began(stream: FfiStream) {
            this.stream = stream
            if (cancelled) cancelStream()
        }

        fun cancel() {
            cancelled = true
            cancelStream()
        }

        fun cancelStream() {
            try {
                calling { stream?.cancel() }
            } catch (closed: InklingException.Cancelled) {
                // It has ended meanwhile, and its handle is closed.
            }
        }
    }
}
