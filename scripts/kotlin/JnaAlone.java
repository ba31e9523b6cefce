import com.sun.jna.Callback;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;

/**
 * JNA without Inkling: the C library called in the ways in which the generated code calls ours (structures by value and
 * by reference, callbacks, on threads of Java). What -Xcheck:jni says of this is JNA's own.
 */
public class JnaAlone {
    @Structure.FieldOrder({"quot", "rem"})
    public static class Div extends Structure implements Structure.ByValue {
        public int quot;
        public int rem;
    }

    @Structure.FieldOrder({"seconds", "nanos"})
    public static class Time extends Structure {
        public long seconds;
        public long nanos;
    }

    public interface Compare extends Callback {
        int compare(Pointer left, Pointer right);
    }

    static native Div div(int number, int by);

    static native int clock_gettime(int clock, Time time);

    static native void qsort(Pointer items, long count, long size, Compare compare);

    public static void main(String[] arguments) {
        Native.register("c");
        if (div(7, 2).rem != 1) throw new AssertionError("div");
        if (clock_gettime(0, new Time()) != 0) throw new AssertionError("clock_gettime");
        var items = new Memory(8);
        items.setInt(0, 2);
        items.setInt(4, 1);
        qsort(items, 2, 4, (left, right) -> Integer.compare(left.getInt(0), right.getInt(0)));
        if (items.getInt(0) != 1) throw new AssertionError("qsort");
    }
}
