//! `strata doctor`

use super::{Done, Shared, machine, print};
use anyhow::Result;
use strata::data::{self, Depth};
use strata::torch::{self, cuda};

pub(crate) fn run(shared: &Shared) -> Result<Done> {
    let cuda = cuda::load_if_present();
    let device = shared.device()?;
    let cache = data::cache_dir()?;
    let bf16 = if machine().native_bf16 { "bf16 (computed natively here)" } else { "fp32 (bf16 is not native here)" };
    let mut text = format!(
        "strata     {}\n\
         libtorch   {} from {}, built against {}\n\
         processor  {}, {} threads\n\
         cuda       {cuda}\n\
         device     {}\n\
         precision  auto means {bf16}\n\
         cache      {}\n",
        env!("CARGO_PKG_VERSION"),
        torch::loaded_version(),
        loaded_from().unwrap_or_else(|| env!("STRATA_LIBTORCH").to_owned()),
        torch::version(),
        torch::cpu_capability(),
        tch::get_num_threads(),
        format!("{device:?}").to_lowercase(),
        cache.display(),
    );
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
        text.push_str(&format!("dataset    {name}: {state} ({})\n", source.info().description));
    }
    print(&text)?;
    Ok(Done::Well)
}

/// The folder of the libtorch that this process has loaded.
fn loaded_from() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let path = maps.lines().find_map(|line| line.strip_suffix("/libtorch_cpu.so"))?;
    path.find('/').map(|start| path[start..].to_owned())
}
