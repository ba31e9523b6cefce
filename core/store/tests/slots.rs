//! The slot's state machine: random sequences of offers, loads, crashes and verdicts keep its rules; bad releases are
//! given up within three launches.
#![allow(clippy::unwrap_used)]

use inkling_store::slot::{GOOD_ENOUGH, MOST_ATTEMPTS, MOST_UNCLEAN, Offered, SlotError, Which, Why};
use inkling_store::{Digest, Release, ReleaseFile, Role, Slot};
use proptest::prelude::*;

fn release(number: u64, floor: u64) -> Release {
    let file = ReleaseFile {
        role: Role::Weights,
        name: "weights".to_owned(),
        required: true,
        size: 1,
        sha256: Digest::of(&number.to_le_bytes()),
        sealed: None,
    };
    let empty = String::new;
    Release {
        number,
        floor,
        architecture: empty(),
        ram_min: 0,
        sdk_min: empty(),
        files: vec![file],
        golden: vec![],
        least_speed: 0.0,
    }
}

fn slot() -> Slot {
    Slot::new("model".parse().unwrap(), "test")
}

/// A slot in which these releases were proven one after the other.
fn proven(numbers: &[u64]) -> Slot {
    let mut slot = slot();
    for &number in numbers {
        assert_eq!(slot.offer(release(number, 0), false), Ok(Offered::Pending));
        for time in 1..=GOOD_ENOUGH {
            slot.begin(0).unwrap();
            assert_eq!(slot.good(number, 0), time == GOOD_ENOUGH);
        }
    }
    slot
}

fn numbers(slot: &Slot) -> [u64; 3] {
    [&slot.active, &slot.previous, &slot.pending].map(|release| release.as_ref().map_or(0, |release| release.number))
}

#[test]
fn a_release_is_proven_by_five_good_generations() {
    let mut slot = slot();
    assert!(matches!(slot.begin(0), Err(SlotError::NothingUsable(refused)) if refused.is_empty()));
    slot.offer(release(1, 1), false).unwrap();
    for time in 1..GOOD_ENOUGH {
        let choice = slot.begin(u64::from(time)).unwrap();
        assert_eq!((choice.which, choice.suspicious, choice.fell_back), (Which::Pending, false, None));
        assert!(!slot.good(1, 0));
        // The floor does not rise before.
        assert_eq!((slot.good, slot.floor, slot.last_used), (time, 0, u64::from(time)));
    }
    slot.begin(0).unwrap();
    assert!(slot.good(1, 9));
    assert_eq!((numbers(&slot), slot.floor, slot.good, slot.last_used), ([1, 0, 0], 1, 0, 9));
    assert_eq!(slot.begin(0).unwrap().which, Which::Active);
}

#[test]
fn three_loads_without_a_word_are_enough() {
    let mut slot = proven(&[1]);
    slot.offer(release(2, 0), false).unwrap();
    for time in 0..MOST_ATTEMPTS {
        let choice = slot.begin(0).unwrap();
        assert_eq!((choice.release.number, choice.suspicious), (2, time > 0));
    }
    let choice = slot.begin(0).unwrap();
    assert_eq!((choice.release.number, choice.which, choice.suspicious), (1, Which::Active, true));
    let fell_back = choice.fell_back.unwrap();
    assert_eq!((fell_back.from, fell_back.why), (2, Why::CrashAtLoad));
    assert_eq!(slot.offer(release(2, 0), false), Err(SlotError::Refused { number: 2, why: Why::CrashAtLoad }));
    assert_eq!(slot.offer(release(2, 0), true), Ok(Offered::Pending));
    // Loads that ended in order do not count.
    for _ in 0..10 {
        assert_eq!(slot.begin(0).unwrap().release.number, 2);
        slot.withdraw();
    }
}

#[test]
fn apps_that_are_killed_after_the_load_are_innocent() {
    let mut slot = proven(&[1]);
    slot.closed();
    let mut verified = 0;
    for _ in 0..4 * MOST_UNCLEAN {
        let choice = slot.begin(0).unwrap();
        assert_eq!((choice.release.number, choice.fell_back), (1, None));
        verified += u32::from(choice.suspicious);
        slot.came_back(1);
    }
    // Now and then all bytes are read again: a disk that fails kills the process too.
    assert_eq!(verified, 3);
    slot.closed();
    assert!(!slot.begin(0).unwrap().suspicious);
}

