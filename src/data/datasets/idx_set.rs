//! Datasets in MNIST's form: images and labels of a training and a test split, in four IDX files.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Info, Source};
use crate::data::fetch::{self, Checksum, Expected, Transport};
use crate::data::verify::{Depth, verify};
use crate::data::{DataError, Dataset, Images, idx, sums_note};
use crate::files::sha256;

/// What such datasets have in common.
pub(super) const INFO: Info = Info {
    name: "",
    description: "",
    classes: 10,
    class_names: &[],
    shape: [1, 28, 28],
    train: 60_000,
    test: 10_000,
    open: false,
    mean: &[],
    std: &[],
};

/// The files of 60,000 and 10,000 images with their checksums: images and labels of the training split, then of the test split.
pub(super) const fn files([train, train_labels, test, test_labels]: [Checksum; 4]) -> [Expected; 4] {
    [
        Expected { name: "train-images-idx3-ubyte", bytes: 47_040_016, sha256: train },
        Expected { name: "train-labels-idx1-ubyte", bytes: 60_008, sha256: train_labels },
        Expected { name: "t10k-images-idx3-ubyte", bytes: 7_840_016, sha256: test },
        Expected { name: "t10k-labels-idx1-ubyte", bytes: 10_008, sha256: test_labels },
    ]
}

/// A dataset in this form, as published.
#[derive(Debug)]
pub(super) struct IdxSet {
    pub info: &'static Info,
    /// See [`files`].
    pub files: &'static [Expected],
    /// Folders of .gz files, in the order tried.
    pub addresses: &'static [&'static str],
    /// Debian's package of it, which is tried first.
    pub package: Option<&'static str>,
}

impl Source for IdxSet {
    fn info(&self) -> &'static Info {
        self.info
    }

    fn present(&self, folder: &Path) -> bool {
        let full = |f: &Expected| fs::metadata(folder.join(f.name)).is_ok_and(|m| m.is_file() && m.len() == f.bytes);
        self.files.iter().all(full)
    }

    fn check(&self, folder: &Path, depth: Depth) -> Result<(), DataError> {
        for file in self.files {
            let path = folder.join(file.name);
            let Ok(found) = fs::metadata(&path) else {
                return Err(DataError::Missing { name: self.name().into(), folder: folder.to_owned() });
            };
            if found.len() != file.bytes {
                let problem = format!("it has {} bytes and should have {}", found.len(), file.bytes);
                return Err(DataError::damaged(&path, problem, self.name()));
            }
        }
        // Where the published checksums are those of the .gz files, what was unpacked has its checksums in a note.
        let noted = match self.files.iter().all(|file| matches!(file.sha256, Checksum::Content(_))) {
            true => String::new(),
            false => sums_note::read(folder, self.name())?,
        };
        let known = self.files.iter().map(|file| match file.sha256 {
            Checksum::Content(sum) => Ok((file.name, sum)),
            Checksum::Packed(_) => sums_note::sum(&noted, file.name)
                .map(|sum| (file.name, sum))
                .ok_or_else(|| sums_note::incomplete(folder, self.name())),
        });
        verify(self.name(), folder, known.collect::<Result<Vec<_>, _>>()?.into_iter(), depth)
    }

    fn load(&self, folder: &Path) -> Result<Dataset, DataError> {
        self.check(folder, Depth::Changed)?;
        let path = |i: usize| folder.join(self.files[i].name);
        Ok(Dataset {
            name: self.name().into(),
            classes: self.info.class_names.iter().map(|&name| name.to_owned()).collect(),
            train: self.split(&path(0), &path(1))?,
            validation: None,
            test: self.split(&path(2), &path(3))?,
        })
    }

    fn fetch(&self, cache: &Path, from: Option<&Path>) -> Result<(), DataError> {
        let intact = |folder: &Path| from.is_none() && self.check(folder, Depth::Whole).is_ok();
        fetch::install(self.name(), cache, intact, |new, temporary| {
            match from {
                Some(folder) => self.take_folder(folder, new)?,
                None => self.download(new, &|package, out| self.take_debian(package, temporary, out), &fetch::http)?,
            }
            self.write_note(new)
        })
    }
}

