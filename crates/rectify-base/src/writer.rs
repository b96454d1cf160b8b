//! Canonical bytes straight from what is serialized, without a tree of values in between.
//!
//! Members of an object are written one after the other, each beginning with its comma, and put in
//! order where the object ends. Whatever is not plain (floats, big integers, keys with escapes, too
//! deep, a key twice) is given up: the slow way says what is wrong with it, or writes it.

use crate::limits::{JSON_DEPTH_MAX, JSON_INTEGER_MAX};
use alloc::vec::Vec;
use core::{fmt, ops::Range};
use serde::{Serialize, Serializer, ser};

/// The canonical bytes of a value, on one line or indented; nothing if the slow way has to say.
pub(crate) fn bytes<T: Serialize + ?Sized>(value: &T, indented: bool) -> Option<Vec<u8>> {
    // Most states and most entries fit.
    let out = Vec::with_capacity(if indented { 16 * 1024 } else { 512 });
    let mut writer = Writer { out, scratch: Vec::new(), members: Vec::new(), depth: 0, indented };
    value.serialize(&mut writer).ok()?;
    Some(writer.out)
}

/// It is not plain.
#[derive(Debug)]
struct Unfit;

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not plain")
    }
}

impl core::error::Error for Unfit {}

impl ser::Error for Unfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

struct Writer {
    out: Vec<u8>,
    scratch: Vec<u8>,
    /// Of all open objects, innermost last.
    members: Vec<Member>,
    /// How many lists and objects are open.
    depth: usize,
    indented: bool,
}

/// A member of an object in the output.
#[derive(Clone)]
struct Member {
    /// The key, without quotes.
    key: Range<usize>,
    /// All of it, with the comma before it.
    whole: Range<usize>,
}

/// An open list or object.
struct Open<'w> {
    writer: &'w mut Writer,
    /// Where its content begins.
    begin: usize,
    /// How many members there were before its own.
    members: usize,
    /// For a variant: the object around it, which ends with it.
    around: bool,
}

impl Writer {
    fn text(&mut self, text: &str) {
        self.out.push(b'"');
        let mut from = 0;
        let bytes = text.as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            let short = match byte {
                b'"' => b'"',
                b'\\' => b'\\',
                0x08 => b'b',
                0x0c => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0x00..=0x1f => 0,
                _ => continue,
            };
            self.out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
            from = at + 1;
            self.out.push(b'\\');
            if short == 0 {
                let hex = |digit: u8| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
                self.out.extend_from_slice(&[b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
            } else {
                self.out.push(short);
            }
        }
        self.out.extend_from_slice(bytes.get(from..).unwrap_or_default());
        self.out.push(b'"');
    }

    fn integer(&mut self, magnitude: u64, negative: bool) -> Result<(), Unfit> {
        if magnitude > JSON_INTEGER_MAX {
            return Err(Unfit);
        }
        if negative {
            self.out.push(b'-');
        }
        let mut digits = [0; 20];
        let mut rest = magnitude;
        let mut from = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).map_err(|_| Unfit)?;
            rest /= 10;
            from -= 1;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(digits.get(from..).unwrap_or_default());
        Ok(())
    }

    fn line(&mut self) {
        if self.indented {
            self.out.push(b'\n');
            for _ in 0..self.depth {
                self.out.extend_from_slice(b"  ");
            }
        }
    }

    fn open(&mut self, bracket: u8) -> Result<Open<'_>, Unfit> {
        if self.depth >= JSON_DEPTH_MAX {
            return Err(Unfit);
        }
        self.depth += 1;
        self.out.push(bracket);
        let (begin, members) = (self.out.len(), self.members.len());
        Ok(Open { writer: self, begin, members, around: false })
    }

    /// Opens the object around the content of a variant.
    fn variant(&mut self, name: &'static str, bracket: u8) -> Result<Open<'_>, Unfit> {
        let mut object = self.open(b'{')?;
        object.key(name)?;
        let mut inner = self.open(bracket)?;
        inner.around = true;
        Ok(inner)
    }

    /// Puts the members of an object in order.
    fn sort(&mut self, begin: usize, first: usize) -> Result<(), Unfit> {
        let Self { out, scratch, members, .. } = self;
        let key = |member: &Member| out.get(member.key.clone()).unwrap_or_default();
        let own = members.get_mut(first..).unwrap_or_default();
        if own.is_sorted_by(|a, b| key(a) < key(b)) {
            members.truncate(first);
            return Ok(());
        }
        own.sort_by(|a, b| key(a).cmp(key(b)));
        if own.windows(2).any(|pair| matches!(pair, [a, b] if key(a) == key(b))) {
            return Err(Unfit);
        }
        scratch.clear();
        for (index, member) in own.iter().enumerate() {
            let whole = out.get(member.whole.clone()).unwrap_or_default();
            let plain = whole.strip_prefix(b",").unwrap_or(whole);
            if index > 0 {
                scratch.push(b',');
            }
            scratch.extend_from_slice(plain);
        }
        out.truncate(begin);
        out.extend_from_slice(scratch);
        members.truncate(first);
        Ok(())
    }

    /// Ends the innermost list or object.
    fn close(&mut self, begin: usize, first: usize, bracket: u8) -> Result<(), Unfit> {
        self.depth -= 1;
        if self.out.len() > begin {
            if bracket == b'}' {
                self.sort(begin, first)?;
            }
            self.line();
        }
        self.out.push(bracket);
        Ok(())
    }
}

