//! What is shown on a terminal of a certain width, by util-linux's `script`.

use super::place::{Place, TINY};
use std::collections::HashSet;
use std::process::{Command, Stdio};

/// What the program writes to a terminal of 30 lines and so many columns; `None` where there is no `script`.
fn on_terminal(place: &Place, columns: usize, arguments: &str) -> Option<String> {
    let program = place.command(&[]);
    let strata = program.get_program().to_string_lossy().into_owned();
    let mut script = Command::new("script");
    script.current_dir(place.path("")).env("TERM", "xterm");
    for (name, value) in program.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        script.env(name, value);
    }
    let line = format!("stty rows 30 cols {columns}; {strata} {arguments}");
    let output = script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The plot that stays after a run was shown with its escape sequences as text.
#[test]
fn the_plot_of_a_run_is_in_colour() {
    let place = Place::with_tiny();
    let Some(shown) = on_terminal(&place, 80, "train tiny.toml") else { return };
    assert!(shown.contains("validation Top-1") && shown.contains('│'), "{shown}");
    assert!(!shown.contains("u{1b}"), "{shown}");
}

/// The text of a terminal without what commands it, in the lines that were written.
fn lines(shown: &str) -> Vec<String> {
    let mut text = String::new();
    let mut rest = shown.chars();
    while let Some(c) = rest.next() {
        match c {
            // `ESC [ … letter`; all but colours move to another place.
            '\u{1b}' => {
                if rest.by_ref().skip(1).find(char::is_ascii_alphabetic) != Some('m') {
                    text.push('\n');
                }
            }
            '\r' => text.push('\n'),
            c => text.push(c),
        }
    }
    text.lines().map(str::to_owned).collect()
}

/// Whether a line goes on in the next row. Bars and curves are rows that spaces fill up to the width, with no end of line.
fn wraps(line: &str, columns: usize) -> bool {
    let length = line.chars().count();
    length > columns && !length.is_multiple_of(columns)
}

/// Lines of progress had 73 columns and more, and wrapped.
#[test]
fn progress_fits_down_to_40_columns() {
    let place = Place::with_tiny();
    place.file(
        "grid.toml",
        TINY.to_owned() + "\n[sweep]\ntrain.weight_decay = [0.0001, 0.0002]\ntrain.momentum = [0.9, 0.95]\n",
    );
    for columns in [40, 60, 80, 120] {
        for arguments in
            ["train tiny.toml --force", "sweep grid.toml --jobs 2", "study lesion tiny -o draws=2 -o images=50"]
        {
            // The table of a sweep has columns that stay.
            if columns < 60 && arguments.starts_with("sweep") {
                continue;
            }
            let line = format!("{arguments} --results results{columns}");
            let Some(shown) = on_terminal(&place, columns, &line) else { return };
            let wide: Vec<String> = lines(&shown).into_iter().filter(|line| wraps(line, columns)).collect();
            // A path is as long as it is.
            let fits = |line: &String| line.contains("results") || line.contains('│');
            assert!(wide.iter().all(fits), "{columns} columns, {arguments}: {wide:#?}");
            assert!(
                shown.contains("elapsed") == (columns >= 100) || !arguments.starts_with("train"),
                "{columns}: {shown}"
            );
        }
    }
}

#[test]
fn what_was_found_fits() {
    let place = Place::new();
    let Some(shown) = on_terminal(&place, 80, "doctor") else { return };
    assert!(shown.contains("\ndataset    fashion-mnist: not fetched"), "{shown}");
    assert!(shown.lines().all(|line| line.trim_end().chars().count() <= 80), "{shown}");
}

#[test]
fn the_points_of_a_sweep_fit() {
    let place = Place::new();
    let model = TINY.replace(
        "[train]",
        "[sweep]\ntrain.weight_decay = [0.0001, 0.0002]\ntrain.momentum = [0.9, 0.95]\n\
                                         train.label_smoothing = [0.0, 0.1]\ntrain.clip_norm = [1, 2]\n\n[train]",
    );
    place.file("grid.toml", &model);
    for columns in [60, 80, 100] {
        let Some(shown) = on_terminal(&place, columns, "sweep grid.toml --dry-run") else { return };
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines.len() >= 18 && lines.iter().all(|line| line.chars().count() <= columns), "{shown}");
        let points: HashSet<&&str> = lines[1..17].iter().collect();
        assert_eq!(points.len(), 16, "{shown}");
    }
}
