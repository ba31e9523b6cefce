package dev.inkling

import dev.inkling.ffi.FfiLogLevel
import dev.inkling.ffi.FfiLogSink
import dev.inkling.ffi.initLogging

/** How much is logged; each level includes those before it. */
enum class LogLevel { ERROR, WARN, INFO, DEBUG, TRACE }

/** Takes lines of the engine's log, on any thread; return soon. Never holds what a user or a model wrote. */
fun interface LogSink {
    fun log(level: LogLevel, target: String, line: String)
}

/** The engine's log. */
object InklingLog {
    /** Sends the log to [sink] from now on; without one, nowhere. May be called again. */
    @JvmStatic
    @Throws(InklingException::class)
    fun send(level: LogLevel, sink: LogSink?) = calling {
        val lines = sink?.let {
            object : FfiLogSink {
                override fun log(level: FfiLogLevel, target: String, line: String) =
                    it.log(LogLevel.entries[level.ordinal], target, line)
            }
        }
        initLogging(FfiLogLevel.entries[level.ordinal], lines)
    }
}
