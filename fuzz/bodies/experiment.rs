//! Experiment files, as `strata train` and `strata sweep` read them, with their `--set` overrides.

use strata::config::{ConfigError, Experiment, Machine, Sweep};
use toml::{Table, Value};

pub(crate) fn read(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let overrides = overrides(text);
    match Experiment::parse("x.toml", text, "x", &overrides, Machine::default()) {
        Ok(experiment) => written_down(&experiment),
        Err(error) => told(&error),
    }
    if is_small_sweep(text) {
        match Sweep::parse("x.toml", text, "x", &overrides, Machine::default()) {
            Ok(sweep) => points(&sweep),
            Err(error) => told(&error),
        }
    }
}

/// A first line `# --set KEY=VALUE` is an override, as in tests/corpus.
fn overrides(text: &str) -> Vec<String> {
    text.lines().map_while(|line| line.strip_prefix("# --set ")).map(str::to_owned).collect()
}

/// An error has words, and shows where it arose.
fn told(error: &ConfigError) {
    assert!(!error.message.trim().is_empty(), "{error}");
    assert!(["x.toml", "--set"].iter().any(|place| error.rendered.contains(place)), "{error}");
}

/// Written down and read again, an experiment is the same one.
fn written_down(experiment: &Experiment) {
    let (key, cost) = (experiment.key(), experiment.network.cost());
    for written in [experiment.to_toml(), experiment.to_toml_rows()] {
        let text = written.to_string();
        let again = Experiment::parse("again.toml", &text, "x", &[], Machine::default());
        let again = again.unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(again.key(), key, "{text}");
        assert_eq!(again.network.cost(), cost);
        assert_eq!(again.name, experiment.name);
    }
}

fn points(sweep: &Sweep) {
    for (index, point) in sweep.points.iter().enumerate() {
        assert_eq!(point.values.len(), sweep.columns.len(), "{:?}", sweep.columns);
        assert!(!sweep.label(index).is_empty());
        assert_eq!(point.key, point.experiment.key());
    }
    if let Some(point) = sweep.points.last() {
        written_down(&point.experiment);
    }
}

/// Whether expanding the sweep is a matter of moments: thousands of points may take minutes, as they should.
fn is_small_sweep(text: &str) -> bool {
    let Ok(file) = text.parse::<Table>() else { return true };
    let Some(Value::Table(sweep)) = file.get("sweep") else { return true };
    // A sample may be drawn a thousand times before it is given up.
    let samples = if sweep.contains_key("random") { 8 } else { 1 };
    let solved = if sweep.contains_key("scaling") { 4 } else { 1 };
    combinations(sweep).saturating_mul(samples * solved) <= 64
}

/// An upper bound of the grid's points.
fn combinations(table: &Table) -> usize {
    let of = |value: &Value| match value {
        Value::Array(items) => items.len().max(1),
        Value::Table(table) => combinations(table),
        _ => 1,
    };
    table.iter().filter(|(key, _)| *key != "random").map(|(_, value)| of(value)).fold(1, usize::saturating_mul)
}
