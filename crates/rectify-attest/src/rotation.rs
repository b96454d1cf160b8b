//! Changing keys: one takes the place of another, with a time in which both count; one is taken out of
//! use. And what a trust file cannot do any more.

use crate::{
    codes,
    principal::PrincipalName,
    public_key::PublicKey,
    trust::{KeyRecord, Revocation, TrustData, TrustFile, TrustProblem},
};
use rectify_base::Code;
use std::collections::BTreeSet;

impl TrustData {
    /// Gives the holder of `old` the key `new`, which counts from `now` on. The old one counts for
    /// `overlap_s` seconds more, or until its own end, if that comes sooner. Returns the holder.
    ///
    /// # Errors
    /// [`codes::TRUST_KEY_UNKNOWN`] and [`codes::TRUST_KEY_REVOKED`] of the old key. What is wrong with the
    /// new one is found by [`TrustFile::new`].
    pub fn rotate(
        &mut self,
        old: &PublicKey,
        new: PublicKey,
        now: u64,
        overlap_s: u64,
    ) -> Result<PrincipalName, TrustProblem> {
        let (name, index) = self.usable(old)?;
        let keys = self.principals.get_mut(&name).map(|principal| &mut principal.keys);
        if let Some(keys) = keys {
            let end = now.saturating_add(overlap_s);
            if let Some(record) = keys.get_mut(index) {
                record.valid_to = Some(record.valid_to.map_or(end, |to| to.min(end)));
            }
            keys.push(KeyRecord { valid_from: Some(now), ..KeyRecord::unlimited(new) });
        }
        Ok(name)
    }

    /// Takes a key out of use: from now on it never counts, whenever something was signed with it.
    /// `since` tells readers from when on it may have been in other hands. Returns the holder.
    ///
    /// # Errors
    /// [`codes::TRUST_KEY_UNKNOWN`] and [`codes::TRUST_KEY_REVOKED`].
    pub fn revoke(
        &mut self,
        key: &PublicKey,
        since: u64,
        reason: Option<String>,
    ) -> Result<PrincipalName, TrustProblem> {
        let (name, index) = self.usable(key)?;
        let record = self.principals.get_mut(&name).and_then(|principal| principal.keys.get_mut(index));
        if let Some(record) = record {
            record.revoked = Some(Revocation { since, reason });
        }
        Ok(name)
    }

    /// Whose key it is and which of theirs, unless it is revoked.
    fn usable(&self, key: &PublicKey) -> Result<(PrincipalName, usize), TrustProblem> {
        let problem = |code: Code, place: String, message: String| TrustProblem { code, place, message };
        for (name, principal) in &self.principals {
            let Some(index) = principal.keys.iter().position(|record| &record.public == key) else {
                continue;
            };
            if principal.keys.get(index).is_some_and(|record| record.revoked.is_some()) {
                let place = format!("/principals/{name}/keys/{index}");
                return Err(problem(codes::TRUST_KEY_REVOKED, place, "the key is revoked already".into()));
            }
            return Ok((name.clone(), index));
        }
        let message = format!("nobody here holds the key {}", key.fingerprint());
        Err(problem(codes::TRUST_KEY_UNKNOWN, "/principals".into(), message))
    }
}

impl TrustFile {
    /// What cannot be done with the keys that count at this time: one sentence each, without a final
    /// period.
    #[must_use]
    pub fn lacking(&self, now: u64) -> Vec<String> {
        let data = self.data();
        let able = |members: &BTreeSet<PrincipalName>| {
            let counts = |name: &&PrincipalName| {
                let principal = data.principals.get(*name);
                principal.is_some_and(|p| p.keys.iter().any(|key| key.refused_at(now).is_none()))
            };
            members.iter().filter(counts).count()
        };
        let mut lacking = Vec::new();
        if able(&data.sealers) == 0 {
            lacking.push("nobody can seal: no sealer has a key that counts".to_owned());
        }
        let approvers = able(&data.approvers);
        let thresholds = &data.thresholds;
        let highest = thresholds.environments.values().chain(thresholds.projects.values()).copied();
        let highest = highest.chain([thresholds.default]).max().unwrap_or(0);
        if usize::try_from(highest).is_ok_and(|highest| highest > approvers) {
            lacking.push(format!(
                "too few can approve: up to {highest} must, and of those who may, {approvers} with a key that counts"
            ));
        }
        lacking
    }
}
