//! A terminal of 80 by 24 with a program in it, as a person sees it.

use std::{
    io::{Read as _, Write as _},
    path::Path,
    process::Child,
    sync::{Arc, Mutex},
    time::Duration,
};

use pty_process::{
    Size,
    blocking::{Command, Pty, open},
};

use crate::world::{eventually, within};

pub const ENTER: &str = "\r";
pub const ESC: &str = "\u{1b}";
pub const CTRL_C: &str = "\u{3}";
pub const DOWN: &str = "\u{1b}[B";

/// The program is killed when this is dropped.
pub struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    /// All that ever came.
    bytes: Vec<u8>,
    screen: vt100::Parser,
}

impl Terminal {
    /// `torod` with these words, in an environment with nothing but these variables.
    pub fn torod(home: &Path, words: &[&str], variables: &[(&str, &str)]) -> Self {
        let (pty, inside) = open().unwrap();
        pty.resize(Size::new(24, 80)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_torod"))
            .args(words)
            .env_clear()
            .envs([("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("NO_COLOR", "1")])
            .envs(variables.iter().copied())
            .env("HOME", home)
            .env("PATH", "/usr/bin:/bin")
            .current_dir(home)
            .spawn(inside)
            .unwrap();
        let pty = Arc::new(pty);
        let screen = vt100::Parser::new(24, 80, 0);
        let seen = Arc::new(Mutex::new(Seen { bytes: Vec::new(), screen }));
        let (from, kept) = (Arc::clone(&pty), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // When the program is gone, this is an error.
            while let Ok(read @ 1..) = (&*from).read(&mut buffer) {
                let mut seen = kept.lock().unwrap();
                seen.bytes.extend_from_slice(&buffer[..read]);
                seen.screen.process(&buffer[..read]);
            }
        });
        Self { pty, child, seen }
    }

    /// What is on the screen now.
    pub fn screen(&self) -> String {
        self.seen.lock().unwrap().screen.screen().contents()
    }

    /// All that was ever on it.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().bytes).into_owned()
    }

    pub async fn shows(&self, text: &str) {
        let shown = || self.screen().contains(text);
        eventually(&format!("the screen shows `{text}`"), shown).await;
    }

    pub fn types(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for a question, and is done when it has its answer.
    pub async fn answer(&self, question: &str, keys: &str) {
        self.shows(&format!("◆  {question}")).await;
        let answered = || self.said().matches(&format!("◇  {question}")).count();
        let before = answered();
        self.types(keys);
        let what = format!("`{question}` takes its answer");
        eventually(&what, || answered() > before).await;
    }

    /// Moves down by so many lines, and takes what is there.
    pub async fn choose(&self, question: &str, down: usize) {
        self.answer(question, &(DOWN.repeat(down) + ENTER)).await;
    }

    /// Types a text, and takes it.
    pub async fn enter(&self, question: &str, text: &str) {
        self.answer(question, &format!("{text}{ENTER}")).await;
    }

    /// Whichever of these questions comes.
    pub async fn asks_one_of<'q>(&self, questions: &[&'q str]) -> &'q str {
        let mut asked = None;
        eventually(&format!("one of {questions:?} is asked"), || {
            let screen = self.screen();
            asked = questions.iter().find(|it| screen.contains(&format!("◆  {it}"))).copied();
            asked.is_some()
        })
        .await;
        asked.unwrap()
    }

    /// Its exit code, once it has ended.
    pub async fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        within(Duration::from_secs(20), "the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the screen:\n{}", self.screen());
        }
    }
}
