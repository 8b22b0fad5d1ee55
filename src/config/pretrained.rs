//! The `[init]` table: the weights that training starts from, and the rows that are frozen.

use super::machine::{FindRun, FoundRun, Machine};
use super::problem::{Location, Problem, from_serde};
use crate::arch::Network;
use crate::arch::params::{Param, Role};
use crate::arch::rows::Row;
use crate::files::sha256;
use crate::named::is_default;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use std::time::SystemTime;
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

/// The word of `freeze` for every row but the classifier: a linear probe.
const BACKBONE: &str = "backbone";
/// Extensions of weight files; other values of `from` are names of runs.
const ENDINGS: [&str; 3] = ["safetensors", "pth", "pt"];

/// The source of a network's weights, and its frozen rows. By default all weights are drawn and trained.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pretrained {
    /// The file of weights relative to the working directory, or the run as NAME/KEY, so that it is valid on another machine. A
    /// run that was not found keeps its name; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// The SHA-256 of that file. It stands for the file in the experiment's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(skip_serializing_if = "Words::is_empty")]
    replace: Words,
    #[serde(skip_serializing_if = "Words::is_empty")]
    freeze: Words,
    /// The first convolution starts from filters that whiten the patches of the training images.
    #[serde(skip_serializing_if = "is_default")]
    pub whiten: bool,
    /// Indices, from 0, of the rows whose weights are drawn in any case.
    #[serde(skip)]
    pub replaced: BTreeSet<usize>,
    /// Indices, from 0, of the frozen rows, including rows without parameters between them.
    #[serde(skip)]
    pub frozen: BTreeSet<usize>,
    /// The file, or why there is none; `None` if it was not looked up because the hash was given.
    #[serde(skip)]
    found: Option<Result<PathBuf, String>>,
    #[serde(skip)]
    find_run: Option<FindRun>,
}

/// Names of rows: a list of them, or one alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Words(Vec<String>);

impl Words {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Pretrained {
    /// Reads `[init]` for a network. A missing run or file is an error only in training: see [`Pretrained::weights`].
    pub(super) fn read(
        table: Option<&Spanned<DeValue>>,
        network: &Network,
        machine: Machine,
    ) -> Result<Pretrained, Problem> {
        let Some(table) = table else { return Ok(Pretrained::default()) };
        let mut init = Pretrained::deserialize(ValueDeserializer::from(table.clone()))
            .map_err(|error| from_serde(&error, "", &[]))?;
        init.find(machine);
        if init.from.is_empty() {
            init.replace = Words::default();
        }
        init.check_whiten(network)?;
        init.replaced = rows_of(network, &init.replace, "replace")?;
        init.frozen = with_rows_between(network, rows_of(network, &init.freeze, "freeze")?);
        let learned = |(index, row): (usize, _)| !init.frozen.contains(&index) && has_params(row);
        if !network.rows.iter().enumerate().any(learned) {
            return Err(Problem::at("init.freeze", "every row with parameters is frozen: there is nothing to train"));
        }
        Ok(init)
    }

    /// Checks that `whiten` has a convolution to set.
    fn check_whiten(&self, network: &Network) -> Result<(), Problem> {
        let refused = |message: String| Err(Problem::at("init.whiten", message));
        if !self.whiten {
            return Ok(());
        }
        if !self.from.is_empty() {
            return refused("init.whiten and init.from both set the first convolution: remove one of them".to_owned());
        }
        let first = network.rows.first().and_then(|row| row.params().into_iter().next());
        let Some(Param { shape, role: Role::ConvWeight { groups: 1 }, .. }) = first else {
            return refused("the network does not begin with an ungrouped convolution".to_owned());
        };
        let [_, height, width] = network.plan.input;
        if shape[2] > height as i64 || shape[3] > width as i64 {
            return refused("the kernel is larger than the images: there is no patch without padding".to_owned());
        }
        let (filters, most) = (shape[0], 2 * shape[1..].iter().product::<i64>());
        match filters % 2 == 0 && filters <= most {
            true => Ok(()),
            false => refused(format!(
                "filters come in pairs of opposite sign: the first convolution must have an even number of them, at most {most} \
                 (twice the values of a patch), not {filters}"
            )),
        }
    }

