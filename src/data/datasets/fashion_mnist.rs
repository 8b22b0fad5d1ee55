//! Fashion-MNIST: four IDX files, known by the SHA-256 of their unpacked content. (The published MD5 sums are those of
//! the .gz files, which Debian packed anew.)

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Info, Source};
use crate::data::fetch::{self, Expected, Transport};
use crate::data::verify::{Depth, verify};
use crate::data::{DataError, Dataset, Images, idx};
use serde::{Deserialize, Serialize};

const NAME: &str = "fashion-mnist";
const PACKAGE: &str = "dataset-fashion-mnist";

const CLASSES: [&str; 10] =
    ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot"];

/// Images and labels of the training split, then of the test split.
const FILES: [Expected; 4] = [
    Expected {
        name: "train-images-idx3-ubyte",
        bytes: 47_040_016,
        sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    },
    Expected {
        name: "train-labels-idx1-ubyte",
        bytes: 60_008,
        sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    },
    Expected {
        name: "t10k-images-idx3-ubyte",
        bytes: 7_840_016,
        sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    },
    Expected {
        name: "t10k-labels-idx1-ubyte",
        bytes: 10_008,
        sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
];

/// Published addresses of the folder of .gz files, in the order tried.
const ADDRESSES: [&str; 2] = [
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
];

/// The dataset of Xiao, Rasul and Vollgraf (2017).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FashionMnist {}

static INFO: Info = Info {
    name: NAME,
    description: "Fashion-MNIST (Xiao et al. 2017): grey 28x28 pictures of clothes",
    classes: 10,
    class_names: &CLASSES,
    shape: [1, 28, 28],
    train: 60_000,
    test: 10_000,
    open: false,
    mean: &[0.2860],
    std: &[0.3530],
};

impl Source for FashionMnist {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn present(&self, folder: &Path) -> bool {
        FILES.iter().all(|f| fs::metadata(folder.join(f.name)).is_ok_and(|m| m.is_file() && m.len() == f.bytes))
    }

    fn check(&self, folder: &Path, depth: Depth) -> Result<(), DataError> {
        for file in &FILES {
            let path = folder.join(file.name);
            let Ok(found) = fs::metadata(&path) else {
                return Err(DataError::Missing { name: NAME.into(), folder: folder.to_owned() });
            };
            if found.len() != file.bytes {
                let problem = format!("it has {} bytes and should have {}", found.len(), file.bytes);
                return Err(DataError::damaged(&path, problem, NAME));
            }
        }
        verify(NAME, folder, FILES.iter().map(|file| (file.name, file.sha256)), depth)
    }

    fn load(&self, folder: &Path) -> Result<Dataset, DataError> {
        self.check(folder, Depth::Changed)?;
        let path = |i: usize| folder.join(FILES[i].name);
        Ok(Dataset {
            name: NAME.into(),
            classes: CLASSES.map(String::from).to_vec(),
            train: split(&path(0), &path(1))?,
            test: split(&path(2), &path(3))?,
        })
    }

    fn fetch(&self, cache: &Path, from: Option<&Path>) -> Result<(), DataError> {
        let intact = |folder: &Path| from.is_none() && self.check(folder, Depth::Whole).is_ok();
        fetch::install(NAME, cache, intact, |new, temporary| match from {
            Some(folder) => from_folder(folder, &FILES, new),
            None => from_anywhere(&FILES, new, &|out| from_debian(temporary, out), &fetch::http),
        })
    }
}

fn split(images: &Path, labels: &Path) -> Result<Images, DataError> {
    let ([count, height, width], pixels) = idx::read::<3>(images, NAME)?;
    let ([label_count], label_bytes) = idx::read::<1>(labels, NAME)?;
    if (count, height, width) != (label_count, 28, 28) {
        let problem = format!("{label_count} labels for {count} images of {height}x{width}, which should be 28x28");
        return Err(DataError::damaged(labels, problem, NAME));
    }
    if let Some(at) = label_bytes.iter().position(|&l| usize::from(l) >= CLASSES.len()) {
        let problem = format!("label {at} is {}, but there are {} classes", label_bytes[at], CLASSES.len());
        return Err(DataError::damaged(labels, problem, NAME));
    }
    Ok(Images::new([1, 28, 28], pixels, label_bytes.into_iter().map(u16::from).collect()))
}

/// Debian's package, else each published address; the error lists all that was tried.
fn from_anywhere(
    files: &[Expected],
    new: &Path,
    debian: &dyn Fn(&Path) -> Result<(), String>,
    transport: Transport,
) -> Result<(), DataError> {
    let mut attempts = Vec::new();
    let mut note = |source: String, reason: String| {
        tracing::info!("{source}: {reason}");
        attempts.push(format!("{source}: {reason}"));
    };
    match debian(new) {
        Ok(()) => return Ok(()),
        Err(reason) => note(format!("Debian's package {PACKAGE}"), reason),
    }
    for base in ADDRESSES {
        let download = |file: &Expected| {
            let address = format!("{base}/{}.gz", file.name);
            let reader = transport(&address)?;
            fetch::unpack(reader, &address, file, new).map_err(|e| e.to_string())
        };
        match files.iter().try_for_each(download) {
            Ok(()) => return Ok(()),
            Err(reason) => note(base.into(), reason),
        }
    }
    let names = files.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
    let remedy = format!(
        "By hand: get {names} (plain or .gz) from {}, put them in a folder and run `strata fetch {NAME} --from FOLDER`.",
        ADDRESSES[0]
    );
    Err(DataError::Fetch { name: NAME.into(), attempts, remedy })
}

fn from_folder(folder: &Path, files: &[Expected], new: &Path) -> Result<(), DataError> {
    for file in files {
        let candidates = [folder.join(file.name), folder.join(format!("{}.gz", file.name))];
        let Some(path) = candidates.iter().find(|p| p.is_file()) else {
            let wanted = files.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
            let remedy = format!("the folder must hold {wanted}, each plain or .gz");
            return Err(DataError::corrupt(folder.display(), format!("no {} here", file.name), remedy));
        };
        let reader = File::open(path).map_err(DataError::io("read", path))?;
        fetch::unpack(reader, &path.display().to_string(), file, new)?;
    }
    Ok(())
}

/// Downloads Debian's package without installing it, which needs no rights, and unpacks it in `temporary`.
fn from_debian(temporary: &Path, new: &Path) -> Result<(), String> {
    let download = || run(temporary, "apt-get", &["-qq", "-o", "Acquire::http::Timeout=30", "download", PACKAGE]);
    tracing::info!("trying Debian's package {PACKAGE}");
    if let Err(reason) = download() {
        // A fresh container has no package lists; only root may bring them.
        if !fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
            return Err(reason);
        }
        run(temporary, "apt-get", &["-qq", "-o", "Acquire::http::Timeout=30", "update"])
            .and_then(|()| download())
            .map_err(|again| if again == reason { again } else { format!("{reason}; after an update: {again}") })?;
    }
    let package: Option<PathBuf> = fs::read_dir(temporary)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == "deb"));
    let package = package.ok_or("apt-get brought no .deb file")?;
    run(temporary, "dpkg-deb", &["-x", &package.to_string_lossy(), "unpacked"])?;
    from_folder(&temporary.join("unpacked/usr/share/datasets").join(NAME), &FILES, new).map_err(|e| e.to_string())
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
mod tests {
    use std::io::Read;

