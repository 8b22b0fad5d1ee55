//! An offline run of Weights & Biases, as `wandb.init(mode="offline")` leaves it: protocol buffers `wandb_internal.Record` in
//! a LevelDB log. `wandb sync FOLDER` uploads it.

use super::error::ExportError;
use super::masked;
use super::run::ExportedRun;
use crate::files::{make_folder, write_atomic};
use crate::runs::Status;
use prost::Message;
use std::path::{Path, PathBuf};

/// The project that runs appear in after `wandb sync`.
const PROJECT: &str = "strata";

/// The fields of `wandb/proto/wandb_internal.proto` that are written here.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(int64, tag = "1")]
    num: i64,
    #[prost(oneof = "Content", tags = "2, 3, 17, 18, 21")]
    content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Content {
    #[prost(message, tag = "2")]
    History(History),
    #[prost(message, tag = "3")]
    Summary(Items),
    #[prost(message, tag = "17")]
    Run(Run),
    #[prost(message, tag = "18")]
    Exit(Exit),
    #[prost(message, tag = "21")]
    Header(Header),
}

#[derive(Clone, PartialEq, Message)]
struct Run {
    #[prost(string, tag = "1")]
    run_id: String,
    #[prost(string, tag = "3")]
    project: String,
    #[prost(message, optional, tag = "4")]
    config: Option<Items>,
    #[prost(string, tag = "6")]
    run_group: String,
    #[prost(string, tag = "8")]
    display_name: String,
    #[prost(string, tag = "13")]
    host: String,
    #[prost(message, optional, tag = "17")]
    start_time: Option<Time>,
}

/// `google.protobuf.Timestamp`
#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// `ConfigRecord` and `SummaryRecord`, which have the same form.
#[derive(Clone, PartialEq, Message)]
struct Items {
    #[prost(message, repeated, tag = "1")]
    update: Vec<Item>,
}

#[derive(Clone, PartialEq, Message)]
struct Item {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "16")]
    value_json: String,
}

#[derive(Clone, PartialEq, Message)]
struct History {
    #[prost(message, repeated, tag = "1")]
    item: Vec<Item>,
    #[prost(message, optional, tag = "2")]
    step: Option<Step>,
}

#[derive(Clone, PartialEq, Message)]
struct Step {
    #[prost(int64, tag = "1")]
    num: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Exit {
    #[prost(int32, tag = "1")]
    exit_code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(message, optional, tag = "1")]
    version_info: Option<Version>,
}

#[derive(Clone, PartialEq, Message)]
struct Version {
    #[prost(string, tag = "1")]
    producer: String,
    /// The oldest wandb that can read the file.
    #[prost(string, tag = "2")]
    min_consumer: String,
}

/// Writes `offline-run-DATE_TIME-KEY/run-KEY.wandb` and returns its folder.
pub(super) fn write(run: &ExportedRun, folder: &Path) -> Result<PathBuf, ExportError> {
    let folder = folder.join(format!("offline-run-{}-{}", run.started.strftime("%Y%m%d_%H%M%S"), run.key));
    make_folder(&folder).map_err(ExportError::write(&folder))?;
    let path = folder.join(format!("run-{}.wandb", run.key));
    write_atomic(&path, &log(contents(run))).map_err(ExportError::write(&path))?;
    Ok(folder)
}

fn contents(run: &ExportedRun) -> Vec<Content> {
    let version = Version {
        producer: concat!("strata-", env!("CARGO_PKG_VERSION")).to_owned(),
        min_consumer: "0.12.0".to_owned(),
    };
    let start = Time { seconds: run.started.as_second(), nanos: run.started.subsec_nanosecond() };
    let setting = |(key, value): &(String, String)| item(key, json(value));
    let mut contents = vec![
        Content::Header(Header { version_info: Some(version) }),
        Content::Run(Run {
            run_id: run.key.clone(),
            project: PROJECT.to_owned(),
            config: Some(Items { update: run.settings.iter().map(setting).collect() }),
            run_group: run.name.clone(),
            display_name: run.label(),
            host: run.host.clone(),
            start_time: Some(start),
        }),
    ];
    let mut last = Vec::new();
    for epoch in &run.epochs {
        let mut items: Vec<Item> = epoch.values.iter().map(|&(name, value)| item(name, value.to_string())).collect();
        let runtime = epoch.ended.duration_since(run.started).as_secs_f64();
        let time = epoch.ended.as_microsecond() as f64 / 1e6;
        items.extend([item("_timestamp", time.to_string()), item("_runtime", runtime.to_string())]);
        items.push(item("_step", epoch.step.to_string()));
        last.clone_from(&items);
        contents.push(Content::History(History { item: items, step: Some(Step { num: epoch.step }) }));
    }
    last.extend(run.results.iter().map(|&(name, value)| item(name, value.to_string())));
    contents.push(Content::Summary(Items { update: last }));
    let failed = matches!(run.status, Status::Failed | Status::Diverged);
    contents.push(Content::Exit(Exit { exit_code: failed.into() }));
    contents
}

