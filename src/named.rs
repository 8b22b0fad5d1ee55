//! Lists of what a user chooses by name: each entry is a struct of its own keys that implements what the list is of.

use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// A key that is out of range or does not go with another. The table that has the key adds its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KeyError {
    /// The key that should be changed.
    pub key: &'static str,
    pub message: String,
}

impl KeyError {
    pub fn new(key: &'static str, message: impl Into<String>) -> KeyError {
        KeyError { key, message: message.into() }
    }
}

/// For serde: keys that are written only where they are not 0, `false` or the default variant.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Checks that `low <= value <= high`, which NaN is not.
pub(crate) fn check_range(key: &'static str, value: f64, low: f64, high: f64) -> Result<(), KeyError> {
    // A bound as a person would write it: 1e-30 rather than thirty digits.
    let short = |bound: f64| match bound != 0.0 && !(1e-6..1e9).contains(&bound) {
        true => format!("{bound:e}"),
        false => bound.to_string(),
    };
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(KeyError::new(key, format!("`{key}` is between {} and {}, not {value}", short(low), short(high))))
}

/// The keys that serde reads for a struct, in the order of its fields.
pub(crate) fn keys_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    /// Takes the names that a derived `Deserialize` asks for, and fails.
    struct Fields<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Fields<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(serde::de::Error::custom("not a struct"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Error> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut fields: &'static [&'static str] = &[];
    let _ = T::deserialize(Fields(&mut fields));
    fields
}

/// Several lists of keys as one without repeats. A new key is inserted before the key that follows it in its own list,
/// else after the one before it, else last.
fn merged(lists: impl IntoIterator<Item = &'static [&'static str]>) -> Vec<&'static str> {
    let mut all: Vec<&'static str> = Vec::new();
    for list in lists {
        for (index, key) in list.iter().enumerate() {
            let position = |key: &&str| all.iter().position(|known| known == key);
            if position(key).is_some() {
                continue;
            }
            let before = list[index + 1..].iter().find_map(position);
            let after = list[..index].last().and_then(position).map(|last| last + 1);
            all.insert(before.or(after).unwrap_or(all.len()), key);
        }
    }
    all
}

/// The bare names of a list's entries.
pub trait Named: Copy + 'static {
    /// An entry with its keys.
    type Entry;
    /// The names as they are written in a file.
    const TEXTS: &'static [&'static str];
    const ALL: &'static [Self];

    fn text(self) -> &'static str;

    /// The entry's own keys, in the order in which they are written.
    fn keys(self) -> &'static [&'static str];

    /// Reads the entry's own keys. Not by serde's tagged enums, which lose the places of errors.
    ///
    /// # Errors
    /// For a key that is missing, unknown or of the wrong type.
    fn read<'de, D: Deserializer<'de>>(self, keys: D) -> Result<Self::Entry, D::Error>;

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|name| name.text() == text)
    }

    /// The own keys of all entries, each once.
    fn all_keys() -> Vec<&'static str> {
        merged(Self::ALL.iter().map(|name| name.keys()))
    }
}

/// Makes an enum with a variant for each entry, which dereferences to the list's trait, and one of the bare names.
///
/// Keys are hashed as they are serialised, in the order of the fields: never reorder them, and never write a key that is off.
macro_rules! named {
    (
        $(#[$meta:meta])*
        $enum:ident: $trait:path,
        $(#[$name_meta:meta])*
        $name:ident { $($text:literal => $variant:ident($keys:ty),)* }
    ) => {
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        $(#[$meta])*
        pub enum $enum {
            $(#[serde(rename = $text)] $variant($keys),)*
        }

        $(#[$name_meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
        pub enum $name {
            $(#[serde(rename = $text)] $variant,)*
        }

        impl $crate::named::Named for $name {
            type Entry = $enum;
            const TEXTS: &'static [&'static str] = &[$($text),*];
            const ALL: &'static [$name] = &[$($name::$variant),*];

            fn text(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            fn keys(self) -> &'static [&'static str] {
                match self { $($name::$variant => $crate::named::keys_of::<$keys>(),)* }
            }

            fn read<'de, D: serde::Deserializer<'de>>(self, keys: D) -> Result<$enum, D::Error> {
                match self { $($name::$variant => <$keys as serde::Deserialize>::deserialize(keys).map($enum::$variant),)* }
            }
        }

        impl $enum {
            pub fn kind(&self) -> $name {
                match self { $($enum::$variant(_) => $name::$variant,)* }
            }
        }

        impl std::ops::Deref for $enum {
            type Target = dyn $trait;

            fn deref(&self) -> &Self::Target {
                match self { $($enum::$variant(keys) => keys,)* }
            }
        }

        impl std::ops::DerefMut for $enum {
            fn deref_mut(&mut self) -> &mut Self::Target {
                match self { $($enum::$variant(keys) => keys,)* }
            }
        }

        $(impl From<$keys> for $enum {
            fn from(keys: $keys) -> $enum {
                $enum::$variant(keys)
            }
        })*
    };
}
pub(crate) use named;

#[cfg(test)]
#[allow(unreachable_pub)] // the macro's types are public
mod tests {
    use super::*;
    use serde::Serialize;

    pub trait Area {
        fn area(&self) -> f64;
        fn grow(&mut self) {}
    }

    #[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Square {
        side: f64,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
    pub struct Oblong {
        width: f64,
        #[serde(default)]
        height: f64,
    }

    impl Area for Square {
        fn area(&self) -> f64 {
            self.side * self.side
        }
        fn grow(&mut self) {
            self.side += 1.0;
        }
    }

    impl Area for Oblong {
        fn area(&self) -> f64 {
            self.width * self.height
        }
    }

    named! {
        #[serde(tag = "shape")]
        Shape: Area,
        ShapeName { "square" => Square(Square), "oblong" => Oblong(Oblong), }
    }

    #[test]
    fn an_entry_is_read_written_and_used_by_its_name() {
        assert_eq!((ShapeName::TEXTS, ShapeName::ALL.len()), (&["square", "oblong"][..], 2));
        let read = |name: &str, keys: &str| {
            ShapeName::parse(name).map(|name| name.read(toml::Deserializer::parse(keys).unwrap()).map_err(drop))
        };
        let mut shape = read("square", "side = 2").unwrap().unwrap();
        assert_eq!((shape.kind().text(), shape.area()), ("square", 4.0));
        shape.grow();
        assert_eq!(toml::to_string(&shape).unwrap(), "shape = \"square\"\nside = 3.0\n");
        assert_eq!(Shape::from(Oblong { width: 2.0, height: 3.0 }).area(), 6.0);
        assert_eq!(read("square", "length = 2"), Some(Err(())));
        assert!(read("circle", "").is_none());
    }

    #[test]
    fn keys_are_those_of_the_fields() {
        assert_eq!(ShapeName::Oblong.keys(), ["width", "height"]);
        assert_eq!(keys_of::<f64>(), [""; 0]);
    }

    #[test]
    fn a_new_key_stands_beside_its_neighbours() {
        let lists = |lists: &[&'static [&'static str]]| merged(lists.iter().copied()).join(" ");
        assert_eq!(lists(&[&["a", "b"], &["c", "b"], &["a", "d"], &["e"]]), "a d c b e");
    }

    #[test]
    fn ranges_are_said_as_a_person_would_write_them() {
        let said = |value, low, high| check_range("x", value, low, high).map_err(|error| error.message);
        assert_eq!(said(1.0, 0.0, 1.0), Ok(()));
        assert_eq!(said(f64::NAN, 1e-30, 0.5), Err("`x` is between 1e-30 and 0.5, not NaN".to_owned()));
    }
}
