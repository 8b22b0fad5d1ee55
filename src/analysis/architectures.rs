//! A table of architectures: cost and published accuracy.

use crate::config::Experiment;
use crate::runs::{Table, accuracy};

/// One row for each experiment. Costs are for one image, without auxiliary heads (see `strata cost --help`). The published
/// accuracies and their source are those of `[expect]`, or empty.
pub fn architectures(experiments: &[Experiment]) -> Table {
    let columns = ["model", "input", "params", "macs", "activations", "depth", "test_top1", "test_top5", "source"];
    let rows = experiments.iter().map(|experiment| {
        let cost = experiment.network.cost();
        let [c, h, w] = experiment.network.plan.input;
        let expect = experiment.expect.as_ref();
        let published = |value: Option<f64>| value.map(accuracy).unwrap_or_default();
        vec![
            experiment.name.clone(),
            format!("{c}x{h}x{w}"),
            cost.params.to_string(),
            cost.macs.to_string(),
            cost.activations.to_string(),
            experiment.network.depth().to_string(),
            published(expect.and_then(|expect| expect.test_top1)),
            published(expect.and_then(|expect| expect.test_top5)),
            expect.map(|expect| expect.source.clone()).unwrap_or_default(),
        ]
    });
    Table { rows: rows.collect(), ..Table::new(&columns) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Machine;
    use std::path::Path;

    #[test]
    fn rows_have_cost_published_accuracy_and_source() {
        let experiment = |name: &str| {
            let file = format!("experiments/imagenet/{name}.toml");
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            Experiment::load(&path, &[], Machine::default()).unwrap()
        };
        let table = architectures(&["resnet50", "googlenet_paper"].map(experiment));
        let column = |name: &str| -> Vec<&str> {
            let index = table.column(name).unwrap();
            table.rows.iter().map(|row| row[index].as_str()).collect()
        };
        assert_eq!(column("macs"), ["4089184256", "1582671872"]);
        assert_eq!(column("test_top1"), ["0.761300", ""], "the paper gives GoogLeNet's Top-5 alone");
        assert!(column("source").iter().all(|source| source.contains("1-crop")));
    }
}
