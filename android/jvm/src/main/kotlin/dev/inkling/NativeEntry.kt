package dev.inkling

/**
 * What the library offers to a virtual machine directly. Only where `System.loadLibrary` has loaded it, which JNA does
 * not: then threads of the engine that call back stay attached, and Android's application context is kept.
 */
internal object NativeEntry {
    /** Keeps the application context: the first one counts, null is ignored. Returns the class of the one kept. */
    @JvmStatic
    external fun attach(context: Any?): String?
}
