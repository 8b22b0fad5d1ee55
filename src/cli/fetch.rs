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
    /// Then make smaller copies of the images, whose shorter side has this many pixels, for experiments with `data.prepared`.
    /// Only for imagenet, and for folder (with --from). Resumes if interrupted
    #[arg(long, value_name = "SIZE", value_parser = clap::value_parser!(u16).range(32..=2048))]
    prepare: Option<u16>,
    /// How to store the copies [default: raw where they take no more than half of the free disk space]
    #[arg(long, value_enum, requires = "prepare")]
    form: Option<FormatArg>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum FormatArg {
    /// JPEG of quality 90
    Jpeg,
    /// Bytes of pixels: eight times the space, nothing to decode
    Raw,
}

pub(crate) fn run(command: &Fetch) -> Result<Done> {
    let cache = data::cache_dir()?;
    let source = match &command.from {
        Some(path) if command.dataset == "folder" && command.prepare.is_some() => {
            data::folder_at(&std::path::absolute(path)?)
        }
        from => {
            let source = data::source(&command.dataset)?;
            source.fetch(&cache, from.as_deref())?;
            tracing::info!("{} is in {}", command.dataset, data::folder(&command.dataset, &cache).display());
            source
        }
    };
    if let Some(size) = command.prepare {
        let form = command.form.map(|form| match form {
            FormatArg::Jpeg => data::PreparedFormat::Jpeg,
            FormatArg::Raw => data::PreparedFormat::Raw,
        });
        let data::Prepared { size, form } = data::prepare(&source, size.into(), form, &cache)?;
        tracing::info!("experiments use the copies with: [data] prepared = {{ size = {size}, form = \"{form}\" }}");
    }
    Ok(Done::Well)
}