#[test]
fn an_active_release_that_crashes_is_given_up_too() {
    let mut slot = proven(&[1, 2]);
    (0..MOST_ATTEMPTS).for_each(|_| assert_eq!(slot.begin(0).unwrap().release.number, 2));
    let choice = slot.begin(0).unwrap();
    assert_eq!((choice.release.number, choice.which, numbers(&slot)), (1, Which::Previous, [1, 0, 0]));
    (1..MOST_ATTEMPTS).for_each(|_| assert_eq!(slot.begin(0).unwrap().release.number, 1));
    let Err(SlotError::NothingUsable(refused)) = slot.begin(0) else { panic!("there is nothing left") };
    assert_eq!(refused.iter().map(|refused| refused.number).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn going_back_by_hand() {
    let mut slot = proven(&[1, 2]);
    slot.offer(release(3, 0), false).unwrap();
    assert_eq!((slot.rollback(), numbers(&slot)), (Ok(2), [2, 1, 0]));
    assert_eq!((slot.rollback(), numbers(&slot)), (Ok(1), [1, 2, 0]));
    assert_eq!(slot.rollback(), Err(SlotError::NothingBefore));
    for number in [2, 3] {
        assert_eq!(slot.offer(release(number, 0), false), Err(SlotError::Refused { number, why: Why::RolledBack }));
    }
    // It worked once: better than nothing.
    assert_eq!(slot.bad(1, Why::FailingStorage).unwrap().from, 1);
    assert_eq!(numbers(&slot), [2, 0, 0]);
    assert_eq!(proven(&[1]).rollback(), Err(SlotError::NothingBefore));
}

#[test]
fn nothing_below_the_floor() {
    let mut slot = proven(&[1]);
    slot.offer(release(5, 4), false).unwrap();
    assert_eq!(slot.floor, 0);
    assert!((0..GOOD_ENOUGH).any(|_| slot.good(5, 0)));
    // What was there before it is below.
    assert_eq!((slot.floor, numbers(&slot)), (4, [5, 0, 0]));
    assert_eq!(slot.offer(release(3, 0), true), Err(SlotError::BelowFloor { number: 3, floor: 4 }));
    // A floor above its own release would leave nothing.
    slot.offer(release(6, u64::MAX), false).unwrap();
    assert!((0..GOOD_ENOUGH).any(|_| slot.good(6, 0)));
    assert_eq!((slot.floor, numbers(&slot)), (6, [6, 0, 0]));
}

#[test]
fn offers_that_cannot_be_kept() {
    let mut slot = proven(&[1]);
    assert_eq!(slot.offer(release(1, 0), false), Ok(Offered::Already));
    let mut other = release(1, 0);
    other.files[0].sha256 = Digest::of(b"other");
    assert_eq!(slot.offer(other, true), Err(SlotError::SameNumber { number: 1 }));
    let none = Release { files: vec![], ..release(2, 0) };
    let twice = Release { files: [release(2, 0).files, release(3, 0).files].concat(), ..release(2, 0) };
    let speed = Release { least_speed: f64::NAN, ..release(2, 0) };
    let mut huge = release(2, 0);
    huge.files[0].size = u64::MAX;
    for unsound in [none, twice, speed, huge] {
        assert!(matches!(slot.offer(unsound, true), Err(SlotError::Unsound(_))));
    }
    assert_eq!(slot, proven(&[1]));
}

#[test]
fn verdicts_are_about_the_release_that_ran() {
    let mut slot = proven(&[1]);
    slot.begin(0).unwrap();
    slot.offer(release(2, 0), false).unwrap();
    // Release 1 ran while 2 was put on trial.
    assert!((0..9).all(|_| !slot.good(1, 0)));
    assert_eq!((slot.good, numbers(&slot)), (0, [1, 0, 2]));
    assert_eq!(slot.bad(1, Why::FailingStorage).unwrap().from, 1);
    assert_eq!((numbers(&slot), slot.bad(7, Why::Other)), ([0, 0, 2], None));
}

/// A launch of an app with a bad release: what happens depends on the kind.
fn launch(slot: &mut Slot, kind: Why, bad: u64) -> u64 {
    let number = slot.begin(0).unwrap().release.number;
    if number != bad {
        slot.good(number, 0);
    } else if kind != Why::CrashAtLoad {
        slot.bad(number, kind).unwrap();
    }
    number
}

#[test]
fn five_hundred_bad_releases_are_given_up_within_three_launches() {
    let kinds = [Why::WrongHash, Why::CrashAtLoad, Why::WrongGolden, Why::TooSlow];
    let mut slot = proven(&[1, 2]);
    let mut most = [0; 4];
    for number in 3..503 {
        let kind = (number % 4) as usize;
        slot.offer(release(number, number), false).unwrap();
        let mut bad = 0;
        while launch(&mut slot, kinds[kind], number) == number {
            bad += 1;
        }
        most[kind] = most[kind].max(bad);
        assert_eq!((numbers(&slot), slot.floor), ([2, 1, 0], 0));
        assert!(matches!(slot.offer(release(number, 0), false), Err(SlotError::Refused { .. })));
        // It survives being written and read.
        assert_eq!(Slot::from_bytes(&slot.to_bytes().unwrap()).unwrap(), slot);
    }
    println!("bad launches at most: {most:?} of {kinds:?}");
    assert_eq!(most, [1, MOST_ATTEMPTS, 1, 1]);
}

#[derive(Debug, Clone)]
enum Step {
    Offer(u64, u64, bool),
    /// Loads, and the process dies.
    Crash,
    Good,
    Bad,
    Withdraw,
    Rollback,
    BadOther(u64),
    Evicted,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_u64, 0..14_u64, any::<bool>()).prop_map(|(number, floor, insist)| Step::Offer(number, floor, insist)),
        4 => Just(Step::Crash),
        12 => Just(Step::Good),
        2 => Just(Step::Bad),
        1 => Just(Step::Withdraw),
        1 => Just(Step::Rollback),
        1 => (0..12_u64).prop_map(Step::BadOther),
        1 => Just(Step::Evicted),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn the_rules_hold_whatever_happens(steps in proptest::collection::vec(step(), 0..120)) {
        let mut slot = slot();
        for step in steps {
            let before = slot.clone();
            let mut crashes = 0;
            match step {
                Step::Offer(number, floor, insist) => {
                    let offered = slot.offer(release(number, floor), insist);
                    if offered.is_err() {
                        prop_assert_eq!(&slot, &before);
                    }
                    prop_assert!(number >= before.floor || offered.is_err());
                    let was_refused = before.refusal(&release(number, 0)).is_some();
                    prop_assert!(!was_refused || insist || offered != Ok(Offered::Pending));
                }
                Step::Crash | Step::Good | Step::Bad | Step::Withdraw => {
                    match slot.begin(1) {
                        Ok(choice) => {
                            // Nobody loads what was refused for good.
                            let why = slot.refusal(&choice.release);
                            prop_assert!(matches!(why, None | Some(Why::RolledBack)), "{why:?}");
                            prop_assert_eq!(slot.chosen(), Some(&choice.release));
                            prop_assert_eq!(choice.suspicious, before.attempts > 0 || before.unclean >= MOST_UNCLEAN);
                            prop_assert_eq!(choice.fell_back.is_some(), before.attempts == MOST_ATTEMPTS);
                            crashes = slot.attempts;
                            let number = choice.release.number;
                            match step {
                                Step::Good => assert!(!slot.good(number, 1) || slot.pending.is_none()),
                                Step::Bad => {
                                    prop_assert_eq!(slot.bad(number, Why::Other).unwrap().from, number);
                                    prop_assert_ne!(slot.chosen().map(|release| release.number), Some(number));
                                }
                                Step::Withdraw => slot.withdraw(),
                                _ => {}
                            }
                        }
                        Err(error) => {
                            prop_assert!(matches!(error, SlotError::NothingUsable(_)));
                            prop_assert_eq!(numbers(&slot), [0, 0, 0]);
                        }
                    }
                }
                Step::Rollback => drop(slot.rollback()),
                Step::BadOther(number) => drop(slot.bad(number, Why::TooSlow)),
                Step::Evicted => slot.evicted(),
            }
            prop_assert!(crashes <= MOST_ATTEMPTS);
            // The floor rises only when a release was proven by the last of its good generations.
            if slot.floor != before.floor {
                prop_assert!(slot.floor > before.floor && before.good + 1 == GOOD_ENOUGH && slot.good == 0);
            }
            // A proven release never goes without a reason that is written down.
            if let Some(active) = &before.active
                && !matches!(step, Step::Evicted)
            {
                let is_there = [&slot.active, &slot.previous].into_iter().flatten().any(|now| now.number == active.number);
                prop_assert!(is_there || slot.refusal(active).is_some() || active.number < slot.floor);
            }
            // Every state can be written, and comes back as it was.
            let bytes = slot.to_bytes().unwrap();
            prop_assert_eq!(Slot::from_bytes(&bytes).unwrap(), slot.clone());
        }
    }

    #[test]
    fn strangers_bytes_are_no_slot(bytes: Vec<u8>, at: usize, flip in 1..=255_u8) {
        prop_assert!(Slot::from_bytes(&bytes).is_err());
        let mut good = proven(&[1, 2]).to_bytes().unwrap();
        let at = at % good.len();
        good[at] ^= flip;
        prop_assert!(Slot::from_bytes(&good).is_err());
    }
}
