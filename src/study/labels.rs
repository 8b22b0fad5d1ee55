//! What people call the runs of a study.

use super::Subject;
use crate::runs::record::flatten;

/// The label of each subject: the name of its experiment and, where others have the same name, the settings in which it differs
/// from them. Runs that differ in the seed alone have one label.
pub(super) fn labels(subjects: &[Subject]) -> Vec<String> {
    let names: Vec<&str> = subjects.iter().map(name).collect();
    let settings: Vec<Vec<(String, String)>> = subjects.iter().map(settings).collect();
    let several = names.iter().any(|name| *name != names[0]);
    let label = |index: usize| {
        let alike = || (0..names.len()).filter(|&other| names[other] == names[index]);
        let differs = |setting: &&(String, String)| alike().any(|other| !settings[other].contains(setting));
        let own = settings[index].iter().filter(differs);
        let own = own.map(|(key, value)| format!("{}={value}", key.rsplit('.').next().unwrap_or_default()));
        let name = Some(names[index].to_owned()).filter(|_| several);
        let words: Vec<String> = name.into_iter().chain(own).collect();
        if words.is_empty() { names[index].to_owned() } else { words.join(" ") }
    };
    (0..names.len()).map(label).collect()
}

fn name(subject: &Subject) -> &str {
    subject.experiment.as_ref().map_or(subject.name.as_str(), |experiment| &experiment.name)
}

/// Every key of the experiment with its value, except its name and seed.
fn settings(subject: &Subject) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    if let Some(experiment) = &subject.experiment {
        flatten("", &toml::Value::Table(experiment.to_toml()), &mut settings);
    }
    settings.retain(|(key, _)| !["name", "seed"].contains(&key.as_str()));
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::golden::network;
    use crate::config::{Experiment, Machine};

    /// Nine runs of a sweep were named by the beginnings of their keys.
    #[test]
    fn runs_of_a_name_are_told_apart_by_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let subject = |name: &str, overrides: &[&str]| {
            let path = folder.path().join(format!("{name}.toml"));
            let model = "[model]\npreset = 'resnet'\nlayout = 'cifar'\ndepth = 8\n";
            let text = format!("[data]\ndataset = 'synthetic'\n{model}[train]\nepochs = 1\nlr = 0.1\n");
            std::fs::write(&path, text).unwrap();
            let overrides: Vec<String> = overrides.iter().map(|word| (*word).to_owned()).collect();
            let experiment = Experiment::load(&path, &overrides, Machine::default()).unwrap();
            let keys = "preset = 'resnet'\nlayout = 'cifar'\ndepth = 8";
            let mut subject = Subject::example(network(keys, [1, 28, 28], 10), 1);
            subject.experiment = Some(experiment);
            subject
        };
        let sweep =
            || [&["model.depth=14"][..], &["model.depth=14", "seed=1"], &["train.lr=0.3"]].map(|set| subject("a", set));
        assert_eq!(labels(&sweep()), ["depth=14 lr=0.1", "depth=14 lr=0.1", "depth=8 lr=0.3"]);
        let mut with_other = Vec::from(sweep());
        with_other.push(subject("b", &[]));
        assert_eq!(labels(&with_other)[2..], ["a depth=8 lr=0.3", "b"]);
        assert_eq!(labels(&[subject("b", &[]), subject("b", &["seed=1"])]), ["b", "b"]);
    }
}
