//! The budget and the space that stays free: random operations never exceed the one nor take of the other, nor what is
//! leased or pinned. Ten thousand of them; a hundred thousand with `INKLING_CHAOS=10`, as `make chaos` runs it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use inkling_base::CancelToken;
use inkling_store::disk::{EvictPolicy, Lease, Settings};
use inkling_store::{Digest, Disk, FilePlan, Landing, ModelId, Release, Slot, StoreError, Vfs};
use inkling_store_chaos::disk::{Random, SimVfs};

const OPERATIONS: u64 = 10_000;
const BUDGET: u64 = 40_000;
const HYSTERESIS: f64 = 0.1;
/// Of the disk, which is not only the store's.
const CAPACITY: u64 = 150_000;
const KEEP_FREE: u64 = 20_000;

struct World {
    disk: Disk,
    vfs: SimVfs,
    random: Random,
    ids: Vec<ModelId>,
    leases: Vec<(ModelId, Lease)>,
    now: u64,
    /// How often what happened.
    counts: BTreeMap<&'static str, u64>,
}

fn release(number: u64, bytes: &[u8]) -> Release {
    let file = serde_json::json!({
        "role": "weights", "name": "w", "required": true, "size": bytes.len(), "sha256": Digest::of(bytes),
    });
    serde_json::from_value(serde_json::json!({ "number": number, "files": [file] })).unwrap()
}

impl World {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn slots(&self) -> BTreeMap<ModelId, Slot> {
        self.disk.slots().unwrap().into_iter().map(|slot| (slot.id.clone(), slot)).collect()
    }

    /// A new release of a model: room is made, it comes, it is taken.
    fn install(&mut self) {
        let id = self.ids[self.random.index(self.ids.len())].clone();
        let size = 200 + self.random.index(9000);
        let bytes = self.random.bytes(size);
        // Others fill the disk, and empty it.
        let room = 21_000 + self.random.below(45_000);
        self.vfs.limit(Some((self.vfs.used() + room).min(CAPACITY)), None);
        let before = self.slots();
        let used = self.disk.usage().unwrap();
        let usage = used.total;
        // The record and the table of the file are small; what they take is asked for too.
        let need = size as u64 + 2000;
        let policy = EvictPolicy {
            budget: BUDGET,
            keep_free: KEEP_FREE,
            hysteresis: HYSTERESIS,
            need,
            keep: vec![id.clone()],
            coming: Vec::new(),
        };
        let evicted = match self.disk.evict(&policy) {
            Ok(evicted) => evicted,
            Err(StoreError::Full { need, have, .. }) => {
                assert!(have < need);
                // For what cannot fit nothing goes.
                assert_eq!((self.slots(), self.disk.usage().unwrap()), (before, used));
                return self.count("refused");
            }
            Err(error) => panic!("{error}"),
        };
        let after = self.disk.usage().unwrap().total;
        assert!(after + need <= BUDGET && after <= usage, "{after} of {usage}");
        let free = self.vfs.free_space(Path::new("/")).unwrap();
        assert!(free >= KEEP_FREE + need, "{free} free for {need}");
        if usage + need > BUDGET {
            // Once something must go, more does, so that not every download has to evict.
            let spared = (BUDGET as f64 * (1.0 - HYSTERESIS)) as u64;
            let may_go =
                |slot: &Slot| slot.chosen().is_some() && !slot.pinned && slot.id != id && !self.is_leased(slot);
            assert!(after + need <= spared || !self.slots().values().any(may_go), "{after} and {need} of {BUDGET}");
            self.count("evicted for the budget");
        } else if evicted.freed > 0 {
            self.count("evicted for the disk");
        }
        let gone: Vec<&ModelId> = evicted.models.iter().chain(&evicted.previous).collect();
        for gone in &gone {
            assert!(**gone != id && !before[*gone].pinned);
            assert!(!evicted.models.contains(gone) || !self.is_leased(&before[*gone]));
        }
        // Those that stay were used later, unless they may not go.
        let last = evicted.models.iter().map(|gone| before[gone].last_used).max();
        for (other, slot) in self.slots() {
            let may_go = slot.chosen().is_some() && !slot.pinned && other != id;
            assert!(!may_go || self.is_leased(&slot) || last.is_none_or(|last| slot.last_used >= last));
        }
        let (models, previous) = (evicted.models.len() as u64, evicted.previous.len() as u64);
        *self.counts.entry("evicted models").or_default() += models;
        *self.counts.entry("evicted releases").or_default() += previous;
        let staging = self.disk.stage(&FilePlan::plain(Digest::of(&bytes), size as u64)).unwrap();
        staging.put(0, &bytes).unwrap();
        if self.random.chance(5) {
            drop(staging);
            return self.count("left");
        }
        staging.finish(&CancelToken::new(), &mut |_, _| {}).unwrap();
        drop(staging);
        let now = self.now;
        let proven = self.random.chance(80);
        let offered = self.disk.change_slot(&id, |slot| {
            let number = 1 + [&slot.active, &slot.pending].into_iter().flatten().map(|r| r.number).max().unwrap_or(0);
            slot.offer(release(number, &bytes), true)?;
            slot.last_used = now;
            if proven {
                let _ = (0..5).any(|_| slot.good(number, now));
            }
            Ok(())
        });
        offered.unwrap();
        self.count("installed");
    }

