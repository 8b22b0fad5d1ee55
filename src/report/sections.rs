//! Parts of the page that are not single runs: kept results, sweeps, shelves of tables and pictures.

use super::gather::{Found, Run, Shelf, Sweep};
use super::runs::{again, shell, status_class};
use super::view::{FigureView, PictureView, TableView, grouped, percent};
use crate::analysis::Spread;
use crate::analysis::settings::{Setting, Settings};
use crate::figures::curves::{CurveGroup, figure, sweep_pictures};
use crate::runs::Table;
use crate::runs::{Status, Store, SweepSource, counted, read_epochs};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;

/// Larger pictures are left out.
const LARGEST: u64 = 2 << 20;

/// A result that was put aside.
pub struct KeptSection {
    pub name: String,
    pub status: String,
    pub status_class: &'static str,
    /// Name and value.
    pub facts: Vec<(&'static str, String)>,
    pub command: String,
    pub curves: Option<FigureView>,
}

pub struct SweepSection {
    pub name: String,
    pub command: String,
    pub state: String,
    pub summary: TableView,
    pub points: TableView,
    pub figures: Vec<FigureView>,
    pub pictures: Vec<PictureView>,
}

/// A folder of tables and pictures.
pub struct ShelfSection {
    pub name: String,
    /// May be empty: not every folder's maker is known.
    pub command: String,
    pub tables: Vec<TableView>,
    pub pictures: Vec<PictureView>,
}

impl KeptSection {
    pub fn of(run: &Run, store: &Store, notes: &mut Vec<String>) -> KeptSection {
        let name = run.folder.strip_prefix(store.root()).unwrap_or(&run.folder).display().to_string();
        let rows = read_epochs(&run.folder).unwrap_or_else(|error| {
            notes.push(error.to_string());
            Vec::new()
        });
        let group = CurveGroup { name: name.clone(), runs: vec![rows] };
        let curves = (!group.runs[0].is_empty()).then(|| FigureView::of(&figure(&[group], &name)));
        let in_percent = |column: &str| match run.number(column) {
            Some(value) => format!("{} %", percent(Some(value))),
            None => String::new(),
        };
        let facts = [
            ("test Top-1", in_percent("test_top1")),
            ("test Top-5", in_percent("test_top5")),
            ("validation Top-1", in_percent("val_top1")),
            ("parameters", grouped(run.text("params"))),
            ("multiply-adds", grouped(run.text("macs"))),
            ("epochs", run.text("epochs").to_owned()),
            ("seed", run.text("seed").to_owned()),
            ("seconds", run.text("seconds").to_owned()),
            ("device", format!("{} {}", run.text("device"), run.text("precision")).trim().to_owned()),
            ("commit", run.text("git").to_owned()),
            ("started", run.text("started").to_owned()),
        ];
        KeptSection {
            name,
            status: run.text("status").to_owned(),
            status_class: status_class(run.status()),
            facts: facts.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            command: again(run, store),
            curves,
        }
    }
}

impl Sweep {
    /// Keys of its runs.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let column = self.table.column("key");
        self.table.rows.iter().filter_map(move |row| row.get(column?).map(String::as_str))
    }
}

impl SweepSection {
    pub fn of(sweep: &Sweep, store: &Store, experiments: &Path, notes: &mut Vec<String>) -> SweepSection {
        let Sweep { name, folder, table } = sweep;
        let drawn = sweep_pictures(table, name, store);
        // Runs are not kept in git, a picture of their curves may be.
        let stored = folder.join("curves.svg");
        let pictures = match drawn.curves {
            None if stored.is_file() => picture(&stored, store.root(), notes).into_iter().collect(),
            _ => Vec::new(),
        };
        let figures = [drawn.parameter, drawn.cost, drawn.curves].into_iter().flatten();
        SweepSection {
            name: name.clone(),
            command: sweep_command(sweep, store.root(), experiments),
            state: state(table),
            summary: summary(table, name),
            points: TableView::of(table, &format!("{name}: every point")),
            figures: figures.map(|figure| FigureView::of(&figure)).collect(),
            pictures,
        }
    }
}

/// The sweep's file is looked for where sweeps are kept.
fn sweep_command(sweep: &Sweep, results: &Path, experiments: &Path) -> String {
    let source = SweepSource::read(&sweep.folder);
    let stem = source.as_ref().and_then(|source| source.file.file_stem()).map(|stem| stem.to_string_lossy());
    let name = stem.as_deref().unwrap_or(&sweep.name);
    let places = [format!("sweeps/{name}"), name.to_owned()];
    let known = places.into_iter().find(|place| experiments.join(format!("{place}.toml")).is_file());
    let file = known.unwrap_or_else(|| match &source {
        Some(source) => source.file.display().to_string(),
        None => format!("{name}.toml"),
    });
    let set = source.iter().flat_map(|source| &source.set).map(|text| format!(" --set {}", shell(text)));
    format!("strata sweep {}{}{}", shell(&file), set.collect::<String>(), option(results))
}

/// `--results DIR` where that is not the usual one.
pub fn option(results: &Path) -> String {
    if results == Path::new("results") {
        String::new()
    } else {
        format!(" --results {}", shell(&results.display().to_string()))
    }
}

