//! Looks at resources, asked for together: a provider that keeps several before-images in one request waits
//! for the disk less often.
//!
//! Who comes while enough of a session's requests are under way is gathered until one of them is answered, as
//! many are ready as fit into one, or a moment has passed. A lone look never waits.

use super::{
    asks::{Subject, Subjects, Unheard, item_failure, left_out, may_ask_again, session, unread},
    driver::Heard,
    sessions::Sessions,
};
use crate::observe::ProviderSession;
use rectify_apply::{Event, Looked};
use rectify_base::NodeKey;
use rectify_model::journal::Failure;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};

/// Most looks in one request: one worker of the provider takes them one after the other.
const LOOKS_MAX: usize = 8;
/// Requests of one session under way, before more looks are gathered.
const UNDER_WAY_MAX: usize = 2;
/// Longest time that a look is gathered: somebody else's may hang.
const GATHER_MAX: Duration = Duration::from_millis(20);

/// One look that is to be taken.
#[derive(Clone, Debug)]
pub struct Look {
    /// The step.
    pub node: NodeKey,
    /// Its number, as the step function counts.
    pub ask: u32,
    /// Keep a before-image.
    pub capture: bool,
    /// How often it was tried, this time included.
    pub tries: u32,
}

/// Which session a request is of: where it lies, which is its own while a request holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(usize);

impl SessionId {
    fn of(session: &Arc<ProviderSession>) -> Self {
        Self(Arc::as_ptr(session).addr())
    }
}

/// The looks of a run that were not asked for yet.
#[derive(Debug, Default)]
pub struct Looks {
    waiting: Vec<(Look, Instant)>,
    under_way: BTreeMap<SessionId, usize>,
}

impl Looks {
    /// Adds one.
    pub fn push(&mut self, look: Look) {
        self.waiting.push((look, Instant::now()));
    }

    /// When the next one has waited long enough.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.first().map(|(_, since)| *since + GATHER_MAX)
    }

    /// A request was answered.
    pub fn answered(&mut self, session: SessionId) {
        if let Some(count) = self.under_way.get_mut(&session) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.under_way.remove(&session);
            }
        }
    }

    /// Asks for what has no reason to wait.
    pub async fn ask(
        &mut self,
        sessions: &mut Sessions<'_>,
        subjects: &Subjects,
        sender: &mpsc::UnboundedSender<Heard>,
    ) {
        let mut groups: Vec<Group> = Vec::new();
        for (look, since) in std::mem::take(&mut self.waiting) {
            match session(sessions, subjects, &look.node).await {
                Err(failure) => heard(sender, &look, Err(failure)),
                Ok((session, subject)) if !subject.is_quick() => {
                    tokio::spawn(together(session, vec![(look, subject)], sender.clone()));
                }
                Ok((session, subject)) => {
                    let entry = (look, subject, since);
                    match groups.iter_mut().find(|group| Arc::ptr_eq(&group.session, &session)) {
                        Some(group) => group.looks.push(entry),
                        None => groups.push(Group { session, looks: vec![entry] }),
                    }
                }
            }
        }
        let now = Instant::now();
        for Group { session, mut looks } in groups {
            let id = SessionId::of(&session);
            let under_way = self.under_way.entry(id).or_default();
            while let Some((_, _, since)) = looks.first() {
                if *under_way >= UNDER_WAY_MAX && looks.len() < LOOKS_MAX && now < *since + GATHER_MAX {
                    break;
                }
                let request = looks.drain(..looks.len().min(LOOKS_MAX));
                let request = request.map(|(look, subject, _)| (look, subject)).collect();
                let (session, sender) = (Arc::clone(&session), sender.clone());
                *under_way += 1;
                tokio::spawn(async move {
                    together(session, request, sender.clone()).await;
                    drop(sender.send(Heard::LooksAnswered(id)));
                });
            }
            self.waiting.extend(looks.into_iter().map(|(look, _, since)| (look, since)));
        }
        self.waiting.sort_by_key(|(_, since)| *since);
    }
}

/// Looks at resources of one session.
struct Group {
    session: Arc<ProviderSession>,
    looks: Vec<(Look, Subject, Instant)>,
}

/// Takes one look in a request of its own.
pub async fn alone(
    sessions: &mut Sessions<'_>,
    subjects: &Subjects,
    sender: &mpsc::UnboundedSender<Heard>,
    look: Look,
) {
    match session(sessions, subjects, &look.node).await {
        Err(failure) => heard(sender, &look, Err(failure)),
        Ok((session, subject)) => {
            tokio::spawn(together(session, vec![(look, subject)], sender.clone()));
        }
    }
}

async fn together(
    session: Arc<ProviderSession>,
    looks: Vec<(Look, Subject)>,
    sender: mpsc::UnboundedSender<Heard>,
) {
    let items = looks.iter().map(|(look, subject)| subject.item(look.capture)).collect();
    match session.read(items).await {
        Ok(answers) => {
            let missing = || Err(left_out());
            let answers = answers.into_iter().map(|answer| answer.map_err(|error| item_failure(&error)));
            for ((look, subject), answer) in looks.iter().zip(answers.chain(std::iter::repeat_with(missing)))
            {
                heard(&sender, look, answer.and_then(|answer| subject.looked(answer)));
            }
        }
        Err(error) => {
            // One of them may be the reason (too large, too slow, its provider's end): alone from now on.
            let together = looks.len() > 1;
            for (look, _) in looks {
                if together || may_ask_again(&error, look.tries) {
                    let look = Look { tries: look.tries + 1, ..look };
                    drop(sender.send(Heard::Again(Unheard::Look(look))));
                } else {
                    heard(&sender, &look, Err(unread(&error)));
                }
            }
        }
    }
}

fn heard(sender: &mpsc::UnboundedSender<Heard>, look: &Look, answer: Result<Looked, Failure>) {
    let event = Event::Looked { node: look.node.clone(), ask: look.ask, answer };
    drop(sender.send(Heard::Event(event)));
}
