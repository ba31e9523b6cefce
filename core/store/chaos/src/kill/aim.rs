//! What a child is to be killed at: any moment, or soon after it has begun something that is over quickly or happens
//! rarely, which it is then told to do first.

use inkling_store::{Digest, ModelId};

use super::life::Death;
use super::look::{Seen, chosen};
use super::models::Models;
use super::{Options, words};
use crate::disk::{Random, record};

/// A plan for one child.
pub struct Aim {
    /// Calls that it makes first.
    pub first: String,
    /// When it dies.
    pub death: Death,
    /// A model of the catalogue of which a new release is published before.
    pub release: Option<usize>,
    /// An object that is damaged before.
    pub hurt: Option<Digest>,
}

/// Steps, and how often each is aimed at.
const STEPS: [(&str, u64); 13] = [
    ("delta", 6),
    ("repair", 5),
    ("activate", 3),
    ("download", 3),
    ("evict", 3),
    ("verify", 2),
    ("refresh", 2),
    ("load", 2),
    ("gc", 1),
    ("remove", 1),
    ("rollback", 1),
    ("pin", 1),
    ("open", 1),
];

/// Models as they are.
struct State<'a> {
    models: &'a Models,
    seen: &'a Seen,
}

impl State<'_> {
    fn pick(&self, random: &mut Random, fits: impl Fn(&ModelId, u64, Option<u64>) -> bool) -> Option<String> {
        let release = |id: &ModelId| self.seen.slots.get(id.as_str()).and_then(chosen);
        let ids: Vec<_> = self.models.ids().into_iter().filter(|(id, size)| fits(id, *size, release(id))).collect();
        ids.get(random.index(ids.len())).map(|(id, _)| id.to_string())
    }

    /// An object that the next load of its model takes.
    fn object(&self, random: &mut Random) -> Option<Digest> {
        let mut used = Vec::new();
        for slot in self.seen.slots.values().filter(|slot| chosen(slot).is_some()) {
            let which = if slot["pending"].is_null() { "active" } else { "pending" };
            let one = serde_json::json!({ "active": slot[which] });
            used.extend(record::named(&one).iter().filter_map(|digest| digest.parse::<Digest>().ok()));
        }
        used.retain(|digest| self.seen.installed.contains(digest));
        used.get(random.index(used.len())).copied()
    }
}

/// What to do next.
pub fn next(options: &Options, models: &Models, seen: &Seen, damaged: Option<Digest>, random: &mut Random) -> Aim {
    let death = Death::any(options.longest, random);
    let mut aim = Aim { first: String::new(), death, release: None, hurt: None };
    let state = State { models, seen };
    let mut signed = random.index(models.catalog.models.len());
    if random.chance(10) {
        aim.release = Some(signed);
    }
    if random.chance(5) {
        aim.hurt = state.object(random);
    }
    if random.chance(40) {
        return aim;
    }
    let mut lot = random.below(STEPS.iter().map(|(_, weight)| weight).sum());
    let step = STEPS.iter().find(|(_, weight)| {
        let is_it = lot < *weight;
        lot = lot.wrapping_sub(*weight);
        is_it
    });
    let step = step.map_or("open", |(step, _)| step);
    let mut at = |word: &str, first: String, random: &mut Random| {
        aim.first = first;
        aim.death = Death::at(word, options.longest, random);
    };
    // Those of which a kill can hit the end, too.
    let absent = |random: &mut Random, most: u64| {
        let found = state.pick(random, |_, size, release| release.is_none() && size <= most);
        found
            .map(|id| format!("ensure {id}"))
            .or_else(|| state.pick(random, |_, size, _| size <= most).map(|id| format!("remove {id},ensure {id}")))
    };
    let present = |random: &mut Random| state.pick(random, |_, _, release| release.is_some());
    let here = |at: usize| seen.slots.get(models.catalog.models[at].id.as_str()).and_then(chosen);
    if step == "delta" && here(signed).is_none() {
        // Only from one that is there.
        signed = (0..models.catalog.models.len()).find(|at| here(*at).is_some()).unwrap_or(signed);
    }
    let model = &models.catalog.models[signed];
    match step {
        "delta" | "refresh" => {
            at(&format!("at {step}"), format!("update {}", model.id), random);
            if step == "delta" && here(signed) >= Some(model.number) {
                aim.release = Some(signed);
            }
        }
        "repair" => {
            let file = damaged.or_else(|| state.object(random));
            if let Some((file, known)) = file.and_then(|file| Some((file, models.files.get(&file)?))) {
                at("at repair", format!("verify {0},ensure {0}", known.id), random);
                aim.hurt = Some(file);
            }
        }
        "activate" | "verify" => {
            if let Some(first) = absent(random, 40 << 20) {
                at(&format!("at {step}"), first, random);
            }
        }
        "download" => {
            if let Some(first) = absent(random, u64::MAX) {
                at("at download", first, random);
            }
        }
        "evict" => {
            if let Some(first) = absent(random, 30 << 20) {
                at("at evict", format!("tight,{first}"), random);
            }
        }
        "open" => {
            aim.death = Death { after: std::time::Duration::from_micros(random.below(20_000)), at: None };
        }
        "gc" => at("begin gc", "gc".to_owned(), random),
        call => {
            let call = if call == "load" { "lend" } else { call };
            if let Some(id) = present(random).filter(|id| call != "rollback" || words::is_signed(id)) {
                at(&format!("begin {call}"), format!("{call} {id}"), random);
            }
        }
    }
    aim
}
