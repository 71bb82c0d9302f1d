//! Opening the state database: what `SQLite` is told, and what becomes of a database that is damaged
//! or cannot be used. torod starts in any case.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::schema;

/// Another process that looks into the database holds us up no longer than this.
const BUSY: Duration = Duration::from_secs(5);

/// A larger database that was closed properly is not read through at each start.
const CHECKED: u64 = 256 * 1024 * 1024;

/// What the writer's connection is told.
///
/// - `auto_vacuum`: pages of pruned rows go back to the file system in steps; it counts only before
///   the first table is made.
/// - `journal_mode`, `synchronous`: in a WAL readers and the writer do not wait for each other, and
///   a commit is one append without an fsync. A killed process loses nothing that was committed; a
///   power cut may lose the last commits, and never the database.
/// - `wal_autocheckpoint`, `journal_size_limit`: the WAL is folded in at 4 MiB, and is cut back when
///   a slow reader made it grow.
/// - `temp_store`: sorting writes no files beside a disk that may be full.
const WRITING: &str = "
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA wal_autocheckpoint = 1000;
    PRAGMA journal_size_limit = 4194304;
    PRAGMA temp_store = MEMORY;
";

/// Where the database is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Disk(PathBuf),
    /// A name that all connections of this process share; it lives as long as one of them.
    Memory(String),
}

impl Place {
    pub(super) fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = self.open(flags)?;
        connection.execute_batch(WRITING)?;
        Ok(connection)
    }

    pub(super) fn connect_reading(&self) -> rusqlite::Result<Connection> {
        let connection = self.open(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.execute_batch("PRAGMA temp_store = MEMORY")?;
        Ok(connection)
    }

    fn open(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        // A connection is used by one thread at a time: it needs no mutex of its own.
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match self {
            Self::Disk(path) => Connection::open_with_flags(path, flags)?,
            Self::Memory(name) => {
                Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_URI)?
            }
        };
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    }
}

/// The database of a path at the newest schema. A damaged one is moved aside; where none can be, it
/// is in memory.
pub(super) fn open(path: &Path) -> rusqlite::Result<(Place, Connection)> {
    let place = Place::Disk(path.to_owned());
    let why = match prepare(path, &place) {
        Ok(connection) => return Ok((place, connection)),
        Err(error) if is_damage(&error) => {
            let fresh = set_aside(path, &error).map_err(|it| it.to_string());
            match fresh.and_then(|()| prepare(path, &place).map_err(|it| it.to_string())) {
                Ok(connection) => return Ok((place, connection)),
                Err(why) => why,
            }
        }
        Err(error) => error.to_string(),
    };
    tracing::error!(
        path = %path.display(), error = why,
        "the state database cannot be used: usage, budgets and conversations are kept in memory and are lost when torod ends"
    );
    let place = Place::Memory(format!("file:/torod-{}?vfs=memdb", uuid::Uuid::now_v7()));
    let mut connection = place.connect()?;
    schema::migrate(&mut connection)?;
    Ok((place, connection))
}

fn prepare(path: &Path, place: &Place) -> rusqlite::Result<Connection> {
    let dirty = beside(path, "-wal").exists();
    let size = private(path).map_err(|it| {
        rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), Some(it.to_string()))
    })?;
    let mut connection = place.connect()?;
    if size > 0 && (dirty || size <= CHECKED) {
        check(&connection)?;
    }
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// A file that only this user can read; `SQLite` gives its -wal and -shm the same mode.
fn private(path: &Path) -> io::Result<u64> {
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = file.open(path)?;
    let meta = file.metadata()?;
    if meta.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(meta.len())
}

fn check(connection: &Connection) -> rusqlite::Result<()> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(found)))
}

/// Moves a damaged database out of the way, with what belongs to it.
pub(super) fn set_aside(path: &Path, error: &rusqlite::Error) -> io::Result<()> {
    let mark = format!(".corrupt-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%.3fZ"));
    let aside = beside(path, &mark);
    // The database last: one that is gone has left nothing that a fresh one would read.
    for suffix in ["-wal", "-shm", ""] {
        match fs::rename(beside(path, suffix), beside(&aside, suffix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    tracing::error!(
        path = %path.display(), moved_to = %aside.display(), %error,
        "the state database is damaged: it was moved aside and torod goes on with an empty one"
    );
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The bytes are not a database's, or not any more.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// It is the disk that fails, or its database, and not the statement: worth another try later.
pub(super) fn is_trouble(error: &rusqlite::Error) -> bool {
    is_damage(error)
        || matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
                    | ErrorCode::PermissionDenied
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::FileLockingProtocolFailed
                    | ErrorCode::OutOfMemory
            )
        )
}
