use super::*;
use crate::runs::Records;
use std::fs;

fn row(epoch: usize, loss: f64, top1: f64) -> EpochRow {
    EpochRow {
        epoch,
        step: 10 * epoch as u64,
        lr: 0.1,
        train_loss: loss * 0.9,
        train_top1: top1,
        train_top5: 1.0,
        val_loss: loss,
        val_top1: top1,
        val_top5: 1.0,
        epoch_seconds: 1.0,
        images_per_second: 100.0,
        peak_memory_mib: 0.0,
    }
}

fn group(name: &str, top1s: &[f64]) -> CurveGroup {
    let run = |&top1: &f64| [row(1, 2.0, top1 / 2.0), row(2, 1.0, top1)].into_iter().collect();
    CurveGroup { name: name.to_owned(), runs: top1s.iter().map(run).collect() }
}

const ROWS: &str = "1,5,0.1,2,0.2,0.5,2.1,0.21,0.5,1.0,100.0,0\n2,10,0.1,1,0.4,0.5,1.1,0.41,0.5,1.0,100.0,0\n";

#[test]
fn the_mean_over_seeds_lies_in_its_band() {
    let (points, band) = over_seeds(&group("a", &[0.2, 0.4, 0.9]).runs, |row| row.val_top1);
    assert_eq!(points, [[1.0, 0.25], [2.0, 0.5]]);
    assert_eq!(band, [[1.0, 0.1, 0.45], [2.0, 0.2, 0.9]]);
    let svg = chart(&[group("a <b>", &[0.2, 0.4])], "two");
    assert!(svg.contains("a &lt;b&gt; (2 seeds)") && svg.contains("<polygon") && svg.contains("lowest to the highest"));
    assert!(!chart(&[group("a", &[0.2])], "one").contains("<polygon"), "a single run has no band");
}

/// The mean of the seeds that were left used to be drawn, with a band of no width.
#[test]
fn a_mean_is_of_all_seeds_or_not_drawn() {
    let mut wild = group("wild", &[0.2, 0.4]);
    wild.runs.iter_mut().for_each(|run| run.0.push(row(3, 0.5, 0.3)));
    wild.runs[0].0[1].val_loss = 1e3;
    let (points, band) = over_seeds(&wild.runs, |row| drawable(row.val_loss));
    assert_eq!([points[0], points[2]], [[1.0, 2.0], [3.0, 0.5]]);
    assert!(points[1][1].is_nan() && band[1][1].is_nan() && band[1][2].is_nan(), "{points:?} {band:?}");
    let broken = "A line breaks where one of its seeds has no value to draw.";
    assert!(figure(&[wild.clone()], 1, "s").note.contains(broken));
    wild.runs[0].0[1].val_loss = 1.0;
    assert!(!figure(&[wild.clone()], 1, "s").note.contains(broken));
    // One that ended early takes no part in a mean behind its end, and there is none without it.
    wild.runs[1].0.pop();
    assert!(over_seeds(&wild.runs, |row| row.val_top1).0[2][1].is_nan());
}

#[test]
fn one_epoch_is_a_dot() {
    let one = CurveGroup { name: "short".to_owned(), runs: vec![[row(1, 2.0, 0.1)].into_iter().collect()] };
    assert!(chart(&[one], "one").contains("<circle"));
}

#[test]
fn of_many_groups_the_best_are_drawn() {
    let groups: Vec<CurveGroup> =
        (0..40).map(|index| group(&format!("g{index}"), &[f64::from(index) / 40.0])).collect();
    let svg = chart(&groups, "many");
    assert!(svg.contains(">g39<") && svg.contains(">g16<") && !svg.contains(">g15<"));
    assert!(svg.contains("The 24 of 40 settings with the best validation Top-1."));
    assert!(chart(&[], "none").ends_with("</svg>\n"));
}

/// A sweep of many settings used to show its best 16.
#[test]
fn many_groups_of_common_keys_are_all_drawn() {
    let groups: Vec<CurveGroup> = (0..40)
        .map(|index| group(&format!("depth={} lr={}", index / 5, index % 5), &[f64::from(index) / 40.0]))
        .collect();
    let figure = figure(&groups, 40, "many");
    assert_eq!((figure.panels.len(), figure.parts, figure.pieces().len()), (16, 8, 2));
    assert!(figure.panels.iter().all(|panel| panel.series.len() == 5));
    assert_eq!(figure.note, "Validation only. One panel for each depth.");
    let svg = figure.svg();
    assert!((0..8).all(|depth| svg.matches(&format!(">depth={depth}<")).count() == 2), "{svg}");
    assert!(svg.matches(">lr=4<").count() == 1 && svg.matches(">epoch<").count() == 8);
}

/// One run whose loss explodes used to leave the others a flat line, and the axis a pile of numbers.
#[test]
fn a_run_that_diverges_does_not_hide_the_others() {
    let mut wild = group("wild", &[0.1, 0.1]);
    wild.runs[0].0[1].val_loss = 1e33;
    wild.runs[0].0[1].train_loss = f64::NAN;
    let figure = figure(&[group("tame", &[0.4, 0.6]), wild], 2, "both");
    assert!(figure.note.ends_with("Losses above 100 are not drawn."), "{}", figure.note);
    assert!(!figure.svg().contains("e33") && !figure.svg().contains("1e"), "{}", figure.svg());
}

