//! Files beside the YAML that a property takes its text from: `{template: templates/…}`, with
//! expressions in it, and `{file: files/…}`, taken as it is. Only where a text is expected and no
//! mapping may stand does a mapping mean this, so it can never be taken for a value.

use crate::{
    SourceFile, codes,
    fields::{list, short},
    limits::TEXT_FILE_MAX_BYTES,
    report::Cx,
    scalar::Types,
    suggest::closest,
    text,
    tree::{Content, Entry, Node, Span},
};
use std::{collections::BTreeMap, rc::Rc};

/// How a character that cannot be seen is written in a template.
const TEMPLATE_ESCAPE: &str =
    "delete it; if the text needs it, write it as an expression such as `${{ \"\\u200b\" }}`";

/// What a file is to a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A text with expressions.
    Template,
    /// A text that is taken as it is.
    File,
}

impl Role {
    const ALL: [Self; 2] = [Self::Template, Self::File];

    /// The key that stands for it.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::File => "file",
        }
    }

    /// Where such files lie.
    pub const fn directory(self) -> &'static str {
        match self {
            Self::Template => "templates/",
            Self::File => "files/",
        }
    }

    fn of(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.key() == key)
    }
}

/// The files that may be named, by path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beside<'f>(Rc<BTreeMap<&'f str, &'f [u8]>>);

/// A text that a property takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken<'f> {
    pub role: Role,
    pub path: &'f str,
    pub text: &'f str,
    /// Where it is named.
    pub span: Span,
}

