//! Values as TOML tables.

/// Serialises a struct into a table.
pub(super) fn to_table<T: serde::Serialize>(value: &T) -> toml::Table {
    toml::Table::try_from(value).unwrap_or_default()
}
