//! The page of all results, in a real browser.

use super::place::{Place, TINY};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn the_page_holds_what_was_run() {
    let place = Place::trained("tiny", TINY);
    assert_eq!(place.strata(&["report"]).wrote(), ["results/report.html"]);
    let html = fs::read_to_string(place.path("results/report.html")).unwrap();
    let key = place.run("tiny").key().to_owned();
    assert!(html.contains(&format!("strata train results/runs/tiny/{key}/experiment.toml --force")));
    assert!(html.contains("marker id=\"head-0\"") && html.contains("Top-1 accuracy"), "diagram and curves");
    place.strata(&["report", "-o", "elsewhere.html", "-q"]).good();
    assert!(place.path("elsewhere.html").is_file());
}

#[test]
fn a_missing_folder_is_said() {
    let place = Place::new();
    place.strata(&["report"]).refused(&["there is no results folder results", "--results DIR"]);
    fs::create_dir(place.path("results")).unwrap();
    place.strata(&["report", "-o", "results"]).refused(&["results is a folder", "-o takes the name of a file"]);
}

/// Stands first in the page: collects whatever goes wrong.
const WATCH: &str = r#"<script>
window.problems = [];
addEventListener("error", (event) => problems.push(event.message || "a resource failed"), true);
addEventListener("securitypolicyviolation", (event) => problems.push("policy: " + event.blockedURI));
for (const level of ["error", "warn"]) console[level] = (...words) => problems.push(words.join(" "));
</script>"#;

/// Stands last: sorts the table of runs by seed in both directions, searches it, and tells what came of it.
const TRY: &str = r##"<script>
const table = document.querySelector("#runs table");
const header = Array.from(table.tHead.rows[0].cells).find((cell) => cell.textContent === "seed");
const seeds = () => Array.from(table.tBodies[0].rows).filter((row) => !row.hidden)
  .map((row) => row.cells[header.cellIndex].textContent).join(",");
const steps = [seeds()];
for (let turn = 0; turn < 2; turn++) {
  header.querySelector("button").click();
  steps.push(header.getAttribute("aria-sort") + " " + seeds());
}
const field = document.querySelector("#runs input");
field.value = "needle";
field.dispatchEvent(new Event("input"));
steps.push(seeds());
steps.push(document.documentElement.scrollWidth <= innerWidth ? "fits" : "overflows");
const verdict = document.createElement("pre");
verdict.id = "verdict";
verdict.textContent = steps.join(";") + ";problems:" + problems.join("|");
document.body.append(verdict);
</script>"##;

/// Opens the page on a phone's width, sorts a table, searches it, and finds no error.
#[test]
fn a_browser_sorts_the_page_without_an_error() {
    let Some(browser) = browser() else {
        // Not with `eprintln!`, which the test runner keeps to itself.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED a_browser_sorts_the_page_without_an_error: no chromium, chromium-browser or google-chrome on the \
             PATH; `apt-get install chromium` brings one"
        );
        return;
    };
    let place = Place::new();
    for seed in [10, 9, 2, 100, 1, 3, 4, 5, 6, 7, 8, 11] {
        let name = if seed == 9 { "needle" } else { "run<i>" };
        let summary = format!("name,key,status,seed,val_top1,started\n{name},k{seed},done,{seed},0.5,2026-{seed:03}\n");
        place.file(&format!("results/runs/run/k{seed}/summary.csv"), summary);
    }
    place.file(
        "results/sweeps/s/table.csv",
        "train.lr,seed,name,key,status,val_top1\n0.1,0,s,a,done,0.5\n0.2,0,s,b,done,0.6\n",
    );
    place.strata(&["report"]).good();
    let html = fs::read_to_string(place.path("results/report.html")).unwrap();
    let html = html.replacen("<head>", &format!("<head>{WATCH}"), 1).replacen("</body>", &format!("{TRY}</body>"), 1);
    let page = place.file("tried.html", html);
    let dom = open(&browser, &page, &place.path("browser"));
    let verdict = dom.split("<pre id=\"verdict\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let expected = "100,11,10,9,8,7,6,5,4,3,2,1;ascending 1,2,3,4,5,6,7,8,9,10,11,100;\
                    descending 100,11,10,9,8,7,6,5,4,3,2,1;9;fits;problems:";
    assert_eq!(verdict, Some(expected), "{dom}");
}

/// A browser on the `PATH`.
fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file())
}

/// The document as it is once its scripts have run.
fn open(browser: &Path, page: &Path, profile: &Path) -> String {
    let dom = profile.with_extension("html");
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--window-size=390,844", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .stdout(File::create(&dom).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            panic!("{} did not end", browser.display());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::read_to_string(dom).unwrap()
}
