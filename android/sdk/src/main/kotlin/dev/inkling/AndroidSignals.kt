package dev.inkling

import android.app.ActivityManager
import android.content.Context
import android.os.BatteryManager
import android.os.PowerManager
import dev.inkling.ffi.FfiBattery
import dev.inkling.ffi.FfiBatterySignal
import dev.inkling.ffi.FfiFreeMemory

/** The battery, asked whenever the engine wants to know. */
internal class AndroidBattery(context: Context) : FfiBatterySignal {
    private val battery = context.getSystemService(BatteryManager::class.java)
    private val power = context.getSystemService(PowerManager::class.java)

    override fun battery(): FfiBattery {
        // A device without a battery, or one that does not tell, gives the smallest integer.
        val percent = battery?.getIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY)
        return FfiBattery(
            level = percent?.takeIf { it in 0..100 }?.let { it / 100f },
            charging = battery?.isCharging,
            saving = power?.isPowerSaveMode,
        )
    }
}

/**
 * Memory that this app can still take: what is available above the mark at which Android begins to end apps.
 *
 * Polled, because the callbacks for low memory do not come any more (`onTrimMemory` since Android 14) or come too late.
 */
internal class AndroidMemory(context: Context) : FfiFreeMemory {
    private val activities = context.getSystemService(ActivityManager::class.java)

    override fun availableBytes(): ULong? {
        val info = ActivityManager.MemoryInfo()
        (activities ?: return null).getMemoryInfo(info)
        return when {
            info.lowMemory -> 0uL
            // There is no such device: this is what tests get from Robolectric, which does not know.
            info.availMem == 0L -> null
            else -> (info.availMem - info.threshold).coerceAtLeast(0).toULong()
        }
    }
}
