//! Arguments that a schema does not name, and would let through.

use super::RuleKind;
use super::arguments::{self, Argument};
use super::maker::{Maker, all_of};
use super::terms::Condition;
use callgate_core::json::Json;

/// An expression is kept to so many bytes, and to so many signs, fewer than a policy may have.
const EXPRESSION_BYTES_MAX: usize = 1_900;
const EXPRESSION_SIGNS_MAX: usize = 240;
/// All names of one tool take so many bytes at most, so that a policy for many tools still loads.
const NAMES_BYTES_MAX: usize = 16 * 1024;

impl Maker<'_> {
    /// Denies what the schema does not name, where the schema itself does not.
    pub(super) fn no_others(&mut self, listed: &[Argument], tool: &Json<'_>) {
        let Some(schema) = arguments::schema_of(tool) else {
            self.push(
                RuleKind::NoOthers,
                "no arguments".to_owned(),
                "The server gives no schema, so nothing is known of its arguments.",
                String::new(),
                Condition::When(EMPTY.to_owned()),
                &[],
            );
            return;
        };
        let is_closed = schema.get("additionalProperties") == Some(&Json::Bool(false))
            && schema.get("patternProperties").is_none()
            && !arguments::looks_around(schema);
        if is_closed {
            return;
        }
        // What a schema describes in ways that are not looked at, no rule asks about, so it does not pass either.
        let mut names: Vec<String> = listed
            .iter()
            .filter(|argument| argument.path.segments.len() == 1)
            .map(|argument| in_expression(&argument.name))
            .collect();
        names.dedup();
        let all = names.len();
        let mut bytes = 0_usize;
        names.retain(|name| {
            bytes = bytes.saturating_add(name.len());
            bytes <= NAMES_BYTES_MAX && is_short(&known(std::slice::from_ref(name), Some(name), Some(name)))
        });
        let mut conditions = Vec::new();
        split(&names, None, None, &mut conditions);
        let mut why = "The schema lets others through.".to_owned();
        if conditions.len() > 1 {
            why.push_str(" In parts, as one expression cannot hold all names.");
        }
        if names.len() < all {
            why.push_str(" Names that are too long for a rule are among the others.");
        }
        if let Some(condition) = all_of(conditions) {
            self.push(
                RuleKind::NoOthers,
                "no other arguments".to_owned(),
                &why,
                String::new(),
                condition,
                &[],
            );
        }
    }
}

const EMPTY: &str = "size(args) == 0";

/// Adds that every argument whose name stands from `from` up to `to` has one of these names, which are in order: as one
/// expression, or as several that share the names among them.
fn split(names: &[String], from: Option<&str>, to: Option<&str>, out: &mut Vec<Condition>) {
    let whole = known(names, from, to);
    if is_short(&whole) || names.len() < 2 {
        out.push(Condition::When(whole));
        return;
    }
    let (low, high) = names.split_at(names.len() / 2);
    let middle = high.first().map(String::as_str);
    split(low, from, middle, out);
    split(high, middle, to, out);
}

fn known(names: &[String], from: Option<&str>, to: Option<&str>) -> String {
    if names.is_empty() {
        return EMPTY.to_owned();
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let below = from.map_or_else(String::new, |from| format!("name < \"{from}\" || "));
    let above = to.map_or_else(String::new, |to| format!("name >= \"{to}\" || "));
    format!("args.all(name, {below}{above}name in [{}])", quoted.join(", "))
}

fn is_short(expression: &str) -> bool {
    let signs = expression
        .chars()
        .filter(|c| !c.is_alphanumeric() && !matches!(c, '_' | ' '));
    expression.len() <= EXPRESSION_BYTES_MAX && signs.count() <= EXPRESSION_SIGNS_MAX
}

/// A name as it can stand between the quotes of an expression: what means something there, or to whoever counts
/// brackets, by its number.
fn in_expression(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || "_-.:/@$#+,;=~!*&|<>^%?".contains(c) {
            out.push(c);
        } else {
            let code = u32::from(c);
            out.push_str(&if code > 0xffff {
                format!("\\U{code:08x}")
            } else {
                format!("\\u{code:04x}")
            });
        }
    }
    out
}
