//! The step scheduler: one pass of the decoder serves every running turn.
//!
//! A step takes one token of each turn that is generating and one chunk of one turn that is still prefilling, runs them
//! as one batch, and samples. Who comes first rotates, so nobody starves. Between two steps nothing is pending: that is
//! where cancelling, new turns and closing take effect, so each waits for one token or one chunk at most.
//!
//! A turn whose reader has no room rests; its sequence keeps its place in the cache. When the cache is full, resting
//! conversations lose their cache first, the longest resting one before the others; then the youngest running turn
//! gives its pages back and is computed again, from its own tokens, once another has ended. A turn alone always fits,
//! because a context is never larger than the cache.
//!
//! The engine thread is the only caller.

use std::sync::Arc;
use std::time::Duration;

use inkling_base::Clock;
use inkling_compute::{Batch, ComputeError, Decoder, KvCache, Output, Run, Want};

use crate::conversations::Conversations;
use crate::logprobs::LogProbs;
use crate::task::{Choice, Task};
use crate::{ConversationId, GenerateError, Job, Sink};

/// What the decoder was loaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tokens that one conversation may hold.
    pub context: usize,
    /// Tokens of a batch: `LoadPlan::max_batch`.
    pub max_batch: usize,
    /// Rows of logits of a batch: `LoadPlan::max_outputs`.
    pub max_outputs: usize,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There are no turns.
    Idle,
    /// All turns wait for their readers.
    Blocked,
    /// A pass was run, or turns ended.
    Ran,
}

/// All running turns of one model.
pub struct Scheduler {
    pub(crate) decoder: Box<dyn Decoder>,
    pub(crate) kv: KvCache,
    pub(crate) limits: Limits,
    pub(crate) conversations: Conversations,
    clock: Arc<dyn Clock>,
    /// Oldest first.
    tasks: Vec<Task>,
    rotation: usize,
    plan: Plan,
    pub(crate) output: Output,
    probs: LogProbs,
}

/// One batch in the making. Kept between steps for its buffers.
#[derive(Debug, Default)]
struct Plan {
    /// Task, tokens of it, and the index of its row of output if its last token is among them.
    parts: Vec<(usize, usize, Option<usize>)>,
    tokens: Vec<u32>,
    runs: Vec<Run>,
    rows: Vec<usize>,
    needs_logits: bool,
}

