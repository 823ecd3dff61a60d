//! What a modern server wants of a legacy client, asked by requests.

use super::{Stop, ToModern};
use crate::link::Passage;
use crate::session::{Origin, Session};
use bytes::Bytes;
use callgate_wire::bridge::{Wanted, ask_client};
use callgate_wire::{IdKey, quoted};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A request that asks the client for something.
struct Question<'w> {
    /// What the server calls it.
    name: &'w str,
    id: IdKey,
    bytes: Bytes,
}

impl ToModern {
    /// Asks the client what the server wants of it; the answers, by key.
    pub(super) async fn ask_all(
        &self,
        session: &Arc<Session>,
        passage: &Passage,
        key: &IdKey,
        wanted: &[(String, Wanted)],
    ) -> Result<String, Stop> {
        let questions = self.questions(session, wanted)?;
        let mut waiting = Vec::new();
        for Question { name, id, bytes } in questions {
            let (sender, receiver) = oneshot::channel();
            self.lock().asked.insert(id.clone(), sender);
            waiting.push((name, id, receiver));
            session
                .deliver(bytes, Origin::Reply { to: key, status: 200 })
                .await;
        }
        session.allow_time(key, session.gate().settings.answer_time);
        let ids: Vec<IdKey> = waiting.iter().map(|(_, id, _)| id.clone()).collect();
        let answers = tokio::select! {
            answers = answers_of(waiting) => answers,
            () = passage.departure.ended() => Err(Stop::Left),
        };
        match &answers {
            Ok(_) => session.renew_time(key),
            Err(_) => self.withdraw_questions(session, key, &ids).await,
        }
        answers
    }

    /// The requests that ask for all that is wanted; none of them is sent where one of them cannot be asked.
    fn questions<'w>(
        &self,
        session: &Session,
        wanted: &'w [(String, Wanted)],
    ) -> Result<Vec<Question<'w>>, Stop> {
        let capabilities = self.lock().speaker.capabilities.clone();
        let mut questions = Vec::new();
        for (name, wanted) in wanted {
            if !wanted.is_declared(&capabilities) {
                let what = wanted.input.method();
                let text = format!("the server wants `{what}` in a way that the client does not offer");
                return Err(Stop::Broken(text));
            }
            let id = IdKey::from(session.mint().as_str());
            let question = ask_client(&id, wanted, self.version)
                .map_err(|cause| Stop::Broken(format!("the client cannot be asked: {cause}")))?;
            questions.push(Question {
                name,
                id,
                bytes: question.into(),
            });
        }
        Ok(questions)
    }

    /// Tells the client that what it was asked is not wanted any more.
    async fn withdraw_questions(&self, session: &Arc<Session>, key: &IdKey, ids: &[IdKey]) {
        for id in ids {
            if self.lock().asked.remove(id).is_some() {
                let id = id.to_json();
                let cancelled = format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
                );
                session
                    .deliver(cancelled.into(), Origin::Reply { to: key, status: 200 })
                    .await;
            }
        }
    }
}

/// The client's answers by key, once all are there.
async fn answers_of(waiting: Vec<(&str, IdKey, oneshot::Receiver<Option<String>>)>) -> Result<String, Stop> {
    let mut answers = Vec::new();
    for (name, _, receiver) in waiting {
        let Some(answer) = receiver.await.ok().flatten() else {
            let text = "the client did not answer what the server wants of it";
            return Err(Stop::Broken(text.to_owned()));
        };
        answers.push(format!("{}:{answer}", quoted(name)));
    }
    Ok(format!("{{{}}}", answers.join(",")))
}
