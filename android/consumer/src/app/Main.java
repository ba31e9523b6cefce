package app;

import android.content.Context;
import android.content.ContextWrapper;
import dev.inkling.DownloadEvent;
import dev.inkling.EnsureOptions;
import dev.inkling.GenerationOptions;
import dev.inkling.Inkling;
import dev.inkling.InklingEvent;
import dev.inkling.InklingException;
import dev.inkling.InklingFutures;
import dev.inkling.ModelSource;
import dev.inkling.StoreSource;
import dev.inkling.WaitReason;
import java.io.File;
import java.util.concurrent.ExecutionException;

/** A small app, which gets shrunk: it loads a model, streams an answer, meets an error, installs a model. */
public final class Main {
    public static void main(String[] arguments) throws Exception {
        File folder = new File(arguments[1]);
        Inkling.init(new Folders(folder));
        System.out.println("models: " + folder.toPath().relativize(Inkling.getModelFolder().toPath()));

        GenerationOptions options = new GenerationOptions.Builder().temperature(0f).build();
        boolean[] loading = {false};
        try (var model = InklingFutures.load(
                        ModelSource.file(arguments[0]), new dev.inkling.LoadOptions(), part -> loading[0] = true)
                .get();
                var session = model.session("You translate.")) {
            System.out.println("loading was told: " + loading[0]);
            System.out.println("vocabulary: " + model.getFacts().getVocabulary());
            var answer = session.streamResponse("Translate to German: Where is the train station?", options);
            var response = InklingFutures.collect(answer, event -> {
                        if (event instanceof InklingEvent.Text text) System.out.println("text: " + text.getDelta());
                    })
                    .get();
            System.out.println("answer: " + response.getText());
            System.out.println("finished: " + response.getFinishReason());
            System.out.println("messages: " + session.getTranscript().size());
        }
        try {
            InklingFutures.load(ModelSource.file("nowhere.gguf")).get();
        } catch (ExecutionException error) {
            var cause = (InklingException.ModelNotFound) error.getCause();
            System.out.println("error: " + cause.getMessage());
        }
        try (var store = InklingFutures.openStore().get()) {
            var download = store.ensure(StoreSource.file(arguments[0]), new EnsureOptions.Builder().id("tiny").build());
            boolean[] fetching = {false};
            var id = InklingFutures.watch(download, event -> fetching[0] |= event instanceof DownloadEvent.Downloading)
                    .get();
            System.out.println("installed: " + id + ", was told: " + fetching[0]);
            try (var model = InklingFutures.load(store, id).get(); var session = model.session()) {
                System.out.println("from the store: " + InklingFutures.respond(session, "Good morning?", options).get().getFinishReason());
            }
            // Nobody listens there: the engine calls Android's HTTP, and is told so.
            var nowhere = StoreSource.url("http://127.0.0.1:1/x.gguf", "0".repeat(64), 1);
            var waits = store.ensure(nowhere, new EnsureOptions());
            InklingFutures.watch(waits, event -> {
                        if (event instanceof DownloadEvent.Waiting waiting) {
                            System.out.println("waiting: " + (waiting.getReason() instanceof WaitReason.Retrying));
                            waits.cancel();
                        }
                    })
                    .exceptionally(error -> error.getClass().getSimpleName())
                    .get();
        }
        System.out.println("packed weights: " + new File(folder, "code/inkling/weights").list().length);
        System.exit(0);
    }

    /** On a plain JVM there is no Android: an app that knows its folders and no services. */
    private static final class Folders extends ContextWrapper {
        private final File folder;

        Folders(File folder) {
            super(null);
            this.folder = folder;
        }

        @Override
        public Context getApplicationContext() {
            return this;
        }

        @Override
        public File getNoBackupFilesDir() {
            return new File(folder, "models");
        }

        @Override
        public File getCodeCacheDir() {
            return new File(folder, "code");
        }

        @Override
        public Object getSystemService(String name) {
            return null;
        }

        @Override
        public String getSystemServiceName(Class<?> service) {
            return "none";
        }
    }
}
