//! Whole files: read with a limit, replace without a torn moment.

pub mod held;
pub mod like;

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

/// Reads a file of at most `limit` bytes; a larger one is an error, not a cut text.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_open(&fs::File::open(path)?, limit)
}

fn read_open(file: &fs::File, limit: u64) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let what = format!("larger than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

/// Writes beside the file, syncs, and renames over it: a reader sees the old bytes or the new,
/// never half. The new file has mode 0600.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = directory_of(path);
    let mut fresh = tempfile::Builder::new()
        .prefix(".torod-")
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(directory)?;
    fresh.write_all(bytes)?;
    fresh.as_file().sync_all()?;
    fresh.persist(path).map_err(|it| it.error)?;
    sync_directory(directory)
}

/// Makes the names of a directory survive a power cut.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    match fs::File::open(path)?.sync_all() {
        // Some network file systems know no such thing.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

/// Creates a directory and its parents, 0700.
pub fn create_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The directory that holds `path`; `.` for a bare name.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_private_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(read(&path, 3).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(read(&path, 2).is_err(), "over the limit is an error");
        assert!(read(dir.path(), 9).is_err(), "a directory is an error");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    }
}
