//! What a path should hold, given what it holds. Pure: planning and applying both call this, so
//! that what is written is what was planned.

use crate::{
    desired::{Want, WantedAccess},
    edit::{Edit, EditError},
    entry::{Access, Content, Entry},
    errors::{conflict, schema},
    look::too_long,
    names::Names,
    tree::Owner,
};
use rectify_sdk::{
    base::{DigestKey, limits::FILE_CONTENT_MAX_BYTES},
    protocol::{ErrorCode, ItemError},
};

/// Mode of a new file for which none is given.
const NEW_FILE_MODE: u32 = 0o644;
/// Mode of a new file with a secret for which none is given.
const SECRET_FILE_MODE: u32 = 0o600;
/// What a mode grants to everybody.
const OTHERS: u32 = 0o007;
/// Mode of a new directory for which none is given.
const NEW_DIRECTORY_MODE: u32 = 0o755;

/// Most lines of a file that is edited: each is in memory with its place, so that a file of newlines
/// takes many times its size.
const LINES_MAX: usize = 4_000_000;

/// Computes goals on one target.
#[derive(Clone, Copy)]
pub(crate) struct Goals<'a> {
    pub(crate) names: &'a Names,
    /// Who owns what is new.
    pub(crate) owner: Owner,
    /// The session's key for digests of what others may not read.
    pub(crate) key: Option<&'a DigestKey>,
    /// Whether there is a secret in what is wanted: others must not be able to read the file.
    pub(crate) secret: bool,
}

