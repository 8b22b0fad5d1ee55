//! Diagrams of the trained networks, one of each.

use super::gather::StoredRun;
use crate::config::{Experiment, Machine};
use crate::figures::diagram::diagram;
use std::collections::HashSet;

/// More diagrams would make the page slow.
const MOST: usize = 16;

/// Distinct networks in the order given.
pub(super) struct Networks {
    pub drawn: Vec<Network>,
    pub hidden: usize,
}

pub(super) struct Network {
    pub name: String,
    pub facts: String,
    pub svg: String,
}

impl Networks {
    pub(super) fn of<'r>(runs: impl Iterator<Item = &'r StoredRun>, notes: &mut Vec<String>) -> Networks {
        let mut seen: HashSet<String> = HashSet::new();
        let mut networks = Networks { drawn: Vec::new(), hidden: 0 };
        for run in runs {
            // Runs that agree in these keys have the same network, so that most experiment files need not be read.
            let keys = run
                .settings()
                .filter(|(key, _)| key.starts_with("model.") || key.starts_with("scaling.") || *key == "data.dataset");
            if !seen.insert(keys.map(|(key, value)| format!("{key}={value}\n")).collect()) {
                continue;
            }
            if networks.drawn.len() == MOST {
                networks.hidden += 1;
                continue;
            }
            let path = run.folder.join("experiment.toml");
            match Experiment::load(&path, &[], Machine::default()) {
                Ok(experiment) => networks.drawn.push(draw(&experiment, networks.drawn.len())),
                Err(error) => notes.push(format!("no diagram of {}: {}", path.display(), error.message)),
            }
        }
        networks
    }
}

fn draw(experiment: &Experiment, index: usize) -> Network {
    let cost = experiment.network.cost();
    // The id of the arrow head must be unique in the page.
    let svg = diagram(&experiment.network, experiment.title.as_ref().unwrap_or(&experiment.name))
        .replace("id=\"head\"", &format!("id=\"head-{index}\""))
        .replace("\"url(#head)\"", &format!("\"url(#head-{index})\""));
    Network {
        name: experiment.name.clone(),
        facts: format!(
            "{} layers deep, {:.2} M parameters, {:.1} M multiply-adds",
            experiment.network.depth(),
            cost.params as f64 / 1e6,
            cost.macs as f64 / 1e6
        ),
        svg,
    }
}
