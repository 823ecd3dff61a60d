//! Edits within parameters that are objects.

use super::{Splice, SpliceError};
use crate::json::{RawJson, quoted};

impl Splice<'_, '_> {
    /// Replaces the name or URI that the `ref` of a `completion/complete` points to.
    ///
    /// # Errors
    /// [`SpliceError::NoPlace`] where it points to none.
    pub fn reference(self, value: &str) -> Result<Self, SpliceError> {
        let no_place = SpliceError::NoPlace { member: "ref" };
        let old = self.params().and_then(|params| params.get("ref"));
        let edited = old.and_then(|old| {
            let object = old.as_object()?;
            let member = match object.get("type")?.as_str()?.as_ref() {
                "ref/prompt" => "name",
                "ref/resource" => "uri",
                _ => return None,
            };
            let place = object
                .get(member)
                .filter(|place| place.as_str().is_some())?
                .span();
            let (start, text) = (old.span().start, old.text());
            let before = text.get(..place.start.checked_sub(start)?)?;
            let after = text.get(place.end.checked_sub(start)?..)?;
            Some(format!("{before}{}{after}", quoted(value)))
        });
        self.replace_param("ref", edited.ok_or(no_place)?)
    }

    /// Replaces what a `subscriptions/listen` wants to be told of, by raw JSON.
    ///
    /// # Errors
    /// [`SpliceError::NoPlace`] where the message has no such member.
    pub fn listen_filter(self, filter: RawJson<'_>) -> Result<Self, SpliceError> {
        self.replace_param("notifications", filter.text().to_owned())
    }
}