impl Scheduler {
    /// A scheduler without turns. Limits of 0 are taken as 1, and the context as no larger than the cache.
    pub fn new(decoder: Box<dyn Decoder>, kv: KvCache, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        let limits = Limits {
            context: limits.context.min(kv.capacity()),
            max_batch: limits.max_batch.max(1),
            max_outputs: limits.max_outputs.max(1),
        };
        Self {
            decoder,
            kv,
            limits,
            conversations: Conversations::default(),
            clock,
            tasks: Vec::new(),
            rotation: 0,
            plan: Plan::default(),
            output: Output::new(),
            probs: LogProbs::default(),
        }
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The decoder, between two steps.
    pub fn decoder(&mut self) -> &mut dyn Decoder {
        &mut *self.decoder
    }

    /// Bytes that the cache uses.
    pub fn cache_bytes(&self) -> u64 {
        self.kv.bytes()
    }

    /// Takes a turn. What of its prompt is cached for its conversation is kept, the rest of the cache is cut off.
    pub fn start(&mut self, job: Job, sink: Box<dyn Sink>) {
        if sink.is_cancelled() {
            let stats = Task::never_ran(&job, self.clock.monotonic());
            return sink.end(Ok(stats));
        }
        let Some(place) = self.conversations.claim(job.conversation, &mut self.kv) else {
            return sink.end(Err(GenerateError::Busy));
        };
        let reused = self.conversations.reuse(place, &job.prompt, &mut self.kv);
        let task = Task::new(job, sink, place, reused, self.limits.context);
        self.conversations.reserve(place, task.tokens.capacity());
        self.tasks.push(task);
    }

    /// Forgets a conversation.
    pub fn close(&mut self, conversation: ConversationId) {
        self.conversations.close(conversation, &mut self.kv);
    }

    /// Runs one batch, if there is anything to run.
    pub fn step(&mut self) -> Step {
        let cancelled = self.end_where(|task| task.is_cancelled().then_some(Choice::Cancelled));
        if self.tasks.is_empty() {
            return if cancelled { Step::Ran } else { Step::Idle };
        }
        let started = self.clock.monotonic();
        loop {
            self.make_plan();
            if self.plan.parts.is_empty() {
                return if cancelled { Step::Ran } else { Step::Blocked };
            }
            match self.run_plan() {
                Ok(()) => break self.advance(started),
                Err(ComputeError::CacheFull { .. } | ComputeError::OutOfMemory { .. }) if self.make_room() => {}
                Err(error) => break self.fail_planned(error.into()),
            }
        }
        self.rotation = self.rotation.wrapping_add(1);
        Step::Ran
    }

    fn make_plan(&mut self) {
        let plan = &mut self.plan;
        plan.parts.clear();
        plan.rows.clear();
        plan.needs_logits = false;
        let (mut room, mut outputs) = (self.limits.max_batch, self.limits.max_outputs);
        let mut prefill = None;
        for index in 0..self.tasks.len() {
            let index = (index + self.rotation) % self.tasks.len();
            let task = &self.tasks[index];
            let pending = task.tokens.len() - self.conversations.get(task.place).map_or(0, |c| c.tokens.len());
            if room == 0 || !task.is_runnable() {
                continue;
            }
            if pending == 1 && outputs > 0 {
                plan.parts.push((index, 1, None));
                (room, outputs) = (room - 1, outputs - 1);
            } else if pending > 1 && prefill.is_none() {
                prefill = Some((index, pending));
                room -= 1;
            }
        }
        if let Some((index, pending)) = prefill {
            // Its last token wants a row of output; if none is left, it stays for the next step.
            let most = if outputs > 0 { pending } else { pending - 1 };
            plan.parts.push((index, most.min(room + 1), None));
        }
        self.fill_plan();
    }

    fn fill_plan(&mut self) {
        let plan = &mut self.plan;
        plan.tokens.clear();
        plan.runs.clear();
        for (index, count, row) in &mut plan.parts {
            let task = &self.tasks[*index];
            let Some(cached) = self.conversations.get(task.place) else { continue };
            let start = cached.tokens.len();
            plan.tokens.extend_from_slice(&task.tokens[start..start + *count]);
            plan.runs.push(Run { sequence: cached.sequence, start, count: *count });
            if start + *count == task.tokens.len() {
                *row = Some(plan.rows.len());
                plan.rows.push(plan.tokens.len() - 1);
                plan.needs_logits |= task.needs_logits();
            }
        }
    }

    fn run_plan(&mut self) -> Result<(), ComputeError> {
        let Plan { tokens, runs, rows, needs_logits, .. } = &self.plan;
        let want = match (rows.is_empty(), needs_logits) {
            (true, _) => Want::Nothing,
            (false, true) => Want::Logits(rows),
            (false, false) => Want::Argmax(rows),
        };
        self.decoder.forward(&Batch { tokens, runs }, &mut self.kv, want, &mut self.output)
    }

    /// Frees pages at the cost of computing something again later. False if nothing can give way.
    fn make_room(&mut self) -> bool {
        if self.conversations.evict(&mut self.kv) {
            return true;
        }
        // The youngest that still runs gives way, never the oldest, so there is always progress.
        let Some(index) = self.tasks.iter().rposition(|task| !task.waits_for_room).filter(|&index| index > 0) else {
            return false;
        };
        self.tasks[index].waits_for_room = true;
        self.conversations.forget(self.tasks[index].place, &mut self.kv);
        true
    }

    fn advance(&mut self, started: Duration) {
        let now = self.clock.monotonic();
        for part in 0..self.plan.parts.len() {
            let (index, count, row) = self.plan.parts[part];
            let task = &mut self.tasks[index];
            let Some(cached) = self.conversations.get_mut(task.place) else { continue };
            let done = cached.tokens.len();
            cached.tokens.extend_from_slice(&task.tokens[done..done + count]);
            task.ran(started, done + count);
            if let Some(row) = row {
                task.generating(now);
                let choice = task.choose(&mut self.output, row, self.plan.needs_logits, &mut self.probs);
                task.accept(choice, self.limits.context, now);
            }
        }
        self.end_where(|task| task.ended.take());
    }

    fn fail_planned(&mut self, error: GenerateError) {
        for &(index, ..) in &self.plan.parts {
            self.tasks[index].ended = Some(Choice::Failed(error.clone()));
        }
        self.end_where(|task| task.ended.take());
    }

    /// Ends the turns for which `how` says so; whether there were any.
    fn end_where(&mut self, mut how: impl FnMut(&mut Task) -> Option<Choice>) -> bool {
        let mut index = 0;
        let mut any = false;
        while index < self.tasks.len() {
            if let Some(choice) = how(&mut self.tasks[index]) {
                let mut task = self.tasks.remove(index);
                let outcome = task.outcome(choice, self.clock.monotonic());
                self.retire(task, outcome);
                any = true;
            } else {
                index += 1;
            }
        }
        any
    }

    fn retire(&mut self, task: Task, outcome: Result<crate::Stats, GenerateError>) {
        self.conversations.release(task.place, &mut self.kv);
        self.tasks.iter_mut().for_each(|task| task.waits_for_room = false);
        task.sink.end(outcome);
    }
}
