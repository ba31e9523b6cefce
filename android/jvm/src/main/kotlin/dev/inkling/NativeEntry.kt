package dev.inkling

/**
 * What the library offers to a virtual machine directly, where `System.loadLibrary` has loaded it, which JNA does not.
 */
internal object NativeEntry {
    /** Keeps the application context: the first one counts, null is ignored. Returns the class of the one kept. */
    @JvmStatic
    external fun attach(context: Any?): String?
}
