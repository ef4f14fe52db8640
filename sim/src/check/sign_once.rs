//! Sign once: no honest member ever signs two different payloads under one key, before and after
//! a crash alike. The check sees every message that leaves an honest member.

use super::{Check, Observation};
use crate::view;
use std::collections::BTreeMap;
use types::{Hash, Header};

/// See the module.
#[derive(Debug, Default)]
pub struct SignOnce {
    signed: BTreeMap<Header, Hash>,
}

impl Check for SignOnce {
    fn name(&self) -> &'static str {
        "sign-once"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Sent { slot, message, .. } = *seen else { return Ok(()) };
        for statement in view::own_statements(slot, message) {
            let known = *self.signed.entry(statement.header).or_insert(statement.payload);
            if known != statement.payload {
                return Err(format!(
                    "{slot} signed {known} and now {} for {:?}",
                    statement.payload, statement.header
                ));
            }
        }
        Ok(())
    }
}
