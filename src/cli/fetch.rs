//! `strata fetch DATASET`

use super::Done;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use strata::data;

/// Fetch a dataset into the cache and verify its checksums
#[derive(Args)]
pub(crate) struct Fetch {
    /// Name of a dataset; `strata doctor` lists them. imagenet needs --from, a folder with train/CLASS/*.jpg and val/CLASS/*.jpg
    #[arg(value_name = "DATASET")]
    dataset: String,
    /// Take the files from this folder instead of downloading them
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
}

pub(crate) fn run(command: &Fetch) -> Result<Done> {
    let cache = data::cache_dir()?;
    data::source(&command.dataset)?.fetch(&cache, command.from.as_deref())?;
    tracing::info!("{} is in {}", command.dataset, data::folder(&command.dataset, &cache).display());
    Ok(Done::Well)
}
