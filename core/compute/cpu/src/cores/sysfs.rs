//! Reads what Linux says about the cores. Nothing in the tree is relied on: a file that is missing or that holds
//! something else counts as unsaid, and no number in it is taken as a size.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::Measure;

/// Core numbers from here on are not believed. Linux can be built for 8192.
const MOST_CORES: usize = 8192;
/// Longer files are not read to their end.
const MOST_BYTES: u64 = 1 << 16;

/// The speeds of the physical cores that are online and allowed, and what they are.
pub(super) fn cores(root: &Path, allowed: Option<&[usize]>) -> (Vec<u32>, Measure) {
    let mut usable = logical(root);
    if let Some(allowed) = allowed {
        usable.retain(|core| allowed.contains(core));
    }
    let mut seen = BTreeSet::new();
    usable.retain(|&core| seen.insert(physical(root, core)));
    // One measure for all, or they could not be compared.
    let all = |speed: &dyn Fn(usize) -> Option<u32>| usable.iter().map(|&core| speed(core)).collect::<Option<Vec<_>>>();
    if let Some(speeds) = all(&|core| number(&root.join(format!("cpu{core}/cpu_capacity")))) {
        return (speeds, Measure::Capacity);
    }
    let policies = policies(root);
    let clock = |core: usize| {
        let own = number(&root.join(format!("cpu{core}/cpufreq/cpuinfo_max_freq")));
        own.or_else(|| Some(policies.iter().find(|(cores, _)| cores.contains(&core))?.1))
    };
    match all(&clock) {
        Some(speeds) => (speeds, Measure::Clock),
        None => (vec![0; usable.len()], Measure::Unknown),
    }
}

/// The cores that this thread may run on, if the file says so.
pub(super) fn allowed(status: &Path) -> Option<Vec<usize>> {
    let text = text(status)?;
    list(text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

/// The numbers of the logical cores that run: those online, else those present or possible, else those with a folder.
fn logical(root: &Path) -> Vec<usize> {
    let named = ["online", "present", "possible"].iter().find_map(|name| list(&text(&root.join(name))?));
    named.unwrap_or_else(|| {
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        let number = |name: &str| name.strip_prefix("cpu")?.parse().ok().filter(|&core| core < MOST_CORES);
        let found: BTreeSet<usize> = entries.filter_map(|entry| number(entry.file_name().to_str()?)).collect();
        found.into_iter().collect()
    })
}

/// The first of the logical cores that share a physical one with `core`.
fn physical(root: &Path, core: usize) -> usize {
    let topology = root.join(format!("cpu{core}/topology"));
    // The second is the newer name.
    let siblings =
        ["thread_siblings_list", "core_cpus_list"].iter().find_map(|name| list(&text(&topology.join(name))?));
    siblings.filter(|siblings| siblings.contains(&core)).and_then(|siblings| siblings.first().copied()).unwrap_or(core)
}

/// Cores that change their clock together, and its highest value.
fn policies(root: &Path) -> Vec<(Vec<usize>, u32)> {
    let entries = std::fs::read_dir(root.join("cpufreq")).into_iter().flatten().flatten();
    let policy = |folder: &Path| {
        Some((
            list(&text(&folder.join("related_cpus"))?.split_whitespace().collect::<Vec<_>>().join(","))?,
            number(&folder.join("cpuinfo_max_freq"))?,
        ))
    };
    entries.filter_map(|entry| policy(&entry.path())).collect()
}

fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// A number above 0.
fn number(path: &Path) -> Option<u32> {
    text(path)?.trim().parse().ok().filter(|&number| number > 0)
}

/// `0-3,5` as its numbers, ascending; `None` for anything else, also for an empty list.
fn list(text: &str) -> Option<Vec<usize>> {
    let mut numbers = BTreeSet::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= MOST_CORES {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers.into_iter().collect())
}
