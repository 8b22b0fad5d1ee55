//! The fixture: a folder with experiments, a cache and results of its own, and what the program says and leaves there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A residual net that trains in a fraction of a second; `[train]` comes last, so that a test can add its keys.
pub(crate) const TINY: &str = r#"
[data]
dataset = "synthetic"
validation = 100
limit = 128

[model]
preset = "resnet"
layout = "cifar"
depth = 8
width = 8
input = [1, 14, 14]

[train]
epochs = 2
batch = 64
lr = 0.05
"#;

pub(crate) struct Place {
    folder: TempDir,
}

/// What the program said and how it ended.
pub(crate) struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    /// A place with `tiny.toml` in it.
    pub(crate) fn with_tiny() -> Place {
        let place = Place::new();
        place.file("tiny.toml", TINY);
        place
    }

    /// A place in which `strata train` of this experiment, called `name`, went well.
    pub(crate) fn trained(name: &str, experiment: &str) -> Place {
        let place = Place::new();
        let file = format!("{name}.toml");
        place.file(&file, experiment);
        place.strata(&["train", &file]).good();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The program in this place. One thread: tests run side by side, and results depend on the number of threads.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
        command.current_dir(self.folder.path()).env("XDG_CACHE_HOME", self.path("cache")).stdin(Stdio::null());
        command.args(["--threads", "1"]).args(arguments);
        command
    }

    pub(crate) fn strata(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    /// Runs the program; gives what it said, the seconds it took and the most memory that it had, in bytes.
    pub(crate) fn measured(&self, arguments: &[&str]) -> (Ran, f64, u64) {
        let [out, said] = ["out.txt", "err.txt"].map(|name| self.path(name));
        let mut command = self.command(arguments);
        let start = Instant::now();
        let mut child =
            command.stdout(File::create(&out).unwrap()).stderr(File::create(&said).unwrap()).spawn().unwrap();
        let mut most = 0;
        let status = loop {
            // The kernel keeps the peak: the last look before the end misses milliseconds of it at most.
            most = memory(child.id(), "VmHWM:").unwrap_or(most);
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        let [out, err] = [out, said].map(|path| fs::read_to_string(path).unwrap());
        (Ran { code: status.code(), out, err }, seconds, most)
    }

    /// Starts `strata train` of a file.
    pub(crate) fn start(&self, file: &str) -> Running {
        Running::spawn(self.command(&["train", file]))
    }

    /// The one run of the experiment called `name`.
    pub(crate) fn run(&self, name: &str) -> Run {
        let runs = self.runs(name);
        assert_eq!(runs.len(), 1, "{runs:?}");
        Run { folder: runs.into_iter().next().unwrap() }
    }

    /// Folders of all runs of the experiment called `name`.
    pub(crate) fn runs(&self, name: &str) -> Vec<PathBuf> {
        let folder = self.path("results/runs").join(name);
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    /// The run went well; gives standard output.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self.out
    }

    /// The run went well; gives the files that it says it wrote.
    #[track_caller]
    pub(crate) fn wrote(self) -> Vec<String> {
        let files = self.err.lines().filter_map(|line| line.strip_prefix("wrote ")).map(str::to_owned).collect();
        assert_eq!(self.good(), "", "what a command writes to files is not said on standard output");
        files
    }

    /// The input was refused in words for a person, each of `parts` among them.
    #[track_caller]
    pub(crate) fn refused(self, parts: &[&str]) {
        let err = &self.err;
        assert_eq!(self.code, Some(2), "{}\n{err}", self.out);
        assert!(err.lines().any(|line| line.starts_with("error: ")), "{err}");
        for foreign in ["panicked", "RUST_BACKTRACE", "frame #", "c10::", "Exception raised"] {
            assert!(!err.contains(foreign), "{err}");
        }
        for part in parts {
            assert!(err.contains(part), "`{part}` is missing:\n{err}");
        }
    }
}

/// A `strata train` that goes on beside the test.
pub(crate) struct Running {
    child: Child,
    reader: std::thread::JoinHandle<()>,
    /// Standard error up to the line that begins the run.
    pub said: String,
}

impl Running {
    /// Starts a training and waits until its first line says that the steps begin.
    pub(crate) fn spawn(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains(" an epoch; ") && stderr.read_line(&mut said).unwrap() > 0 {}
        // The rest is read, or the program would wait for room in the pipe.
        let reader = std::thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(drop));
        Running { child, reader, said }
    }

    /// Bytes of memory that the process has now; nothing once it is gone.
    pub(crate) fn resident(&self) -> Option<u64> {
        memory(self.child.id(), "VmRSS:")
    }

    /// Sends a signal such as `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    pub(crate) fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        self.reader.join().unwrap();
        status
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.wait();
    }
}

/// The folder of a run.
pub(crate) struct Run {
    pub folder: PathBuf,
}

impl Run {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn key(&self) -> &str {
        self.folder.file_name().unwrap().to_str().unwrap()
    }

    /// The columns of `summary.csv` by name.
    pub(crate) fn summary(&self) -> BTreeMap<String, String> {
        strata::runs::Record::read(&self.folder)
            .unwrap()
            .iter()
            .map(|(name, cell)| (name.to_owned(), cell.to_owned()))
            .collect()
    }

    /// `epochs.csv` without the three columns that tell time and memory.
    pub(crate) fn epochs(&self) -> Vec<String> {
        let row = |line: &str| line.split(',').take(9).collect::<Vec<_>>().join(",");
        self.read("epochs.csv").lines().map(row).collect()
    }

    pub(crate) fn weights(&self, link: &str) -> Vec<u8> {
        fs::read(self.path("checkpoint").join(link).join("weights.safetensors")).unwrap()
    }

    /// Everything in which a resumed run must equal one that was never stopped.
    pub(crate) fn result(&self) -> (Vec<String>, BTreeMap<String, String>, Vec<u8>, Vec<u8>) {
        let mut summary = self.summary();
        for circumstance in ["seconds", "started", "git", "device"] {
            summary.remove(circumstance);
        }
        (self.epochs(), summary, self.weights("last"), self.weights("best"))
    }
}

/// A figure that the kernel keeps of a process, in bytes; nothing once the process is gone.
fn memory(process: u32, figure: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| 1024 * kib)
}

/// Names of what lies in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