    /// Finds the file and its hash. If the hash is given, as in the file of a run, nothing is read.
    fn find(&mut self, machine: Machine) {
        self.find_run = machine.find_run;
        if self.from.is_empty() || self.sha256.is_some() {
            return;
        }
        let hashed = self.look_up().and_then(|FoundRun { name, weights }| {
            let hash = hash_of(&weights).map_err(|error| format!("cannot read {}: {error}", weights.display()))?;
            (self.from, self.sha256) = (name, Some(hash));
            Ok(weights)
        });
        self.found = Some(hashed);
    }

    /// The file that `from` names, and the name to write down for it.
    fn look_up(&self) -> Result<FoundRun, String> {
        match self.find_run {
            _ if is_file_name(&self.from) => {
                Ok(FoundRun { name: self.from.clone(), weights: PathBuf::from(&self.from) })
            }
            Some(find) => find(&self.from),
            None => Err(format!("there is no run `{}`", self.from)),
        }
    }

    /// The file of the weights that training starts from; `None` where they are drawn.
    ///
    /// # Errors
    /// If the file was not found; the message says why.
    pub fn weights(&self) -> Result<Option<PathBuf>, String> {
        if self.from.is_empty() {
            return Ok(None);
        }
        let found = self.found.clone().unwrap_or_else(|| self.look_up().map(|found| found.weights));
        found.map(Some).map_err(|problem| format!("init.from: {problem}"))
    }

