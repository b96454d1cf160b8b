//! What the provider says of itself.

use crate::{GROUP, KEYS, USER};
use rectify_sdk::{
    base::TypeName,
    protocol::{
        Manifest, VERSION,
        manifest::{FORMAT, ProtocolRange, TouchRule, TypeDescriptor},
    },
};
use serde_json::{Value, json};

const NAME: &str = "^[a-z_][a-z0-9_-]{0,31}$";
/// The largest number means "no change" to the system.
const NUMBER_MAX: u32 = u32::MAX - 1;

pub(crate) fn manifest() -> Manifest {
    let types = [
        descriptor(
            GROUP,
            "A group exists, with this number and these members.",
            group(),
            &[("/name", "group", "write"), ("/gid", "gid", "write")],
        ),
        descriptor(
            KEYS,
            "These keys let somebody in as a user over ssh.",
            keys(),
            &[("/user", "authorized_keys", "write"), ("/user", "user", "read")],
        ),
        descriptor(
            USER,
            "A user exists, with this number, home, shell, groups and password.",
            user(),
            &[("/name", "user", "write"), ("/uid", "uid", "write"), ("/group", "group", "read")],
        ),
    ];
    Manifest {
        format: FORMAT.into(),
        name: "account".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        types: types.into_iter().flatten().collect(),
    }
}

fn descriptor(
    name: &str,
    summary: &str,
    schema: Value,
    touches: &[(&str, &str, &str)],
) -> Option<TypeDescriptor> {
    let touches = touches.iter().map(|(property, kind, access)| TouchRule {
        property: (*property).into(),
        kind: (*kind).into(),
        access: (*access).into(),
    });
    Some(TypeDescriptor {
        name: TypeName::new(name).ok()?,
        version: 1,
        kind: "resource".into(),
        summary: summary.into(),
        schema,
        volatile: Vec::new(),
        touches: touches.collect(),
        prediction: "exact".into(),
        retry: "converge".into(),
        undo: "exact".into(),
        // The tools ask nobody what was there. Keys are compared until the rename.
        compare_and_swap: name == KEYS,
        read_timeout_ms: 30_000,
        apply_timeout_ms: 180_000,
    })
}

fn object(required: &str, properties: Value) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": [required],
        "additionalProperties": false,
        "properties": properties
    })
}

fn name(what: &str) -> Value {
    json!({"type": "string", "pattern": NAME, "description": what})
}

fn names(what: &str) -> Value {
    json!({"type": "array", "items": {"type": "string", "pattern": NAME}, "description": what})
}

fn number(what: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": NUMBER_MAX, "description": what})
}

fn state(what: &str) -> Value {
    json!({"enum": ["present", "absent"], "default": "present", "description": what})
}

fn flag(what: &str) -> Value {
    json!({"type": "boolean", "default": false, "description": what})
}

fn text(what: &str, pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern, "maxLength": 1024, "description": what})
}

fn group() -> Value {
    object(
        "name",
        json!({
            "name": name("Name of the group."),
            "gid": number("Its number. Left out: kept; a new group gets one that follows from its name."),
            "members": names("Users whom the group lists. Left out: kept."),
            "keep_members": flag("Keep members that are not named."),
            "system": flag("A new group is one of the system: its number is between 100 and 999."),
            "state": state("Whether the group should be there.")
        }),
    )
}

fn user() -> Value {
    object(
        "name",
        json!({
            "name": name("Name of the user."),
            "uid": number("The number. Left out: kept; a new user gets one that follows from the name."),
            "group": name("First group, by name. Left out: kept; a new user gets a group of the same name, which is made if it is not there."),
            "groups": names("Other groups, by name. Left out: kept."),
            "keep_groups": flag("Keep groups that are not named."),
            "comment": text("The full name, or a remark. Left out: kept.", "^[^:\\n]*$"),
            "home": text("Home directory, absolute. Left out: kept; a new user gets `/home/` and the name, one of the system `/nonexistent`. What lies in an old one is not moved.", "^/[^:\\n]*$"),
            "shell": text("Login shell, absolute. Left out: kept; a new user gets `/bin/sh`, one of the system `/usr/sbin/nologin`.", "^/[^:\\n]*$"),
            "password": {
                "type": "string",
                "x-rectify-secret": true,
                "description": "Hash of the password, as crypt(3) makes it; only as a secret, as in `${{ secrets.NAME }}`. Left out: kept; a new user has none, and is locked."
            },
            "locked": {
                "type": "boolean",
                "description": "Whether nobody gets in with a password. The hash is kept. Left out: kept. Keys for ssh still work."
            },
            "system": flag("A new user is one of the system: number between 100 and 999, no home directory is made."),
            "create_home": {
                "type": "boolean",
                "description": "Whether a new user gets a home directory, filled from `/etc/skel`. Left out: unless `system`."
            },
            "remove_home": flag("With state `absent`: remove the home directory, too."),
            "state": state("Whether the user should be there.")
        }),
    )
}

fn keys() -> Value {
    object(
        "user",
        json!({
            "user": name("Whose `.ssh/authorized_keys` it is."),
            "keys": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": 16384},
                "default": [],
                "description": "Keys, a line each, as ssh-keygen writes them into a `.pub` file; options may stand before."
            },
            "keep_others": flag("Keep everything else in the file. Otherwise it holds these keys and nothing else."),
            "state": state("`absent`: these keys are not in the file; others stay.")
        }),
    )
}
