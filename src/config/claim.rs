//! The `[claim]` table: a published statement, what is measured, and the rule that decides. It is written before the runs.

use super::document::{Document, overridden};
use super::machine::Machine;
use super::problem::{ConfigError, Location, Problem, from_serde};
use super::sweep::Sweep;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::de::ValueDeserializer;

/// A file with a `[claim]`, and its sweep where it has one.
#[derive(Debug)]
pub struct ClaimFile {
    /// The file's name without its extension.
    pub name: String,
    pub file: PathBuf,
    pub claim: Claim,
    /// `None` for a claim about tables written by other commands.
    pub sweep: Option<Sweep>,
}

/// A claim, as written. Not part of a run's key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    pub number: u32,
    /// The heading of the slide that makes the claim.
    pub slide: String,
    pub sentence: String,
    /// The published figures and their source.
    pub published: String,
    /// Budget of the runs and studies on two cores.
    pub minutes: f64,
    /// What would decide the claim where this budget does not.
    pub needs: String,
    /// Commands of this program that are run after the sweep and write further tables: `study gradients {runs}`, or
    /// `study landscape {each}`, which is run once for each point.
    #[serde(default)]
    pub commands: Vec<String>,
    /// All tests must hold.
    #[serde(rename = "test")]
    pub tests: Vec<ClaimTest>,
}

/// One comparison of a claim.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimTest {
    /// What is compared, in words.
    pub says: String,
    /// A column of the table, a column of the epochs, or `train_error`, `val_error`, `test_error`.
    pub measure: String,
    /// Another column: the effect is the correlation of the logarithms of both.
    pub with: Option<String>,
    /// The epoch whose row is measured; without it the last one, or the median of times.
    pub epoch: Option<usize>,
    /// The rows that are measured, as dotted keys and their values; a list allows several, whose mean is taken at each seed.
    #[serde(default)]
    of: toml::Table,
    /// The rows to compare with, at equal seeds. Without them the measure itself is the effect.
    against: Option<toml::Table>,
    /// The effect is the relative change in percent instead of the difference.
    #[serde(default)]
    pub ratio: bool,
    pub is: Relation,
    /// What the effect is compared with.
    #[serde(default)]
    pub value: f64,
    /// The distance from `value` that the effect must have, or may have.
    #[serde(default)]
    pub margin: f64,
    /// A CSV file below the results folder, instead of the sweep's table.
    pub table: Option<String>,
    /// Another table for the rows of `against`, and the name of the measure there.
    pub against_table: Option<String>,
    pub against_measure: Option<String>,
    /// The column that pairs the rows that are compared.
    #[serde(default = "seed")]
    pub pair: String,
}

fn seed() -> String {
    "seed".to_owned()
}

/// The relation of the effect to the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Above value + margin.
    Greater,
    /// Below value - margin.
    Less,
    /// Within the margin on both sides.
    Equal,
    /// Above value - margin: not worse, where more is better.
    AtLeast,
    /// Below value + margin.
    AtMost,
}

/// A column and its allowed texts or numbers.
pub type Condition = (String, Vec<String>);

impl ClaimTest {
    /// The conditions on the rows that are measured.
    pub fn rows(&self) -> Vec<Condition> {
        flat(&self.of)
    }

    /// The conditions on the rows to compare with.
    pub fn baseline(&self) -> Option<Vec<Condition>> {
        self.against.as_ref().map(flat)
    }

    /// The open interval in which the effect lies if the claim holds.
    pub fn region(&self) -> [f64; 2] {
        let (value, margin) = (self.value, self.margin);
        match self.is {
            Relation::Greater => [value + margin, f64::INFINITY],
            Relation::Less => [f64::NEG_INFINITY, value - margin],
            Relation::Equal => [value - margin, value + margin],
            Relation::AtLeast => [value - margin, f64::INFINITY],
            Relation::AtMost => [f64::NEG_INFINITY, value + margin],
        }
    }