fn item(key: &str, value_json: String) -> Item {
    Item { key: key.to_owned(), value_json }
}

/// A setting as JSON: numbers and booleans as such, the rest as text.
fn json(value: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(value) {
        Ok(serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => value.to_owned(),
        _ => serde_json::Value::from(value).to_string(),
    }
}

/// The header of a `.wandb` file, before the first block's first record: identity, magic number, version.
const HEADER: [u8; 7] = *b":W&B\xe1\xbe\x00";
const BLOCK: usize = 32 * 1024;
/// Checksum, length (u16) and type of a fragment.
const FRAGMENT_HEADER: usize = 7;

/// A LevelDB log: records are cut into fragments that do not cross blocks of 32 KiB.
fn log(contents: Vec<Content>) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    for (number, content) in (1..).zip(contents) {
        append(&Record { num: number, content: Some(content) }.encode_to_vec(), &mut bytes);
    }
    bytes
}

fn append(mut record: &[u8], bytes: &mut Vec<u8>) {
    let mut first = true;
    loop {
        let left = BLOCK - bytes.len() % BLOCK;
        if left < FRAGMENT_HEADER {
            bytes.resize(bytes.len() + left, 0);
            continue;
        }
        let (part, rest) = record.split_at(record.len().min(left - FRAGMENT_HEADER));
        // Full, first, middle, last.
        let kind: u8 = match (first, rest.is_empty()) {
            (true, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
            (false, true) => 4,
        };
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&[kind]), part);
        bytes.extend(masked(checksum).to_le_bytes());
        bytes.extend((part.len() as u16).to_le_bytes());
        bytes.push(kind);
        bytes.extend(part);
        if rest.is_empty() {
            return;
        }
        (record, first) = (rest, false);
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::example;
    use super::*;

    /// Records of a log, its checksums checked.
    fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut at, mut all, mut open) = (HEADER.len(), Vec::new(), Vec::new());
        while at < bytes.len() {
            let left = BLOCK - at % BLOCK;
            if left < FRAGMENT_HEADER {
                at += left;
                continue;
            }
            let length = usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
            let (kind, data) = (bytes[at + 6], &bytes[at + 7..at + 7 + length]);
            let checksum = masked(crc32c::crc32c(&bytes[at + 6..at + 7 + length]));
            assert_eq!(bytes[at..at + 4], checksum.to_le_bytes());
            open.extend(data);
            if kind == 1 || kind == 4 {
                all.push(std::mem::take(&mut open));
            }
            at += FRAGMENT_HEADER + length;
        }
        all
    }

    #[test]
    fn records_of_any_length_come_back_from_the_log() {
        for length in [0, 1, BLOCK - 20, BLOCK - 14, BLOCK - 13, BLOCK, 3 * BLOCK] {
            let (one, two) = (vec![7; length], vec![8; 5]);
            let mut bytes = HEADER.to_vec();
            append(&one, &mut bytes);
            append(&two, &mut bytes);
            assert_eq!(records(&bytes), [one, two], "{length}");
        }
    }

    #[test]
    fn a_run_is_a_header_a_run_its_epochs_a_summary_and_an_exit() {
        let bytes = log(contents(&example()));
        let records: Vec<Record> = records(&bytes).iter().map(|bytes| Record::decode(&bytes[..]).unwrap()).collect();
        assert_eq!(records.len(), 6);
        let Some(Content::Run(run)) = &records[1].content else { panic!("{:?}", records[1]) };
        assert_eq!((run.run_id.as_str(), run.project.as_str()), ("0123456789", "strata"));
        assert_eq!(run.config.as_ref().unwrap().update[1], item("train.lr", "0.1".to_owned()));
        let Some(Content::History(row)) = &records[3].content else { panic!("{:?}", records[3]) };
        assert_eq!(row.step, Some(Step { num: 200 }));
        assert!(row.item.contains(&item("train_loss", "1".to_owned())));
        assert_eq!(records[5].content, Some(Content::Exit(Exit { exit_code: 0 })));
    }

    #[test]
    fn settings_keep_their_types() {
        assert_eq!(json("0.1"), "0.1");
        assert_eq!(json("true"), "true");
        assert_eq!(json("[1, 28, 28]"), "\"[1, 28, 28]\"");
        assert_eq!(json("1e400"), "\"1e400\"");
    }
}
