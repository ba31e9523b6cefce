package dev.inkling

import android.app.ActivityManager
import android.app.Application
import android.app.ApplicationExitInfo
import android.content.Context
import android.os.Build
import java.time.Instant

/** Why a process of the app ended. */
enum class ExitReason {
    /** Android needed its memory. */
    LOW_MEMORY,

    /** It took too much of something, processor time for example. */
    EXCESSIVE_USE,

    /** An exception that nobody caught. */
    CRASH,

    /** Native code failed. */
    NATIVE_CRASH,

    /** It did not respond. */
    NOT_RESPONDING,

    /** It ended itself, or the user or a part of the system ended it. */
    OTHER,
}

/** How the app's process ended the last time. */
data class LastExit(
    val reason: ExitReason,
    val time: Instant,
    /** Memory that it held in RAM when it was looked at last; 0 if nobody looked. */
    val residentBytes: Long,
    /** What Android says about it; for a log, not for people. */
    val description: String?,
) {
    internal companion object {
        private const val SIGKILL = 9

        fun of(context: Context): LastExit? {
            if (Build.VERSION.SDK_INT < 30) return null
            val activities = context.getSystemService(ActivityManager::class.java) ?: return null
            val process = Application.getProcessName()
            val exits = activities.getHistoricalProcessExitReasons(null, 0, 0)
            return exits.firstOrNull { it.processName == process }?.let {
                LastExit(reason(it), Instant.ofEpochMilli(it.timestamp), it.rss * 1024, it.description)
            }
        }

        private fun reason(exit: ApplicationExitInfo): ExitReason = when (exit.reason) {
            ApplicationExitInfo.REASON_LOW_MEMORY -> ExitReason.LOW_MEMORY
            ApplicationExitInfo.REASON_EXCESSIVE_RESOURCE_USAGE -> ExitReason.EXCESSIVE_USE
            ApplicationExitInfo.REASON_CRASH -> ExitReason.CRASH
            ApplicationExitInfo.REASON_CRASH_NATIVE -> ExitReason.NATIVE_CRASH
            ApplicationExitInfo.REASON_ANR -> ExitReason.NOT_RESPONDING
            // Where Android cannot tell that it killed for memory, this is how that looks.
            ApplicationExitInfo.REASON_SIGNALED ->
                if (exit.status == SIGKILL && !ActivityManager.isLowMemoryKillReportSupported()) ExitReason.LOW_MEMORY
                else ExitReason.OTHER
            else -> ExitReason.OTHER
        }
    }
}
