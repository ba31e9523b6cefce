//! The attacks that TUF lists, against the rules of `trust`. Slow retrieval is the network's business, and there are no
//! dependencies to be extraneous.
#![allow(clippy::unwrap_used)]

mod kit;

use inkling_store::manifest::*;
use inkling_store::trust::*;
use inkling_store::{StoreError, TrustState};
use kit::*;

fn pinned() -> TrustState {
    TrustState::pinned(&signed_root(&root(1))).unwrap()
}

/// A device that has seen catalogue 5 and rollout 5.
fn seasoned() -> TrustState {
    let mut state = pinned();
    accept_catalog(&mut state, &signed_catalog(&catalog(5)), NOW).unwrap();
    accept_rollout(&mut state, &signed_rollout(&rollout(5, 5)), NOW).unwrap();
    state
}

/// That it is refused for a reason that says `why`, and that nothing has changed by it.
#[track_caller]
fn refused<T>(state: &mut TrustState, try_it: impl FnOnce(&mut TrustState) -> Result<T, StoreError>, why: &str) {
    let before = state.clone();
    match try_it(state) {
        Err(error @ StoreError::Untrusted { .. }) => assert!(error.to_string().contains(why), "{error}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("accepted"),
    }
    assert_eq!(*state, before);
}

#[test]
fn honest_documents_are_accepted_again_and_again() {
    let mut state = seasoned();
    assert_eq!((state.catalog_version(), state.rollout_version(), state.next_root()), (5, 5, 2));
    accept_root(&mut state, &signed_root(&root(1))).unwrap();
    accept_catalog(&mut state, &signed_catalog(&catalog(5)), NOW).unwrap();
    accept_rollout(&mut state, &signed_rollout(&rollout(5, 5)), NOW).unwrap();
    // Versions may be left out.
    accept_catalog(&mut state, &signed_catalog(&catalog(9)), NOW).unwrap();
    accept_rollout(&mut state, &signed_rollout(&rollout(7, 9)), NOW).unwrap();
    assert!(state.needs_rollout());
}

#[test]
fn arbitrary_documents() {
    let mut state = seasoned();
    let few = "have, 2 must";
    for seeds in [&[][..], &[1], &[1, 1], &[1, 11], &[1, 4], &[4, 5, 6, 7]] {
        let bytes = sign(Kind::Catalog, &catalog(6), seeds);
        refused(&mut state, |state| accept_catalog(state, &bytes, NOW), few);
        let bytes = sign(Kind::Root, &root(2), seeds);
        refused(&mut state, |state| accept_root(state, &bytes), few);
    }
    let bytes = sign(Kind::Rollout, &rollout(6, 5), &[1, 2, 3]);
    refused(&mut state, |state| accept_rollout(state, &bytes, NOW), "have, 1 must");
    // A signature of one type is none of another.
    let as_root = sign(Kind::Root, &catalog(6), &[1, 2]);
    refused(&mut state, |state| accept_catalog(state, &as_root, NOW), "type");
    let renamed = String::from_utf8(as_root).unwrap().replace("inkling.root+json", "inkling.catalog+json");
    refused(&mut state, |state| accept_catalog(state, renamed.as_bytes(), NOW), few);
}

#[test]
fn changed_bits() {
    let mut state = seasoned();
    let bytes = signed_catalog(&catalog(6));
    let (mut refusals, mut harmless) = (0, 0);
    for index in 0..bytes.len() {
        for bit in [0, 3, 5] {
            let mut changed = bytes.clone();
            changed[index] ^= 1 << bit;
            let mut after = state.clone();
            match accept_catalog(&mut after, &changed, NOW) {
                // White space between parts of the envelope, and digits that only changed their case.
                Ok(read) => {
                    assert_eq!(read, catalog(6));
                    harmless += 1;
                }
                Err(_) => {
                    assert_eq!(after, state);
                    refusals += 1;
                }
            }
        }
    }
    println!("{refusals} changed catalogues refused, {harmless} that say the same accepted");
    assert!(refusals > 10 * harmless);
    accept_catalog(&mut state, &bytes, NOW).unwrap();
}

#[test]
fn rollback() {
    let mut state = seasoned();
    for version in 1..5 {
        let bytes = signed_catalog(&catalog(version));
        refused(&mut state, |state| accept_catalog(state, &bytes, NOW), "the oldest that is accepted is 5");
        let bytes = signed_rollout(&rollout(version, 5));
        refused(&mut state, |state| accept_rollout(state, &bytes, NOW), "the oldest that is accepted is 5");
    }
    let mut third = seasoned();
    accept_root(&mut third, &signed_root(&root(2))).unwrap();
    accept_root(&mut third, &signed_root(&root(3))).unwrap();
    for version in 1..3 {
        let bytes = signed_root(&root(version));
        refused(&mut third, |state| accept_root(state, &bytes), "3 was accepted");
    }
    assert_eq!(third.catalog_version(), 5, "the same keys go on counting");
}

#[test]
fn a_thousand_replayed_manifests() {
    let mut state = pinned();
    let old: Vec<_> = (1..=500).map(|v| (signed_catalog(&catalog(v)), signed_rollout(&rollout(v, v)))).collect();
    accept_catalog(&mut state, &signed_catalog(&catalog(501)), NOW).unwrap();
    accept_rollout(&mut state, &signed_rollout(&rollout(501, 501)), NOW).unwrap();
    // Kept and read again between: a restart forgets nothing.
    let mut accepted = 0;
    for (catalog, rollout) in &old {
        let mut state = TrustState::from_bytes(&state.to_bytes()).unwrap();
        accepted += u32::from(accept_catalog(&mut state, catalog, NOW).is_ok());
        accepted += u32::from(accept_rollout(&mut state, rollout, NOW).is_ok());
    }
    println!("{} old manifests replayed, {accepted} accepted", 2 * old.len());
    assert_eq!(accepted, 0);
}

#[test]
fn freeze() {
    let mut state = seasoned();
    let catalog_5 = signed_catalog(&catalog(5));
    let rollout_5 = signed_rollout(&rollout(5, 5));
    accept_catalog(&mut state, &catalog_5, NOW + 30 * DAY - 1).unwrap();
    refused(&mut state, |state| accept_catalog(state, &catalog_5, NOW + 30 * DAY), "expired 0 seconds ago");
    refused(&mut state, |state| accept_rollout(state, &rollout_5, NOW + 9 * DAY), "expired 2 days ago");
    // A rollout that is alive says that there is a newer catalogue than the one that is served.
    let ahead = signed_rollout(&rollout(6, 6));
    refused(&mut state, |state| accept_rollout(state, &ahead, NOW), "catalogue 6");
    // Under a root that has expired nothing is accepted but the next root.
    let late = NOW + 2000 * DAY;
    let young = signed_catalog(&Catalog { expires: late + DAY, ..catalog(7) });
    refused(&mut state, |state| accept_catalog(state, &young, late), "root 1 expired 1000 days ago");
    let next = Root { expires: late + DAY, ..root(2) };
    accept_root(&mut state, &signed_root(&next)).unwrap();
    accept_catalog(&mut state, &young, late).unwrap();
}

#[test]
fn a_clock_that_jumps_back() {
    let mut state = pinned();
    accept_catalog(&mut state, &signed_catalog(&catalog(5)), NOW).unwrap();
    let long = Offers { expires: NOW + 20 * DAY, ..rollout(6, 5) };
    accept_rollout(&mut state, &signed_rollout(&long), NOW + 10 * DAY).unwrap();
    // What expired before is expired, whatever the clock says now.
    let short = signed_rollout(&Offers { expires: NOW + 9 * DAY, ..rollout(7, 5) });
    refused(&mut state, |state| accept_rollout(state, &short, 0), "expired 1 days ago");
    let mut state = TrustState::from_bytes(&state.to_bytes()).unwrap();
    refused(&mut state, |state| accept_rollout(state, &short, NOW), "expired");
}

#[test]
fn a_clock_that_was_far_ahead_locks_nobody_out() {
    let mut state = seasoned();
    let years = NOW + 900 * DAY;
    let (catalog_5, rollout_5) = (signed_catalog(&catalog(5)), signed_rollout(&rollout(5, 5)));
    refused(&mut state, |state| accept_catalog(state, &catalog_5, years), "expired");
    accept_root(&mut state, &signed_root(&root(2))).unwrap();
    // Within what is signed it does move, and the next rollout goes on from there.
    accept_rollout(&mut state, &rollout_5, NOW + 6 * DAY).unwrap();
    accept_catalog(&mut state, &catalog_5, NOW + 29 * DAY).unwrap();
    accept_rollout(&mut state, &signed_rollout(&Offers { expires: NOW + 8 * DAY, ..rollout(6, 5) }), NOW + DAY)
        .unwrap();
}

#[test]
fn mix_and_match() {
    let mut state = seasoned();
    // Two documents of one version: of each only the first is ever accepted.
    let other = Catalog { models: Vec::new(), ..catalog(5) };
    let bytes = signed_catalog(&other);
    refused(&mut state, |state| accept_catalog(state, &bytes, NOW), "another version 5");
    let other = Offers { offers: Vec::new(), ..rollout(5, 5) };
    let bytes = signed_rollout(&other);
    refused(&mut state, |state| accept_rollout(state, &bytes, NOW), "another version 5");
    let bytes = signed_root(&Root { expires: NOW + 5, ..root(1) });
    refused(&mut state, |state| accept_root(state, &bytes), "another version 1");
    // A release is the one that the catalogue names, to the byte.
    let named = &catalog(5).models[0].releases[0];
    let model = &catalog(5).models[0].id;
    assert!(matches!(accept_release(model, named, &[0; 10]), Err(StoreError::Untrusted { .. })));
    // A rollout before any catalogue.
    let bytes = signed_rollout(&rollout(1, 0));
    refused(&mut pinned(), |state| accept_rollout(state, &bytes, NOW), "catalogue");
}

#[test]
fn fast_forward() {
    let mut state = seasoned();
    // Whoever has stolen the keys signs enormous versions.
    accept_catalog(&mut state, &signed_catalog(&catalog(u64::MAX)), NOW).unwrap();
    accept_rollout(&mut state, &signed_rollout(&rollout(u64::MAX, 5)), NOW).unwrap();
    let honest = sign(Kind::Catalog, &catalog(6), &[2, 4]);
    refused(&mut state, |state| accept_catalog(state, &honest, NOW), "");
    // The same keys cannot undo it, others can: from where the root says.
    let same = signed_root(&Root { catalog_floor: 6, rollout_floor: 6, ..root(2) });
    accept_root(&mut state, &same).unwrap();
    assert_eq!((state.catalog_version(), state.rollout_version()), (u64::MAX, u64::MAX));
    let rotated = Root {
        release: ring(&[2, 3, 4], 2),
        rollout: Some(ring(&[12], 1)),
        catalog_floor: 6,
        rollout_floor: 6,
        ..root(3)
    };
    accept_root(&mut state, &sign(Kind::Root, &rotated, &[2, 3])).unwrap();
    accept_catalog(&mut state.clone(), &honest, NOW).unwrap();
    // What honest keys signed before, which are still there, stays old.
    let before = sign(Kind::Catalog, &catalog(5), &[2, 3]);
    refused(&mut state, |state| accept_catalog(state, &before, NOW), "the oldest that is accepted is 6");
    let stolen = sign(Kind::Catalog, &catalog(7), &[1, 2]);
    refused(&mut state, |state| accept_catalog(state, &stolen, NOW), "1 of the keys");
    accept_catalog(&mut state, &honest, NOW).unwrap();
    accept_rollout(&mut state, &sign(Kind::Rollout, &rollout(6, 6), &[12]), NOW).unwrap();
}

#[test]
fn endless_data() {
    let mut state = seasoned();
    let pad = |mut bytes: Vec<u8>, kind: Kind| {
        bytes.resize(kind.limit() as usize + 1, b' ');
        bytes
    };
    let bytes = pad(signed_catalog(&catalog(6)), Kind::Catalog);
    refused(&mut state, |state| accept_catalog(state, &bytes, NOW), "at most");
    let bytes = pad(signed_rollout(&rollout(6, 5)), Kind::Rollout);
    refused(&mut state, |state| accept_rollout(state, &bytes, NOW), "at most");
    let bytes = pad(signed_root(&root(2)), Kind::Root);
    refused(&mut state, |state| accept_root(state, &bytes), "at most");
}

#[test]
fn a_stolen_rollout_key_brings_no_files() {
    let mut state = seasoned();
    for bytes in [sign(Kind::Catalog, &catalog(6), &[11]), sign(Kind::Catalog, &catalog(6), &[11, 11])] {
        refused(&mut state, |state| accept_catalog(state, &bytes, NOW), "0 of the keys");
    }
    let bytes = sign(Kind::Root, &root(2), &[11]);
    refused(&mut state, |state| accept_root(state, &bytes), "0 of the keys");
    // Nor does a rollout that says more than a rollout may.
    let payload = serde_json::to_value(rollout(6, 5)).unwrap();
    for (pointer, field) in [("", "models"), ("", "files"), ("/offers/0", "sha256"), ("/offers/0", "path")] {
        let mut more = payload.clone();
        more.pointer_mut(pointer).unwrap()[field] = serde_json::json!("x");
        let bytes = sign(Kind::Rollout, &more, &[11]);
        refused(&mut state, |state| accept_rollout(state, &bytes, NOW), "unknown field");
    }
    // It offers what was signed, or what is not there: then nothing is chosen.
    let all = Offers { offers: vec![offer(7, 10_000)], ..rollout(6, 5) };
    let offers = accept_rollout(&mut state, &signed_rollout(&all), NOW).unwrap();
    let device =
        inkling_store::rollout::Device { install_id: b"x", installed: 0, floor: 0, refused: &[], sdk: "0.1.0" };
    assert_eq!(inkling_store::rollout::choose(&catalog(5).models[0], Some(&offers), &device), None);
}

#[test]
fn one_stolen_release_key_of_two_is_too_few_and_can_be_replaced() {
    let mut state = seasoned();
    let bytes = sign(Kind::Catalog, &catalog(6), &[1]);
    refused(&mut state, |state| accept_catalog(state, &bytes, NOW), "1 of the keys");
    // The thief makes a root of his own, with enough of his keys for itself.
    let his = Root { release: ring(&[1, 8, 9], 2), ..root(2) };
    let bytes = sign(Kind::Root, &his, &[1, 8, 9]);
    refused(&mut state, |state| accept_root(state, &bytes), "1 of the keys");
    // A root must be signed by enough of its own keys too.
    let honest = Root { release: ring(&[2, 3, 4, 5], 3), ..root(2) };
    let bytes = sign(Kind::Root, &honest, &[2, 3]);
    refused(&mut state, |state| accept_root(state, &bytes), "2 of the keys that may sign it have, 3 must");
    accept_root(&mut state, &sign(Kind::Root, &honest, &[2, 3, 5])).unwrap();
    let bytes = sign(Kind::Catalog, &catalog(6), &[1, 2, 3]);
    refused(&mut state, |state| accept_catalog(state, &bytes, NOW), "2 of the keys");
}

#[test]
fn roots_come_one_by_one() {
    let mut state = seasoned();
    let third = sign(Kind::Root, &Root { release: ring(&[2, 3, 5], 2), ..root(3) }, &[2, 3]);
    refused(&mut state, |state| accept_root(state, &third), "root/2.json comes first");
    let second = sign(Kind::Root, &Root { release: ring(&[2, 3, 4], 2), expires: NOW - DAY, ..root(2) }, &[2, 3]);
    accept_root(&mut state, &second).unwrap();
    let bytes = sign(Kind::Catalog, &catalog(6), &[2, 3]);
    refused(&mut state, |state| accept_catalog(state, &bytes, NOW), "root 2 expired 1 days ago");
    accept_root(&mut state, &third).unwrap();
    accept_catalog(&mut state, &bytes, NOW).unwrap();
}

#[test]
fn trust_may_begin_with_keys() {
    let mut state = TrustState::with_keys(ring(&[1, 2, 3], 2));
    let bytes = signed_catalog(&catalog(1));
    refused(&mut state, |state| accept_catalog(state, &bytes, NOW), "no root yet");
    let foreign = sign(Kind::Root, &Root { release: ring(&[8, 9], 2), ..root(1) }, &[8, 9]);
    refused(&mut state, |state| accept_root(state, &foreign), "0 of the keys");
    assert_eq!(state.next_root(), 1);
    accept_root(&mut state, &signed_root(&root(1))).unwrap();
    accept_catalog(&mut state, &bytes, NOW).unwrap();
}

#[test]
fn an_app_that_was_updated_brings_its_root() {
    let mut state = seasoned();
    let newer = sign(Kind::Root, &Root { release: ring(&[8, 9], 2), catalog_floor: 6, ..root(9) }, &[8, 9]);
    assert!(state.adopt(&newer).unwrap() && !state.adopt(&signed_root(&root(1))).unwrap());
    assert_eq!(state.catalog_version(), 6);
    let unsigned = sign(Kind::Root, &root(10), &[]);
    refused(&mut state, |state| state.adopt(&unsigned), "must");
    assert!(TrustState::pinned(&unsigned).is_err());
}

#[test]
fn a_damaged_state_is_noticed() {
    let state = seasoned();
    let bytes = state.to_bytes();
    assert_eq!(TrustState::from_bytes(&bytes).unwrap(), state);
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        assert!(TrustState::from_bytes(&changed).is_err(), "{index}");
        assert!(TrustState::from_bytes(&bytes[..index]).is_err(), "{index}");
    }
}

