//! Values as TOML tables.

/// A value as a table. Everything that is written down serialises into one.
pub(super) fn to_table<T: serde::Serialize>(value: &T) -> toml::Table {
    toml::Table::try_from(value).unwrap_or_default()
}
