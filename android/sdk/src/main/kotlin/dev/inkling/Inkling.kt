package dev.inkling

import android.content.Context
import android.os.Build
import dev.inkling.ffi.FfiSignals
import java.io.File

/** Inkling on Android: call [init] once, then open an [InklingStore], or load models with [InklingModel.load]. */
object Inkling {
    private var context: Context? = null
    private var keystore: KeystoreKeys? = null

    /**
     * Gets Inkling ready: its library, its log (to logcat, as much as [logLevel] says), and what the engine asks the
     * device for: heat, battery, memory, network. Loads that do not say where packed weights go keep them in a folder of
     * the app, stores that name no folder are in [storeFolder] and ask [keys] for the keys of encrypted models; they hear
     * of changes of the network. The first call counts, and later ones do nothing. Any thread may call it; the best place is
     * `Application.onCreate`.
     *
     * Fails with [InklingException.BackendUnavailable] on a device that Inkling has no library for.
     */
    @JvmStatic
    @JvmOverloads
    @Synchronized
    @Throws(InklingException::class)
    fun init(context: Context, logLevel: LogLevel = LogLevel.WARN) {
        if (this.context != null) return
        // Null while the application itself is being made.
        val application = context.applicationContext ?: context
        loadLibrary()
        NativeEntry.attach(application)
        InklingLog.send(logLevel, null)
        Platform.signals = FfiSignals(
            AndroidMemory(application),
            AndroidThermal(application),
            AndroidBattery(application),
            AndroidNetwork(application, Platform::networkChanged),
        )
        // Can be made again, belongs to this version of the app, and Android empties it when space is short.
        Platform.weightCache = WeightCache.Folder(File(application.codeCacheDir, "inkling/weights"))
        Platform.storeFolder = { storeFolder(application) }
        keystore = KeystoreKeys(File(application.noBackupFilesDir, "inkling/keys"))
        Platform.keys = keystore
        this.context = application
    }

    /**
     * The folder of stores that name no other: private to the app, not in its backups (models can be had again, and are
     * larger than a backup may be), and, other than the cache, never emptied by Android, which would take models that the
     * user waits for. As all of an app's usual storage it cannot be read before the user has unlocked the device once.
     */
    @JvmStatic
    val storeFolder: File
        get() = storeFolder(ready())

    /** The keys of encrypted models, kept by the Android Keystore. */
    @JvmStatic
    val keys: KeystoreKeys
        get() = ready().let { keystore!! }

    /**
     * The folder for models: private to the app, not in its backups, emptied only with the app. It is made if need be.
     */
    @JvmStatic
    val modelFolder: File
        get() = File(ready().noBackupFilesDir, "inkling/models").apply { mkdirs() }

    /**
     * How the app's process ended the last time; null if Android does not know, or is older than 11. An app that ended
     * for want of memory may want to load a smaller model.
     */
    @JvmStatic
    fun lastExit(): LastExit? = LastExit.of(ready())

    @Synchronized
    private fun ready(): Context = context ?: throw IllegalStateException("call Inkling.init(context) first")

    private fun storeFolder(context: Context) = File(context.noBackupFilesDir, "inkling/store")

    private fun loadLibrary() {
        try {
            System.loadLibrary("inkling_ffi")
        } catch (error: UnsatisfiedLinkError) {
            val reason = "the app has no library of Inkling for ${Build.SUPPORTED_ABIS.joinToString()}: " +
                "there is one for arm64-v8a and for x86_64 ($error)"
            throw InklingException.BackendUnavailable("library", reason, reason)
        }
    }
}
