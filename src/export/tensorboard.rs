//! TensorBoard's event files: protocol buffers `tensorflow.Event` in TFRecord frames.
//!
//! A frame is the length (u64), the masked CRC-32C of those eight bytes, the message, and its masked CRC-32C, all little-endian.

use super::error::ExportError;
use super::masked;
use super::run::ExportedRun;
use crate::files::{make_folder, write_atomic};
use jiff::Timestamp;
use prost::Message;
use std::path::{Path, PathBuf};

/// The fields of `tensorflow/core/util/event.proto` that scalars need.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// `tensorflow/core/framework/summary.proto`
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Writes `NAME-KEY/events.out.tfevents.SECONDS.strata`. TensorBoard shows it as a run called NAME-KEY.
pub(super) fn write(run: &ExportedRun, folder: &Path) -> Result<PathBuf, ExportError> {
    let folder = folder.join(run.label());
    make_folder(&folder).map_err(ExportError::write(&folder))?;
    // TensorBoard reads every event file of a folder: the name must not change when a run is exported again.
    let path = folder.join(format!("events.out.tfevents.{}.strata", run.started.as_second()));
    write_atomic(&path, &events(run)).map_err(ExportError::write(&path))?;
    Ok(path)
}

fn events(run: &ExportedRun) -> Vec<u8> {
    let mut bytes = Vec::new();
    let start =
        Event { wall_time: seconds(run.started), file_version: Some("brain.Event:2".to_owned()), ..Event::default() };
    frame(&start, &mut bytes);
    for epoch in &run.epochs {
        push(&mut bytes, epoch.ended, epoch.step, epoch.values.iter().map(|&(name, value)| (tag(name), value)));
    }
    let step = run.epochs.last().map_or(0, |epoch| epoch.step);
    push(&mut bytes, run.ended(), step, run.results.iter().map(|&(name, value)| (format!("result/{name}"), value)));
    bytes
}

fn push(bytes: &mut Vec<u8>, time: Timestamp, step: i64, values: impl Iterator<Item = (String, f64)>) {
    let value = values.map(|(tag, value)| Scalar { tag, simple_value: Some(value as f32) }).collect();
    let event = Event { wall_time: seconds(time), step, summary: Some(Summary { value }), ..Event::default() };
    frame(&event, bytes);
}

/// `train_loss` becomes `loss/train`: TensorBoard puts tags with the same prefix side by side.
fn tag(column: &str) -> String {
    match column.split_once('_') {
        Some((split @ ("train" | "val"), measure)) => format!("{measure}/{split}"),
        _ => column.to_owned(),
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_microsecond() as f64 / 1e6
}

fn frame(event: &Event, bytes: &mut Vec<u8>) {
    let message = event.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    bytes.extend(length);
    bytes.extend(masked(crc32c::crc32c(&length)).to_le_bytes());
    bytes.extend(&message);
    bytes.extend(masked(crc32c::crc32c(&message)).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::run::example;
    use super::*;

    /// The check value of CRC-32C is that of RFC 3720.
    #[test]
    fn a_frame_has_the_masked_checksums_of_tfrecord() {
        let mut bytes = Vec::new();
        frame(&Event { file_version: Some("brain.Event:2".to_owned()), ..Event::default() }, &mut bytes);
        assert_eq!(bytes.len(), 8 + 4 + 15 + 4);
        assert_eq!(&bytes[12..27], b"\x1a\x0dbrain.Event:2");
        assert_eq!(masked(crc32c::crc32c(b"123456789")), 0xe306_9283_u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }

    #[test]
    fn every_column_of_every_epoch_is_a_scalar() {
        let bytes = events(&example());
        let mut rest = &bytes[..];
        let mut found = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            found.push(Event::decode(&rest[12..12 + length]).unwrap());
            rest = &rest[16 + length..];
        }
        assert_eq!(found.iter().map(|event| event.step).collect::<Vec<_>>(), [0, 100, 200, 200]);
        let second = found[2].summary.as_ref().unwrap();
        assert_eq!(second.value.len(), 11);
        let loss = second.value.iter().find(|value| value.tag == "loss/train").unwrap();
        assert_eq!(loss.simple_value, Some(1.0));
        assert_eq!(found[3].summary.as_ref().unwrap().value[0].tag, "result/test_top1");
        assert_eq!(found[2].wall_time - found[1].wall_time, 2.5);
    }
}
