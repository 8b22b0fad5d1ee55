//! The command line: one file per command, and here what they share.

mod bars;
pub(crate) mod bench;
mod bench_data;
pub(crate) mod claims;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod cost;
mod device;
pub(crate) mod diff;
pub(crate) mod doctor;
mod epoch_table;
pub(crate) mod eval;
pub(crate) mod export;
mod export_onnx;
pub(crate) mod fetch;
mod live_plot;
mod locate;
mod precision;
pub(crate) mod predict;
mod progress;
mod refusal;
pub(crate) mod report;
mod runs;
pub(crate) mod show;
pub(crate) mod study;
pub(crate) mod sweep;
mod sweep_list;
mod sweep_slurm;
mod sweep_view;
mod table;
pub(crate) mod tables;
pub(crate) mod train;

use self::device::Named;
use self::locate::locate;
pub(crate) use self::refusal::print_refusal;
use anyhow::{Context, Result, bail};
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::thread::available_parallelism;
use strata::config::{ConfigError, Description, Experiment, Machine};
use strata::emit;
use strata::figures::picture::PictureFile;
use strata::interrupt;
use strata::runs::{Store, counted};
use strata::torch::{MAX_THREADS, cuda, start_threads};
use tch::Device;

/// A run failed.
pub(crate) const FAILED: u8 = 1;
/// Bad usage or bad input: nothing ran.
pub(crate) const BAD_INPUT: u8 = 2;

/// Experiments on deep convolutional architectures: describe networks in TOML, count their cost, train and compare them.
#[derive(Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "FILE is a path, with or without .toml, or the name of a file in experiments/: `resnet50`, `imagenet/resnet50`.\n\
                        Exit codes: 0 done, 1 a run failed, 2 bad usage or bad input, 130 stopped and resumable."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub shared: Shared,
}

/// Each command's help is the doc comment of its arguments: one here would hide it.
#[derive(Subcommand)]
pub(crate) enum Command {
    Train(train::Train),
    Sweep(sweep::Sweep),
    Compare(compare::Compare),
    Diff(diff::Diff),
    Cost(cost::Cost),
    Show(show::Show),
    Eval(eval::Eval),
    Predict(predict::Predict),
    Claims(claims::Claims),
    Study(study::StudyArgs),
    Tables(tables::Tables),
    Bench(bench::Bench),
    Report(report::Report),
    Export(export::Export),
    Convert(convert::Convert),
    Fetch(fetch::Fetch),
    /// Report what was found on this machine: libtorch, device, threads, precision, datasets
    Doctor,
    Completions(completions::Completions),
}

/// The folder that `--results` names, for [`machine`].
static RESULTS: OnceLock<PathBuf> = OnceLock::new();

/// The number of ranks that this process is one of, for [`machine`]; only `strata train` has ranks.
static RANKS: OnceLock<usize> = OnceLock::new();

/// Options of [`Shared`] that a command makes no use of. They are accepted, so that one set of options fits every command of
/// a script, but its help is silent about them.
const UNUSED: [(&str, &[&str]); 13] = [
    ("compare", &["set", "device", "threads"]),
    ("diff", &["device", "threads"]),
    ("cost", &["device", "results", "threads"]),
    ("show", &["device", "results", "threads"]),
    ("claims", &["set"]),
    ("tables", &["device", "threads"]),
    ("bench", &["results"]),
    ("report", &["set", "device", "threads"]),
    ("fetch", &["set", "device", "results", "threads"]),
    ("doctor", &["set", "results"]),
    ("export", &["set", "device", "threads"]),
    ("convert", &["device", "results", "threads"]),
    ("completions", &["set", "device", "results", "threads"]),
];

impl Arguments {
    /// Reads the command line.
    ///
    /// # Errors
    /// For what clap refuses; help and version come as errors, too.
    pub(crate) fn read() -> Result<Arguments, clap::Error> {
        let mut command = Arguments::command();
        let shared: Vec<Arg> = command.get_arguments().cloned().collect();
        for (name, unused) in UNUSED {
            // An option that a command has of its own takes the place of the global one.
            let hidden = shared.iter().filter(|arg| unused.contains(&arg.get_id().as_str()));
            let hidden: Vec<Arg> = hidden.map(|arg| arg.clone().hide(true)).collect();
            command = command.mut_subcommand(name, |command| command.args(hidden));
        }
        let arguments = Arguments::from_arg_matches(&command.try_get_matches()?)?;
        let _ = RESULTS.set(arguments.shared.results.clone());
        Ok(arguments)
    }

