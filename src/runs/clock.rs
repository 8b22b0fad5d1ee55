//! Time stamps.

use jiff::{Timestamp, Unit};

/// The current time, such as `2026-01-31T12:00:00Z`.
pub fn utc_now() -> String {
    Timestamp::now().round(Unit::Second).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_has_seconds_and_is_utc() {
        let now = utc_now();
        assert_eq!(now.len(), "2026-01-31T12:00:00Z".len(), "{now}");
        assert!(now.ends_with('Z') && now.parse::<Timestamp>().is_ok(), "{now}");
    }
}