    use super::*;

    const HELLO: [Expected; 1] = [Expected {
        name: "hello",
        bytes: 5,
        sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    }];
    const NO_DEBIAN: &dyn Fn(&Path) -> Result<(), String> = &|_| Err("there is no apt-get here".into());

    #[test]
    fn a_bad_address_is_followed_by_the_next() {
        let new = tempfile::tempdir().unwrap();
        let transport = |address: &str| -> Result<Box<dyn Read>, String> {
            Ok(if address.contains("github") { Box::new(&b"<html>"[..]) } else { Box::new(&b"hello"[..]) })
        };
        from_anywhere(&HELLO, new.path(), NO_DEBIAN, &transport).unwrap();
        assert_eq!(fs::read(new.path().join("hello")).unwrap(), b"hello");
    }

    #[test]
    fn total_failure_lists_every_way_and_the_remedy() {
        let new = tempfile::tempdir().unwrap();
        let error = from_anywhere(&HELLO, new.path(), NO_DEBIAN, &|_| Err("host not found".into())).unwrap_err();
        let message = error.to_string();
        for part in ["no apt-get", "github.com", "amazonaws", "host not found", "strata fetch fashion-mnist --from"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_folder_of_the_user_is_checked() {
        let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let message = FashionMnist {}.fetch(cache.path(), Some(folder.path())).unwrap_err().to_string();
        assert!(message.contains("no train-images-idx3-ubyte here"), "{message}");
        fs::write(folder.path().join("train-images-idx3-ubyte"), b"short").unwrap();
        let message = FashionMnist {}.fetch(cache.path(), Some(folder.path())).unwrap_err().to_string();
        assert!(message.contains("ends after 5 of 47040016 bytes"), "{message}");
        assert!(!FashionMnist {}.present(&crate::data::folder(NAME, cache.path())));
    }

    #[test]
    fn a_truncated_file_in_the_cache_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for file in &FILES {
            File::create(folder.path().join(file.name)).unwrap().set_len(file.bytes).unwrap();
        }
        // Full length and nothing but zeros.
        let message = FashionMnist {}.load(folder.path()).unwrap_err().to_string();
        assert!(message.contains("train-images-idx3-ubyte: its content has changed"), "{message}");
        File::create(folder.path().join(FILES[2].name)).unwrap().set_len(1000).unwrap();
        assert!(!FashionMnist {}.present(folder.path()));
        let message = FashionMnist {}.load(folder.path()).unwrap_err().to_string();
        assert!(message.contains("t10k-images-idx3-ubyte: it has 1000 bytes"), "{message}");
        assert!(message.contains("run `strata fetch fashion-mnist`"), "{message}");
    }

    #[test]
    fn a_label_beyond_the_classes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
        let header = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28];
        fs::write(&images, [&header[..], &[0; 784]].concat()).unwrap();
        fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 1, 10]).unwrap();
        let message = split(&images, &labels).unwrap_err().to_string();
        assert!(message.contains("label 0 is 10"), "{message}");
        fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 2, 1, 1]).unwrap();
        assert!(split(&images, &labels).unwrap_err().to_string().contains("2 labels for 1 images"));
    }
}
