//! CSV: a run's `epochs.csv` and `summary.csv`, a sweep's `table.csv`, tables from elsewhere for `strata compare`.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use strata::analysis::collect::collect;
use strata::analysis::compare::{Request, compare};
use strata::figures::curves::{CurveGroup, chart, cost_picture, sweep_pictures};
use strata::runs::{EpochRow, Epochs, Record, Records, Store, Table};
use tempfile::TempDir;

pub(crate) fn read(data: &[u8]) {
    let table = table(data);
    if let Some(table) = &table {
        pictures(table);
        compared(data, table);
        summary(data);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        epochs(text);
    }
}

/// A table that was read is written down as itself.
fn table(data: &[u8]) -> Option<Table> {
    let table = Table::parse(data, Path::new("x.csv")).ok()?;
    assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
    let written = table.to_csv();
    let again = Table::parse(written.as_bytes(), Path::new("again.csv"));
    assert_eq!(again.as_ref().ok(), Some(&table), "{again:?} of\n{written}");
    Some(table)
}

/// Numbers of every size become pictures.
fn pictures(table: &Table) {
    let nowhere = Path::new("/nonexistent");
    let records = Records::from(table.clone());
    let pictures = sweep_pictures(&records, "x", &Store::new(nowhere));
    let figures = [pictures.curves, pictures.parameter, pictures.cost, cost_picture(&records, "x")];
    figures.iter().flatten().for_each(|figure| drawn(&figure.svg()));
}

/// A picture is small, and has no number that a browser cannot read.
fn drawn(svg: &str) {
    assert!(svg.len() < 1 << 20, "a picture of {} bytes", svg.len());
    for attribute in ["x=\"", "y=\"", "x1=\"", "y1=\"", "x2=\"", "y2=\"", "cx=\"", "cy=\"", "r=\"", "width=\""] {
        for found in svg.split(&format!(" {attribute}")).skip(1) {
            assert!(!found.starts_with("NaN") && !found.starts_with("inf"), "{attribute} in {svg}");
        }
    }
}

/// What `compare` says of the table, in every way it can be asked.
fn compared(data: &[u8], table: &Table) {
    let place = place();
    let path = place.path().join("x.csv");
    fs::write(&path, data).unwrap();
    let store = Store::new(place.path());
    let one = collect(&[path.display().to_string()], &store).unwrap();
    if no_run_stands_twice(table) {
        assert_eq!(&*one, table);
    }
    // Twice the same table: rows say where they are from.
    fs::write(place.path().join("y.csv"), data).unwrap();
    let both = collect(&["x.csv", "y.csv"].map(|file| place.path().join(file).display().to_string()), &store);
    let both = both.unwrap();
    let requests = requests(table);
    for request in &requests {
        comparison(&one, request);
    }
    comparison(&both, &Request::default());
    comparison(&both, &Request { plain: true, all: true, ..Request::default() });
}

/// Rows of one run, which is a name, a key and a seed, become one.
fn no_run_stands_twice(table: &Table) -> bool {
    let columns = ["name", "key", "seed"].map(|column| table.column(column));
    let mut seen = HashSet::new();
    table.rows.iter().all(|row| {
        let run = columns.map(|column| column.map_or("", |column| row[column].as_str()));
        run[1].is_empty() || seen.insert(run)
    })
}

fn requests(table: &Table) -> Vec<Request> {
    let column = |index: usize| table.columns.get(index % table.columns.len()).cloned();
    let some = |index: usize| column(index).map(|column| vec![column]);
    let plain = Request { plain: true, ..Request::default() };
    let baseline = |index: usize| {
        let cell = table.rows.first().and_then(|row| row.get(index)).cloned().unwrap_or_default();
        column(index).map(|column| vec![format!("{column}={cell}")]).unwrap_or_default()
    };
    vec![
        Request::default(),
        Request { all: true, ..plain.clone() },
        Request { runs: true, all: true, ..Request::default() },
        Request { by: some(0), metric: column(1), ..plain.clone() },
        Request { columns: some(1), sort: column(2).map(|column| (column, true)), ..Request::default() },
        Request { baseline: baseline(0), metric: column(table.columns.len() - 1), ..Request::default() },
        Request { baseline: baseline(1), by: some(1), sort: Some(("delta".to_owned(), false)), ..plain },
        Request { top: Some(1), sort: column(0).map(|column| (column, false)), ..Request::default() },
    ]
}

fn comparison(records: &Records, request: &Request) {
    let Ok(comparison) = compare(&mut records.clone(), request) else { return };
    let table = &comparison.table;
    assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
    assert_eq!((comparison.groups.len(), comparison.labels.len()), (table.rows.len(), table.rows.len()));
    let mut rows: Vec<usize> = comparison.groups.iter().flatten().copied().collect();
    rows.sort_unstable();
    rows.dedup();
    let counts = comparison.groups.iter().map(|group| group.len());
    assert_eq!(rows.len(), counts.sum::<usize>(), "each row stands in one line");
    assert!(rows.last().is_none_or(|&last| last < records.rows.len()));
    // What was written for programs can be compared again.
    if request.plain && !table.columns.is_empty() {
        let written = table.to_csv();
        let again = Table::parse(written.as_bytes(), Path::new("again.csv"));
        assert!(again.is_ok(), "{again:?} of\n{written}");
    }
}

fn summary(data: &[u8]) {
    let place = place();
    fs::write(place.path().join("summary.csv"), data).unwrap();
    let _ = Record::read(place.path());
    fs::remove_file(place.path().join("summary.csv")).unwrap();
}

fn epochs(text: &str) {
    let path = Path::new("epochs.csv");
    // The header is a long word to guess: rows alone are rows too.
    let text = if text.starts_with("epoch,") { text.to_owned() } else { format!("{}\n{text}", Epochs::header()) };
    let rows = Epochs::parse(&text, path);
    for count in 0..4 {
        // What a resumed run keeps can be read.
        if let Ok(kept) = Epochs::prefix(&text, count, path) {
            assert_eq!(Epochs::parse(&kept, path).ok().map(|rows| rows.len()), Some(count), "{kept}");
        }
    }
    let Ok(rows) = rows else { return };
    for row in rows.iter() {
        let written = row.line();
        let again = EpochRow::parse(&written);
        assert_eq!(again.map(|row| row.line()), Some(written.clone()), "{row:?}");
    }
    let seeds = CurveGroup { name: "x".to_owned(), runs: vec![rows.clone(), rows.iter().take(1).cloned().collect()] };
    drawn(&chart(&[CurveGroup { name: "<x>".to_owned(), runs: vec![rows] }, seeds], "x & y"));
}

/// A folder for the readers that open their files themselves.
fn place() -> &'static TempDir {
    thread_local!(static PLACE: OnceCell<&'static TempDir> = const { OnceCell::new() });
    PLACE.with(|place| *place.get_or_init(|| Box::leak(Box::new(tempfile::tempdir().unwrap()))))
}
