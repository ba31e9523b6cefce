package dev.inkling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The API as Java uses it: futures for what suspends in Kotlin, a builder for options. */
class JavaApiTest {
    private static InklingModel load() throws Exception {
        return InklingFutures.load(ModelSource.file(Demo.INSTANCE.getFile()), Demo.options()).get();
    }

    @Test
    void answersAndStreams() throws Exception {
        var options = new GenerationOptions.Builder().temperature(0f).maxTokens(50).build();
        try (var model = load(); var session = model.session()) {
            InklingResponse response = InklingFutures.respond(session, Demo.PROMPT, options).get();
            assertEquals(Demo.ANSWER, response.getText());
            assertEquals(FinishReason.EndOfAnswer.INSTANCE, response.getFinishReason());

            var text = new StringBuffer();
            var answer = model.session("Be brief.").streamResponse("Translate to German: Good morning.", options);
            var collected = InklingFutures.collect(answer, event -> {
                if (event instanceof InklingEvent.Text) text.append(((InklingEvent.Text) event).getDelta());
            }).get();
            assertEquals(collected.getText(), text.toString());
            assertEquals(2, session.getTranscript().size());
            assertTrue(model.tokenize("Hello").size() > 0);
        }
    }

    @Test
    void errorsArriveInTheFuture() {
        var load = InklingFutures.load(ModelSource.file("/nowhere.gguf"));
        var error = assertThrows(ExecutionException.class, load::get);
        var kind = assertInstanceOf(InklingException.ModelNotFound.class, error.getCause());
        assertTrue(kind.getWhat().contains("nowhere"));
    }

    @Test
    void cancellingTheFutureStopsTheEngine() throws Exception {
        try (var model = load(); var session = model.session()) {
            var future = InklingFutures.respond(session, Demo.PROMPT, Demo.INSTANCE.getEndless());
            while (!session.isResponding() && !future.isDone()) Thread.onSpinWait();
            future.cancel(true);
            assertThrows(CancellationException.class, () -> future.get());
            var next = InklingFutures.respond(session, Demo.PROMPT, GenerationOptions.greedy());
            assertTrue(next.get().getStats().getGeneratedTokens() > 0);
        }
    }

    @Test
    void inputIsRefusedWithItsField() throws Exception {
        try (var model = load()) {
            var error = assertThrows(InklingException.InvalidInput.class, () -> model.tokenize("\uD83E"));
            assertEquals("text", error.getField());
        }
    }

    @Test
    void modelsById(@TempDir Path folder) throws Exception {
        var options = new StoreOptions.Builder().folder(folder.resolve("store").toFile()).keepFree(0).build();
        var source = StoreSource.file(Demo.INSTANCE.getFile());
        try (var store = InklingFutures.openStore(options).get()) {
            assertInstanceOf(ModelFit.Yes.class, InklingFutures.fit(store, source, 128).get());
            var steps = new StringBuffer();
            var download = store.ensure(source, new EnsureOptions.Builder().id("tiny").priority(1).build());
            var id = InklingFutures.watch(download, event -> {
                        if (event instanceof DownloadEvent.Downloading) steps.append(((DownloadEvent.Downloading) event).getTotal());
                    })
                    .get();
            assertEquals("tiny", id);
            assertTrue(steps.length() > 0);
            try (var model = InklingFutures.load(store, "tiny").get(); var session = model.session()) {
                assertEquals("tiny", model.getOrigin().getId());
                assertEquals(Demo.ANSWER, InklingFutures.respond(session, Demo.PROMPT, GenerationOptions.greedy()).get().getText());
            }
            InklingFutures.pin(store, "tiny").get();
            assertTrue(InklingFutures.list(store).get().get(0).isPinned());
            assertTrue(InklingFutures.verify(store, "tiny").get().isSound());
            assertTrue(InklingFutures.usage(store).get().getTotal() > 0);
            assertEquals(0, InklingFutures.gc(store).get());
            var error = assertThrows(ExecutionException.class, () -> InklingFutures.rollback(store, "tiny").get());
            assertInstanceOf(InklingException.class, error.getCause());
            InklingFutures.remove(store, "tiny").get();
            assertEquals(0, InklingFutures.list(store).get().size());
        }
    }

    /** The block of docs/kotlin.md, word for word. */
    @Test
    void thePagesExampleRuns(@TempDir Path folder) throws Exception {
        var path = Files.copy(Demo.INSTANCE.getFile().toPath(), folder.resolve("model.gguf")).toString();
        try (var model = InklingFutures.load(ModelSource.file(path)).get(); var session = model.session()) {
            var options = new GenerationOptions.Builder().temperature(0f).build();
            System.out.println(InklingFutures.respond(session, "Good morning?", options).get().getText());
        }
        var page = Files.readString(Demo.INSTANCE.getRoot().toPath().resolve("docs/kotlin.md"));
        var block = page.substring(page.indexOf("```java\n") + 8).split("```")[0];
        var source = Files.readString(
                Demo.INSTANCE.getRoot().toPath().resolve("android/jvm/src/test/java/dev/inkling/JavaApiTest.java"));
        assertTrue(source.replaceAll("\\s+", " ").contains(block.strip().replaceAll("\\s+", " ")), block);
    }
}
