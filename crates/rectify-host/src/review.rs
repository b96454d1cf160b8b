//! What is checked of each answer beyond its shape: that it keeps to what the manifest promises.

use crate::error::Fault;
use rectify_model::grade::{Disruption, Prediction, UndoGrade};
use rectify_protocol::{
    TypeDescriptor,
    message::{Applied, PlanAnswer, ReadAnswer},
};
use serde::{
    Deserialize,
    de::{IntoDeserializer, value::StrDeserializer},
};
use serde_json::{Map, Value};

/// An answer that can be checked against the descriptor of its type.
pub(crate) trait Review {
    fn review(&self, descriptor: &TypeDescriptor) -> Result<(), Fault>;
}

impl Review for () {
    fn review(&self, _: &TypeDescriptor) -> Result<(), Fault> {
        Ok(())
    }
}

impl Review for Map<String, Value> {
    fn review(&self, _: &TypeDescriptor) -> Result<(), Fault> {
        Ok(())
    }
}

impl Review for ReadAnswer {
    fn review(&self, _: &TypeDescriptor) -> Result<(), Fault> {
        state(self.state.as_ref())
    }
}

impl Review for Applied {
    fn review(&self, _: &TypeDescriptor) -> Result<(), Fault> {
        state(self.state.as_ref())
    }
}

impl Review for PlanAnswer {
    fn review(&self, descriptor: &TypeDescriptor) -> Result<(), Fault> {
        match self {
            Self::Unchanged { state: now, .. } => state(now.as_ref()),
            Self::Changed { prior, planned, prediction, disruption, undo, .. } => {
                state(prior.as_ref())?;
                state(planned.as_ref())?;
                for word in disruption {
                    known::<Disruption>("disruption", word)?;
                }
                let promised: Prediction = known("prediction", prediction)?;
                let best = known("prediction", &descriptor.prediction).unwrap_or(Prediction::Opaque);
                if promised > best {
                    return Err(overclaim("prediction", descriptor, prediction, &descriptor.prediction));
                }
                let promised: UndoGrade = known("undo", undo)?;
                let best = known("undo", &descriptor.undo).unwrap_or(UndoGrade::None);
                if promised > best {
                    return Err(overclaim("undo", descriptor, undo, &descriptor.undo));
                }
                Ok(())
            }
        }
    }
}

fn overclaim(what: &'static str, descriptor: &TypeDescriptor, found: &str, best: &str) -> Fault {
    let type_name = descriptor.name.to_string();
    Fault::Overclaim { what, type_name, found: found.into(), best: best.into() }
}

fn state(state: Option<&Value>) -> Result<(), Fault> {
    match state {
        None | Some(Value::Object(_)) => Ok(()),
        Some(_) => Err(Fault::AnswerShape("a state is an object, or absent".into())),
    }
}

fn known<'a, T: Deserialize<'a>>(what: &str, word: &'a str) -> Result<T, Fault> {
    let deserializer: StrDeserializer<'a, serde::de::value::Error> = word.into_deserializer();
    T::deserialize(deserializer).map_err(|e| Fault::AnswerShape(format!("{what}: {e}")))
}
