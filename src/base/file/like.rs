//! A new file that takes after an old one: mode, owner, and what else hangs on it.

use std::{
    fs::{File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::fs::{
    Gid, Uid, XattrFlags, fchown, fgetxattr, fgetxattr_query, flistxattr, flistxattr_query,
    fsetxattr,
};
use tempfile::NamedTempFile;

/// A file in this directory with these bytes, on the disk to the last of them; 0600 or as `like`
/// is. It is gone when it is dropped.
pub fn fresh(
    directory: &Path,
    prefix: &str,
    bytes: &[u8],
    like: Option<&File>,
) -> io::Result<NamedTempFile> {
    let mut fresh = tempfile::Builder::new()
        .prefix(prefix)
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(directory)?;
    fresh.write_all(bytes)?;
    if let Some(like) = like {
        take_after(fresh.as_file(), like)?;
    }
    // A failed sync is final: the kernel forgets which pages were lost, so a second one would lie.
    fresh.as_file().sync_all()?;
    Ok(fresh)
}

/// The owner where we may give files away; what may not be kept opens nothing to others.
fn take_after(fresh: &File, old: &File) -> io::Result<()> {
    let (meta, own) = (old.metadata()?, fresh.metadata()?);
    let (uid, gid) = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
    let mut mode = meta.mode() & 0o7777;
    if (meta.uid(), meta.gid()) != (own.uid(), own.gid())
        && fchown(fresh, Some(uid), Some(gid)).is_err()
        && fchown(fresh, None, Some(gid)).is_err()
    {
        mode &= !0o070; // the rights of a group are not for another group
    }
    copy_attributes(fresh, old);
    fresh.set_permissions(Permissions::from_mode(mode))
}

/// Labels, access lists and a person's own attributes, as far as they can be set.
fn copy_attributes(fresh: &File, old: &File) {
    let Ok(size) = flistxattr_query(old) else { return };
    let mut names = vec![0; size];
    let Ok(size) = flistxattr(old, names.as_mut_slice()) else { return };
    names.truncate(size);
    for name in names.split(|it| *it == 0).filter(|it| !it.is_empty()) {
        let Ok(size) = fgetxattr_query(old, name) else { continue };
        let mut value = vec![0; size];
        let Ok(size) = fgetxattr(old, name, value.as_mut_slice()) else { continue };
        value.truncate(size);
        let _ = fsetxattr(fresh, name, &value, XattrFlags::empty());
    }
}
