//! What a process has used, read from `/proc`: CPU time, memory, open files; and what machine it is.

use std::collections::BTreeMap;
use std::fs;

/// CPU time of a process and its children, so that a difference of two readings can be taken.
#[derive(Debug, Clone)]
pub(crate) struct Cpu {
    /// Nanoseconds by thread: fine, but a thread takes its own along when it ends.
    threads: BTreeMap<u32, u64>,
    /// Hundredths of a second: coarse, and complete.
    ticks: u64,
}

impl Cpu {
    pub(crate) fn read(pid: u32) -> Self {
        let family = family(pid);
        let threads = family.iter().flat_map(|it| threads(*it)).collect();
        Self { threads, ticks: family.iter().map(|it| ticks(*it)).sum() }
    }

    /// Microseconds used since `before`.
    pub(crate) fn since_us(&self, before: &Self) -> f64 {
        let all_live = before.threads.keys().all(|it| self.threads.contains_key(it));
        if self.threads.is_empty() || !all_live {
            return self.ticks.saturating_sub(before.ticks) as f64 * 10_000.0;
        }
        let sum = |it: &Self| it.threads.values().sum::<u64>();
        sum(self).saturating_sub(sum(before)) as f64 / 1_000.0
    }
}

/// A process and its direct children, as nginx has them.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in processes {
        let Some(other) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        if stat(other).and_then(|it| it.get(1)?.parse().ok()) == Some(pid) {
            all.push(other);
        }
    }
    all
}

/// The fields of `/proc/<pid>/stat` from the state on: the name before it may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn ticks(pid: u32) -> u64 {
    const USER: usize = 11;
    let Some(fields) = stat(pid) else { return 0 };
    fields.iter().skip(USER).take(2).filter_map(|it| it.parse::<u64>().ok()).sum()
}

fn threads(pid: u32) -> Vec<(u32, u64)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|entry| {
            let thread = entry.file_name().to_str()?.parse().ok()?;
            let text = fs::read_to_string(entry.path().join("schedstat")).ok()?;
            Some((thread, text.split_whitespace().next()?.parse().ok()?))
        })
        .collect()
}

/// Resident memory in kB, of the children too.
pub(crate) fn rss_kb(pid: u32) -> u64 {
    let of = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = text.lines().find_map(|it| it.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    family(pid).into_iter().filter_map(of).sum()
}

/// Open files, of the children too.
pub(crate) fn open_files(pid: u32) -> usize {
    let of = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    family(pid).into_iter().map(of).sum()
}

/// One line about the machine.
pub(crate) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|it| it.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("CPU", |(_, it)| it);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("{cpus} x {model}, Linux {}, load {load} at the start", kernel.trim())
}
