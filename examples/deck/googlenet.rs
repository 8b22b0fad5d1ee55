//! The params and ops columns of GoogLeNet's table (Szegedy et al. 2014, table 1), recounted.

use super::network;
use anyhow::Result;
use strata::arch::node::walk;
use strata::arch::presets::{ExpandPreset, Googlenet, PresetRows};
use strata::runs::Table;

/// A line of the paper's table: the rows of ours it stands for, its params in K and its ops in M, and what is wrong with them.
struct Line {
    layer: &'static str,
    rows: &'static [&'static str],
    params: f64,
    ops: f64,
    slip: &'static str,
}

const fn line(layer: &'static str, rows: &'static [&'static str], params: f64, ops: f64) -> Line {
    Line { layer, rows, params, ops, slip: "" }
}

const PAPER: [Line; 12] = [
    Line {
        slip: "slip in params and ops: a 7x7 from 3 to 64 channels has 9408 weights; 2.7K and 34M are those of a separable \
               7x7 with depth multiplier 8 (2712 and 34.0M)",
        ..line("conv1", &["conv1"], 2.7, 34.0)
    },
    line("conv2", &["conv2", "conv3"], 112.0, 360.0),
    line("inception 3a", &["inception3a"], 159.0, 128.0),
    line("inception 3b", &["inception3b"], 380.0, 304.0),
    line("inception 4a", &["inception4a"], 364.0, 73.0),
    line("inception 4b", &["inception4b"], 437.0, 88.0),
    Line {
        slip: "slip in params: its ops fit the widths that the table lists and its params do not",
        ..line("inception 4c", &["inception4c"], 463.0, 100.0)
    },
    line("inception 4d", &["inception4d"], 580.0, 119.0),
    line("inception 4e", &["inception4e"], 840.0, 170.0),
    Line {
        slip: "slip in params and ops: they fit a #5x5 reduce of 48 (1081 Ki and 54.2M); the table lists 32",
        ..line("inception 5a", &["inception5a"], 1072.0, 54.0)
    },
    line("inception 5b", &["inception5b"], 1388.0, 71.0),
    line("linear", &["fc"], 1000.0, 1.0),
];

/// From this relative difference on, a figure without a known slip is remarked on: more than rounding to whole K explains.
const REMARKABLE: f64 = 0.005;

/// Ours beside the paper's, line by line. The paper's ops are multiply-adds in units of 10⁶; its params are weights without
/// biases in units of 1024.
pub(crate) fn layers() -> Result<Table> {
    let PresetRows { rows, style, .. } = Googlenet::default().expand(1000)?;
    let network = network(rows, style, [3, 224, 224], 1000)?;
    let counts = |names: &[&str]| {
        let (mut weights, mut macs) = (0, 0);
        for row in network.rows.iter().filter(|row| names.contains(&row.label.as_str())) {
            walk(&row.nodes, false, &mut |layer, _| {
                let params = layer.params();
                weights += params.iter().filter(|param| param.role.is_weight()).map(|param| param.count()).sum::<u64>();
                macs += layer.cost().macs;
            });
        }
        (weights, macs)
    };
    let mut lines = Vec::new();
    let (mut weights, mut macs, mut params, mut ops) = (0, 0, 0.0, 0.0);
    for line in &PAPER {
        let (line_weights, line_macs) = counts(line.rows);
        (weights, macs) = (weights + line_weights, macs + line_macs);
        (params, ops) = (params + line.params, ops + line.ops);
        lines.push(cells(line, line_weights, line_macs));
    }
    let total = Line { params, ops, slip: "the paper's column added up", ..line("total", &[], 0.0, 0.0) };
    lines.push(cells(&total, weights, macs));
    let mut table = Table::new(&[
        "layer",
        "weights",
        "params_ki",
        "paper_params_k",
        "params_ratio",
        "macs",
        "ops_m",
        "paper_ops_m",
        "ops_ratio",
        "note",
    ]);
    table.rows = lines;
    Ok(table)
}

fn cells(line: &Line, weights: u64, macs: u64) -> Vec<String> {
    let (ki, m) = (weights as f64 / 1024.0, macs as f64 / 1e6);
    let off = line.params / ki - 1.0;
    let note = if line.slip.is_empty() && off.abs() > REMARKABLE {
        format!("the paper's params are {:.1} % {}", 100.0 * off.abs(), if off < 0.0 { "low" } else { "high" })
    } else {
        line.slip.to_owned()
    };
    vec![
        line.layer.to_owned(),
        weights.to_string(),
        format!("{ki:.1}"),
        line.params.to_string(),
        format!("{:.3}", ki / line.params),
        macs.to_string(),
        format!("{m:.1}"),
        line.ops.to_string(),
        format!("{:.3}", m / line.ops),
        note,
    ]
}
