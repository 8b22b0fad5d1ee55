//! Parameter names: a row's `name` column becomes the prefixes of its layers.

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashMap;
use std::fmt;

/// The `name` column of a row.
///
/// - `"layer1"`: the blocks of the row are `layer1.0`, `layer1.1`, …; a single convolution is `layer1.conv` with `layer1.bn`.
/// - `"features.{}"`: `{}` is the next number not used yet after that prefix, for each block or, in rows of single layers,
///   for each layer, with or without parameters (torchvision's VGG, AlexNet and MobileNet).
/// - `{=}` is the number given last after that prefix: `["features.{}.0", "features.{=}.1"]` are two layers of one number.
/// - `["conv1", "bn1"]`: the names of the row's layers one by one.
/// - nothing: `row3` for the third row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name(Vec<String>);

impl Name {
    pub fn new(name: &str) -> Name {
        Name(vec![name.to_owned()])
    }

    pub fn list(names: &[&str]) -> Name {
        Name(names.iter().map(|&name| name.to_owned()).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first name, by which errors refer to the row.
    pub fn first(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }
}

/// Turns `name` columns into prefixes of parameter names, with a counter for each `{}`.
#[derive(Default)]
pub struct Namer {
    next: HashMap<String, usize>,
    default: String,
}

impl Namer {
    /// Sets the name of rows without one; returns the previous setting.
    pub(super) fn set_default(&mut self, name: String) -> String {
        std::mem::replace(&mut self.default, name)
    }

    fn fill(&mut self, template: &str) -> String {
        if let Some((before, after)) = template.split_once("{}") {
            let next = self.next.entry(before.to_owned()).or_default();
            *next += 1;
            return format!("{before}{}{after}", *next - 1);
        }
        match template.split_once("{=}") {
            Some((before, after)) => {
                let given = self.next.get(before).map_or(0, |next| next - 1);
                format!("{before}{given}{after}")
            }
            None => template.to_owned(),
        }
    }

    /// The prefix of all parameters of a row.
    pub fn row(&mut self, name: &Name) -> String {
        match name.first() {
            Some(first) => self.fill(first),
            None => self.default.clone(),
        }
    }

    /// The prefix of block `index` of a row that repeats.
    pub fn block(&mut self, name: &Name, index: usize) -> String {
        match name.first() {
            Some(first) if first.contains("{}") => self.fill(first),
            _ => format!("{}.{index}", self.row(name)),
        }
    }

    /// The prefix of layer `index` of a row of single layers; `part` is its name after a common prefix (`conv`, `bn`).
    pub fn layer(&mut self, name: &Name, index: usize, part: &str) -> String {
        if name.0.len() > 1 {
            // A layer beyond the list has no parameters, or they get the row's default name.
            return match name.0.get(index) {
                Some(own) => self.fill(own),
                None => format!("{}.{part}", self.default),
            };
        }
        match name.first() {
            Some(first) if first.contains("{}") => self.fill(first),
            _ if part.is_empty() => self.row(name),
            _ => format!("{}.{part}", self.row(name)),
        }
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => s.serialize_str(one),
            many => many.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Name, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a name, or a list of names")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
                checked(text).map(|name| Name(vec![name]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Name, A::Error> {
                let mut names = Vec::new();
                while let Some(text) = seq.next_element::<String>()? {
                    names.push(checked(&text)?);
                }
                Ok(Name(names))
            }
        }
        d.deserialize_any(NameVisitor)
    }
}

fn checked<E: Error>(text: &str) -> Result<String, E> {
    let fits = |part: &str| {
        matches!(part, "{}" | "{=}")
            || !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    if text.len() <= 100 && text.split('.').all(fits) {
        return Ok(text.to_owned());
    }
    Err(E::custom(format!(
        "{text:?} is not a parameter name: letters, digits, _ and - in parts joined by dots, or {{}}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_count_on_behind_their_prefix() {
        let mut namer = Namer::default();
        let flat = Name::new("features.{}");
        assert_eq!(namer.layer(&flat, 0, "conv"), "features.0");
        assert_eq!(namer.layer(&flat, 1, "bn"), "features.1");
        assert_eq!(namer.layer(&Name::new("classifier.{}"), 0, ""), "classifier.0");
        assert_eq!(namer.block(&flat, 7), "features.2");
        // An activation after a list of two has no number.
        let pair = Name::list(&["features.{}.0", "features.{=}.1"]);
        assert_eq!([namer.layer(&pair, 0, "conv"), namer.layer(&pair, 1, "bn")], ["features.3.0", "features.3.1"]);
        namer.layer(&pair, 2, "act");
        assert_eq!(namer.block(&flat, 0), "features.4");
    }

    #[test]
    fn a_plain_name_is_a_prefix_and_a_list_is_taken_as_it_is() {
        let mut namer = Namer::default();
        namer.set_default("row4".to_owned());
        assert_eq!(namer.block(&Name::new("layer1"), 2), "layer1.2");
        assert_eq!(namer.layer(&Name::new("conv1"), 1, "bn"), "conv1.bn");
        assert_eq!(namer.layer(&Name::list(&["conv1", "bn1"]), 1, "bn"), "bn1");
        assert_eq!(namer.layer(&Name::new("fc"), 0, ""), "fc");
        assert_eq!(namer.layer(&Name::default(), 0, "conv"), "row4.conv");
    }
}
