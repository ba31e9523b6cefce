package dev.inkling

import android.app.ActivityManager
import android.app.ApplicationExitInfo
import android.os.BatteryManager
import android.os.PowerManager
import dev.inkling.ffi.FfiHeat
import java.time.Instant
import java.util.concurrent.Executor
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.Implementation
import org.robolectric.annotation.Implements
import org.robolectric.shadows.ShadowActivityManager
import org.robolectric.shadows.ShadowPowerManager
import org.robolectric.shadows.ShadowSystemProperties

/** The signals over Robolectric's shadows, as Android 8 (the oldest that is supported) and Android 14. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [26, 34], manifest = Config.NONE)
class SignalsTest {
    private val context = Host.context
    private val power = context.getSystemService(PowerManager::class.java)

    @Test
    fun `the battery's level, charging and saving`() {
        val shadow = shadowOf(context.getSystemService(BatteryManager::class.java))
        val signal = AndroidBattery(context)
        shadow.setIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY, 42)
        shadow.setIsCharging(false)
        shadowOf(power).setIsPowerSaveMode(true)
        signal.battery().let {
            assertEquals(0.42f, it.level!!, 1e-6f)
            assertEquals(false, it.charging)
            assertEquals(true, it.saving)
        }
        shadow.setIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY, 100)
        shadow.setIsCharging(true)
        shadowOf(power).setIsPowerSaveMode(false)
        signal.battery().let {
            assertEquals(1f, it.level!!, 0f)
            assertEquals(true, it.charging)
            assertEquals(false, it.saving)
        }
    }

    @Test
    fun `a device that does not tell its battery's level`() {
        val shadow = shadowOf(context.getSystemService(BatteryManager::class.java))
        shadow.setIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY, Int.MIN_VALUE)
        assertNull(AndroidBattery(context).battery().level)
    }

    @Test
    fun `memory is what lies above the mark at which Android ends apps, asked each time`() {
        val activities = shadowOf(context.getSystemService(ActivityManager::class.java))
        val signal = AndroidMemory(context)
        assertNull("nobody told", signal.availableBytes())
        fun tell(available: Long, mark: Long, low: Boolean) = activities.setMemoryInfo(
            ActivityManager.MemoryInfo().apply {
                availMem = available
                threshold = mark
                lowMemory = low
            },
        )
        tell(900, 200, false)
        assertEquals(700uL, signal.availableBytes())
        tell(300, 200, false)
        assertEquals(100uL, signal.availableBytes())
        tell(100, 200, false)
        assertEquals(0uL, signal.availableBytes())
        tell(900, 200, true)
        assertEquals(0uL, signal.availableBytes())
    }

    @Test
    @Config(sdk = [34], shadows = [Power::class])
    fun `heat follows the listener`() = heat { status -> Power.listener!!.onThermalStatusChanged(status) }

    @Test
    @Config(sdk = [34])
    fun `heat is asked for where no listener is taken`() = heat { status -> shadowOf(power).setCurrentThermalStatus(status) }

    private fun heat(tell: (Int) -> Unit) {
        shadowOf(power).setCurrentThermalStatus(PowerManager.THERMAL_STATUS_MODERATE)
        val signal = AndroidThermal(context)
        assertEquals(FfiHeat.FAIR, signal.thermal().heat)
        for ((status, heat) in listOf(
            PowerManager.THERMAL_STATUS_NONE to FfiHeat.NOMINAL,
            PowerManager.THERMAL_STATUS_LIGHT to FfiHeat.FAIR,
            PowerManager.THERMAL_STATUS_SEVERE to FfiHeat.SERIOUS,
            PowerManager.THERMAL_STATUS_CRITICAL to FfiHeat.CRITICAL,
            PowerManager.THERMAL_STATUS_EMERGENCY to FfiHeat.CRITICAL,
            PowerManager.THERMAL_STATUS_SHUTDOWN to FfiHeat.CRITICAL,
        )) {
            tell(status)
            assertEquals("status $status", heat, signal.thermal().heat)
        }
    }

    @Test
    @Config(sdk = [34], shadows = [Power::class])
    fun `headroom is asked for once a second, and NaN is not believed`() {
        var now = 5_000L
        val signal = AndroidThermal(context) { now }
        fun headroom(after: Long, told: Float): Float? {
            now += after
            Power.told = told
            return signal.thermal().headroom
        }
        assertNull(headroom(0, Float.NaN))
        assertNull("asked a second too early", headroom(999, 0.5f))
        assertEquals(0.5f, headroom(1, 0.5f))
        assertEquals("asked a second too early", 0.5f, headroom(999, 0.7f))
        assertEquals(0.7f, headroom(1, 0.7f))
        assertEquals("another part of the app asked", 0.7f, headroom(5_000, Float.NaN))
        assertNull("too old", headroom(5_000, Float.NaN))
        assertEquals(1.2f, headroom(1_000, 1.2f))
        assertEquals(10, Power.seconds)
    }

    @Test
    @Config(sdk = [26])
    fun `an old Android says nothing of heat and of ends`() {
        val thermal = AndroidThermal(context).thermal()
        assertEquals(FfiHeat.UNKNOWN, thermal.heat)
        assertNull(thermal.headroom)
        assertNull(LastExit.of(context))
    }

    @Test
    @Config(sdk = [34])
    fun `how the process ended`() {
        assertNull(LastExit.of(context))
        val activities = shadowOf(context.getSystemService(ActivityManager::class.java))
        val process = android.app.Application.getProcessName()
        fun exit(reason: Int, status: Int = 0, name: String = process): LastExit {
            activities.addApplicationExitInfo(
                ShadowActivityManager.ApplicationExitInfoBuilder.newBuilder()
                    .setProcessName(name)
                    .setReason(reason)
                    .setStatus(status)
                    .setTimestamp(1_700_000_000_000)
                    .setRss(2048)
                    .setDescription("said so")
                    .build(),
            )
            return LastExit.of(context)!!
        }
        val killed = exit(ApplicationExitInfo.REASON_LOW_MEMORY)
        assertEquals(
            LastExit(ExitReason.LOW_MEMORY, Instant.ofEpochMilli(1_700_000_000_000), 2048 * 1024, "said so"),
            killed,
        )
        assertEquals(ExitReason.NATIVE_CRASH, exit(ApplicationExitInfo.REASON_CRASH_NATIVE).reason)
        assertEquals(ExitReason.CRASH, exit(ApplicationExitInfo.REASON_CRASH).reason)
        assertEquals(ExitReason.NOT_RESPONDING, exit(ApplicationExitInfo.REASON_ANR).reason)
        assertEquals(ExitReason.OTHER, exit(ApplicationExitInfo.REASON_USER_REQUESTED).reason)
        // Another process of the app does not count.
        assertEquals(ExitReason.OTHER, exit(ApplicationExitInfo.REASON_LOW_MEMORY, name = "$process:other").reason)
        // Killed; for want of memory, if Android would not say so.
        assertEquals(ExitReason.OTHER, exit(ApplicationExitInfo.REASON_SIGNALED, 15).reason)
        assertEquals(ExitReason.LOW_MEMORY, exit(ApplicationExitInfo.REASON_SIGNALED, 9).reason)
        ShadowSystemProperties.override("persist.sys.lmk.reportkills", "true")
        assertEquals(ExitReason.OTHER, exit(ApplicationExitInfo.REASON_SIGNALED, 9).reason)
    }
}

/** What Robolectric's power manager does not have. */
@Implements(PowerManager::class)
class Power : ShadowPowerManager() {
    @Implementation(minSdk = 30)
    fun getThermalHeadroom(forecastSeconds: Int): Float {
        seconds = forecastSeconds
        return told
    }

    @Implementation(minSdk = 29)
    fun addThermalStatusListener(executor: Executor, given: PowerManager.OnThermalStatusChangedListener) {
        listener = PowerManager.OnThermalStatusChangedListener { executor.execute { given.onThermalStatusChanged(it) } }
    }

    companion object {
        var told = Float.NaN
        var seconds = 0
        var listener: PowerManager.OnThermalStatusChangedListener? = null
    }
}
