//! `strata bench --data`: images per second of one core, stage by stage, beside torchvision's loaders.

use super::bench::Bench;
use super::table::show;
use super::{Done, Shared, Usage, print};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use strata::data::{self, Images, Normalise, StageSeconds};
use strata::runs::{median, significant};
use strata::train::Splits;

/// Images that are taken of larger sets.
const MOST: usize = 500;
/// Files that are made where none are given.
const MADE: usize = 24;
const STAGES: [&str; 5] = ["read", "decode", "crop and resize", "flip and normalise", "whole"];
const HEADER: [&str; 6] = ["stage", "strata", "torchvision_v1", "torchvision_v2", "of_v1", "of_v2"];
const WORKER: &str = include_str!("../../bench/loader.py");

/// What is timed, and the files that torchvision reads beside it.
struct LoaderWorkload {
    what: String,
    images: Images,
    normalise: Normalise,
    paths: Vec<PathBuf>,
    _made: tempfile::TempDir,
}

pub(crate) fn run(command: &Bench, shared: &Shared) -> Result<Done> {
    let workload = workload(command, shared)?;
    let mut peer = Peer::start(&workload)?;
    let mut times: [Vec<[f64; 5]>; 3] = Default::default();
    for round in 0..u64::from(command.steps) {
        times[0].push(array(data::stage_seconds(&workload.images, &workload.normalise, round)?));
        if let Some(peer) = &mut peer {
            times[1].push(peer.round("v1")?);
            times[2].push(peer.round("v2")?);
        }
    }
    let line = |(stage, name): (usize, &&str)| {
        let speed = |times: &Vec<[f64; 5]>| {
            let seconds = median(&times.iter().map(|round| round[stage]).collect::<Vec<_>>());
            (seconds > 0.0).then(|| workload.images.len() as f64 / seconds)
        };
        let ratio = |other: &Vec<[f64; 5]>| {
            let rounds = times[0].iter().zip(other).map(|(own, other)| other[stage] / own[stage]);
            Some(median(&rounds.collect::<Vec<_>>())).filter(|ratio| ratio.is_finite())
        };
        let [own, first, second] = times.each_ref().map(|times| speed(times).map_or_else(String::new, rounded));
        let ratios = [&times[1], &times[2]].map(|other| ratio(other).map_or_else(String::new, |r| format!("{r:.2}")));
        let [of_first, of_second] = ratios;
        vec![(*name).to_owned(), own, first, second, of_first, of_second]
    };
    let lines: Vec<Vec<String>> = STAGES.iter().enumerate().map(line).collect();
    tracing::info!("{}; images per second of one core, medians of {} rounds", workload.what, command.steps);
    print(&show(command.format, &HEADER, lines, &["of_v1", "torchvision_v1"])?)?;
    Ok(Done::Well)
}

fn workload(command: &Bench, shared: &Shared) -> Result<LoaderWorkload> {
    let made = tempfile::tempdir()?;
    let imagenet = data::source("imagenet")?;
    let shape = imagenet.info().shape;
    let of_files = |paths: Vec<PathBuf>, what: String| -> Result<(Images, Vec<PathBuf>, String)> {
        Ok((data::images_of(&paths, shape)?, paths, what))
    };
    let mut normalise = imagenet.info().normalise(shape[0]);
    let (images, paths, what) = match command.files.as_slice() {
        [] => of_files(data::write_photographs(made.path(), MADE)?, format!("{MADE} synthetic photographs"))?,
        [folder] if Path::new(folder).is_dir() => {
            let mut paths = data::image_files(Path::new(folder))?;
            paths.truncate(MOST);
            let what = format!("{} images of {folder}", paths.len());
            of_files(paths, what)?
        }
        [file] => {
            let experiment = super::experiment(file, &shared.set)?;
            normalise = experiment.data.normalisation(experiment.network.plan.input[0]);
            let splits = Splits::load(&experiment, &data::cache_dir()?)?.resized(experiment.network.plan.input)?;
            let images = splits.train.take(MOST);
            let (paths, kind) = images.as_files(made.path())?;
            let what = format!("{} training images of {}, {kind}", images.len(), experiment.name);
            (images, paths, what)
        }
        _ => bail!(Usage("--data takes one experiment or folder of images, or none".to_owned())),
    };
    if images.is_empty() {
        bail!(Usage(format!("there are no images in {}", command.files.concat())));
    }
    Ok(LoaderWorkload { what, images, normalise, paths, _made: made })
}

/// torchvision, as a process that waits for its turn.
struct Peer {
    process: Child,
    answers: BufReader<ChildStdout>,
    _list: tempfile::NamedTempFile,
}

#[derive(Deserialize)]
struct Round {
    read: f64,
    decode: f64,
    resize: f64,
    normalise: f64,
    whole: f64,
}

impl Peer {
    /// `None` where there is no torchvision.
    fn start(workload: &LoaderWorkload) -> Result<Option<Peer>> {
        let python = data::cache_dir()?.join("peers/bin/python");
        let absent = || tracing::info!("torchvision is not installed: `make bench-peers` installs it for comparison");
        if !python.exists() {
            absent();
            return Ok(None);
        }
        let mut list = tempfile::NamedTempFile::new()?;
        for path in &workload.paths {
            writeln!(list, "{}", std::path::absolute(path)?.display())?;
        }
        let [_, height, width] = workload.images.shape;
        let mut command = Command::new(python);
        command.args(["-c", WORKER]).arg(list.path()).args([height, width].map(|side| side.to_string()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn()?;
        let mut answers = BufReader::new(process.stdout.take().context("its output is a pipe")?);
        let mut versions = String::new();
        if answers.read_line(&mut versions)? == 0 {
            absent();
            process.wait()?;
            return Ok(None);
        }
        tracing::info!("beside {}", versions.trim());
        Ok(Some(Peer { process, answers, _list: list }))
    }

    fn round(&mut self, loader: &str) -> Result<[f64; 5]> {
        let input = self.process.stdin.as_mut().context("its input is a pipe")?;
        writeln!(input, "{loader}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let Round { read, decode, resize, normalise, whole } =
            serde_json::from_str(&line).with_context(|| format!("torchvision's {loader} ended: {line}"))?;
        Ok([read, decode, resize, normalise, whole])
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.process.stdin.take()); // it ends with its input
        let _ = self.process.wait();
    }
}

fn array(seconds: StageSeconds) -> [f64; 5] {
    let StageSeconds { read, decode, resize, normalise, whole } = seconds;
    [read, decode, resize, normalise, whole]
}

fn rounded(speed: f64) -> String {
    if speed >= 100.0 { format!("{speed:.0}") } else { significant((speed * 10.0).round() / 10.0) }
}
