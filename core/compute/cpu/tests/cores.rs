//! Core classes from trees like those of real machines, and from broken ones.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use inkling_compute_cpu::{CoreClass, Cores};

/// A tree in a folder of its own, removed at the end.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("inkling-cores-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        Self(root)
    }

    fn put(self, path: &str, text: impl ToString) -> Self {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.to_string() + "\n").unwrap();
        self
    }

    /// Cores 0, 1, 2 … of these speeds, in the file that `name` ends in.
    fn speeds(mut self, name: &str, speeds: &[u32]) -> Self {
        for (core, speed) in speeds.iter().enumerate() {
            self = self.put(&format!("cpu{core}/{name}"), speed);
        }
        self.put("online", format!("0-{}", speeds.len() - 1))
    }

    fn capacities(self, capacities: &[u32]) -> Self {
        self.speeds("cpu_capacity", capacities)
    }

    fn clocks(self, clocks: &[u32]) -> Self {
        self.speeds("cpufreq/cpuinfo_max_freq", clocks)
    }

    /// As the process sees them with `parallelism`; `status` is in the tree if a test put one there.
    fn read(&self, parallelism: usize) -> Cores {
        Cores::read(&self.0, &self.0.join("status"), parallelism)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn classes(cores: &Cores) -> Vec<(u32, usize, bool)> {
    cores.classes().iter().map(|&CoreClass { speed, cores, little }| (speed, cores, little)).collect()
}

#[test]
fn little_cores_of_phones_are_left_out() {
    // Capacities as kernels of these chips give them, by core number.
    for (name, capacities, fast) in [
        ("snapdragon-865", &[256, 256, 256, 256, 872, 872, 872, 1024][..], 4),
        ("tensor-g1", &[160, 160, 160, 160, 498, 498, 1024, 1024], 4),
        ("tensor-g3", &[160, 160, 160, 160, 790, 790, 790, 790, 1024], 5),
        ("snapdragon-8-gen-3", &[381, 381, 925, 925, 925, 869, 869, 1024], 6),
        ("snapdragon-695", &[430, 430, 430, 430, 430, 430, 1024, 1024], 2),
        ("dimensity-9300", &[590, 590, 590, 590, 960, 960, 960, 1024], 8),
        ("snapdragon-8-elite", &[836, 836, 836, 836, 836, 836, 1024, 1024], 8),
        ("eight-a53", &[796, 796, 796, 796, 1024, 1024, 1024, 1024], 8),
        ("two-little-clusters", &[200, 200, 250, 250, 900, 900, 900, 1024], 4),
    ] {
        let cores = Tree::new(name).capacities(capacities).read(capacities.len());
        assert_eq!(cores.default_threads(), fast, "{name}: {cores}");
    }
    let cores = Tree::new("words").capacities(&[381, 381, 925, 925, 925, 869, 869, 1024]).read(8);
    assert_eq!(classes(&cores), [(1024, 1, false), (925, 3, false), (869, 2, false), (381, 2, true)]);
    assert_eq!(cores.to_string(), "8 cores: 1 × 1024, 3 × 925, 2 × 869, 2 little × 381");
}

#[test]
fn without_capacities_clocks_decide() {
    let old =
        Tree::new("clocks").clocks(&[1_800_000, 1_800_000, 1_800_000, 1_800_000, 2_420_000, 2_420_000, 2_840_000]);
    assert_eq!(old.read(7).default_threads(), 3);
    // Cores of one kind that may boost a little differently.
    assert_eq!(Tree::new("boost").clocks(&[5_500_000, 5_800_000, 5_500_000, 5_500_000]).read(4).default_threads(), 4);
    // The clocks are in the policies alone.
    let policies = Tree::new("policies")
        .put("online", "0-7")
        .put("cpufreq/policy0/related_cpus", "0 1 2 3")
        .put("cpufreq/policy0/cpuinfo_max_freq", 1_800_000)
        .put("cpufreq/policy4/related_cpus", "4 5 6 7")
        .put("cpufreq/policy4/cpuinfo_max_freq", 2_400_000);
    assert_eq!(classes(&policies.read(8)), [(2_400_000, 4, false), (1_800_000, 4, true)]);
    // One core without a clock, and nothing can be compared.
    let gap = Tree::new("gap").clocks(&[1_800_000, 2_400_000]).put("online", "0-2");
    assert_eq!((classes(&gap.read(3)), gap.read(3).default_threads()), (vec![(0, 3, false)], 3));
}

#[test]
fn hardware_threads_of_a_core_count_once() {
    let mut tree = Tree::new("smt").put("online", "0-7");
    for core in 0..8 {
        tree = tree.put(&format!("cpu{core}/topology/thread_siblings_list"), format!("{},{}", core % 4, core % 4 + 4));
    }
    let cores = tree.read(8);
    assert_eq!((cores.default_threads(), cores.to_string().as_str()), (4, "4 cores"));
    // The same under the newer name; the mask leaves one thread of the last core.
    let mut tree = Tree::new("smt-newer").put("online", "0-3").put("status", "Cpus_allowed_list:\t0-1,3");
    for core in 0..4 {
        tree = tree.put(&format!("cpu{core}/topology/core_cpus_list"), if core < 2 { "0-1" } else { "2-3" });
    }
    assert_eq!(tree.read(3).default_threads(), 2);
}

#[test]
fn offline_and_forbidden_cores_do_not_count() {
    let capacities = [381, 381, 925, 925, 925, 869, 869, 1024];
    let hot = Tree::new("offline").capacities(&capacities).put("online", "0-4,6");
    assert_eq!(hot.read(6).default_threads(), 4);
    // An app in the background may run on little cores only: then those are what it has.
    let background =
        Tree::new("background").capacities(&capacities).put("status", "Name:\tapp\nCpus_allowed_list:\t0-1");
    assert_eq!(background.read(2).default_threads(), 2);
    // A mask that names one core, and a quota of one core's time.
    let pinned = Tree::new("pinned").capacities(&capacities).put("status", "Cpus_allowed_list:\t7");
    assert_eq!(pinned.read(1).default_threads(), 1);
    assert_eq!(Tree::new("quota").capacities(&capacities).read(1).default_threads(), 1);
    assert_eq!(Tree::new("quota-zero").capacities(&capacities).read(0).default_threads(), 1);
}

#[test]
fn what_the_system_does_not_say_is_not_guessed() {
    let nowhere = Cores::read(Path::new("/nonexistent"), Path::new("/nonexistent"), 6);
    assert_eq!((nowhere.classes().len(), nowhere.default_threads(), nowhere.to_string().as_str()), (0, 6, "6 cores"));
    assert_eq!(Tree::new("empty").read(3).default_threads(), 3);
    // No lists: the folders say which cores there are.
    let folders = Tree::new("folders").capacities(&[256, 1024, 1024]);
    fs::remove_file(folders.0.join("online")).unwrap();
    let folders = folders.put("cpufreq/boost", 1).put("cpuidle/current_driver", "none");
    assert_eq!(classes(&folders.read(3)), [(1024, 2, false), (256, 1, true)]);
}

#[test]
fn garbage_is_as_good_as_nothing() {
    let lists = ["", "-", "0-", "3-1", "0-4294967295", "0-99999999999999999999", "a,b", "0,,1", "\0\u{1}", "0-8192"];
    for (index, list) in lists.into_iter().enumerate() {
        let tree = Tree::new(&format!("list-{index}")).capacities(&[256, 1024, 1024]).put("online", list);
        let tree = tree.put("status", format!("Cpus_allowed_list:\t{list}"));
        assert_eq!(tree.read(3).default_threads(), 2, "{list:?}");
    }
    for number in ["", "0", "-5", "1e3", "4294967296", "fast", "1024 1024"] {
        let tree = Tree::new("number").capacities(&[256, 1024, 1024]).put("cpu1/cpu_capacity", number);
        assert_eq!((classes(&tree.read(3)), tree.read(3).default_threads()), (vec![(0, 3, false)], 3), "{number:?}");
    }
    let tree = Tree::new("bytes").capacities(&[256, 1024, 1024]);
    fs::write(tree.0.join("online"), [0xff, 0xfe, 0x00]).unwrap();
    fs::write(tree.0.join("cpu0/cpu_capacity"), vec![b'9'; 1 << 20]).unwrap();
    assert_eq!(tree.read(3).default_threads(), 3);
    // Siblings that leave the core itself out are not believed.
    let tree = Tree::new("siblings").put("online", "0-3");
    let tree = (0..4).fold(tree, |tree, core| tree.put(&format!("cpu{core}/topology/thread_siblings_list"), "9"));
    assert_eq!(tree.read(4).default_threads(), 4);
}

#[test]
fn this_machine_has_cores() {
    let cores = Cores::here();
    let most = std::thread::available_parallelism().unwrap().get();
    assert!((1..=most).contains(&cores.default_threads()), "{cores:?}");
}
