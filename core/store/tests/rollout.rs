//! Staged rollouts, on a hundred thousand simulated installs.
#![allow(clippy::unwrap_used)]

mod kit;

use inkling_store::Digest;
use inkling_store::manifest::{Offer, Offers};
use inkling_store::rollout::{Device, bucket, choose};
use kit::*;

const INSTALLS: u32 = 100_000;

fn install(number: u32) -> [u8; 32] {
    Digest::of(&number.to_le_bytes()).0
}

fn device(install_id: &[u8]) -> Device<'_> {
    Device { install_id, installed: 0, floor: 0, refused: &[], sdk: "0.1.0" }
}

fn chosen(offers: &Offers, device: &Device<'_>) -> Option<u64> {
    choose(&catalog(1).models[0], Some(offers), device).map(|release| release.number)
}

fn offers(second: Offer) -> Offers {
    Offers { offers: vec![offer(1, 10_000), second], ..rollout(1, 1) }
}

/// Of 10^5 installs that fall at random, the share at 50 % has a standard deviation of 0.158 points: for one seed in
/// seventeen it is further than 0.3 off, whatever the hash. So each seed is held to four deviations, which one in
/// sixteen thousand exceeds, and five seeds together to ±0.3 points.
#[test]
fn the_share_is_what_was_asked_for_and_only_grows() {
    const SEEDS: u32 = 5;
    let shares = [1, 100, 500, 1_000, 2_000, 5_000, 9_000, 10_000];
    let mut totals = [0.0; 8];
    let mut near = [0; 8];
    for seed in 0..SEEDS {
        let seed = format!("m {seed}");
        let mut had = vec![false; INSTALLS as usize];
        for (index, basis_points) in shares.into_iter().enumerate() {
            let offers = offers(Offer { seed: seed.clone(), ..offer(2, basis_points) });
            let mut count = 0;
            for number in 0..INSTALLS {
                let has = chosen(&offers, &device(&install(number))) == Some(2);
                assert!(has || !had[number as usize], "install {number} lost it at {basis_points}");
                had[number as usize] = has;
                count += u32::from(has);
            }
            let wanted = f64::from(basis_points) / 10_000.0;
            let off = f64::from(count) / f64::from(INSTALLS) - wanted;
            let deviation = (wanted * (1.0 - wanted) / f64::from(INSTALLS)).sqrt();
            assert!(off.abs() <= 4.0 * deviation, "{off} off at {basis_points} for seed {seed}");
            near[index] += u32::from(off.abs() <= 0.003);
            totals[index] += off * 100.0 / f64::from(SEEDS);
        }
    }
    for ((basis_points, off), near) in shares.into_iter().zip(totals).zip(near) {
        println!(
            "{basis_points} basis points: {off:+.3} points off on the average, {near} of {SEEDS} seeds within 0.3"
        );
        assert!(off.abs() <= 0.3);
    }
}

#[test]
fn halting_stops_those_who_come_and_takes_from_nobody() {
    let (running, halted) = (offers(offer(2, 5_000)), offers(Offer { halted: true, ..offer(2, 5_000) }));
    for number in 0..1_000 {
        let id = install(number);
        let got = chosen(&running, &device(&id)).unwrap();
        assert_eq!(chosen(&halted, &device(&id)), Some(1), "those who come get the one before");
        // Those who have either keep it: nothing later is there for them.
        assert_eq!(chosen(&halted, &Device { installed: got, ..device(&id) }), None);
    }
}

#[test]
fn other_seeds_and_releases_choose_others() {
    let of = |seed, release| (0..INSTALLS).filter(move |&number| bucket(seed, release, &install(number)) < 1_000);
    let first: Vec<_> = of("a", 1).collect();
    for (seed, release) in [("b", 1), ("a", 2)] {
        let both = of(seed, release).filter(|number| first.binary_search(number).is_ok()).count();
        // A tenth of a tenth.
        assert!((800..1_200).contains(&both), "{both}");
    }
}

#[test]
fn a_device_gets_what_fits_it() {
    let mut model = catalog(1).models.remove(0);
    model.releases.push(inkling_store::manifest::ReleaseRef {
        number: 3,
        sdk_min: "0.2.0".to_owned(),
        ..model.releases[0].clone()
    });
    let all = Offers { offers: (1..=3).map(|release| offer(release, 10_000)).collect(), ..rollout(1, 1) };
    let choose = |device: &Device<'_>| choose(&model, Some(&all), device).map(|release| release.number);
    let plain = device(b"x");
    assert_eq!(choose(&plain), Some(2));
    assert_eq!(choose(&Device { sdk: "0.2.0-dev", ..plain }), Some(3));
    assert_eq!(choose(&Device { refused: &[2], ..plain }), Some(1));
    assert_eq!(choose(&Device { refused: &[2], floor: 2, ..plain }), None);
    assert_eq!(choose(&Device { installed: 2, ..plain }), None);
    assert_eq!(choose(&Device { installed: 2, sdk: "1.0.0", ..plain }), Some(3));
    // Nobody is offered what the rollout does not name; without rollouts everybody is.
    let none = Offers { offers: Vec::new(), ..rollout(1, 1) };
    assert_eq!(inkling_store::rollout::choose(&model, Some(&none), &plain), None);
    assert_eq!(inkling_store::rollout::choose(&model, None, &plain).unwrap().number, 2);
}
