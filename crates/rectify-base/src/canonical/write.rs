//! Writes any serializable value in canonical form in one pass, without a tree of it in memory.
//!
//! Objects are written member by member into the same buffer; only one whose members did not come in
//! order is put in order when it ends. What has no canonical form, or is not decided here, ends in
//! [`Unfit`]: the caller then takes the way through a [`serde_json::Value`], which says why.

use super::{JSON_DEPTH_MAX, JSON_INTEGER_MAX};
use alloc::vec::Vec;
use core::fmt;
use serde::{Serialize, Serializer, ser};

/// The form of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Without white space.
    Compact,
    /// One member or item a line, indented by two spaces.
    Indented,
}

/// The bytes of a value, or `None` if it is not for this writer.
pub(super) fn write<T: Serialize + ?Sized>(value: &T, form: Form) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    value.serialize(Writer { out: &mut out, form, depth: 0 }).ok()?;
    Some(out)
}

/// Not for this writer.
#[derive(Debug)]
pub(super) struct Unfit;

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not written in one pass")
    }
}

impl core::error::Error for Unfit {}

impl ser::Error for Unfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Written = Result<(), Unfit>;

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    form: Form,
    /// Objects and arrays around this value.
    depth: usize,
}

impl Writer<'_> {
    fn raw(self, text: &str) -> Written {
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn integer(self, value: i64) -> Written {
        if value.unsigned_abs() > JSON_INTEGER_MAX {
            return Err(Unfit);
        }
        string_or_number(self.out, &value)
    }
}

/// Strings and numbers are spelt as `serde_json` spells them.
fn string_or_number<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Written {
    value.serialize(&mut serde_json::Serializer::new(out)).map_err(|_| Unfit)
}