    fn check(&self, index: usize, sweep: Option<&Sweep>) -> Result<(), Problem> {
        let at = |key: &str, message: String| Err(Problem::at(format!("claim.test.{index}.{key}"), message));
        if !(self.margin.is_finite() && self.margin >= 0.0) {
            return at("margin", format!("`margin` is a number from 0 on, not {}", self.margin));
        }
        if self.is == Relation::Equal && self.margin == 0.0 {
            return at("is", "two measures are never shown to be equal: `is = \"equal\"` needs a `margin`".to_owned());
        }
        if self.with.is_some() && (self.against.is_some() || self.ratio) {
            return at("with", "a correlation has no `against` and no `ratio`".to_owned());
        }
        if self.ratio && self.against.is_none() {
            return at("ratio", "`ratio` needs the rows to divide by: `against`".to_owned());
        }
        let Some(sweep) = sweep.filter(|_| self.table.is_none()) else {
            return match self.table {
                Some(_) => Ok(()),
                None => at("measure", "without a [sweep] a test names its `table`".to_owned()),
            };
        };
        let baseline = self.baseline().filter(|_| self.against_table.is_none());
        for (key, conditions) in [("of", Some(self.rows())), ("against", baseline)] {
            let Some(conditions) = conditions else { continue };
            if let Some((column, _)) = conditions.iter().find(|(column, _)| !sweep.columns.contains(column)) {
                let columns: Vec<&str> = sweep.columns.iter().map(String::as_str).collect();
                let location = Location::Key(format!("claim.test.{index}.{key}"));
                return Err(Problem::unknown(location, "swept key", column, &columns));
            }
            let mut seeds: Vec<u64> = sweep
                .points
                .iter()
                .filter(|point| sweep.meets(&point.values, &conditions))
                .map(|point| point.experiment.seed)
                .collect();
            let count = seeds.len();
            seeds.sort_unstable();
            seeds.dedup();
            let mean = conditions.iter().any(|(_, allowed)| allowed.len() > 1);
            if count == 0 || (seeds.len() < count && !mean && self.pair == seed()) {
                let what = if count == 0 { "no point" } else { "several points of one seed" };
                return at(key, format!("{what} of [sweep] fits `{key}`"));
            }
        }
        Ok(())
    }
}

impl Sweep {
    /// Whether a point's values meet the conditions.
    fn meets(&self, values: &[String], conditions: &[Condition]) -> bool {
        let value = |column: &String| self.columns.iter().position(|name| name == column).map(|index| &values[index]);
        conditions.iter().all(|(column, text)| value(column).is_some_and(|value| meets(value, text)))
    }
}

/// Whether a cell is one of these texts or numbers: `1` and `1.0` are the same.
pub fn meets(cell: &str, allowed: &[String]) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    let same = |text: &String| cell == text || number(cell).zip(number(text)).is_some_and(|(one, other)| one == other);
    allowed.iter().any(same)
}

fn flat(table: &toml::Table) -> Vec<Condition> {
    fn text(value: &toml::Value) -> String {
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }
    fn add(prefix: &str, table: &toml::Table, conditions: &mut Vec<Condition>) {
        for (key, value) in table {
            let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                toml::Value::Table(inner) => add(&key, inner, conditions),
                toml::Value::Array(allowed) => conditions.push((key, allowed.iter().map(text).collect())),
                value => conditions.push((key, vec![text(value)])),
            }
        }
    }
    let mut conditions = Vec::new();
    add("", table, &mut conditions);
    conditions
}

impl ClaimFile {
    /// Reads every TOML file of a folder, sorted by number.
    ///
    /// # Errors
    /// When the folder or one of its files cannot be read, or two claims have one number.
    pub fn all(folder: &Path, machine: Machine) -> Result<Vec<ClaimFile>, ConfigError> {
        let entries = std::fs::read_dir(folder)
            .map_err(|error| ConfigError::file(format!("cannot read {}: {error}", folder.display())))?;
        let paths = entries.flatten().map(|entry| entry.path());
        let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
        let mut files = paths.map(|path| ClaimFile::load(&path, machine)).collect::<Result<Vec<_>, _>>()?;
        files.sort_by_key(|file| file.claim.number);
        match files.windows(2).find(|pair| pair[0].claim.number == pair[1].claim.number) {
            Some([one, other]) => Err(ConfigError::file(format!(
                "{} and {} are both claim {}",
                one.file.display(),
                other.file.display(),
                one.claim.number
            ))),
            _ => Ok(files),
        }
    }

    /// Reads the claim of a file and the points of its sweep.
    ///
    /// # Errors
    /// For a file without `[claim]`, for unknown keys, and for tests that fit no point of the sweep.
    pub fn load(path: &Path, machine: Machine) -> Result<ClaimFile, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::file(format!("cannot read {}: {error}", path.display())))?;
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let source = overridden(&path.display().to_string(), &text, &[])?;
        let document = Document::parse(&source)?;
        let sweep = match document.root.get("sweep") {
            Some(_) => Some(Sweep::load(path, &[], machine)?),
            None => None,
        };
        let claim = read(&document, sweep.as_ref()).map_err(|problem| document.error(&problem))?;
        Ok(ClaimFile { name, file: path.to_owned(), claim, sweep })
    }
}

