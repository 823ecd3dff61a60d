//! Finding an attack's page by what was typed.

use anyhow::bail;
use callgate_catalog::attacks::{Attack, all, find};

/// The attack of this id; where there is none, an error that says what there is.
pub(super) fn named(id: &str) -> anyhow::Result<&'static Attack> {
    if let Some(attack) = find(id)? {
        return Ok(attack);
    }
    let near: Vec<&str> = all()?
        .iter()
        .map(|attack| attack.id)
        .filter(|known| known.contains(id) || id.contains(known))
        .collect();
    if near.is_empty() {
        bail!("there is no attack `{id}`; `callgate attacks list` shows all");
    }
    bail!("there is no attack `{id}`; do you mean {}?", near.join(" or "));
}