/// "18 points: 17 done, 1 failed".
fn state(table: &Table) -> String {
    let Some(column) = table.column("status") else { return counted(table.rows.len(), "point") };
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for row in &table.rows {
        let status = if row[column].is_empty() { "to come" } else { row[column].as_str() };
        match counts.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += 1,
            None => counts.push((status, 1)),
        }
    }
    let parts: Vec<String> = counts.iter().map(|(status, count)| format!("{count} {status}")).collect();
    format!("{}: {}", counted(table.rows.len(), "point"), parts.join(", "))
}

/// One row a setting: means over the seeds that are done.
fn summary(table: &Table, name: &str) -> TableView {
    let Settings { keys, settings, .. } = Settings::of(table);
    let mut columns: Vec<String> = keys.iter().map(|&key| table.columns[key].clone()).collect();
    if keys.is_empty() {
        columns.push("sweep".to_owned());
    }
    columns.extend(
        ["seeds", "val Top-1, %", "test Top-1, %", "parameters", "multiply-adds", "seconds"].map(str::to_owned),
    );
    let row = |setting: &Setting| {
        let status = table.column("status");
        let done =
            |&row: &usize| status.is_none_or(|column| Status::parse(&table.rows[row][column]) == Some(Status::Done));
        let rows: Vec<usize> = setting.rows.iter().copied().filter(done).collect();
        let spread = |column: &str| Spread::of(&table.numbers(table.column(column)?, &rows));
        let shown = |column: &str| match spread(column) {
            Some(Spread { n: 1, mean, .. }) => percent(Some(mean)),
            Some(Spread { mean, std, .. }) => format!("{} ± {}", percent(Some(mean)), percent(Some(std))),
            None => String::new(),
        };
        let first = |column: &str| {
            table.column(column).and_then(|column| Some(grouped(&table.rows[*setting.rows.first()?][column])))
        };
        let mut cells: Vec<String> = keys.iter().map(|&key| table.rows[setting.rows[0]][key].clone()).collect();
        if keys.is_empty() {
            cells.push(name.to_owned());
        }
        cells.extend([
            rows.len().to_string(),
            shown("val_top1"),
            shown("test_top1"),
            first("params").unwrap_or_default(),
            first("macs").unwrap_or_default(),
            spread("seconds").map_or_else(String::new, |spread| format!("{:.1}", spread.mean)),
        ]);
        cells
    };
    let rows = settings.iter().take(MOST_SETTINGS).map(row).collect();
    let mut view = TableView::new(&format!("{name}: mean ± standard deviation over seeds"), columns, rows);
    if settings.len() > MOST_SETTINGS {
        view.note = format!("The first {MOST_SETTINGS} of {} settings.", settings.len());
    }
    view
}

const MOST_SETTINGS: usize = 500;

/// Folders of a results folder whose files one command makes.
const MAKERS: [(&str, &str); 2] = [("tables", "make tables"), ("bench", "make bench")];

impl ShelfSection {
    pub fn of(shelf: &Shelf, results: &Path, notes: &mut Vec<String>) -> ShelfSection {
        let name = shelf.folder.strip_prefix(results).unwrap_or(&shelf.folder).display().to_string();
        let maker = MAKERS.iter().find(|(folder, _)| *folder == name);
        let table = |(path, table): &(std::path::PathBuf, Table)| {
            TableView::of(table, &path.file_name().unwrap_or_default().to_string_lossy())
        };
        ShelfSection {
            command: maker.map_or_else(String::new, |(_, command)| (*command).to_owned()),
            tables: shelf.tables.iter().map(table).collect(),
            pictures: shelf.pictures.iter().filter_map(|path| picture(path, results, notes)).collect(),
            name: if name.is_empty() { results.display().to_string() } else { name },
        }
    }
}

fn picture(path: &Path, results: &Path, notes: &mut Vec<String>) -> Option<PictureView> {
    let title = path.strip_prefix(results).unwrap_or(path).display().to_string();
    if std::fs::metadata(path).is_ok_and(|data| data.len() > LARGEST) {
        notes.push(format!("{} is larger than {} MiB and not shown", path.display(), LARGEST >> 20));
        return None;
    }
    match std::fs::read(path) {
        Ok(bytes) => {
            Some(PictureView { title, source: format!("data:image/svg+xml;base64,{}", STANDARD.encode(bytes)) })
        }
        Err(error) => {
            notes.push(format!("cannot read {}: {error}", path.display()));
            None
        }
    }
}

/// What there is, for the overview: name, number, class.
pub fn counts(found: &Found) -> Vec<(String, usize, &'static str)> {
    let ending = |count: usize| if count == 1 { "" } else { "s" };
    let mut counts = Vec::new();
    for status in Status::ALL {
        let count = found.runs.iter().filter(|run| run.status() == Some(status)).count();
        if count > 0 {
            counts.push((format!("run{} {status}", ending(count)), count, status_class(Some(status))));
        }
    }
    let others = [("kept result", found.kept.len()), ("sweep", found.sweeps.len())];
    let others = others.into_iter().filter(|(_, count)| *count > 0);
    counts.extend(others.map(|(name, count)| (format!("{name}{}", ending(count)), count, "status")));
    counts
}