impl ClaimFile {
    /// The points of the sweep as `NAME/KEY`, those that meet a condition `KEY=VALUE` if there is one.
    pub fn runs(&self, condition: &str) -> Vec<String> {
        let condition = condition.split_once('=').map(|(key, value)| (key.to_owned(), vec![value.to_owned()]));
        let conditions: Vec<Condition> = condition.into_iter().collect();
        let points = self
            .sweep
            .iter()
            .flat_map(|sweep| sweep.points.iter().filter(|point| sweep.meets(&point.values, &conditions)));
        points.map(|point| format!("{}/{}", point.experiment.name, point.key.short())).collect()
    }
}

fn read(document: &Document, sweep: Option<&Sweep>) -> Result<Claim, Problem> {
    let Some(value) = document.root.get("claim") else {
        return Err(Problem::at("", "this file has no [claim] table"));
    };
    let claim =
        Claim::deserialize(ValueDeserializer::from(value.clone())).map_err(|error| from_serde(&error, "claim", &[]))?;
    if claim.tests.is_empty() {
        return Err(Problem::at("claim.test", "a claim has at least one [[claim.test]]"));
    }
    for (index, test) in claim.tests.iter().enumerate() {
        test.check(index, sweep)?;
    }
    Ok(claim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str = "[data]\ndataset = 'synthetic'\nvalidation = 400\n[model]\npreset = 'resnet'\nlayout = 'cifar'\n\
        depth = 8\n[train]\nepochs = 1\n[sweep]\nseed = [0, 1]\nmodel.depth = [8, 14]\n[claim]\nnumber = 1\nslide = 's'\n\
        sentence = 'x'\npublished = 'p'\nminutes = 1\nneeds = 'n'\n";

    fn load(text: &str) -> Result<ClaimFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        ClaimFile::load(&path, Machine::default()).map_err(|error| error.rendered)
    }

    fn test(keys: &str) -> Result<ClaimFile, String> {
        load(&format!("{FRAME}[[claim.test]]\nsays = 't'\nmeasure = 'test_error'\n{keys}\n"))
    }

    #[test]
    fn a_test_says_which_points_it_compares_and_where_the_effect_should_lie() {
        let file = test("of = { model.depth = 14 }\nagainst = { model.depth = 8 }\nis = 'less'\nmargin = 0.5").unwrap();
        let test = &file.claim.tests[0];
        assert_eq!(test.rows(), [("model.depth".to_owned(), vec!["14".to_owned()])]);
        assert_eq!((test.region(), test.pair.as_str()), ([f64::NEG_INFINITY, -0.5], "seed"));
        assert_eq!(file.sweep.unwrap().points.len(), 4);
        assert!(meets("1", &["a".to_owned(), "1.0".to_owned()]) && !meets("a", &["b".to_owned()]));
    }

    #[test]
    fn what_cannot_be_decided_is_an_error_with_its_place() {
        for (keys, message) in [
            ("of = { model.depth = 9 }\nis = 'less'", "no point of [sweep] fits `of`"),
            ("of = { model.dept = 8 }\nis = 'less'", "did you mean `model.depth`?"),
            ("is = 'less'", "several points of one seed"),
            ("of = { model.depth = [9, 10] }\nis = 'less'", "no point"),
            ("of = { model.depth = 8 }\nis = 'equal'", "needs a `margin`"),
            ("of = { model.depth = 8 }\nis = 'near'", "unknown value `near`"),
            ("of = { model.depth = 8 }\nis = 'less'\nmargin = -1", "`margin` is a number from 0 on"),
            ("of = { model.depth = 8 }\nis = 'less'\nratio = true", "`ratio` needs"),
            ("of = { model.depth = 8 }\nis = 'less'\nmargn = 1", "there is no key `margn`"),
        ] {
            let error = test(keys).unwrap_err();
            assert!(error.contains(message) && error.contains("c.toml:"), "{keys}: {error}");
        }
        assert!(load(FRAME).unwrap_err().contains("test"), "a claim without tests");
        assert!(load("[sweep]\n").unwrap_err().contains("[sweep]"));
    }

    /// Runs that began before the claim was written stay valid.
    #[test]
    fn the_claim_is_no_part_of_a_run_s_key() {
        let with = test("of = { model.depth = 8 }\nis = 'less'").unwrap().sweep.unwrap();
        let (without, _) = FRAME.split_once("[claim]").unwrap();
        let without = Sweep::parse("c.toml", without, "c", &[], Machine::default()).unwrap();
        let keys = |sweep: &Sweep| sweep.points.iter().map(|point| point.key.clone()).collect::<Vec<_>>();
        assert_eq!(keys(&with), keys(&without));
    }
}