#[test]
fn without_rollout_keys_there_are_no_rollouts() {
    let mut state = TrustState::pinned(&signed_root(&Root { rollout: None, ..root(1) })).unwrap();
    accept_catalog(&mut state, &signed_catalog(&catalog(5)), NOW).unwrap();
    assert!(!state.needs_rollout());
    let bytes = signed_rollout(&rollout(1, 1));
    refused(&mut state, |state| accept_rollout(state, &bytes, NOW), "no keys for rollouts");
}

#[test]
fn two_at_the_same_time_forget_nothing() {
    let start = seasoned();
    let (mut fast, mut slow) = (start.clone(), start.clone());
    accept_catalog(&mut fast, &signed_catalog(&catalog(8)), NOW).unwrap();
    accept_catalog(&mut slow, &signed_catalog(&catalog(6)), NOW).unwrap();
    accept_rollout(&mut slow, &signed_rollout(&rollout(7, 6)), NOW + DAY).unwrap();
    for both in [fast.merged(&slow), slow.merged(&fast)] {
        assert_eq!((both.catalog_version(), both.rollout_version(), both.time(0)), (8, 7, NOW + DAY));
        assert_eq!(both.merged(&start), both);
        let mut both = both;
        accept_catalog(&mut both.clone(), &signed_catalog(&catalog(8)), NOW).unwrap();
        let other = signed_catalog(&Catalog { models: Vec::new(), ..catalog(8) });
        refused(&mut both, |state| accept_catalog(state, &other, NOW), "another version 8");
    }
    // One has taken a root with other keys: the versions of the old ones no longer count.
    accept_catalog(&mut slow, &signed_catalog(&catalog(u64::MAX)), NOW).unwrap();
    let next = Root { release: ring(&[2, 3, 4], 2), catalog_floor: 6, ..root(2) };
    accept_root(&mut fast, &sign(Kind::Root, &next, &[2, 3])).unwrap();
    accept_catalog(&mut fast, &sign(Kind::Catalog, &catalog(7), &[3, 4]), NOW).unwrap();
    for both in [fast.merged(&slow), slow.merged(&fast)] {
        assert_eq!((both.catalog_version(), both.rollout_version(), both.next_root()), (7, 7, 3));
    }
}
