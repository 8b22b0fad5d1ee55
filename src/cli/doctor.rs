//! `strata doctor`

use super::table::wrapped_table;
use super::{Done, Shared, machine, print};
use anyhow::Result;
use strata::data::{self, Depth};
use strata::torch::{self, cuda};

pub(crate) fn run(shared: &Shared) -> Result<Done> {
    let cuda = cuda::load_if_present();
    let device = shared.device()?;
    let cache = data::cache_dir()?;
    let bf16 = if machine().native_bf16 { "bf16 (computed natively here)" } else { "fp32 (bf16 is not native here)" };
    let libtorch = format!(
        "{} from {}, built against {}",
        torch::loaded_version(),
        loaded_from().unwrap_or_else(|| env!("STRATA_LIBTORCH").to_owned()),
        torch::version(),
    );
    let mut lines = vec![
        ("strata", env!("CARGO_PKG_VERSION").to_owned()),
        ("libtorch", libtorch),
        ("processor", format!("{}, {} threads", torch::cpu_capability(), tch::get_num_threads())),
        ("cuda", cuda.to_string()),
        ("device", format!("{device:?}").to_lowercase()),
        ("precision", format!("auto means {bf16}")),
        ("cache", cache.display().to_string()),
    ];
    for name in data::DATASETS {
        let source = data::source(name)?;
        // All files are hashed here; other commands only hash those that changed since they were last verified.
        let state = match data::present(&source, &cache) {
            _ if source.info().train == 0 => "needs no fetching".to_owned(),
            false => format!("not fetched; run `strata fetch {name}`"),
            true => match data::check(&source, &cache, Depth::Whole) {
                Ok(()) => "ready".to_owned(),
                Err(error) => format!("DAMAGED: {error}"),
            },
        };
        lines.push(("dataset", format!("{name}: {state} ({})", source.info().description)));
    }
    let lines: Vec<Vec<String>> = lines.into_iter().map(|(what, found)| vec![what.to_owned(), found]).collect();
    print(&wrapped_table(&[], &lines))?;
    Ok(Done::Well)
}

/// The folder of the libtorch that this process has loaded.
fn loaded_from() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let path = maps.lines().find_map(|line| line.strip_suffix("/libtorch_cpu.so"))?;
    path.find('/').map(|start| path[start..].to_owned())
}
