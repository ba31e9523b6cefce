//! The engine thread: one for each loaded model, and the only one that touches its decoder.
//!
//! Commands come through a channel and take effect between two steps; the thread parks when there is nothing to do.
//! Whoever changes something that it should see (a command, a cancel flag, room in an outbox) unparks it afterwards.
//!
//! A panic inside ends the thread in order: the report is kept, the scheduler is dropped, and every turn that it held
//! or that was on its way ends with the report, because a dropped [`Sink`] ends its turn. Later calls get it too.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};

use inkling_generate::{ConversationId, Job, Scheduler, Sink, Step};

use crate::SessionError;

/// Work on the scheduler between two steps.
type Work = Box<dyn FnOnce(&mut Scheduler) + Send>;

enum Command {
    Start(Box<Job>, Box<dyn Sink>),
    Close(ConversationId),
    Run(Work),
    Shutdown,
}

/// Why the engine is gone; empty while it runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Obituary(Arc<OnceLock<SessionError>>);

impl Obituary {
    /// The reason; a thread that is about to end has written it before anything else.
    pub(crate) fn reason(&self) -> SessionError {
        self.0.get().cloned().unwrap_or(SessionError::Closed)
    }
}

/// Wakes the engine thread after something changed for it.
#[derive(Debug, Clone)]
pub(crate) struct Nudge(Thread);

impl Nudge {
    pub(crate) fn nudge(&self) {
        self.0.unpark();
    }
}

/// The handle of an engine thread. Dropping it ends the thread and waits for that.
#[derive(Debug)]
pub(crate) struct Engine {
    commands: Sender<Command>,
    nudge: Nudge,
    obituary: Obituary,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    pub(crate) fn start(scheduler: Scheduler) -> Result<Self, SessionError> {
        let (commands, inbox) = channel();
        let obituary = Obituary::default();
        let written = obituary.clone();
        let thread = std::thread::Builder::new()
            .name("inkling-engine".to_owned())
            .spawn(move || live(scheduler, inbox, &written))
            .map_err(|error| SessionError::NoThread(error.to_string()))?;
        let nudge = Nudge(thread.thread().clone());
        Ok(Self { commands, nudge, obituary, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn nudge(&self) -> &Nudge {
        &self.nudge
    }

    pub(crate) fn obituary(&self) -> &Obituary {
        &self.obituary
    }

    fn send(&self, command: Command) -> Result<(), SessionError> {
        // The inbox outlives the reason by a moment; whoever has seen a turn end for it must get it here too.
        if let Some(reason) = self.obituary.0.get() {
            return Err(reason.clone());
        }
        self.commands.send(command).map_err(|_| self.obituary.reason())?;
        self.nudge.nudge();
        Ok(())
    }

    /// Starts a turn. If the engine is gone, the sink's drop ends it.
    pub(crate) fn start_turn(&self, job: Job, sink: Box<dyn Sink>) -> Result<(), SessionError> {
        self.send(Command::Start(Box::new(job), sink))
    }

    /// Frees the cache of a conversation.
    pub(crate) fn close_conversation(&self, conversation: ConversationId) {
        // An engine that is gone has freed it.
        let _ = self.send(Command::Close(conversation));
    }

    /// Runs `work` between two steps and waits for its result.
    pub(crate) fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Scheduler) -> R + Send + 'static,
    ) -> Result<R, SessionError> {
        let (reply, result) = sync_channel(1);
        let work = move |scheduler: &mut Scheduler| {
            // The caller waits for it, so the receiver is there.
            let _ = reply.send(work(scheduler));
        };
        self.send(Command::Run(Box::new(work)))?;
        result.recv().map_err(|_| self.obituary.reason())
    }

    /// Ends the thread: turns that run end with [`SessionError::Closed`]. Returns when memory is free.
    pub(crate) fn close(&self) {
        let _ = self.send(Command::Shutdown);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Its panics are caught inside.
            let _ = thread.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

fn live(mut scheduler: Scheduler, inbox: Receiver<Command>, obituary: &Obituary) {
    let ended = catch_unwind(AssertUnwindSafe(|| serve(&mut scheduler, &inbox)));
    let reason = match ended {
        Ok(()) => SessionError::Closed,
        Err(panic) => SessionError::EngineFailed { report: report(&*panic) },
    };
    tracing::debug!(%reason, "the engine thread ends");
    // First the reason, then the turns that will ask for it.
    let _ = obituary.0.set(reason);
    let _ = catch_unwind(AssertUnwindSafe(move || drop((scheduler, inbox))));
}

fn serve(scheduler: &mut Scheduler, inbox: &Receiver<Command>) {
    loop {
        match inbox.try_recv() {
            Ok(Command::Start(job, sink)) => scheduler.start(*job, sink),
            Ok(Command::Close(conversation)) => scheduler.close(conversation),
            Ok(Command::Run(work)) => work(scheduler),
            Ok(Command::Shutdown) | Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {
                if scheduler.step() != Step::Ran {
                    std::thread::park();
                }
            }
        }
    }
}

fn report(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}