fn pictures(table: &str) -> SweepPictures {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    fs::write(&path, table).unwrap();
    sweep_pictures(&Records::from_csv(&path, false).unwrap(), "s", &crate::runs::Store::new(folder.path()))
}

#[test]
fn a_number_makes_an_axis_and_the_other_keys_make_series() {
    let mut table = String::from("model.shortcut,train.lr,seed,name,key,status,params,macs,val_top1,test_top1\n");
    for shortcut in ["A", "none"] {
        for lr in ["0.001", "0.01", "0.1"] {
            for seed in 0..3 {
                table.push_str(&format!("{shortcut},{lr},{seed},n,k{shortcut}{lr}{seed},done,10,100,0.5,0.4\n"));
            }
        }
    }
    table.push_str("none,0.1,3,n,k,diverged,10,100,0.9,\n");
    let SweepPictures { curves, parameter, cost } = pictures(&table);
    let parameter = parameter.unwrap();
    let names: Vec<String> = parameter.legend().into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["shortcut=A", "shortcut=none"]);
    assert_eq!(parameter.panels.len(), 2);
    assert_eq!(parameter.panels[0].x.label, "train.lr (logarithmic)");
    assert!(parameter.note.ends_with("Not shown: 1 diverged."), "{}", parameter.note);
    assert!(curves.is_none() && cost.is_none(), "no run folders; every setting costs the same");
}

/// `name` and `model` say the same: the short one names the rows. Multipliers of a scaling follow from its axis.
#[test]
fn texts_make_an_axis_of_names() {
    let head = "name,key,status,seed,params,macs,val_top1,test_top1\n";
    let named =
        format!("model,{head}preset=nin,nin,k1,done,0,10,100,0.5,0.4\npreset=vgg,vgg,k2,done,0,20,900,0.6,0.5\n");
    let parameter = pictures(&named).parameter.unwrap();
    assert_eq!(parameter.panels[0].y.names, ["nin", "vgg"]);
    let scaled = format!(
        "scaling.axis,scaling.depth,{head}depth,2,n,k1,done,0,10,100,0.5,0.4\nwidth,1,n,k2,done,0,20,110,0.6,0.5\n\
         resolution,1,n,k3,done,0,10,90,0.55,0.45\n"
    );
    let SweepPictures { parameter, cost, .. } = pictures(&scaled);
    assert_eq!(parameter.unwrap().panels[0].y.names, ["depth", "resolution", "width"]);
    assert_eq!(cost.unwrap().panels.len(), 2);
}

/// Drawn after every point of a sweep: what is kept in git stays where the runs it was drawn from are gone.
#[test]
fn a_picture_without_data_is_left_as_it_is() {
    let results = tempfile::tempdir().unwrap();
    let sweep = results.path().join("sweeps/s");
    let run = results.path().join("runs/n/k1");
    fs::create_dir_all(&sweep).unwrap();
    fs::create_dir_all(&run).unwrap();
    let table = "train.lr,name,key,status,params,macs,val_top1\n0.1,n,k1,done,10,100,0.5\n0.2,n,k2,done,20,300,0.6\n";
    fs::write(sweep.join("table.csv"), table).unwrap();
    fs::write(sweep.join("curves.svg"), "kept").unwrap();
    let names = |paths: Vec<std::path::PathBuf>| {
        paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let store = crate::runs::Store::new(results.path());
    let written = write_sweep_pictures(&sweep, &store).unwrap();
    assert_eq!(names(written), ["parameter.svg", "cost.svg"]);
    assert_eq!(fs::read_to_string(sweep.join("curves.svg")).unwrap(), "kept");
    let epochs = format!("{}\n{ROWS}", Epochs::header());
    fs::write(run.join("epochs.csv"), &epochs).unwrap();
    let written = write_sweep_pictures(&sweep, &store).unwrap();
    assert_eq!(names(written), ["parameter.svg", "cost.svg"], "the curves of one run are not those of two");
    let other = results.path().join("runs/n/k2");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("epochs.csv"), &epochs).unwrap();
    let written = write_sweep_pictures(&sweep, &store).unwrap();
    assert_eq!(names(written), ["curves.svg", "parameter.svg", "cost.svg"]);
    // A sweep whose points cost the same has no picture of costs any more; one whose costs are not measured yet may have.
    fs::write(sweep.join("table.csv"), table.replace("0.2,n,k2,done", "0.2,n,k2,")).unwrap();
    write_sweep_pictures(&sweep, &store).unwrap();
    assert!(sweep.join("cost.svg").is_file());
    fs::write(sweep.join("table.csv"), table.replace("20,300", "10,100")).unwrap();
    write_sweep_pictures(&sweep, &store).unwrap();
    assert!(!sweep.join("cost.svg").exists() && sweep.join("parameter.svg").is_file());
    write_run_picture(&run).unwrap();
    assert!(fs::read_to_string(run.join("curves.svg")).unwrap().contains("n (k1)"));
    assert!(write_sweep_pictures(&run, &store).unwrap_err().to_string().contains("table.csv"));
}
