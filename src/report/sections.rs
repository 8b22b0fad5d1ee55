//! Sections of the page: archived results, sweeps, other tables and pictures.

use super::gather::{Contents, LooseFiles, StoredRun, StoredSweep};
use super::runs::{device, reproduce, shell, status_class};
use super::view::{FigureView, PictureView, TableView, grouped, percent};
use crate::analysis::Spread;
use crate::analysis::settings::{Setting, Settings};
use crate::figures::curves::{CurveGroup, figure, sweep_pictures};
use crate::runs::{Column, ColumnFormat, Epochs, Records, Status, Store, SweepSource, Table, counted, group_by};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;

/// Larger pictures are not shown.
const LARGEST: u64 = 2 << 20;

/// An archived run.
pub(super) struct ArchivedSection {
    pub name: String,
    pub status: String,
    pub status_class: &'static str,
    /// Names and values.
    pub facts: Vec<(&'static str, String)>,
    pub command: String,
    pub curves: Option<FigureView>,
}

pub(super) struct SweepSection {
    pub name: String,
    pub command: String,
    pub state: String,
    pub summary: TableView,
    pub points: TableView,
    pub figures: Vec<FigureView>,
    pub pictures: Vec<PictureView>,
}

/// One study of trained runs.
pub(super) struct StudySection {
    pub name: String,
    pub command: String,
    pub pictures: Vec<PictureView>,
    pub tables: Vec<TableView>,
}

/// A folder of tables and pictures.
pub(super) struct FilesSection {
    pub name: String,
    /// The command that writes these files; may be empty.
    pub command: String,
    pub tables: Vec<TableView>,
    pub pictures: Vec<PictureView>,
}

impl ArchivedSection {
    pub(super) fn of(run: &StoredRun, store: &Store, notes: &mut Vec<String>) -> ArchivedSection {
        let name = run.folder.strip_prefix(store.root()).unwrap_or(&run.folder).display().to_string();
        let epochs = Epochs::read(&run.folder).unwrap_or_else(|error| {
            notes.push(error.to_string());
            Epochs::default()
        });
        let group = CurveGroup { name: name.clone(), runs: vec![epochs] };
        let curves = (!group.runs[0].is_empty()).then(|| FigureView::of(&figure(&[group], 1, &name)));
        let in_percent =
            |column: Column| run.number(column).map_or_else(String::new, |value| format!("{} %", percent(Some(value))));
        let facts = [
            ("test Top-1", in_percent(Column::TestTop1)),
            ("test Top-5", in_percent(Column::TestTop5)),
            ("validation Top-1", in_percent(Column::ValTop1)),
            ("parameters", grouped(run.text(Column::Params))),
            ("multiply-adds", grouped(run.text(Column::Macs))),
            ("epochs", run.text(Column::Epochs).to_owned()),
            ("seed", run.text(Column::Seed).to_owned()),
            ("seconds", run.text(Column::Seconds).to_owned()),
            ("device", device(run)),
            ("commit", run.text(Column::Git).to_owned()),
            ("started", run.text(Column::Started).to_owned()),
        ];
        ArchivedSection {
            name,
            status: run.text(Column::Status).to_owned(),
            status_class: status_class(run.status()),
            facts: facts.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            command: reproduce(run, store),
            curves,
        }
    }
}

impl StoredSweep {
    /// The keys of its runs.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        (0..self.points.rows.len()).map(|row| self.points.text(row, Column::Key))
    }
}

impl SweepSection {
    pub(super) fn of(sweep: &StoredSweep, store: &Store, experiments: &Path, notes: &mut Vec<String>) -> SweepSection {
        let StoredSweep { name, folder, points } = sweep;
        let drawn = sweep_pictures(points, name, store);
        // Git ignores runs, but not the picture of their curves.
        let stored = folder.join("curves.svg");
        let pictures = match drawn.curves {
            None if stored.is_file() => picture(&stored, store.root(), notes).into_iter().collect(),
            _ => Vec::new(),
        };
        let figures = [drawn.parameter, drawn.cost, drawn.curves].into_iter().flatten();
        SweepSection {
            name: name.clone(),
            command: sweep_command(sweep, store.root(), experiments),
            state: state(points),
            summary: summary(points, name),
            points: TableView::of(&in_percent(points), &format!("{name}: every point")),
            figures: figures.map(|figure| FigureView::of(&figure)).collect(),
            pictures,
        }
    }
}

/// The table with Strata's accuracies in percent.
fn in_percent(points: &Table) -> Table {
    let mut table = points.clone();
    for (index, name) in table.columns.iter_mut().enumerate() {
        if Column::named(name).is_some_and(|column| column.format() == ColumnFormat::Accuracy) {
            name.push_str(", %");
            for row in &mut table.rows {
                row[index] = percent(row[index].parse().ok());
            }
        }
    }
    table
}

/// The command that runs the sweep or resumes it.
fn sweep_command(sweep: &StoredSweep, results: &Path, experiments: &Path) -> String {
    let source = SweepSource::read(&sweep.folder);
    let stem = source.as_ref().and_then(|source| source.file.file_stem()).map(|stem| stem.to_string_lossy());
    let name = stem.as_deref().unwrap_or(&sweep.name);
    let names = [format!("sweeps/{name}"), name.to_owned()];
    let known = names.into_iter().find(|name| experiments.join(format!("{name}.toml")).is_file());
    let file = known.unwrap_or_else(|| match &source {
        Some(source) => source.file.display().to_string(),
        None => format!("{name}.toml"),
    });
    let set = source.iter().flat_map(|source| &source.set).map(|text| format!(" --set {}", shell(text)));
    format!("strata sweep {}{}{}", shell(&file), set.collect::<String>(), option(results))
}

