package dev.inkling

import dev.inkling.ffi.FfiDownload
import dev.inkling.ffi.FfiDownloadEvent
import dev.inkling.ffi.FfiWait
import java.time.Duration
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.flow.last

/** Why a download waits. It goes on by itself, or when it is resumed. */
sealed class WaitReason {
    /** Somebody paused it. */
    data object Paused : WaitReason()

    /** There is no network. */
    data object NoNetwork : WaitReason()

    /** The network costs money, and the download was told to wait for one that does not. */
    data object Metered : WaitReason()

    /** Others come first. */
    data object Queued : WaitReason()

    /** The server failed and is asked again; [why] says how it failed. */
    data class Retrying(val why: String) : WaitReason()

    /** Another reason, in words. */
    data class Other(val why: String) : WaitReason()
}

/** A step of a download. They come in this order, with [Waiting] anywhere between. */
sealed class DownloadEvent {
    /** The source is asked what there is to fetch. */
    data object Resolving : DownloadEvent()

    /** Nothing moves. */
    data class Waiting(val reason: WaitReason) : DownloadEvent()

    /** Bytes come in. */
    data class Downloading(
        /** Bytes that have arrived, also earlier. */
        val bytes: Long,
        /** Bytes of all files. */
        val total: Long,
        /** Bytes a second, over the last seconds; 0 if nothing is known yet. */
        val rate: Double,
        /** The time that the rest will take at this rate. */
        val remaining: Duration?,
    ) : DownloadEvent()

    /** What is there is checked: [done] of [total] bytes. */
    data class Verifying(val done: Long, val total: Long) : DownloadEvent()

    /** The model is tried and takes its place. */
    data object Activating : DownloadEvent()

    /** The model is installed under this id. Nothing follows. */
    data class Ready(val id: String) : DownloadEvent()
}

/**
 * A download on its way, or at its end. It belongs to its store: letting go of this changes nothing, and
 * [InklingStore.ensure] and [InklingStore.download] give another handle on the same one.
 */
class InklingDownload internal constructor(private val ffi: FfiDownload) {
    /** The id of the model. */
    val id: String = calling { ffi.id() }

    /**
     * What happens, up to [DownloadEvent.Ready], or to the [InklingException] with which it failed. Each collector hears
     * all steps from the beginning; progress that it did not take in time is left out. Leaving the flow, or cancelling
     * its collector, does not touch the download.
     */
    val events: Flow<DownloadEvent> = flow {
        calling { ffi.again() }.use { watcher ->
            while (true) emit((calling { watcher.next() } ?: break).event())
        }
        // Not on a dispatcher of the collector's choice: one that runs nothing elsewhere would go on inside of the engine's call.
    }.buffer(Channel.RENDEZVOUS).flowOn(Dispatchers.Default)

    /** Waits until it is installed, and gives the model's id. Cancelling the coroutine does not touch the download. */
    suspend fun await(): String = (events.last() as DownloadEvent.Ready).id

    /** Stops it until it is resumed; what has arrived stays. */
    fun pause() = calling { ffi.pause() }

    /** Lets it go on. */
    fun resume() = calling { ffi.resume() }

    /**
     * Ends it: its watchers get [InklingException.Cancelled]. What has arrived stays, so that asking for the model again
     * goes on there.
     */
    fun cancel() = calling { ffi.cancel() }
}

private fun FfiDownloadEvent.event(): DownloadEvent = when (this) {
    is FfiDownloadEvent.Resolving -> DownloadEvent.Resolving
    is FfiDownloadEvent.Waiting -> DownloadEvent.Waiting(reason.reason())
    is FfiDownloadEvent.Downloading -> DownloadEvent.Downloading(
        bytes.toLong(),
        total.toLong(),
        rate,
        // A rate that is almost nothing makes a time that no Duration holds.
        remainingSeconds?.takeIf { it < LONGEST_SECONDS }?.let { Duration.ofMillis((it * 1000).toLong()) },
    )
    is FfiDownloadEvent.Verifying -> DownloadEvent.Verifying(done.toLong(), total.toLong())
    is FfiDownloadEvent.Activating -> DownloadEvent.Activating
    is FfiDownloadEvent.Ready -> DownloadEvent.Ready(id)
}

/** A century. */
private const val LONGEST_SECONDS = 3e9

private fun FfiWait.reason(): WaitReason = when (this) {
    is FfiWait.Paused -> WaitReason.Paused
    is FfiWait.NoNetwork -> WaitReason.NoNetwork
    is FfiWait.Metered -> WaitReason.Metered
    is FfiWait.Queued -> WaitReason.Queued
    is FfiWait.Retrying -> WaitReason.Retrying(why)
    is FfiWait.Other -> WaitReason.Other(why)
}