    /// Whether the file was found, where it was looked for: not where its hash is written.
    ///
    /// # Errors
    /// If it was not found; the message says why.
    pub fn check(&self) -> Result<(), String> {
        match &self.found {
            Some(Err(problem)) => Err(format!("init.from: {problem}")),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// The part of `[init]` that determines the result, with rows by index: the path does not, and a row has several names.
    pub(super) fn key_table(&self) -> toml::Table {
        let numbers = |rows: &BTreeSet<usize>| rows.iter().map(|row| (row + 1) as i64).collect::<Vec<_>>();
        let weights = self.sha256.clone().or_else(|| Some(self.from.clone()).filter(|from| !from.is_empty()));
        let mut table = toml::Table::new();
        table.extend(weights.map(|weights| ("weights".to_owned(), weights.into())));
        table.extend(self.whiten.then(|| ("whiten".to_owned(), true.into())));
        let lists = [("replace", &self.replaced), ("freeze", &self.frozen)].into_iter();
        table.extend(
            lists.filter(|(_, rows)| !rows.is_empty()).map(|(key, rows)| (key.to_owned(), numbers(rows).into())),
        );
        table
    }
}

/// Whether `init.from` names a file rather than a run.
pub(super) fn is_file_name(from: &str) -> bool {
    Path::new(from).extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

fn has_params(row: &crate::arch::network::RowNodes) -> bool {
    !row.params().is_empty()
}

/// Resolves names of rows: a row's `name`, its number (`row3`), `classifier`, `backbone`, or a prefix that all parameters of the
/// rows share (`features`).
fn rows_of(network: &Network, words: &Words, key: &str) -> Result<BTreeSet<usize>, Problem> {
    let is_classifier = |index: usize| matches!(network.plan.rows.get(index), Some(Row::Classifier(_)));
    let mut found = BTreeSet::new();
    for word in &words.0 {
        let prefix = format!("{word}.");
        let named = |(index, row): (usize, &crate::arch::network::RowNodes)| {
            let params = row.params();
            row.label == *word
                || *word == format!("row{}", index + 1)
                || word == "classifier" && is_classifier(index)
                || word == BACKBONE && !params.is_empty() && !is_classifier(index)
                || !params.is_empty() && params.iter().all(|param| param.name.starts_with(&prefix))
        };
        let rows: Vec<usize> =
            network.rows.iter().enumerate().filter(|&row| named(row)).map(|(index, _)| index).collect();
        if rows.is_empty() {
            let mut allowed: Vec<&str> =
                network.rows.iter().filter(|row| has_params(row)).map(|row| row.label.as_str()).collect();
            allowed.dedup();
            allowed.push(if key == "freeze" { BACKBONE } else { "classifier" });
            return Err(Problem::unknown(Location::Key(format!("init.{key}")), "row", word, &allowed));
        }
        found.extend(rows);
    }
    Ok(found)
}

/// Extends frozen rows by the rows without parameters in front of them, such as poolings: these do not interrupt a sequence of
/// frozen rows, and the dropout in front of a classifier belongs to the classifier.
fn with_rows_between(network: &Network, mut frozen: BTreeSet<usize>) -> BTreeSet<usize> {
    for index in (0..network.rows.len()).rev() {
        if frozen.contains(&(index + 1)) && !has_params(&network.rows[index]) {
            frozen.insert(index);
        }
    }
    frozen
}

/// Cached hashes by path, length and modification time: the points of a sweep share a file.
static HASHES: LazyLock<Mutex<HashMap<FileFacts, String>>> = LazyLock::new(Mutex::default);

type FileFacts = (PathBuf, u64, SystemTime);

fn hash_of(path: &Path) -> io::Result<String> {
    let facts = std::fs::metadata(path)?;
    let entry: FileFacts = (path.to_owned(), facts.len(), facts.modified()?);
    let known = |hashes: &HashMap<_, String>| hashes.get(&entry).cloned();
    if let Some(hash) = HASHES.lock().ok().and_then(|hashes| known(&hashes)) {
        return Ok(hash);
    }
    let hash = sha256(path)?;
    if let Ok(mut hashes) = HASHES.lock() {
        hashes.insert(entry, hash.clone());
    }
    Ok(hash)
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Words, D::Error> {
        struct WordsVisitor;
        impl<'de> Visitor<'de> for WordsVisitor {
            type Value = Words;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("the name of a row, or a list of names")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Words, E> {
                Ok(Words(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = seq.next_element()? {
                    words.push(word);
                }
                Ok(Words(words))
            }
        }
        d.deserialize_any(WordsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::super::experiment::Experiment;
    use super::*;

    const FILE: &str =
        "[data]\ndataset = 'synthetic'\n[train]\nepochs = 1\n[model]\npreset = 'resnet'\nlayout = 'cifar'\ndepth = 8\n";

    fn read(init: &str) -> Result<Experiment, String> {
        let text = format!("{FILE}{init}");
        let read = Experiment::parse("test.toml", &text, "test", &[], Machine::default());
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn the_hash_and_not_the_path_is_part_of_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            read(&format!("[init]\nfrom = '{}'", path.display())).unwrap()
        };
        let [a, same, other] = [file("a.safetensors", b"x"), file("b.safetensors", b"x"), file("c.pth", b"y")];
        assert_eq!(a.key(), same.key());
        assert!(a.key() != other.key() && a.key() != read("").unwrap().key());
        let again = Experiment::parse("t", &a.to_toml().to_string(), "t", &[], Machine::default()).unwrap();
        assert_eq!((again.key(), again.to_toml()), (a.key(), a.to_toml()));
        assert_eq!(read("[init]\n").unwrap().key(), read("").unwrap().key());
        assert_eq!(read("[init]\nfrom = ''\nreplace = 'fc'").unwrap().key(), read("").unwrap().key());
    }

    #[test]
    fn rows_have_several_names() {
        let rows = |init: &str| {
            let init = read(&format!("[init]\nfrom = 'x.pth'\n{init}")).unwrap().init;
            (init.replaced.into_iter().collect::<Vec<_>>(), init.frozen.into_iter().collect::<Vec<_>>())
        };
        // conv1, layer1, layer2, layer3, the pooling, fc
        assert_eq!(rows("replace = 'classifier'"), (vec![5], vec![]));
        assert_eq!(rows("replace = ['fc', 'row4']"), (vec![3, 5], vec![]));
        assert_eq!(rows("freeze = ['conv1', 'layer1']"), (vec![], vec![0, 1]));
        assert_eq!(rows("freeze = 'backbone'"), (vec![], vec![0, 1, 2, 3]));
        assert_eq!(rows("freeze = ['layer3', 'fc']"), (vec![], vec![3, 4, 5]));
        let error = read("[init]\nfreeze = ['layer5']").unwrap_err();
        assert!(error.contains("there is no row `layer5`") && error.contains("did you mean `layer"), "{error}");
        assert!(read("[init]\nfreeze = ['backbone', 'fc']").unwrap_err().contains("nothing to train"));
    }

    #[test]
    fn whitening_needs_a_convolution_of_fitting_width() {
        let whiten = "[init]\nwhiten = true\n";
        let experiment = read(whiten).unwrap();
        assert!(experiment.init.whiten && experiment.key() != read("").unwrap().key());
        let again = Experiment::parse("t", &experiment.to_toml().to_string(), "t", &[], Machine::default()).unwrap();
        assert_eq!((again.key(), again.init.whiten), (experiment.key(), true));
        assert_eq!(read("[init]\nwhiten = false\n").unwrap().key(), read("").unwrap().key());
        let error = read(&format!("{whiten}from = 'x.pth'")).unwrap_err();
        assert!(error.contains("init.whiten and init.from both set"), "{error}");
        let wide = FILE.replace("depth = 8", "depth = 8\nwidth = 20");
        let error = Experiment::parse("t", &format!("{wide}{whiten}"), "t", &[], Machine::default()).unwrap_err();
        assert!(error.to_string().contains("at most 18 (twice the values of a patch), not 20"), "{error}");
        let rows = "rows = [{ op = 'pool', kind = 'max', kernel = 2 }, { op = 'conv', kernel = 3, width = 8 }, { op = 'classifier' }]";
        let pooled = format!("[data]\ndataset = 'synthetic'\n[train]\nepochs = 1\n[model]\n{rows}\n{whiten}");
        let error = Experiment::parse("t", &pooled, "t", &[], Machine::default()).unwrap_err();
        assert!(error.to_string().contains("does not begin with an ungrouped convolution"), "{error}");
    }

    #[test]
    fn weights_that_are_missing_are_said_when_they_are_needed() {
        let experiment = read("[init]\nfrom = 'pretrained'").unwrap();
        assert_eq!(experiment.init.weights(), Err("init.from: there is no run `pretrained`".to_owned()));
        assert!(read("[init]\nfrom = 'none.pth'").unwrap().init.weights().unwrap_err().contains("cannot read"));
        assert_eq!(read("").unwrap().init.weights(), Ok(None));
    }

    /// Tables and files of runs are taken to other machines, where the working directory is another.
    #[test]
    fn what_is_written_down_is_no_place_of_this_machine() {
        fn found(word: &str) -> Result<FoundRun, String> {
            let weights = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.pth").into();
            Ok(FoundRun { name: format!("{word}/0123456789"), weights })
        }
        let machine = Machine { find_run: Some(found), ..Machine::default() };
        let parse = |text: &str| Experiment::parse("test.toml", text, "test", &[], machine).unwrap();
        let run = parse(&format!("{FILE}[init]\nfrom = 'tiny'"));
        let file = parse(&format!("{FILE}[init]\nfrom = '{}'", run.init.weights().unwrap().unwrap().display()));
        assert_eq!([&run.init.from, &file.init.from], ["tiny/0123456789", "tests/data/tiny.pth"]);
        assert_eq!(run.key(), file.key());
        // A file that was written elsewhere is read from here: its folder has no such file.
        let text = file.to_toml().to_string();
        let again = Experiment::parse("results/runs/x/y/experiment.toml", &text, "x", &[], machine).unwrap();
        assert_eq!((again.init.from.as_str(), again.key()), ("tests/data/tiny.pth", file.key()));
    }
}