impl IdxSet {
    fn name(&self) -> &'static str {
        self.info.name
    }

    fn split(&self, images: &Path, labels: &Path) -> Result<Images, DataError> {
        let ([count, height, width], pixels) = idx::read::<3>(images, self.name())?;
        let ([label_count], label_bytes) = idx::read::<1>(labels, self.name())?;
        if (count, height, width) != (label_count, 28, 28) {
            let problem = format!("{label_count} labels for {count} images of {height}x{width}, which should be 28x28");
            return Err(DataError::damaged(labels, problem, self.name()));
        }
        let classes = self.info.classes;
        if let Some(at) = label_bytes.iter().position(|&l| usize::from(l) >= classes) {
            let problem = format!("label {at} is {}, but there are {classes} classes", label_bytes[at]);
            return Err(DataError::damaged(labels, problem, self.name()));
        }
        Ok(Images::new([1, 28, 28], pixels, label_bytes.into_iter().map(u16::from).collect()))
    }

    fn write_note(&self, new: &Path) -> Result<(), DataError> {
        if self.files.iter().all(|file| matches!(file.sha256, Checksum::Content(_))) {
            return Ok(());
        }
        let sum = |file: &Expected| {
            let path = new.join(file.name);
            sha256(&path).map(|sum| (file.name, sum)).map_err(|_| sums_note::incomplete(new, self.name()))
        };
        sums_note::write(new, self.name(), &self.files.iter().map(sum).collect::<Result<Vec<_>, _>>()?)
    }

    /// Debian's package, else each published address; the error lists all that was tried.
    fn download(
        &self,
        new: &Path,
        debian: &dyn Fn(&str, &Path) -> Result<(), String>,
        transport: Transport,
    ) -> Result<(), DataError> {
        let mut attempts = Vec::new();
        let mut note = |source: String, reason: String| {
            tracing::info!("{source}: {reason}");
            attempts.push(format!("{source}: {reason}"));
        };
        if let Some(package) = self.package {
            match debian(package, new) {
                Ok(()) => return Ok(()),
                Err(reason) => note(format!("Debian's package {package}"), reason),
            }
        }
        for base in self.addresses {
            let one = |file: &Expected| {
                let address = format!("{base}/{}.gz", file.name);
                let reader = transport(&address)?;
                fetch::unpack(reader, &address, file, new).map_err(|e| e.to_string())
            };
            match self.files.iter().try_for_each(one) {
                Ok(()) => return Ok(()),
                Err(reason) => note((*base).into(), reason),
            }
        }
        let names = self.files.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
        let form = match self.files.iter().all(|file| matches!(file.sha256, Checksum::Content(_))) {
            true => "plain or .gz",
            false => "as .gz",
        };
        let (name, first) = (self.name(), self.addresses.first().copied().unwrap_or_default());
        let remedy = format!(
            "By hand: get {names} ({form}) from {first}, put them in a folder and run `strata fetch {name} --from FOLDER`."
        );
        Err(DataError::Fetch { name: name.into(), attempts, remedy })
    }

    fn take_folder(&self, folder: &Path, new: &Path) -> Result<(), DataError> {
        for file in self.files {
            let plain = Some(folder.join(file.name)).filter(|_| matches!(file.sha256, Checksum::Content(_)));
            let candidates = [plain, Some(folder.join(format!("{}.gz", file.name)))];
            let Some(path) = candidates.into_iter().flatten().find(|p| p.is_file()) else {
                let wanted = self.files.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
                let remedy = match file.sha256 {
                    Checksum::Content(_) => format!("the folder must hold {wanted}, each plain or .gz"),
                    Checksum::Packed(_) => format!("the folder must hold {wanted}, each as the .gz that was published"),
                };
                return Err(DataError::corrupt(folder.display(), format!("no {} here", file.name), remedy));
            };
            let reader = File::open(&path).map_err(DataError::io("read", &path))?;
            fetch::unpack(reader, &path.display().to_string(), file, new)?;
        }
        Ok(())
    }

    /// Downloads Debian's package without installing it, which needs no rights, and unpacks it in `temporary`.
    fn take_debian(&self, package: &str, temporary: &Path, new: &Path) -> Result<(), String> {
        let download = || run(temporary, "apt-get", &["-qq", "-o", "Acquire::http::Timeout=30", "download", package]);
        tracing::info!("trying Debian's package {package}");
        if let Err(reason) = download() {
            // A fresh container has no package lists; only root may bring them.
            if !fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
                return Err(reason);
            }
            run(temporary, "apt-get", &["-qq", "-o", "Acquire::http::Timeout=30", "update"])
                .and_then(|()| download())
                .map_err(|again| if again == reason { again } else { format!("{reason}; after an update: {again}") })?;
        }
        let file: Option<PathBuf> = fs::read_dir(temporary)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|e| e == "deb"));
        let file = file.ok_or("apt-get brought no .deb file")?;
        run(temporary, "dpkg-deb", &["-x", &file.to_string_lossy(), "unpacked"])?;
        let folder = temporary.join("unpacked/usr/share/datasets").join(self.name());
        self.take_folder(&folder, new).map_err(|e| e.to_string())
    }
}

/// Runs a program without output; the error is the last line it printed to standard error.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    match output {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(format!("there is no {program} here")),
        Err(e) => Err(format!("{program}: {e}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let last = stderr.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("no message");
            Err(format!("{program}: {last}"))
        }
    }
}

#[cfg(test)]
#[path = "idx_set_tests.rs"]
mod tests;
