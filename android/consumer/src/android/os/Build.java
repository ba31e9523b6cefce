package android.os;

/** Stands in for the real one, which asks the system: the oldest Android that is supported. */
public class Build {
    public static final String[] SUPPORTED_ABIS = {"none"};

    public static class VERSION {
        public static final int SDK_INT = Integer.parseInt("26");
    }
}
