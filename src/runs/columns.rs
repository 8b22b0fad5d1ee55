//! The columns of a run's `summary.csv` and of a sweep's `table.csv`: one list, from which every other is derived.

use super::format::{accuracy, significant};

/// What a column says of a row. Tables show their columns in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnRole {
    /// The file that a row was read from.
    Source,
    Name,
    Status,
    /// Chosen by the user.
    Setting,
    /// Follows from the experiment in our own runs, a setting in foreign tables.
    Precision,
    Seed,
    /// Parameters and operations, which follow from the settings.
    Cost,
    /// Completed epochs: an outcome in our own runs, a setting in foreign tables.
    Epochs,
    Result,
    /// When and where a run was made, and its key. Shown on request only.
    Environment,
    /// `expect.…`, a published result.
    Expected,
}

/// How the numbers of a column are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnFormat {
    Text,
    Count,
    Loss,
    /// A fraction with six digits.
    Accuracy,
    Seconds,
}

impl ColumnFormat {
    pub fn write(self, value: f64) -> String {
        match self {
            ColumnFormat::Accuracy => accuracy(value),
            // Milliseconds: a tiny run takes hundredths of a second, and 0.0 would give no rate for estimates.
            ColumnFormat::Seconds => format!("{value:.3}"),
            ColumnFormat::Loss | ColumnFormat::Count | ColumnFormat::Text => significant(value),
        }
    }
}

macro_rules! columns {
    ($($column:ident $name:literal $role:ident $format:ident $in_sweeps:literal,)*) => {
        /// A column of `summary.csv`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Column { $($column),* }

        impl Column {
            /// In the order of `summary.csv`.
            pub const ALL: &'static [Column] = &[$(Column::$column),*];

            pub fn name(self) -> &'static str {
                match self { $(Column::$column => $name),* }
            }

            pub fn role(self) -> ColumnRole {
                match self { $(Column::$column => ColumnRole::$role),* }
            }

            pub fn format(self) -> ColumnFormat {
                match self { $(Column::$column => ColumnFormat::$format),* }
            }

            fn is_in_sweeps(self) -> bool {
                match self { $(Column::$column => $in_sweeps),* }
            }
        }
    };
}

// Name, role, number format, and whether the table of a sweep has the column.
columns! {
    Name "name" Name Text true,
    Key "key" Environment Text true,
    Status "status" Status Text true,
    Seed "seed" Seed Count true,
    Params "params" Cost Count true,
    Macs "macs" Cost Count true,
    Epochs "epochs" Epochs Count true,
    BestEpoch "best_epoch" Environment Count true,
    ValLoss "val_loss" Result Loss true,
    ValTop1 "val_top1" Result Accuracy true,
    ValTop5 "val_top5" Result Accuracy true,
    TestLoss "test_loss" Result Loss true,
    TestTop1 "test_top1" Result Accuracy true,
    TestTop5 "test_top5" Result Accuracy true,
    TestCorrect "test_correct" Environment Count false,
    TestTotal "test_total" Environment Count false,
    Seconds "seconds" Environment Seconds true,
    Device "device" Environment Text false,
    Precision "precision" Precision Text true,
    Git "git" Environment Text false,
    Started "started" Environment Text false,
    Sha256 "sha256" Environment Text true,
}

impl Column {
    /// Results whose means over seeds are in the `summary.csv` of a sweep.
    pub const AVERAGED: [Column; 7] = {
        use Column::{Seconds, TestLoss, TestTop1, TestTop5, ValLoss, ValTop1, ValTop5};
        [ValTop1, ValTop5, ValLoss, TestTop1, TestTop5, TestLoss, Seconds]
    };

    pub fn named(name: &str) -> Option<Column> {
        Column::ALL.iter().copied().find(|column| column.name() == name)
    }

    /// Columns of a sweep's `table.csv` after the keys that vary: the seed, then the others in the order of `summary.csv`.
    pub fn of_sweeps() -> impl Iterator<Item = Column> {
        let others = Column::ALL.iter().copied().filter(|&column| column.is_in_sweeps() && column != Column::Seed);
        std::iter::once(Column::Seed).chain(others)
    }
}

impl AsRef<str> for Column {
    fn as_ref(&self) -> &str {
        self.name()
    }
}