impl Open<'_> {
    fn key(&mut self, key: &str) -> Result<(), Unfit> {
        if key.bytes().any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')) {
            return Err(Unfit);
        }
        let writer = &mut *self.writer;
        let from = writer.out.len();
        if from > self.begin {
            writer.out.push(b',');
        }
        writer.line();
        writer.out.push(b'"');
        let begin = writer.out.len();
        writer.out.extend_from_slice(key.as_bytes());
        let end = writer.out.len();
        writer.out.extend_from_slice(if writer.indented { b"\": " } else { b"\":" });
        writer.members.push(Member { key: begin..end, whole: from..from });
        Ok(())
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        let at = self.writer.members.len();
        value.serialize(&mut *self.writer)?;
        let end = self.writer.out.len();
        let member = at.checked_sub(1).and_then(|at| self.writer.members.get_mut(at)).ok_or(Unfit)?;
        member.whole.end = end;
        Ok(())
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        if self.writer.out.len() > self.begin {
            self.writer.out.push(b',');
        }
        self.writer.line();
        value.serialize(&mut *self.writer)
    }

    fn finish(self, bracket: u8) -> Result<(), Unfit> {
        self.writer.close(self.begin, self.members, bracket)?;
        if self.around {
            // It has one member, so there is nothing to put in order.
            self.writer.members.truncate(self.members - 1);
            self.writer.depth -= 1;
            self.writer.line();
            self.writer.out.push(b'}');
        }
        Ok(())
    }
}

impl<'w> Serializer for &'w mut Writer {
    type Ok = ();
    type Error = Unfit;
    type SerializeSeq = Open<'w>;
    type SerializeTuple = Open<'w>;
    type SerializeTupleStruct = Open<'w>;
    type SerializeTupleVariant = Open<'w>;
    type SerializeMap = Open<'w>;
    type SerializeStruct = Open<'w>;
    type SerializeStructVariant = Open<'w>;

    fn serialize_bool(self, value: bool) -> Result<(), Unfit> {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Unfit> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Unfit> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Unfit> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Unfit> {
        self.integer(value.unsigned_abs(), value < 0)
    }

    fn serialize_u8(self, value: u8) -> Result<(), Unfit> {
        self.integer(value.into(), false)
    }

    fn serialize_u16(self, value: u16) -> Result<(), Unfit> {
        self.integer(value.into(), false)
    }

    fn serialize_u32(self, value: u32) -> Result<(), Unfit> {
        self.integer(value.into(), false)
    }

    fn serialize_u64(self, value: u64) -> Result<(), Unfit> {
        self.integer(value, false)
    }

    fn serialize_f32(self, _: f32) -> Result<(), Unfit> {
        Err(Unfit)
    }

    fn serialize_f64(self, _: f64) -> Result<(), Unfit> {
        Err(Unfit)
    }

    fn serialize_char(self, value: char) -> Result<(), Unfit> {
        self.text(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Unfit> {
        self.text(value);
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Unfit> {
        Err(Unfit)
    }

    fn serialize_none(self) -> Result<(), Unfit> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unfit> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unfit> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unfit> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Unfit> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unfit> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unfit> {
        let mut object = self.open(b'{')?;
        object.key(variant)?;
        object.value(value)?;
        object.finish(b'}')
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Open<'w>, Unfit> {
        self.open(b'[')
    }

    fn serialize_tuple(self, _: usize) -> Result<Open<'w>, Unfit> {
        self.open(b'[')
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Open<'w>, Unfit> {
        self.open(b'[')
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'w>, Unfit> {
        self.variant(variant, b'[')
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Open<'w>, Unfit> {
        self.open(b'{')
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Open<'w>, Unfit> {
        self.open(b'{')
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'w>, Unfit> {
        self.variant(variant, b'{')
    }
}

impl ser::SerializeSeq for Open<'_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        self.element(value)
    }

    fn end(self) -> Result<(), Unfit> {
        self.finish(b']')
    }
}

impl ser::SerializeTuple for Open<'_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        self.element(value)
    }

    fn end(self) -> Result<(), Unfit> {
        self.finish(b']')
    }
}

impl ser::SerializeTupleStruct for Open<'_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        self.element(value)
    }

    fn end(self) -> Result<(), Unfit> {
        self.finish(b']')
    }
}

impl ser::SerializeTupleVariant for Open<'_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        self.element(value)
    }

    fn end(self) -> Result<(), Unfit> {
        self.finish(b']')
    }
}

impl ser::SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unfit> {
        key.serialize(Key(self))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        self.value(value)
    }

    fn end(self) -> Result<(), Unfit> {
        self.finish(b'}')
    }
}