/// Whether a mapping that stands where `expected` may stand names a file.
pub(crate) fn names_file(entries: &[Entry<'_>], expected: Types) -> bool {
    expected.has(Types::STRING)
        && !expected.has(Types::MAP)
        && entries.iter().any(|entry| Role::of(&entry.key).is_some())
}

/// Whether a value takes its text from a file, if it stands where a text is expected.
pub(crate) fn may_name_file(entries: &[Entry<'_>]) -> bool {
    entries.iter().any(|entry| Role::of(&entry.key).is_some())
}

impl<'f> Beside<'f> {
    /// Of the files of a project, those that may be named.
    pub fn new(files: &'f [SourceFile]) -> Self {
        let named =
            files.iter().filter(|f| Role::ALL.iter().any(|role| f.path.starts_with(role.directory())));
        Self(Rc::new(named.map(|f| (f.path.as_str(), f.bytes.as_slice())).collect()))
    }

    /// The text that a mapping names; what is wrong with that is reported.
    pub fn take(&self, entries: &[Entry<'_>], cx: &mut Cx<'_, '_>) -> Option<Taken<'f>> {
        let mut named = entries.iter().filter_map(|entry| Some((Role::of(&entry.key)?, entry)));
        let (role, entry) = named.next()?;
        if let Some(other) = entries.iter().find(|other| other.key != entry.key) {
            let message = format!("`{}` stands alone, but there is `{}`, too", role.key(), short(&other.key));
            cx.error(codes::TEXT_FILE_PATH, other.key_span, message).help =
                Some(format!("a text comes from one file: `{{{}: {}…}}`", role.key(), role.directory()));
            return None;
        }
        let span = entry.value.span;
        let Content::Scalar(scalar) = &entry.value.content else {
            let message = format!("expected the path of a file, but there is {}", entry.value.what());
            cx.error(codes::TEXT_FILE_PATH, entry.key_span, message).help = Some(usual(role));
            return None;
        };
        let path = scalar.text.as_ref();
        if path.contains("${{") {
            cx.error(
                codes::EXPR_NOT_HERE,
                span,
                "the path of a file is literal: no expression is read here",
            )
            .help = Some("choose between two steps with `when`, or within one template".into());
            return None;
        }
        let span = if span.range().is_empty() { entry.key_span } else { span };
        if let Some(why) = wrong(path, role) {
            cx.error(codes::TEXT_FILE_PATH, span, format!("`{}` {why}", short(path))).help =
                Some(usual(role));
            return None;
        }
        let Some((path, bytes)) = self.0.get_key_value(path) else {
            let all: Vec<&str> = self.0.keys().copied().filter(|p| p.starts_with(role.directory())).collect();
            let otherwise = match all.as_slice() {
                [] => format!("there is no file in `{}`", role.directory()),
                few if few.len() <= 5 => format!("there is {}", list(few)),
                _ => "files whose name begins with a dot are not read".to_owned(),
            };
            let message = format!("there is no file `{}`", short(path));
            let candidate = closest(path, all.iter().copied());
            cx.misspelt(codes::TEXT_FILE_UNKNOWN, span, message, candidate, Some(otherwise));
            return None;
        };
        let before = cx.count();
        let text = decode(role, bytes, &mut cx.within(path));
        cx.label_since(before, span, "taken here");
        Some(Taken { role, path, text: text?, span })
    }

    /// The template that a value names, if it names one that can be read; nothing is reported.
    pub fn template(&self, node: &Node<'_>) -> Option<(&'f str, &'f str, Span)> {
        let Content::Map(entries) = &node.content else { return None };
        let [entry] = entries.as_slice() else { return None };
        let Content::Scalar(scalar) = &entry.value.content else { return None };
        if Role::of(&entry.key)? != Role::Template || wrong(&scalar.text, Role::Template).is_some() {
            return None;
        }
        let (path, bytes) = self.0.get_key_value(scalar.text.as_ref())?;
        Some((path, std::str::from_utf8(bytes).ok()?, entry.value.span))
    }
}

/// What names a file, for editors.
#[cfg(feature = "schema")]
pub(crate) fn schema() -> serde_json::Value {
    use crate::editor::described;
    use serde_json::json;

    let member = |role: Role| {
        let directory = role.directory().trim_end_matches('/');
        let pattern = format!("^(?![\\s\\S]*\\$\\{{\\{{){directory}(/(?!\\.{{1,2}}(/|$))[^/\\\\]+)+$");
        let description = match role {
            Role::Template => "A file in `templates/` whose expressions are read.",
            Role::File => "A file in `files/` that is taken as it is.",
        };
        described(json!({"type": "string", "pattern": pattern}), description)
    };
    let members: serde_json::Map<_, _> =
        Role::ALL.into_iter().map(|role| (role.key().to_owned(), member(role))).collect();
    let schema = json!({
        "type": "object",
        "properties": members,
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    });
    described(schema, "The text of a file of the project.")
}

fn usual(role: Role) -> String {
    format!("such as `{{{}: {}motd}}`, relative to the project", role.key(), role.directory())
}

/// What is wrong with a path.
fn wrong(path: &str, role: Role) -> Option<String> {
    let parts = || path.split('/');
    if path.is_empty() {
        Some("is empty".into())
    } else if path.starts_with('/') {
        Some("is absolute".into())
    } else if parts().any(|part| part == "..") {
        Some("leads upwards".into())
    } else if parts().any(|part| part.is_empty() || part == ".") || path.contains('\\') {
        Some("is not written as a plain path".into())
    } else if !path.starts_with(role.directory()) {
        Some(format!("is not in `{}`", role.directory()))
    } else {
        None
    }
}

/// The bytes of a file as text. What a reviewer cannot see has no place in a template; a plain file is
/// shown with the plan, where it can be seen.
fn decode<'f>(role: Role, bytes: &'f [u8], cx: &mut Cx<'_, '_>) -> Option<&'f str> {
    if bytes.len() > TEXT_FILE_MAX_BYTES {
        let message = format!("the file has {} bytes, more than {TEXT_FILE_MAX_BYTES}", bytes.len());
        cx.error(codes::TEXT_FILE_TOO_LARGE, Span::default(), message).help =
            Some("split it, or bring it to the target in a package".into());
        return None;
    }
    match std::str::from_utf8(bytes) {
        Err(error) => {
            let at = Span::new(error.valid_up_to(), error.valid_up_to());
            cx.error(codes::TEXT_FILE_ENCODING, at, "the file is not UTF-8 from here on").help =
                Some("a text property holds text; what is none goes into `content_base64`".into());
            None
        }
        Ok(text) if role == Role::File => Some(text),
        Ok(text) => text::is_visible(text, TEMPLATE_ESCAPE, cx).then_some(text),
    }
}
