package dev.inkling

import dev.inkling.ffi.FfiEvent
import dev.inkling.ffi.FfiStream
import java.util.concurrent.ConcurrentHashMap
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.launch
import kotlinx.coroutines.suspendCancellableCoroutine

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
            // First whoever notices a cancelling, then its place among the turns, then the look at whether it was
            // cancelled: so either the next answer finds it there and marked, or it does not begin.
            val watch = launch(Dispatchers.Unconfined, CoroutineStart.UNDISPATCHED) {
                suspendCancellableCoroutine<Nothing> { it.invokeOnCancellation { turn.cancel() } }
            }
            turns += turn
            try {
                ensureActive()
                for (before in turns) if (before !== turn && before.cancelled) before.ended.join()
                // A batch is handed over at a time, and the next is waited for when that one was taken: the engine feels a
                // slow collector.
                val batches = batches(turn, start).buffer(Channel.RENDEZVOUS).flowOn(waiting)
                batches.collect { batch ->
                    try {
                        for (event in batch) emit(event.event())
                    } catch (left: Throwable) {
                        // Now, and not when the next batch is there: whoever waits for it is waited for.
                        turn.cancelStream()
                        throw left
                    }
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

    /** Blocks its thread while the engine works. */
    private fun batches(turn: Turn, start: () -> FfiStream): Flow<List<FfiEvent>> = flow {
        val stream = calling(start)
        turn.began(stream)
        while (true) emit(calling { stream.wait() } ?: break)
    }

    /** Asks the engine to stop; what was generated is still delivered. */
    fun cancelStreams() = turns.forEach { it.cancelStream() }

    private companion object {
        /** Threads that wait for the engine: one for each answer that is on its way, and none otherwise. */
        val waiting = Dispatchers.IO.limitedParallelism(1_000)
    }

    private class Turn {
        val ended = CompletableDeferred<Unit>()

        @Volatile var cancelled = false
            private set

        @Volatile var stream: FfiStream? = null
            private set

        @Volatile private var stopped = false

        fun began(stream: FfiStream) {
            this.stream = stream
            if (stopped) cancelStream()
        }

        fun cancel() {
            cancelled = true
            cancelStream()
        }

        /** If there is no stream yet, it is cancelled when it begins. */
        fun cancelStream() {
            stopped = true
            unlessClosed { stream?.cancel() }
        }
    }
}
