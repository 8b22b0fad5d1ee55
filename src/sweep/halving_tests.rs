//! Decisions from results that arrive in some order: what goes on follows from their values.

use super::*;
use crate::config::Machine;
use crate::random;
use std::fs;

fn halving(asynchronous: bool) -> Halving {
    Halving { rungs: vec![1, 3], keep: 1.0 / 3.0, by: "val_top1".to_owned(), asynchronous }
}

/// Runs to the end: of the points that have something to do, `pick` chooses which arrives next. Returns the decisions and the
/// settings that run to the end.
fn simulate(halving: &Halving, results: &[f64], mut pick: impl FnMut(usize) -> usize) -> (Vec<Decision>, Vec<usize>) {
    let mut reached: HashMap<(usize, usize), f64> = HashMap::new();
    let mut ended = Vec::new();
    loop {
        let (goals, decisions) =
            decide(halving, results.len(), &mut |setting, rung| reached.get(&(setting, rung)).copied());
        let todo: Vec<(usize, Option<usize>)> = (0..results.len())
            .filter_map(|setting| match goals[setting] {
                Goal::Epoch(epoch) if epoch.is_some() || !ended.contains(&setting) => Some((setting, epoch)),
                _ => None,
            })
            .collect();
        let Some(&(setting, epoch)) = todo.get(if todo.is_empty() { 0 } else { pick(todo.len()) }) else {
            assert!(!goals.contains(&Goal::Wait), "nothing left to do");
            ended.sort_unstable();
            return (decisions, ended);
        };
        match epoch {
            Some(rung) => _ = reached.insert((setting, rung), results[setting] + rung as f64),
            None => ended.push(setting),
        }
    }
}

#[test]
fn the_best_third_goes_on() {
    let results = [0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.5];
    let (decisions, ended) = simulate(&halving(false), &results, |_| 0);
    assert_eq!(ended, [1]);
    let kept = |rung| decisions.iter().filter(|row| row.rung == rung && row.kept == Some(true)).count();
    assert_eq!((kept(1), kept(3), decisions.len()), (3, 1, 12));
    // Without a whole third one goes on; of equals the first.
    assert_eq!(simulate(&halving(false), &[0.5, 0.5], |_| 0).1, [0]);
}

#[test]
fn asynchronously_a_setting_goes_on_before_all_have_arrived() {
    let mut known = HashMap::from([((0, 1), 0.1), ((1, 1), 0.3)]);
    let goals = |known: &HashMap<(usize, usize), f64>| {
        decide(&halving(true), 9, &mut |setting, rung| known.get(&(setting, rung)).copied()).0
    };
    assert_eq!(goals(&known)[..3], [Goal::Wait, Goal::Wait, Goal::Epoch(Some(1))]);
    // A later arrival does not count before the ones that precede it.
    known.insert((3, 1), 0.9);
    assert_eq!(goals(&known)[1..4], [Goal::Wait, Goal::Epoch(Some(1)), Goal::Wait]);
    known.insert((2, 1), 0.2);
    assert_eq!(goals(&known)[..4], [Goal::Wait, Goal::Epoch(Some(3)), Goal::Wait, Goal::Epoch(Some(3))]);
}

#[test]
fn decisions_do_not_depend_on_the_order_of_arrival() {
    for asynchronous in [false, true] {
        let halving = halving(asynchronous);
        let results: Vec<f64> = (0..20).map(|index| random::uniform(7, index)).collect();
        let expected = simulate(&halving, &results, |_| 0);
        for seed in 0..50 {
            let mut count = 0;
            let pick = |choices: usize| {
                count += 1;
                (random::uniform(seed, count) * choices as f64) as usize
            };
            assert_eq!(simulate(&halving, &results, pick), expected, "{seed}");
        }
    }
}

#[test]
fn seeds_count_by_their_median() {
    assert_eq!(median(&[0.3, 0.1, 0.9]), 0.3);
    assert_eq!(median(&[0.2, 0.4]), (0.2 + 0.4) / 2.0);
    assert_eq!(median(&[f64::NEG_INFINITY, 0.5, 0.4]), 0.4);
}

#[test]
fn a_point_at_its_rung_waits_for_the_other_seeds() {
    let results = tempfile::tempdir().unwrap();
    let store = Store::new(results.path());
    let text = "[data]\ndataset = 'synthetic'\nvalidation = 400\n[model]\npreset = 'resnet'\nlayout = 'cifar'\ndepth = 8\n\
                [train]\nepochs = 2\n[sweep]\nseed = [0, 1, 2]\n[sweep.halving]\nrungs = [1]\nkeep = 0.5\n";
    let sweep = Sweep::parse("s.toml", text, "s", &[], Machine::default()).unwrap();
    let mut rungs = Rungs::new(&sweep).unwrap();
    let first = Goal::Epoch(Some(1));
    assert_eq!(rungs.goals(&store, &[]), [first; 3]);
    let mut reach = |point: usize| {
        let epochs =
            format!("{}\n1,2,0.1,2.3,0.100000,0.500000,2.2,0.200000,0.600000,0.090,1614.8,134\n", Epochs::header());
        let run = store.folder_of(&sweep.points[point]);
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("epochs.csv"), epochs).unwrap();
        rungs.goals(&store, &[])
    };
    // The first one to get there is not the first of its setting.
    assert_eq!(reach(1), [first, Goal::Wait, first]);
    assert_eq!(reach(0), [Goal::Wait, Goal::Wait, first]);
    assert_eq!(reach(2), [Goal::Epoch(None); 3]);
}
