package dev.inkling

import android.content.Context
import android.os.Build
import android.os.PowerManager
import android.os.SystemClock
import dev.inkling.ffi.FfiHeat
import dev.inkling.ffi.FfiThermal
import dev.inkling.ffi.FfiThermalSignal

/**
 * How hot the device is: the status that Android tells listeners (Android 10), and its forecast (Android 11).
 *
 * A device that takes no listener is asked for its status instead.
 *
 * Asked more often than once a second, Android answers the forecast with NaN, so a forecast is kept for that long; and
 * because other code of the app may ask as well, a NaN does not replace a forecast before that is ten seconds old.
 */
internal class AndroidThermal(
    context: Context,
    private val milliseconds: () -> Long = SystemClock::elapsedRealtime,
) : FfiThermalSignal {
    private val power = context.getSystemService(PowerManager::class.java)

    @Volatile private var heat = FfiHeat.UNKNOWN
    private var listening = false

    // Under the lock of this object.
    private var forecast: Float? = null
    private var forecastAt = 0L
    private var askedAt = Long.MIN_VALUE

    init {
        if (Build.VERSION.SDK_INT >= 29 && power != null) {
            heat = heat(power.currentThermalStatus)
            try {
                // Called on a thread of the system, which an assignment does not hold up.
                power.addThermalStatusListener({ it.run() }) { heat = heat(it) }
                listening = true
            } catch (refused: RuntimeException) {
                // "Listener failed to set": Android says no more.
            }
        }
    }

    override fun thermal(): FfiThermal {
        if (!listening && Build.VERSION.SDK_INT >= 29 && power != null) heat = heat(power.currentThermalStatus)
        return FfiThermal(heat, headroom())
    }

    /** 1 is where Android begins to throttle severely. */
    @Synchronized
    private fun headroom(): Float? {
        if (Build.VERSION.SDK_INT < 30 || power == null) return null
        val now = milliseconds()
        if (askedAt == Long.MIN_VALUE || now - askedAt >= POLL_MILLISECONDS) {
            askedAt = now
            val told = power.getThermalHeadroom(FORECAST_SECONDS)
            if (!told.isNaN()) {
                forecast = told
                forecastAt = now
            }
        }
        return forecast.takeIf { now - forecastAt < FORECAST_SECONDS * 1000 }
    }

    private companion object {
        const val FORECAST_SECONDS = 10
        const val POLL_MILLISECONDS = 1000

        /** Light and moderate heat changes little that people notice; what is beyond severe asks for a stop. */
        fun heat(status: Int) = when (status) {
            PowerManager.THERMAL_STATUS_NONE -> FfiHeat.NOMINAL
            PowerManager.THERMAL_STATUS_LIGHT, PowerManager.THERMAL_STATUS_MODERATE -> FfiHeat.FAIR
            PowerManager.THERMAL_STATUS_SEVERE -> FfiHeat.SERIOUS
            else -> if (status > PowerManager.THERMAL_STATUS_SEVERE) FfiHeat.CRITICAL else FfiHeat.UNKNOWN
        }
    }
}