fn line(out: &mut Vec<u8>, form: Form, depth: usize) {
    if form == Form::Indented {
        out.push(b'\n');
        out.extend(core::iter::repeat_n(b' ', 2 * depth));
    }
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Unfit;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = ser::Impossible<(), Unfit>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Variant<'a>;

    fn serialize_bool(self, value: bool) -> Written {
        self.raw(if value { "true" } else { "false" })
    }

    fn serialize_i8(self, value: i8) -> Written {
        self.integer(value.into())
    }

    fn serialize_i16(self, value: i16) -> Written {
        self.integer(value.into())
    }

    fn serialize_i32(self, value: i32) -> Written {
        self.integer(value.into())
    }

    fn serialize_i64(self, value: i64) -> Written {
        self.integer(value)
    }

    fn serialize_u8(self, value: u8) -> Written {
        self.integer(value.into())
    }

    fn serialize_u16(self, value: u16) -> Written {
        self.integer(value.into())
    }

    fn serialize_u32(self, value: u32) -> Written {
        self.integer(value.into())
    }

    fn serialize_u64(self, value: u64) -> Written {
        self.integer(i64::try_from(value).map_err(|_| Unfit)?)
    }

    fn serialize_f32(self, _: f32) -> Written {
        Err(Unfit)
    }

    fn serialize_f64(self, _: f64) -> Written {
        Err(Unfit)
    }

    fn serialize_char(self, value: char) -> Written {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Written {
        string_or_number(self.out, value)
    }

    fn serialize_bytes(self, _: &[u8]) -> Written {
        Err(Unfit)
    }

    fn serialize_none(self) -> Written {
        self.raw("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        self.raw("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        self.raw("null")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        let mut members = Members::open(self)?;
        members.member(variant, value)?;
        members.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, Unfit> {
        Items::open(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, Unfit> {
        Items::open(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Unfit> {
        Items::open(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unfit> {
        Err(Unfit)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members<'a>, Unfit> {
        Members::open(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, Unfit> {
        Members::open(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Variant<'a>, Unfit> {
        let Writer { out, form, depth } = self;
        if depth >= JSON_DEPTH_MAX {
            return Err(Unfit);
        }
        out.push(b'{');
        line(out, form, depth + 1);
        string_or_number(out, variant)?;
        out.extend_from_slice(colon(form));
        Ok(Variant { depth, inner: Members::open(Writer { out, form, depth: depth + 1 })? })
    }
}

const fn colon(form: Form) -> &'static [u8] {
    match form {
        Form::Compact => b":",
        Form::Indented => b": ",
    }
}

/// An array under way.
pub(super) struct Items<'a> {
    out: &'a mut Vec<u8>,
    form: Form,
    depth: usize,
    empty: bool,
}

impl<'a> Items<'a> {
    fn open(writer: Writer<'a>) -> Result<Self, Unfit> {
        let Writer { out, form, depth } = writer;
        if depth >= JSON_DEPTH_MAX {
            return Err(Unfit);
        }
        out.push(b'[');
        Ok(Self { out, form, depth, empty: true })
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        line(self.out, self.form, self.depth + 1);
        value.serialize(Writer { out: self.out, form: self.form, depth: self.depth + 1 })
    }

    fn close(self) -> Written {
        if !self.empty {
            line(self.out, self.form, self.depth);
        }
        self.out.push(b']');
        Ok(())
    }
}

impl ser::SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = Unfit;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.item(value)
    }
    fn end(self) -> Written {
        self.close()
    }
}

impl ser::SerializeTuple for Items<'_> {
    type Ok = ();
    type Error = Unfit;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.item(value)
    }
    fn end(self) -> Written {
        self.close()
    }
}

impl ser::SerializeTupleStruct for Items<'_> {
    type Ok = ();
    type Error = Unfit;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.item(value)
    }
    fn end(self) -> Written {
        self.close()
    }
}

/// An object under way.
pub(super) struct Members<'a> {
    out: &'a mut Vec<u8>,
    form: Form,
    depth: usize,
    /// Where the first member begins.
    start: usize,
    /// Key and place of each member, without the comma before it.
    members: Vec<(Key, core::ops::Range<usize>)>,
    /// Whether the members came in order so far.
    sorted: bool,
}

type Key = alloc::borrow::Cow<'static, str>;

impl<'a> Members<'a> {
    fn open(writer: Writer<'a>) -> Result<Self, Unfit> {
        let Writer { out, form, depth } = writer;
        if depth >= JSON_DEPTH_MAX {
            return Err(Unfit);
        }
        out.push(b'{');
        let start = out.len();
        Ok(Self { out, form, depth, start, members: Vec::new(), sorted: true })
    }

    fn key(&mut self, key: Key) -> Written {
        if let Some((last, _)) = self.members.last() {
            self.out.push(b',');
            self.sorted &= last.as_ref() < key.as_ref();
        }
        let start = self.out.len();
        line(self.out, self.form, self.depth + 1);
        string_or_number(self.out, key.as_ref())?;
        self.out.extend_from_slice(colon(self.form));
        self.members.push((key, start..start));
        Ok(())
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        value.serialize(Writer { out: self.out, form: self.form, depth: self.depth + 1 })?;
        let (_, place) = self.members.last_mut().ok_or(Unfit)?;
        place.end = self.out.len();
        Ok(())
    }

    fn member<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        self.key(Key::Borrowed(key))?;
        self.value(value)
    }

    fn close(mut self) -> Written {
        if !self.sorted {
            self.sort()?;
        }
        if !self.members.is_empty() {
            line(self.out, self.form, self.depth);
        }
        self.out.push(b'}');
        Ok(())
    }

    fn sort(&mut self) -> Written {
        self.members.sort_by(|(a, _), (b, _)| a.cmp(b));
        if self.members.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
            return Err(Unfit);
        }
        let mut ordered = Vec::with_capacity(self.out.len() - self.start);
        for (index, (_, place)) in self.members.iter().enumerate() {
            if index > 0 {
                ordered.push(b',');
            }
            ordered.extend_from_slice(self.out.get(place.clone()).ok_or(Unfit)?);
        }
        self.out.truncate(self.start);
        self.out.append(&mut ordered);
        Ok(())
    }
}

impl ser::SerializeMap for Members<'_> {
    type Ok = ();
    type Error = Unfit;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        // Keys of maps are strings in all our formats, some of them behind a newtype.
        let key = match serde_json::to_value(key) {
            Ok(serde_json::Value::String(key)) => key,
            _ => return Err(Unfit),
        };
        self.key(Key::Owned(key))
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.value(value)
    }
    fn end(self) -> Written {
        self.close()
    }
}

impl ser::SerializeStruct for Members<'_> {
    type Ok = ();
    type Error = Unfit;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        self.member(key, value)
    }
    fn end(self) -> Written {
        self.close()
    }
}

/// An object in an object, as which a variant with fields is written.
pub(super) struct Variant<'a> {
    depth: usize,
    inner: Members<'a>,
}

impl ser::SerializeStructVariant for Variant<'_> {
    type Ok = ();
    type Error = Unfit;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        self.inner.member(key, value)
    }
    fn end(mut self) -> Written {
        if !self.inner.sorted {
            self.inner.sort()?;
        }
        let Self { depth, inner: Members { out, form, depth: inner, members, .. } } = self;
        if !members.is_empty() {
            line(out, form, inner);
        }
        out.push(b'}');
        line(out, form, depth);
        out.push(b'}');
        Ok(())
    }
}
