//! A process of its own that edits: the test binary started again, with a job in its environment.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use tokenrouter::app::{Learned, Live, Way};

use crate::edits::{add, editor};

const JOB: &str = "TOROD_TEST_EDIT_JOB";

/// What a child is to do: add keys `<name>-0`, `<name>-1` and so on.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    pub dir: &'a Path,
    pub name: &'a str,
    pub count: usize,
    pub in_place: bool,
}

/// What a child says of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Begins(String),
    Done(String),
    Failed(String),
}

/// Does the job, when there is one. As a test of its own it does nothing.
#[tokio::test]
async fn edits_as_it_is_told() {
    let Ok(job) = std::env::var(JOB) else { return };
    let parts: Vec<_> = job.split('|').collect();
    let [dir, name, count, in_place] = parts[..] else { panic!("{job}") };
    let way = if in_place == "true" { Way::InPlace } else { Way::Exchange };
    let live = Live::open(editor(Path::new(dir)).by(way), Learned::default()).unwrap();
    let live = Arc::new(live);
    let mut out = std::io::stdout().lock();
    for at in 0..count.parse().unwrap() {
        let key = format!("{name}-{at}");
        writeln!(out, "begins {key}").unwrap();
        let edited = live.edit(add(&key)).await;
        match edited {
            Ok(_) => writeln!(out, "done {key}").unwrap(),
            Err(error) => writeln!(out, "failed {error}").unwrap(),
        }
        out.flush().unwrap();
    }
}

/// Starts a child; `shell` runs before it, in the same process.
pub fn start(job: &Job<'_>, wrap: &[&str], shell: &str) -> (Child, BufReader<ChildStdout>) {
    let Job { dir, name, count, in_place } = job;
    let script = format!("{shell}\nexec \"$@\"");
    let inner = ["sh", "-c", &script, "sh"];
    let mut words: Vec<_> = wrap.iter().chain(&inner).collect();
    let program = words.remove(0);
    let mut child = Command::new(program)
        .args(words)
        .arg(std::env::current_exe().unwrap())
        .args(["edit_child::edits_as_it_is_told", "--exact", "--nocapture", "--test-threads=1"])
        .env(JOB, format!("{}|{name}|{count}|{in_place}", dir.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// All that a child says until its end.
pub fn said(out: BufReader<ChildStdout>) -> Vec<Said> {
    let lines = out.lines().map_while(Result::ok);
    lines
        .filter_map(|line| {
            // The harness writes its own words before the first.
            let (_, words) = line.rsplit_once("... ").unwrap_or(("", &line));
            let (word, rest) = words.split_once(' ')?;
            match word {
                "begins" => Some(Said::Begins(rest.to_owned())),
                "done" => Some(Said::Done(rest.to_owned())),
                "failed" => Some(Said::Failed(rest.to_owned())),
                _ => None,
            }
        })
        .collect()
}
