//! Atomic and synced writes; checksums of files.

use crate::fault;
use crate::hex::hex;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The SHA-256 of a file's content, read piece by piece.
pub(crate) fn sha256(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// Writes a file atomically: a kill or a power failure at any moment leaves the old file or the new one.
///
/// The content is synced before the rename, or the new name could appear with missing content after a power failure; the
/// folder is synced after it, so that the rename itself lasts. A symbolic link of that name is replaced, not followed: a run
/// folder may come from somebody else. On an error the old file is untouched.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fault::before("make", path)?;
    let usual = fs::Permissions::from_mode(0o666); // the umask is applied to these
    let mut temporary = tempfile::Builder::new().permissions(usual).tempfile_in(folder)?;
    fault::write_all(&mut temporary, bytes, path)?;
    temporary.as_file().sync_all()?;
    fault::before("rename", path)?;
    temporary.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// Writes to a path that a user chose for the output of a command: links are followed, pipes and devices are written to
/// directly, and files are replaced as by [`write_atomic`].
pub fn write_output(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = fs::canonicalize(path);
    let path = target.as_deref().unwrap_or(path);
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return fault::write_all(&mut File::options().write(true).open(path)?, bytes, path);
    }
    write_atomic(path, bytes)
}

/// Opens a file; fails if the last part of its path is a symbolic link.
pub fn open_without_links(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.custom_flags(libc::O_NOFOLLOW).open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => {
            io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link, which is not followed")
        }
        _ => error,
    })
}

/// Syncs a folder, so that renames and new entries in it survive a power failure.
fn sync_folder(folder: &Path) -> io::Result<()> {
    fault::before("sync", folder)?;
    File::open(folder)?.sync_all()
}

/// Renames a file, with a fault point.
pub fn rename(path: &Path, to: &Path) -> io::Result<()> {
    fault::before("rename", path)?;
    fs::rename(path, to)
}

/// Makes a folder and its parents, with a fault point.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    fault::before("make", folder)?;
    fs::create_dir_all(folder)
}

/// Removes a folder and what is in it, with a fault point. On an error part of it may be removed.
pub fn remove_folder(folder: &Path) -> io::Result<()> {
    fault::before("remove", folder)?;
    fs::remove_dir_all(folder)
}

/// Points a symbolic link to a target in its own folder, atomically: a new link is renamed over the old one. On an error the
/// old link is untouched.
pub fn point_link(link: &Path, target: &str) -> io::Result<()> {
    let folder = link.parent().unwrap_or(Path::new("."));
    let fresh = folder.join(format!(".{}.new", link.file_name().unwrap_or_default().to_string_lossy()));
    let _ = fs::remove_file(&fresh);
    fault::before("link", &fresh)?;
    std::os::unix::fs::symlink(target, &fresh)?;
    fault::before("rename", link)?;
    fs::rename(&fresh, link)?;
    sync_folder(folder)
}

/// Appends to a file and syncs it. A symbolic link is not followed.
pub fn append_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = open_without_links(OpenOptions::new().create(true).append(true), path)?;
    fault::write_all(&mut file, bytes, path)?;
    fault::before("sync", path)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both used to be replaced by a file.
    #[test]
    fn an_output_follows_a_link_and_a_device_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, device] = ["file", "link", "device"].map(|name| folder.path().join(name));
        write_output(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_output(&link, b"new").unwrap();
        assert!(link.is_symlink() && fs::read(&file).unwrap() == b"new");
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        write_output(&device, b"gone").unwrap();
        assert!(device.is_symlink() && fs::read(&device).unwrap().is_empty());
    }

    /// A `summary.csv` that led out of its run folder was written through.
    #[test]
    fn a_link_in_a_run_folder_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [other, link] = ["other", "link"].map(|name| folder.path().join(name));
        fs::write(&other, "theirs").unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        let error = append_synced(&link, b"ours").unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{error}");
        write_atomic(&link, b"ours").unwrap();
        assert!(!link.is_symlink() && fs::read(&link).unwrap() == b"ours");
        assert_eq!(fs::read(&other).unwrap(), b"theirs");
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        write_atomic(&path, b"old").unwrap();
        write_atomic(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(write_atomic(&folder.path().join("missing/table.csv"), b"x").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }
}
