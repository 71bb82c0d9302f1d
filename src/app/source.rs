//! The file on disk and what it refers to: reading carefully, and what to watch.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    base::{digest, file},
    config::{Revision, Surroundings},
};

/// A config has no business being larger.
pub(super) const MAX_BYTES: u64 = 16 * 1024 * 1024;
const MAX_SECRET_BYTES: u64 = 64 * 1024;
/// Two reads this far apart must be equal: a save may be seen half done.
const APART: Duration = Duration::from_millis(50);

/// Where the config is.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
}

/// A text that stood still, with the digest of the files that it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) revision: Revision,
    pub(super) referred: [u8; 32],
}

impl Source {
    /// The text, once two reads agree; gives up after a second of change.
    pub(super) async fn read(&self) -> io::Result<String> {
        let mut before = self.bytes().await?;
        for _ in 0..20 {
            tokio::time::sleep(APART).await;
            let now = self.bytes().await?;
            if now == before {
                return String::from_utf8(now).map_err(|_| {
                    io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8")
                });
            }
            before = now;
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "the file does not stop changing"))
    }

    pub(super) async fn bytes(&self) -> io::Result<Vec<u8>> {
        let path = self.path.clone();
        blocking(move || file::read(&path, MAX_BYTES)).await
    }

    /// Digest of the files that the live text refers to, as they are now.
    pub(super) async fn referred(&self, files: &[PathBuf]) -> [u8; 32] {
        if files.is_empty() {
            return [0; 32];
        }
        let files = files.to_vec();
        blocking(move || Ok(referred_now(&files))).await.unwrap_or_default()
    }

    /// Whether the path leads through the link that a `ConfigMap` is swapped by.
    pub(super) fn is_config_map(&self) -> bool {
        let is_swapped = |it: &Path| it.components().any(|it| it.as_os_str() == "..data");
        let next = |it: &PathBuf| Some(file::directory_of(it).join(it.read_link().ok()?));
        std::iter::successors(Some(self.path.clone()), next)
            .take(MAX_LINKS)
            .any(|it| is_swapped(&it))
    }

    /// The directories whose changes matter: of the path as given, of each link on its way, and of
    /// the files that the text refers to.
    pub(super) fn directories(&self, referred: &[PathBuf]) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for path in referred.iter().chain([&self.path]) {
            found.insert(file::directory_of(path).to_owned());
            follow_links(path, MAX_LINKS, &mut found);
        }
        // Where a directory is gone, the one that will tell of the next of its name.
        let stands = |it: PathBuf| it.ancestors().find(|it| it.is_dir()).map(Path::to_owned);
        found.into_iter().filter_map(stands).collect()
    }
}

/// The same, for a thread that may wait.
pub(super) fn referred_now(files: &[PathBuf]) -> [u8; 32] {
    if files.is_empty() {
        return [0; 32];
    }
    let read = |it: &PathBuf| file::read(it, MAX_SECRET_BYTES).map_or([0; 32], digest);
    digest(files.iter().flat_map(read).collect::<Vec<u8>>())
}

/// As many links in a row as the kernel follows.
const MAX_LINKS: usize = 40;

/// Adds the directory of each link on the way, and of where the way ends.
fn follow_links(path: &Path, left: usize, found: &mut BTreeSet<PathBuf>) {
    let mut way = PathBuf::new();
    let mut parts = path.components();
    while let Some(part) = parts.next() {
        way.push(part);
        let Ok(target) = way.read_link() else { continue };
        found.insert(file::directory_of(&way).to_owned());
        if left > 0 {
            let leads_to = file::directory_of(&way).join(target).join(parts.as_path());
            follow_links(&leads_to, left - 1, found);
        }
        return;
    }
    found.insert(file::directory_of(&way).to_owned());
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Variables of the process, files beside the config.
impl Surroundings for Source {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the file's references are read"
    )]
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> io::Result<String> {
        let bytes = file::read(&self.locate(path), MAX_SECRET_BYTES)?;
        String::from_utf8(bytes)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
    }

    fn locate(&self, path: &str) -> PathBuf {
        file::directory_of(&self.path).join(path)
    }
}
