//! Files that are there whole or not at all.

use crate::fault;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Writes a file so that a kill at any moment leaves the old one or the new one: temporary file, sync, rename, sync. A link to
/// something is followed, and what is no file, such as a pipe, is written to as it is.
///
/// # Errors
/// As the file system says; the old file is then untouched.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = fs::canonicalize(path);
    let path = target.as_deref().unwrap_or(path);
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return fault::write_all(&mut File::options().write(true).open(path)?, bytes, path);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fault::before("make", path)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    fault::write_all(&mut temporary, bytes, path)?;
    temporary.as_file().sync_all()?;
    // tempfile makes files for their owner alone; a result is for everyone that the umask lets see it.
    #[cfg(unix)]
    set_usual_permissions(temporary.as_file())?;
    fault::before("rename", path)?;
    temporary.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

#[cfg(unix)]
fn set_usual_permissions(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

/// Makes renames and new entries of a folder last.
///
/// # Errors
/// As the file system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    fault::before("sync", folder)?;
    File::open(folder)?.sync_all()
}

/// Gives a file another name beside the old one.
///
/// # Errors
/// As the file system says.
pub fn rename(path: &Path, to: &Path) -> io::Result<()> {
    fault::before("rename", path)?;
    fs::rename(path, to)
}

/// Makes a folder and those above it.
///
/// # Errors
/// As the file system says.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    fault::before("make", folder)?;
    fs::create_dir_all(folder)
}

/// Removes a folder and what is in it.
///
/// # Errors
/// As the file system says; part of it may then be gone.
pub fn remove_folder(folder: &Path) -> io::Result<()> {
    fault::before("remove", folder)?;
    fs::remove_dir_all(folder)
}

/// Points a symbolic link to a target in its own folder: a new link is renamed over the old one, which happens at once or
/// not at all.
///
/// # Errors
/// As the file system says; the old link is then untouched.
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

/// Appends to a file and makes it last.
///
/// # Errors
/// As the file system says.
pub fn append_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
    fault::write_all(&mut file, bytes, path)?;
    fault::before("sync", path)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both used to be replaced by a file.
    #[test]
    fn a_link_is_followed_and_a_device_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, device] = ["file", "link", "device"].map(|name| folder.path().join(name));
        write_whole(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_whole(&link, b"new").unwrap();
        assert!(link.is_symlink() && fs::read(&file).unwrap() == b"new");
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        write_whole(&device, b"gone").unwrap();
        assert!(device.is_symlink() && fs::read(&device).unwrap().is_empty());
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(write_whole(&folder.path().join("missing/table.csv"), b"x").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }
}