impl Goals<'_> {
    /// What the path should hold; `None` is nothing. Equal to `prior` where all is well.
    pub(crate) fn goal(&self, want: &Want, prior: Option<&Entry>) -> Result<Option<Entry>, ItemError> {
        match (want, prior) {
            (Want::Content { bytes, access }, None) => self.file(bytes.clone(), access, None).map(Some),
            (Want::Content { bytes, access }, Some(Entry::File { access: found, .. })) => {
                self.file(bytes.clone(), access, Some(found)).map(Some)
            }
            (Want::Edit { edit, create, access }, None | Some(Entry::File { .. })) => {
                self.edited(prior, edit, *create, access)
            }
            (Want::Directory { access }, None) => {
                let access = self.access(access, None, NEW_DIRECTORY_MODE)?;
                Ok(Some(Entry::Directory { access, entries: None }))
            }
            (Want::Directory { access }, Some(Entry::Directory { access: found, entries })) => {
                let access = self.access(access, Some(found), NEW_DIRECTORY_MODE)?;
                Ok(Some(Entry::Directory { access, entries: entries.clone() }))
            }
            (Want::Link { target }, None) => Ok(Some(Entry::Link {
                target: target.clone(),
                owner: self.names.users.name(self.owner.uid),
                group: self.names.groups.name(self.owner.gid),
            })),
            (Want::Link { target }, Some(Entry::Link { owner, group, .. })) => {
                Ok(Some(Entry::Link { target: target.clone(), owner: owner.clone(), group: group.clone() }))
            }
            (Want::Absent { .. }, None) => Ok(None),
            (Want::Absent { recursive }, Some(found)) => match found {
                Entry::Directory { entries: None, .. } => Err(ItemError::new(
                    ErrorCode::Unsupported,
                    "what the directory will hold after the earlier step is not known",
                )
                .hint("remove it in a later plan")),
                Entry::Directory { entries: Some(entries), .. } if entries.count > 0 && !recursive => {
                    Err(conflict(format!("the directory is not empty: it holds {}", count(entries.count)))
                        .at("/recursive")
                        .hint("set `recursive: true` to remove what it holds, which cannot be undone"))
                }
                _ => Ok(None),
            },
            (Want::Content { .. } | Want::Edit { .. }, Some(Entry::Link { target, .. })) => {
                Err(conflict(format!("the path is a link to `{}`", target.escape_debug()))
                    .at("/path")
                    .hint("name the file that it leads to, or remove the link with `file.absent` before"))
            }
            (_, Some(found)) => Err(conflict(format!("the path is a {}", found.kind()))
                .at("/path")
                .hint("remove it with `file.absent` in a step before")),
        }
    }

    fn file(&self, bytes: Vec<u8>, want: &WantedAccess, found: Option<&Access>) -> Result<Entry, ItemError> {
        let mut access =
            self.access(want, found, if self.secret { SECRET_FILE_MODE } else { NEW_FILE_MODE })?;
        if self.secret {
            self.keep_private(want, &mut access)?;
        }
        Ok(Entry::File { content: Content::of(bytes, self.key), access })
    }

    /// A secret goes into a file that others may not read: one that is open is closed, unless its mode
    /// is asked for.
    fn keep_private(&self, want: &WantedAccess, access: &mut Access) -> Result<(), ItemError> {
        if self.key.is_none() {
            let message =
                "a file with a secret can be named only by its digest under a key, and there is none";
            return Err(ItemError::new(ErrorCode::Unsupported, message));
        }
        if access.mode & OTHERS == 0 {
            return Ok(());
        }
        if want.mode.is_some() {
            let message = "there is a secret in the file, and this mode lets others in";
            return Err(schema(message, "/mode").hint("say a mode such as `0600` or `0640`"));
        }
        access.mode &= !OTHERS;
        Ok(())
    }

    fn edited(
        &self,
        prior: Option<&Entry>,
        edit: &Edit,
        create: bool,
        access: &WantedAccess,
    ) -> Result<Option<Entry>, ItemError> {
        let (bytes, found) = match prior {
            None if edit.is_absent() => return Ok(None),
            None if create => (&[][..], None),
            None => {
                return Err(ItemError::new(ErrorCode::Failed, "the file does not exist")
                    .at("/path")
                    .hint("set `create: true` if it should be made"));
            }
            Some(Entry::File { content, access }) => {
                let Some(bytes) = content.bytes.as_deref() else {
                    if content.is_long() {
                        return Err(too_long(FILE_CONTENT_MAX_BYTES));
                    }
                    return Err(ItemError::new(
                        ErrorCode::Unsupported,
                        "the content that the earlier step leaves behind is not at hand (it is long, \
                         no text, or not readable by others), so it cannot be edited in this plan",
                    )
                    .hint("plan again after the earlier step was applied, or write both as one step"));
                };
                (bytes, Some(access))
            }
            // `goal` sends only these two here.
            Some(other) => return Err(conflict(format!("the path is a {}", other.kind()))),
        };
        if bytes.iter().filter(|byte| **byte == b'\n').count() > LINES_MAX {
            let message = format!("the file has more than {LINES_MAX} lines and is not edited");
            return Err(ItemError::new(ErrorCode::Unsupported, message).at("/path"));
        }
        let bytes = edit.apply(bytes).map_err(EditError::answer)?;
        self.file(bytes, access, found).map(Some)
    }

    fn access(
        &self,
        want: &WantedAccess,
        found: Option<&Access>,
        new_mode: u32,
    ) -> Result<Access, ItemError> {
        // A name is brought into the one form that states use: two names may mean one id.
        let owner = match (&want.owner, found) {
            (Some(name), _) => self.names.users.name(self.names.wanted_user(name)?),
            (None, Some(found)) => found.owner.clone(),
            (None, None) => self.names.users.name(self.owner.uid),
        };
        let group = match (&want.group, found) {
            (Some(name), _) => self.names.groups.name(self.names.wanted_group(name)?),
            (None, Some(found)) => found.group.clone(),
            (None, None) => self.names.groups.name(self.owner.gid),
        };
        let mode = want.mode.or(found.map(|found| found.mode)).unwrap_or(new_mode);
        Ok(Access { mode, owner, group })
    }
}

/// `1 entry`, `2 entries`.
pub(crate) fn count(entries: u64) -> String {
    if entries == 1 { "1 entry".into() } else { format!("{entries} entries") }
}
