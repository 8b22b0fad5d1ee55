use super::*;
use std::collections::HashSet;

/// A `[train]` from its keys.
pub(crate) fn train(keys: &str) -> Train {
    let table = DeTable::parse(keys).unwrap();
    let table = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
    Train::read(Some(&table), Machine::default()).unwrap()
}

/// A key that two lists had would be given to both.
#[test]
fn every_key_has_one_owner() {
    let all = allowed();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "{all:?}");
}

#[test]
fn stages_follow_each_other() {
    let train =
        train("epochs = 9\nbatch = 64\nsize = 16\nstages = [{ from = 2, size = 24 }, { from = 5, batch = 32 }]");
    assert_eq!(
        [0, 1, 2, 4, 5, 8].map(|epoch| train.stage(epoch)),
        [(16, 64), (16, 64), (24, 64), (24, 64), (24, 32), (24, 32)]
    );
    assert_eq!(train.table()["stages"].to_string(), "[{ from = 2, size = 24 }, { from = 5, batch = 32 }]");
    let parts = Train { accumulate: 32, ..train.clone() };
    assert!(parts.check_stages().is_ok());
    let parts = Train { accumulate: 33, ..train.clone() };
    assert!(parts.check_stages().unwrap_err().to_string().contains("batch of 32 images cannot be carried out in 33"));
    let bad = Train { stages: vec![Stage { from: 9, size: 8, batch: 0 }], ..train };
    assert!(bad.check().is_err());
}

#[test]
fn switches_that_are_off_are_not_written() {
    let off = train("epochs = 1").table();
    let switches = ["loss", "patience", "accumulate", "sam_rho", "layer_decay", "bias_lr_factor", "ranks", "sync_bn"];
    let switches: Vec<&str> = switches.into_iter().chain(ASIDE).collect();
    assert!(switches.iter().all(|key| !off.contains_key(*key)), "{off}");
    let on = train("epochs = 1\npatience = 3\nkeep_every = 2\nlog_gradients = 5\nlog_every = 10").table();
    assert_eq!(
        on.iter().skip(off.len()).map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
        ["patience", "log_every", "log_gradients", "keep_every"]
    );
}