impl ser::SerializeStruct for Open<'_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Unfit> {
        self.key(key)?;
        self.value(value)
    }

    fn end(self) -> Result<(), Unfit> {
        self.finish(b'}')
    }
}

impl ser::SerializeStructVariant for Open<'_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Unfit> {
        self.key(key)?;
        self.value(value)
    }

    fn end(self) -> Result<(), Unfit> {
        self.finish(b'}')
    }
}

/// Writes a key. Only texts are plain.
struct Key<'k, 'w>(&'k mut Open<'w>);

/// What no key is.
type Never = ser::Impossible<(), Unfit>;

macro_rules! unfit {
    ($($method:ident($($kind:ty),*) -> $ok:ty;)*) => {
        $(fn $method(self, $(_: $kind),*) -> Result<$ok, Unfit> { Err(Unfit) })*
    };
}

impl Serializer for Key<'_, '_> {
    type Ok = ();
    type Error = Unfit;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    fn serialize_str(self, key: &str) -> Result<(), Unfit> {
        self.0.key(key)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Unfit> {
        self.0.key(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, key: &T) -> Result<(), Unfit> {
        key.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), Unfit> {
        Err(Unfit)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Unfit> {
        Err(Unfit)
    }

    unfit! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloc::{
        collections::BTreeMap,
        format,
        string::{String, ToString},
        vec,
    };
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// The definition: a tree of sorted maps, written by `serde_json`.
    fn slowly<T: Serialize>(value: &T, indented: bool) -> Option<Vec<u8>> {
        let value = serde_json::to_value(value).ok()?;
        crate::canonical::check(&value).ok()?;
        if indented { serde_json::to_vec_pretty(&value).ok() } else { serde_json::to_vec(&value).ok() }
    }

    fn agree<T: Serialize>(value: &T, plain: bool) {
        for indented in [false, true] {
            let (quick, slow) = (bytes(value, indented), slowly(value, indented));
            assert!(quick.is_some() || !plain);
            if let Some(quick) = quick {
                assert_eq!(String::from_utf8(quick).unwrap(), String::from_utf8(slow.unwrap()).unwrap());
            }
        }
    }

    #[derive(Serialize)]
    enum Shape {
        Unit,
        New(u8),
        Tuple(i64, Option<char>),
        Struct { z: Vec<u8>, a: BTreeMap<String, u32> },
    }

    #[derive(Serialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Tagged {
        Empty,
        Full { b: bool, a: () },
    }

    #[derive(Serialize)]
    struct Inner {
        y: i32,
        x: Option<i32>,
    }

    #[derive(Serialize)]
    struct Everything {
        z: Vec<Shape>,
        tagged: Vec<Tagged>,
        #[serde(flatten)]
        inner: Inner,
        a: (u64, String),
        map: BTreeMap<String, Value>,
    }

    #[test]
    fn every_kind_of_value_is_written_alike() {
        let map: BTreeMap<String, u32> = [("b".to_string(), 1), ("a".to_string(), 2)].into();
        agree(
            &Everything {
                z: vec![
                    Shape::Unit,
                    Shape::New(3),
                    Shape::Tuple(-5, Some('"')),
                    Shape::Struct { z: vec![], a: map },
                    Shape::Struct { z: vec![0, 10, 255], a: BTreeMap::new() },
                ],
                tagged: vec![Tagged::Empty, Tagged::Full { b: true, a: () }],
                inner: Inner { y: -1, x: None },
                a: (9_007_199_254_740_991, "\u{0}\u{1f}\u{7f}\\ \"é\n\r\t\u{8}\u{c}".into()),
                map: [("k".to_string(), json!({"b": [], "a": {}}))].into(),
            },
            true,
        );
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_slow_way() {
        let twice = "{\"a\": 1}";
        assert!(bytes(&json!({"a": 1.5}), false).is_none());
        assert!(bytes(&json!(9_007_199_254_740_992_u64), false).is_none());
        assert!(bytes(&json!(-9_007_199_254_740_992_i64), false).is_none());
        assert!(bytes(&json!({"a\n": 1}), true).is_none());
        assert!(bytes(&BTreeMap::from([(1, 2)]), true).is_none());
        assert_eq!(crate::canonical::file_bytes(&BTreeMap::from([(1, 2)])).unwrap(), b"{\n  \"1\": 2\n}\n");
        let mut deep = json!(twice);
        for depth in 1..=JSON_DEPTH_MAX + 1 {
            deep = json!([deep]);
            assert_eq!(bytes(&deep, true).is_some(), depth <= JSON_DEPTH_MAX, "{depth}");
            assert_eq!(crate::canonical::file_bytes(&deep).is_ok(), depth <= JSON_DEPTH_MAX, "{depth}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[ -~]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[ -~é]{0,4}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_is_written_alike(value in values()) {
            agree(&value, false);
            let checked = crate::canonical::check(&value).is_ok();
            prop_assert_eq!(crate::canonical::compact(&value).is_ok(), checked);
            if let Ok(quick) = crate::canonical::compact(&value) {
                prop_assert_eq!(Some(quick), slowly(&value, false), "{}", format!("{value}"));
            }
        }
    }
}
