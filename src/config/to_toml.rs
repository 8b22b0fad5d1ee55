//! Experiments as TOML, and their keys.

use super::experiment::Experiment;
use super::key::Key;
use super::model::{Origin, Shared};
use super::serialize::to_table;
use super::train::ASIDE;
use crate::arch::Network;
use crate::arch::presets::Preset;
use crate::arch::rows::Row;

impl Experiment {
    /// The experiment as TOML; a preset stays a preset. Reading the result gives the same key.
    pub fn to_toml(&self) -> toml::Table {
        let mut model = match &self.origin {
            Origin::Preset(preset) => to_table(preset),
            Origin::Rows(rows) => rows_table(rows),
        };
        let mut shared = Shared { input: Some(self.base_input), ..Shared::of(&self.network.plan) };
        if let Origin::Preset(preset) = &self.origin {
            shared.bn_scale = self.bn_scale_beside(preset);
        }
        model.extend(to_table(&shared));
        if !self.overrides.is_empty() {
            model.insert("override".to_owned(), toml::Value::Table(self.overrides.clone()));
        }
        let mut root = self.frame(model);
        if !self.scaling.is_identity() {
            root.insert("scaling".to_owned(), toml::Value::Table(to_table(&self.scaling)));
        }
        root
    }

    /// `bn_scale` where it differs from the preset's.
    fn bn_scale_beside(&self, preset: &Preset) -> Option<bool> {
        let plan = &self.network.plan;
        let own = preset.expand(plan.classes).map_or(true, |rows| rows.style.bn_scale);
        (plan.style.bn_scale != own).then_some(plan.style.bn_scale)
    }

    /// The experiment with all rows written out: presets expanded, overrides and scaling applied.
    pub fn to_toml_rows(&self) -> toml::Table {
        self.frame(model_rows(&self.network))
    }

    fn frame(&self, model: toml::Table) -> toml::Table {
        let mut root = toml::Table::new();
        root.insert("name".to_owned(), self.name.clone().into());
        root.extend(self.title.iter().map(|title| ("title".to_owned(), title.clone().into())));
        // TOML's integers are signed; seeds above that are refused when the file is read.
        root.insert("seed".to_owned(), toml::Value::Integer(self.seed as i64));
        root.insert("data".to_owned(), toml::Value::Table(to_table(&self.data)));
        root.insert("model".to_owned(), toml::Value::Table(model));
        root.insert("train".to_owned(), toml::Value::Table(self.train.table()));
        let init = to_table(&self.init);
        if !init.is_empty() {
            root.insert("init".to_owned(), toml::Value::Table(init));
        }
        if let Some(expect) = &self.expect {
            root.insert("expect".to_owned(), toml::Value::Table(to_table(expect)));
        }
        root
    }

    /// The hash of everything that determines the result. Files that expand to the same rows have the same key.
    pub fn key(&self) -> Key {
        let mut root = self.to_toml_rows();
        root.retain(|key, _| !["name", "title", "expect"].contains(&key));
        if let Some(init) = root.get_mut("init") {
            *init = toml::Value::Table(self.init.key_table());
        }
        // The path of images is not part of the key; their fingerprint is.
        for (table, key) in ASIDE.map(|key| ("train", key)).into_iter().chain([("data", "path")]) {
            root.get_mut(table).and_then(toml::Value::as_table_mut).map(|table| table.remove(key));
        }
        Key::of(&root.to_string())
    }
}

/// `[model]` of a network, with every row written out.
pub(super) fn model_rows(network: &Network) -> toml::Table {
    let mut model = to_table(&Shared::of(&network.plan));
    model.extend(rows_table(&network.plan.rows));
    model
}

fn rows_table(rows: &[Row]) -> toml::Table {
    let rows = rows.iter().map(|row| toml::Value::Table(to_table(row))).collect();
    toml::Table::from_iter([("rows".to_owned(), toml::Value::Array(rows))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Machine;

    fn parsed(text: &str) -> Experiment {
        Experiment::parse("test.toml", text, "test", &[], Machine::default()).unwrap()
    }

    /// Rows that were scaled used to be written down scaled, and scaled again when they were read.
    #[test]
    fn an_experiment_written_down_is_the_same_experiment() {
        let frame = "[data]\ndataset = 'synthetic'\nvalidation = 400\n[train]\nepochs = 1\n";
        let rows = "[model]\nrows = [{ op = 'conv', kernel = 3, width = 16, name = 'stem' }, \
                    { op = 'basic', width = 24, repeat = 2, stride = 2 }, { op = 'global_avg_pool' }, { op = 'classifier' }]\n";
        let preset = "[model]\npreset = 'efficientnet'\nstem_stride = 1\n";
        let scaling = "[scaling]\nphi = 1\nwidth = 1.5\nresolution = 0.9\n";
        let expect = "[expect]\ntest_top1 = 0.5\nsource = 'nobody'\n";
        let untitled = parsed(&format!("{frame}{rows}")).key();
        let titled = parsed(&format!("title = 'A network'\n{frame}{rows}"));
        assert_eq!((titled.key(), parsed(&titled.to_toml().to_string()).title), (untitled, titled.title));
        for (model, row) in [(rows, "stem"), (preset, "features.3")] {
            for overrides in ["", "[model.override.ROW]\nwidth = 40\n"] {
                for more in ["", scaling, expect] {
                    let overrides = overrides.replace("ROW", &format!("'{row}'"));
                    let first = parsed(&format!("{frame}{model}{overrides}{more}"));
                    for written in [first.to_toml(), first.to_toml_rows()] {
                        let again = parsed(&written.to_string());
                        assert_eq!(again.key(), first.key(), "{written}");
                        assert_eq!(again.network, first.network);
                    }
                }
            }
        }
    }
}
