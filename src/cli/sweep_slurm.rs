//! `strata sweep FILE --slurm`

use super::Shared;
use super::sweep_list::quoted;
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::time::Duration;
use strata::data;
use strata::sweep::SlurmOptions;

/// Progress bars for points; of more that run at once only the first are shown.
const BARS: usize = 16;

#[derive(Args, Default)]
pub(crate) struct SlurmArgs {
    /// Run the points as jobs of Slurm: submit an array with a task for each point, watch it, collect the same tables
    #[arg(long, conflicts_with_all = ["dry_run", "list", "jobs"], help_heading = "Slurm")]
    pub slurm: bool,
    /// Run at most N points at once
    #[arg(long, value_name = "N", requires = "slurm", help_heading = "Slurm")]
    array: Option<usize>,
    /// Time limit of a point; two minutes before it, the point saves and goes back into the queue
    #[arg(long, value_name = "TIME", requires = "slurm", help_heading = "Slurm")]
    time: Option<String>,
    /// Partition to submit to
    #[arg(long, value_name = "NAME", requires = "slurm", help_heading = "Slurm")]
    partition: Option<String>,
    /// Further option of sbatch, for example --sbatch=--gres=gpu:1; can be given more than once
    #[arg(long, value_name = "OPTION", requires = "slurm", help_heading = "Slurm")]
    sbatch: Vec<String>,
    /// Poll interval of the queue, in seconds
    #[arg(long, value_name = "SECONDS", requires = "slurm", default_value_t = 10, help_heading = "Slurm",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    poll: u64,
    /// What Ctrl-C does with the jobs
    #[arg(long, value_enum, requires = "slurm", default_value_t = OnInterrupt::Leave, help_heading = "Slurm")]
    on_interrupt: OnInterrupt,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum OnInterrupt {
    /// They stay in the queue
    #[default]
    Leave,
    /// They save and are removed from the queue
    Cancel,
}

impl SlurmArgs {
    /// The options for a sweep's file.
    pub(super) fn options(&self, file: &str, retries: usize, shared: &Shared) -> Result<SlurmOptions> {
        let mut words = shared.words_of_sweep(file);
        // The path of this very program: it may not be on the PATH of the nodes.
        words[0] = std::env::current_exe()?.display().to_string();
        let mut sbatch = Vec::new();
        sbatch.extend(self.time.iter().map(|time| format!("--time={time}")));
        sbatch.extend(self.partition.iter().map(|partition| format!("--partition={partition}")));
        sbatch.extend(self.sbatch.iter().cloned());
        Ok(SlurmOptions {
            store: shared.store(),
            cache: data::cache_dir()?,
            command: words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
            at_once: self.array,
            sbatch,
            retries,
            poll: Duration::from_secs(self.poll),
            cancel: self.on_interrupt == OnInterrupt::Cancel,
        })
    }

    /// Number of progress bars.
    pub(super) fn bars(&self) -> usize {
        self.array.unwrap_or(BARS).min(BARS)
    }
}