    /// Refuses `--set` where there is no experiment to set a key of: a table that looks chosen by it would not be.
    pub(crate) fn check(&self) -> Result<()> {
        let (command, hint) = match &self.command {
            _ if self.shared.set.is_empty() => return Ok(()),
            Command::Compare(_) => ("compare", "; --where COLUMN=VALUE chooses rows"),
            Command::Claims(_) => ("claims", ""),
            Command::Report(_) => ("report", ""),
            Command::Export(export) if !export.reads_experiment() => ("export", ""),
            Command::Completions(_) => ("completions", ""),
            Command::Fetch(_) => ("fetch", ""),
            Command::Doctor => ("doctor", ""),
            _ => return Ok(()),
        };
        bail!(Usage(format!("--set changes a key of an experiment, and `strata {command}` reads none{hint}")))
    }
}

/// Options of every command.
#[derive(Args)]
pub(crate) struct Shared {
    /// Override a key of the experiment, for example --set train.epochs=3; can be given more than once
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    pub set: Vec<String>,
    /// Device to run on: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", global = true)]
    device: String,
    /// Folder that runs are written to and read from
    #[arg(long, value_name = "DIR", default_value = "results", global = true)]
    pub results: PathBuf,
    /// Number of CPU threads [default: the number of cores]
    #[arg(long, value_name = "N", global = true)]
    threads: Option<usize>,
    /// Print only errors and results
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print debug messages too
    #[arg(short, long, global = true)]
    verbose: bool,
}

impl Shared {
    /// Messages of the library go to standard error, as plain lines.
    pub(crate) fn start_logging(&self) {
        use tracing_subscriber::filter::LevelFilter;
        let level = match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::ERROR,
            (_, true) => LevelFilter::DEBUG,
            _ => LevelFilter::INFO,
        };
        let _ = tracing_subscriber::fmt()
            .with_writer(|| bars::Messages)
            .with_ansi(false)
            .log_internal_errors(false)
            .without_time()
            .with_target(false)
            .with_level(self.verbose)
            .with_max_level(level)
            .try_init();
    }

    /// The folder that `--results` names.
    pub(crate) fn store(&self) -> Store {
        Store::new(&self.results)
    }

    /// The device that `--device` names; starts the threads too.
    pub(crate) fn device(&self) -> Result<Device> {
        let named = device::parse(&self.device)?;
        if let Some(threads) = self.threads.filter(|threads| !(1..=MAX_THREADS).contains(threads)) {
            bail!(Usage(format!("--threads takes 1 to {MAX_THREADS}, not {threads}")));
        }
        start_threads(self.threads)?;
        let cores = available_parallelism().map_or(1, NonZero::get);
        if let Some(threads) = self.threads.filter(|&threads| threads > cores) {
            tracing::warn!("note: --threads {threads} is more than the {} here, which is slow", counted(cores, "core"));
        }
        let number = match named {
            Named::Cpu => return Ok(Device::Cpu),
            Named::Auto => {
                let found = cuda::load_if_present();
                return if found.is_available() { on_gpu(0) } else { Ok(Device::Cpu) };
            }
            Named::Gpu(number) => number,
        };
        match cuda::load() {
            cuda::CudaStatus::Available { devices } if i64::try_from(number).is_ok_and(|number| number < devices) => {
                on_gpu(number)
            }
            found => {
                // Without a driver that is the reason, as in `doctor`, and not a library of NVIDIA's that is missing too.
                let driver = cuda::load_if_present();
                let reason = if driver == cuda::CudaStatus::NoDriver { driver } else { found };
                bail!(Usage(format!("--device {}: {reason}", self.device)))
            }
        }
    }

    /// The devices that the points of a sweep take in turn: with `auto` and `cuda` every GPU there is.
    pub(crate) fn job_devices(&self) -> Result<Vec<String>> {
        // What is wrong with --device or --threads is said before anything runs.
        let device = self.device()?;
        let all = match (self.device.as_str(), cuda::load_if_present()) {
            ("auto" | "cuda", cuda::CudaStatus::Available { devices }) if device.is_cuda() => devices,
            _ => return Ok(vec![if device == Device::Cpu { "cpu".to_owned() } else { self.device.clone() }]),
        };
        Ok((0..all).map(|number| format!("cuda:{number}")).collect())
    }

    /// `--threads`, where it was given.
    pub(crate) fn threads_of_jobs(&self) -> Option<usize> {
        self.threads
    }

    /// The words of `strata sweep FILE` with the options that were given, for other processes in the same folder.
    pub(crate) fn words_of_sweep(&self, file: &str) -> Vec<String> {
        let mut words = vec!["strata".to_owned(), "sweep".to_owned(), file.to_owned()];
        let mut option = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
        self.set.iter().for_each(|set| option("--set", set));
        if self.results != Path::new("results") {
            option("--results", &self.results.display().to_string());
        }
        if self.device != "auto" {
            option("--device", &self.device);
        }
        self.threads.iter().for_each(|threads| option("--threads", &threads.to_string()));
        words
    }

    /// Reads the experiment that a path or a name stands for.
    pub(crate) fn experiment(&self, file: impl AsRef<Path>) -> Result<Experiment> {
        experiment(file, &self.set)
    }
}

