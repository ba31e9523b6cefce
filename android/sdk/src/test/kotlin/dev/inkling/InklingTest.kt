package dev.inkling

import android.app.ActivityManager
import android.os.BatteryManager
import android.os.PowerManager
import dev.inkling.ffi.FfiEngine
import dev.inkling.ffi.FfiEngineConfig
import dev.inkling.ffi.FfiHeat
import dev.inkling.ffi.FfiWeightCache
import java.io.File
import kotlinx.coroutines.runBlocking
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertSame
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config

/** The whole way of an app: init, load, ask; with the host's library. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34], manifest = Config.NONE)
class InklingTest {
    @Before
    fun init() = Inkling.init(Host.context)

    private fun load(options: LoadOptions = LoadOptions()) =
        runBlocking { InklingModel.load(ModelSource.file(Host.file), options) }

    @Test
    fun `init, load, answer`() = runBlocking {
        val model = File(Inkling.modelFolder, "demo.gguf")
        Host.file.copyTo(model, overwrite = true)
        InklingModel.load(ModelSource.file(model)).use { loaded ->
            loaded.session().use { assertEquals(Host.ANSWER, it.respond(Host.PROMPT, GenerationOptions.greedy()).text) }
        }
    }

    @Test
    fun `init twice changes nothing`() {
        val (signals, cache) = Platform.signals to Platform.weightCache
        Inkling.init(Host.context, LogLevel.TRACE)
        assertSame(signals, Platform.signals)
        assertSame(cache, Platform.weightCache)
    }

    @Test
    fun `packed weights go where Android may empty, and the app can say otherwise`() = runBlocking {
        // Of the application that init saw first; each of Robolectric's tests has another one.
        val folder = (Platform.weightCache as WeightCache.Folder).folder
        assertTrue(folder.path, folder.path.endsWith("${Host.context.codeCacheDir.name}/inkling/weights"))
        folder.deleteRecursively()
        load(LoadOptions(weightCache = WeightCache.Off)).close()
        assertTrue(!folder.exists())
        load().close()
        assertEquals(1, folder.list()!!.size)
        val models = Inkling.modelFolder
        assertTrue(models.path, models.path.endsWith("${Host.context.noBackupFilesDir.name}/inkling/models"))
        assertTrue(models.isDirectory)
    }

    @Test
    fun `the engine hears what Android tells`() {
        shadowOf(Host.context.getSystemService(BatteryManager::class.java))
            .setIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY, 17)
        shadowOf(Host.context.getSystemService(PowerManager::class.java)).apply {
            setIsPowerSaveMode(true)
            setCurrentThermalStatus(PowerManager.THERMAL_STATUS_SEVERE)
        }
        memory(5_000_000)
        val config = FfiEngineConfig("cpu", FfiWeightCache.Off)
        val conditions = FfiEngine(config, Platform.signals).use { it.conditions() }
        assertEquals(FfiHeat.SERIOUS, conditions.thermal.heat)
        assertEquals(0.17f, conditions.battery.level!!, 1e-6f)
        assertEquals(true, conditions.battery.saving)
        assertEquals(5_000_000uL, conditions.availableBytes)
    }

    @Test
    fun `a load needs the memory that Android has, unless the app knows better`() {
        memory(1_000_000)
        val error = fails<InklingException.OutOfMemory> { load().close() }
        assertEquals(1_000_000, error.haveBytes)
        load(LoadOptions(availableMemory = { 1L shl 30 })).close()
        memory(1L shl 30)
        load().close()
    }

    private fun memory(free: Long) = shadowOf(Host.context.getSystemService(ActivityManager::class.java)).setMemoryInfo(
        ActivityManager.MemoryInfo().apply {
            availMem = 1_000_000_000 + free
            threshold = 1_000_000_000
        },
    )

    @Test
    fun `how the app ended is asked through init's context`() = assertNull(Inkling.lastExit())
}
