//! Before an edit: what a crash left, and saves that landed in files that we had displaced.

use std::io;

use super::{
    super::{
        history::Origin,
        journal::Journal,
        lock::Lock,
        put::{Displaced, Place, Put},
    },
    Editor,
};
use crate::config::{self, Config, Revision};

impl Editor {
    /// What a crash left, and what editors wrote where we had displaced a file. With the lock.
    pub(super) fn recover(&self, place: &Place) {
        if self.0.read_only {
            return;
        }
        let path = self.path().display();
        if let Err(error) = Journal::new(&self.0.state_dir, &place.target).replay() {
            tracing::warn!(%path, %error, "an edit that was cut short cannot be finished");
        }
        match place.sweep() {
            Ok(lost) => self.lost("", &lost),
            Err(error) => tracing::debug!(%path, %error, "what a crash may have left stays"),
        }
        let mut saves = self.late().look(|it| self.loads(it).is_some());
        if let Some(newest) = saves.pop() {
            let text = place.read().map_or_else(|_| String::new(), |it| text_of(&it.bytes));
            self.lost(&text, &saves);
            self.put_late(place, newest);
        }
    }

    /// A save that landed in a file that we had displaced: as if it had come after our edits.
    fn put_late(&self, place: &Place, save: Vec<u8>) {
        let Ok(now) = place.read() else { return self.lost("", &[save]) };
        let (text, revision) = (text_of(&now.bytes), Revision::of(&now.bytes));
        let is_ours = self.met().is_ours(revision);
        if let Some(config) = self.loads(&save).filter(|_| is_ours) {
            match place.put(Some(now), &save, self.way(place), &self.0.state_dir) {
                Ok(Put::Done(displaced)) => {
                    tracing::info!("a save that came during an edit is at its place now");
                    self.history().keep(&save, Origin::Save, config.history);
                    self.met().recovered(&text_of(&save), &self.history());
                    self.late().push(displaced);
                    return;
                }
                Ok(Put::Changed(it)) => self.displaced(&text, &it, config.history),
                Err(error) => tracing::warn!(%error, "a save that came during an edit stays away"),
            }
        }
        self.lost(&text, &[save]);
    }

    /// Saves that came while we wrote over `before`.
    pub(super) fn displaced(&self, before: &str, saves: &Displaced, depth: usize) {
        self.lost(before, &saves.lost);
        if let Some(back) = &saves.back {
            self.history().keep(back, Origin::Save, depth);
            if self.loads(back).is_some() {
                self.met().saved(before, &text_of(back), &self.history());
            }
        }
    }

    fn lost(&self, before: &str, saves: &[Vec<u8>]) {
        for save in saves.iter().filter(|it| !it.is_empty() && **it != before.as_bytes()) {
            self.met().lost_save(before, save, &self.history());
        }
    }

    fn loads(&self, bytes: &[u8]) -> Option<Config> {
        config::resolve(std::str::from_utf8(bytes).ok()?, self.source()).config
    }

    /// Before the first read: what a crash left.
    pub(in crate::app) fn open(&self) -> io::Result<()> {
        if self.0.read_only {
            return Ok(());
        }
        let place = Place::find(self.path())?;
        let _lock = Lock::take(&place.directory, &self.0.state_dir)?;
        self.recover(&place);
        Ok(())
    }

    /// Whether files that we displaced may still be written to.
    pub fn is_looking(&self) -> bool {
        self.0.late.try_lock().is_ok_and(|it| !it.is_empty())
    }

    /// Looks at those files, with the lock only if something is to be done.
    pub(in crate::app) fn look_again(&self) {
        let is_touched = self.late().is_touched();
        if is_touched && let Err(error) = self.open() {
            tracing::warn!(%error, "a save that came during an edit cannot be looked after");
        }
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
