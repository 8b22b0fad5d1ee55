use super::*;
use std::fs;

const SUMMARY: &str = "name,key,status,seed,params,macs,epochs,val_top1,test_top1,started,model.depth,train.lr";

/// A results folder with files in it.
fn results(files: &[(&str, String)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn run(name: &str, key: &str, rest: &str) -> (String, String) {
    (format!("runs/{name}/{key}/summary.csv"), format!("{SUMMARY}\n{name},{key},{rest}\n"))
}

fn html(files: &[(&str, String)]) -> (String, Vec<String>) {
    let folder = results(files);
    page(&Store::new(folder.path()), Path::new("experiments")).unwrap()
}

#[test]
fn what_a_name_holds_is_text() {
    let bad = "<script>alert(1)</script>";
    let row = format!("{SUMMARY}\n{bad},k,done,0,1,1,1,0.5,0.5,2026,\"<img src=x onerror=alert(1)>\",0.1\n");
    let sweep =
        format!("name,key,status,seed,val_top1,macs,params\n\"{bad}\",a,done,0,0.5,1,1\nother,b,done,0,0.6,2,2\n");
    let svg = "<svg><script>alert(1)</script></svg>".to_owned();
    let (html, _) = html(&[
        ("runs/x/k/summary.csv", row),
        ("sweeps/s/table.csv", sweep),
        ("tables/t.csv", format!("a\n{bad}\n")),
        ("tables/p.svg", svg),
    ]);
    assert_eq!(html.matches("<script>").count(), 1, "the page's own");
    assert!(!html.contains("<img src=x") && !html.contains("alert(1)</script>"));
    assert!(html.contains("&#60;script&#62;alert(1)"), "the name is shown");
}

#[test]
fn the_page_asks_for_nothing() {
    let (html, _) = html(&[("tables/t.csv", "a\n1\n".to_owned())]);
    assert!(html.contains("Content-Security-Policy\" content=\"default-src 'none';"));
    for outside in ["src=\"http", "href=\"http", "url(http", "@import", "<link"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn settings_that_distinguish_runs_are_shown() {
    let runs = [
        run("a", "k1", "done,0,1,1,1,0.5,0.4,2026-01-01T00:00:00Z,8,0.1"),
        run("a", "k2", "diverged,0,1,1,1,0.5,,2026-01-02T00:00:00Z,14,0.1"),
        run("b", "k3", "done,0,1,1,1,0.5,0.4,2026-01-03T00:00:00Z,20,0.3"),
    ];
    let folder = results(&runs.each_ref().map(|(path, text)| (path.as_str(), text.clone())));
    let contents = gather(&Store::new(folder.path())).unwrap();
    let keys: Vec<&str> = contents.runs.iter().map(|run| run.text("key")).collect();
    assert_eq!(keys, ["k3", "k2", "k1"], "the newest first");
    let differences = Differences::of(&contents.runs);
    let settings: Vec<String> = contents.runs.iter().map(|run| differences.setting(run)).collect();
    assert_eq!(settings, ["", "model.depth=14", "model.depth=8"]);
    let counts: Vec<(String, usize)> = sections::counts(&contents).into_iter().map(|(name, n, _)| (name, n)).collect();
    assert_eq!(counts, [("runs done".to_owned(), 2), ("run diverged".to_owned(), 1)]);
}

/// A run that was killed has no summary; one that another process works on is running.
#[test]
fn runs_without_a_summary_have_a_status_too() {
    let text = "name = 'a'\nseed = 3\n[train]\nlr = 0.1\n".to_owned();
    let folder = results(&[("runs/a/k/experiment.toml", text), ("runs/a/k/.lock", String::new())]);
    let status = || gather(&Store::new(folder.path())).unwrap().runs[0].text("status").to_owned();
    assert_eq!(status(), "interrupted");
    let lock = fs::File::open(folder.path().join("runs/a/k/.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(status(), "running");
    assert_eq!(gather(&Store::new(folder.path())).unwrap().runs[0].text("train.lr"), "0.1");
}

#[test]
fn what_is_broken_is_a_note_and_the_rest_is_shown() {
    let (html, notes) = html(&[
        ("runs/a/k/experiment.toml", "not toml".to_owned()),
        ("tables/good.csv", "a,b\n1,2\n".to_owned()),
        ("tables/ragged.csv", "a,b\n1\n".to_owned()),
        ("sweeps/s/table.csv", "a,b\n1,2,3\n".to_owned()),
    ]);
    assert_eq!(notes.len(), 3, "{notes:#?}");
    assert!(notes.iter().any(|note| note.contains("ragged.csv, line 2")), "{notes:#?}");
    assert!(html.contains("good.csv") && html.contains("Notes"));
    assert!(page(&Store::new("/missing"), Path::new("experiments")).is_err());
}

#[test]
fn an_empty_folder_says_so() {
    let (html, notes) = html(&[]);
    assert!(html.contains("There is nothing here yet") && notes.is_empty());
}

#[test]
fn a_study_has_its_picture_its_table_and_its_command() {
    let (html, notes) = html(&[
        ("studies/lesion/net-1234567890.csv", "run,top1\nnet,0.5\n".to_owned()),
        ("studies/lesion/net-1234567890.svg", "<svg/>".to_owned()),
        ("studies/lesion/net-1234567890.toml", "command = 'strata study lesion net'\n".to_owned()),
    ]);
    assert!(notes.is_empty() && html.contains("<section id=\"studies\">") && !html.contains("id=\"tables\""));
    assert!(html.contains("<code>strata study lesion net</code>") && html.contains("lesion: net-1234567890"));
}

#[test]
fn commands_are_whole() {
    assert_eq!(runs::shell("results/runs/a/k"), "results/runs/a/k");
    assert_eq!(runs::shell("my results/it's"), "'my results/it'\\''s'");
    assert_eq!(sections::option(Path::new("results")), "");
    assert_eq!(sections::option(Path::new("my results")), " --results 'my results'");
}