    fn is_leased(&self, slot: &Slot) -> bool {
        slot.digests().any(|digest| self.leases.iter().any(|(_, lease)| lease.object().digest == digest))
    }

    fn step(&mut self) {
        self.now += 1;
        let at = self.random.index(self.ids.len());
        let (id, now) = (self.ids[at].clone(), self.now);
        match self.random.below(100) {
            0..30 => self.install(),
            30..60 => {
                if let Some(slot) = self.disk.slot(&id).unwrap().filter(|slot| slot.chosen().is_some()) {
                    let number = slot.chosen().unwrap().number;
                    self.disk
                        .change_slot(&id, |slot| {
                            slot.good(number, now);
                            Ok(())
                        })
                        .unwrap();
                    self.count("used");
                }
            }
            60..70 => {
                if self.leases.len() < 2
                    && let Some(release) = self.disk.slot(&id).unwrap().and_then(|slot| slot.chosen().cloned())
                {
                    self.leases.push((id, self.disk.lease(&release.files[0].sha256).unwrap()));
                    self.count("leased");
                }
            }
            70..85 => drop(self.leases.pop()),
            85..92 => {
                let pinned = self.random.chance(15);
                if self.disk.slot(&id).unwrap().is_some() {
                    self.disk
                        .change_slot(&id, |slot| {
                            slot.pinned = pinned;
                            Ok(())
                        })
                        .unwrap();
                    self.count("pinned");
                }
            }
            92..96 => {
                self.disk.gc(Duration::from_secs(1 << 40), Duration::ZERO).unwrap();
                self.count("collected");
            }
            _ => {
                // Panels are written by others, who ask for room as well.
                if let Some(release) = self.disk.slot(&id).unwrap().and_then(|slot| slot.chosen().cloned()) {
                    let length = self.random.below(2000);
                    let policy = EvictPolicy {
                        budget: BUDGET,
                        keep_free: 0,
                        hysteresis: HYSTERESIS,
                        need: length,
                        keep: vec![id],
                        coming: Vec::new(),
                    };
                    if self.disk.evict(&policy).is_ok() {
                        let path = self.disk.panels(&release.files[0].sha256).unwrap().join("panels");
                        let file = self.disk.vfs().open(&path, inkling_store::Open::Create).unwrap();
                        file.set_len(length).unwrap();
                        self.count("packed");
                    }
                }
            }
        }
    }
}

#[test]
fn the_budget_holds() {
    let vfs = SimVfs::new();
    vfs.limit(Some(CAPACITY), None);
    let settings = Settings { keep_free: 0, hash_ahead: false, ..Settings::default() };
    let disk = Disk::open_with(Arc::new(vfs.clone()), Path::new("/store"), settings).unwrap();
    let ids = (0..8).map(|number| format!("model-{number}").parse().unwrap()).collect();
    let mut world =
        World { disk, vfs, random: Random::new(3), ids, leases: Vec::new(), now: 1, counts: BTreeMap::new() };
    let mut most = 0;
    let factor = std::env::var("INKLING_CHAOS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let operations = OPERATIONS * factor;
    for operation in 0..operations {
        world.step();
        let usage = world.disk.usage().unwrap();
        most = most.max(usage.total);
        assert!(usage.total <= BUDGET, "operation {operation}: {usage:?}");
        if operation % 100 == 0 {
            // What is told is what is there, but for slots, marks and the ballast.
            let files = world.vfs.files();
            let real = files.iter().filter(|(path, _)| {
                ["objects", "panels", "quarantine"].iter().any(|folder| path.to_str().unwrap().contains(folder))
            });
            let real: u64 = real.map(|(_, bytes)| bytes.len() as u64).sum();
            assert_eq!(usage.total - usage.staging, real);
        }
        for (id, lease) in &world.leases {
            assert!(world.disk.object(&lease.object().digest).unwrap().is_some(), "{id}");
        }
    }
    println!("{operations} operations, seed 3: at most {most} of {BUDGET} bytes; {:?}", world.counts);
    let must = ["installed", "refused", "evicted models", "evicted releases", "packed", "left", "leased", "pinned"];
    for what in must.into_iter().chain(["evicted for the budget", "evicted for the disk"]) {
        assert!(world.counts.get(what).is_some_and(|count| *count > 50), "{what}: {:?}", world.counts);
    }
}