/// A GPU, with kernels that give the same numbers every time and full fp32. Never run on one yet.
fn on_gpu(number: usize) -> Result<Device> {
    strata::torch::set_deterministic(true)?;
    strata::torch::set_tf32(false)?;
    Ok(Device::Cuda(number))
}

/// Reads the experiment that a path or a name stands for, with overrides.
pub(crate) fn experiment(file: impl AsRef<Path>, overrides: &[String]) -> Result<Experiment> {
    let file = file.as_ref();
    let path = locate(file)?;
    let experiment = Experiment::load(&path, overrides, machine())?;
    if experiment.swept {
        warn_of_sweep(&path, file);
    }
    Ok(experiment)
}

/// Reads the network of the file that a path or a name stands for; see [`Description::load`].
pub(crate) fn description(file: &str, overrides: &[String], input: Option<[usize; 3]>) -> Result<Description> {
    let path = locate(file)?;
    let description = Description::load(&path, overrides, machine(), input)?;
    if description.swept {
        warn_of_sweep(&path, Path::new(file));
    }
    Ok(description)
}

fn warn_of_sweep(path: &Path, file: &Path) {
    tracing::warn!("the [sweep] of {} is ignored; `strata sweep {}` runs its points", path.display(), file.display());
}

/// A wrong command line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub String);

/// What `auto` in an experiment means here.
pub(crate) fn machine() -> Machine {
    let ranks = RANKS.get().copied().unwrap_or(1);
    Machine { native_bf16: native_bf16(), ranks, find_run: Some(runs::weights_of) }
}

#[cfg(target_arch = "x86_64")]
fn native_bf16() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn native_bf16() -> bool {
    false
}

/// Prints a table or a text to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that goes away (`strata cost … | head`) has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Reports on standard error that a file was written, for every command in the same words.
pub(crate) fn wrote(path: &Path) {
    tracing::info!("wrote {}", path.display());
}

/// Writes a picture to the file that the user named, and reports it.
pub(crate) fn write_picture(file: &PictureFile, svg: &str, transparent: bool) -> Result<()> {
    file.write(svg, transparent)?;
    if !file.is_stdout() {
        wrote(file.path());
    }
    Ok(())
}

/// The outcome of a command.
pub(crate) enum Done {
    Well,
    /// A run diverged or failed; it was reported where it happened.
    WithFailures,
    /// Stopped by a signal.
    Interrupted,
    /// The run is locked by another process: for a sweep, which tries it again later.
    Held,
}

/// Reports an error and returns its exit code.
pub(crate) fn exit_code(result: Result<Done>) -> ExitCode {
    match result {
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::WithFailures) => ExitCode::from(FAILED),
        Ok(Done::Interrupted) => ExitCode::from(interrupt::EXIT_CODE as u8),
        Ok(Done::Held) => ExitCode::from(strata::sweep::HELD),
        Err(error) => {
            match error.downcast_ref::<ConfigError>() {
                Some(error) => emit(error),
                None => emit(format_args!("error: {error:#}")),
            }
            ExitCode::from(if is_bad_input(&error) { BAD_INPUT } else { FAILED })
        }
    }
}

fn is_bad_input(error: &anyhow::Error) -> bool {
    error.is::<Usage>() || error.chain().find_map(strata::is_input_error).unwrap_or(false)
}