/// The option `--results DIR`, unless this is the default.
pub(super) fn option(results: &Path) -> String {
    if results == Path::new("results") {
        String::new()
    } else {
        format!(" --results {}", shell(&results.display().to_string()))
    }
}

/// "18 points: 17 done, 1 failed".
fn state(points: &Records) -> String {
    let total = counted(points.rows.len(), "point");
    if points.column(Column::Status.name()).is_none() {
        return total;
    }
    let status = |&row: &usize| Some(points.text(row, Column::Status)).filter(|status| !status.is_empty());
    let counts = group_by(0..points.rows.len(), |row| status(row).unwrap_or("to come"));
    let parts: Vec<String> = counts.iter().map(|(status, rows)| format!("{} {status}", rows.len())).collect();
    format!("{total}: {}", parts.join(", "))
}

/// One row for each setting, with means over the finished seeds.
fn summary(points: &Records, name: &str) -> TableView {
    let Settings { keys, settings, .. } = Settings::of(points);
    let mut columns: Vec<String> = keys.iter().map(|&key| points.columns[key].clone()).collect();
    if keys.is_empty() {
        columns.push("sweep".to_owned());
    }
    columns.extend(
        ["seeds", "val Top-1, %", "test Top-1, %", "parameters", "multiply-adds", "seconds"].map(str::to_owned),
    );
    let row = |setting: &Setting| {
        let spread = |column: Column| Spread::of_column(points, column, &setting.rows);
        let top1 = |column: Column| spread(column).map_or_else(String::new, |spread| spread.plus_minus(100.0, 2));
        let first = setting.rows[0];
        let mut cells: Vec<String> = keys.iter().map(|&key| points.cell(first, key).to_owned()).collect();
        if keys.is_empty() {
            cells.push(name.to_owned());
        }
        cells.extend([
            setting.rows.iter().filter(|&&row| points.is_done(row)).count().to_string(),
            top1(Column::ValTop1),
            top1(Column::TestTop1),
            grouped(points.text(first, Column::Params)),
            grouped(points.text(first, Column::Macs)),
            spread(Column::Seconds).map_or_else(String::new, |spread| format!("{:.1}", spread.mean)),
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

/// Folders below the results folder, and the commands that write them.
const COMMANDS: [(&str, &str); 2] = [("tables", "make tables"), ("bench", "make bench")];

impl FilesSection {
    pub(super) fn of(files: &LooseFiles, results: &Path, notes: &mut Vec<String>) -> FilesSection {
        let name = files.folder.strip_prefix(results).unwrap_or(&files.folder).display().to_string();
        let command = COMMANDS.iter().find(|(folder, _)| *folder == name);
        let table = |(path, table): &(std::path::PathBuf, Table)| {
            TableView::of(table, &path.file_name().unwrap_or_default().to_string_lossy())
        };
        FilesSection {
            command: command.map_or_else(String::new, |(_, command)| (*command).to_owned()),
            tables: files.tables.iter().map(table).collect(),
            pictures: files.pictures.iter().filter_map(|path| picture(path, results, notes)).collect(),
            name: if name.is_empty() { results.display().to_string() } else { name },
        }
    }
}

impl LooseFiles {
    /// Whether `strata study` wrote them.
    pub(super) fn are_studies(&self, results: &Path) -> bool {
        self.folder.parent() == Some(&results.join("studies"))
    }
}

impl StudySection {
    /// The studies of a folder, one for each table.
    pub(super) fn of(files: &LooseFiles, results: &Path, notes: &mut Vec<String>) -> Vec<StudySection> {
        let kind = files.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut sections = Vec::new();
        for (path, table) in &files.tables {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let drawn = files.pictures.iter().find(|picture| picture.file_stem() == path.file_stem());
            let written = std::fs::read_to_string(path.with_extension("toml")).unwrap_or_default();
            let written: toml::Table = written.parse().unwrap_or_default();
            sections.push(StudySection {
                name: format!("{kind}: {stem}"),
                command: written.get("command").and_then(toml::Value::as_str).unwrap_or_default().to_owned(),
                pictures: drawn.and_then(|path| picture(path, results, notes)).into_iter().collect(),
                tables: vec![TableView::of(table, &format!("{stem}.csv"))],
            });
        }
        sections
    }
}

pub(super) fn picture(path: &Path, results: &Path, notes: &mut Vec<String>) -> Option<PictureView> {
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

/// The overview: name, number, CSS class.
pub(super) fn counts(contents: &Contents) -> Vec<(String, usize, &'static str)> {
    let ending = |count: usize| if count == 1 { "" } else { "s" };
    let mut counts = Vec::new();
    for status in Status::ALL {
        let count = contents.runs.iter().filter(|run| run.status() == Some(status)).count();
        if count > 0 {
            counts.push((format!("run{} {status}", ending(count)), count, status_class(Some(status))));
        }
    }
    let others = [("archived result", contents.archived.len()), ("sweep", contents.sweeps.len())];
    let others = others.into_iter().filter(|(_, count)| *count > 0);
    counts.extend(others.map(|(name, count)| (format!("{name}{}", ending(count)), count, "status")));
    counts
}
