//! What an expression reads and how often it may loop, from its syntax alone.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr, LiteralValue};
use std::collections::BTreeSet;

/// What is known of an expression.
#[derive(Debug, Default)]
pub(crate) struct Inspected {
    /// Variables that are not its own.
    pub(crate) variables: BTreeSet<String>,
    /// Functions and methods that it calls.
    pub(crate) functions: BTreeSet<String>,
    /// How deep its loops nest.
    pub(crate) loops: usize,
    /// Whether it reads `tool.annotations` or `tool.class`.
    pub(crate) annotations: bool,
    /// The members that it reads, each from a variable down, as far as they are spelled out.
    pub(crate) reads: BTreeSet<Vec<String>>,
    /// How deep it nests.
    pub(crate) depth: usize,
    /// Whether it makes mappings of its own, whose keys could be missing too.
    pub(crate) maps: bool,
}

/// The functions that an expression may call: of the standard ones, those whose cost is that of their input.
pub(crate) const FUNCTIONS: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "type",
    "max",
    "min",
];

pub(crate) fn is_known_function(name: &str) -> bool {
    // Operators have names that no expression can spell, such as `_&&_` and `@in`.
    FUNCTIONS.contains(&name) || name.contains(['_', '@', '!', '-', '?'])
}

pub(crate) fn inspect(expression: &IdedExpr) -> Inspected {
    let mut found = Inspected::default();
    walk(expression, &mut found, &mut Vec::new(), 0);
    found.depth = depth(expression);
    found
}

fn depth(expression: &IdedExpr) -> usize {
    let deepest = |parts: &mut dyn Iterator<Item = &IdedExpr>| parts.map(depth).max().unwrap_or(0);
    1 + match &expression.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => 0,
        Expr::Select(select) => depth(&select.operand),
        Expr::Call(call) => deepest(&mut call.target.iter().map(|target| &**target).chain(&call.args)),
        Expr::Comprehension(walked) => deepest(
            &mut [
                &walked.iter_range,
                &walked.accu_init,
                &walked.loop_cond,
                &walked.loop_step,
                &walked.result,
            ]
            .into_iter(),
        ),
        Expr::List(list) => deepest(&mut list.elements.iter()),
        Expr::Map(map) => map
            .entries
            .iter()
            .map(|entry| of_entry(&entry.expr))
            .max()
            .unwrap_or(0),
        Expr::Struct(made) => made
            .entries
            .iter()
            .map(|entry| of_entry(&entry.expr))
            .max()
            .unwrap_or(0),
    }
}

fn of_entry(entry: &EntryExpr) -> usize {
    match entry {
        EntryExpr::StructField(field) => depth(&field.value),
        EntryExpr::MapEntry(entry) => depth(&entry.key).max(depth(&entry.value)),
    }
}

fn walk(expression: &IdedExpr, found: &mut Inspected, bound: &mut Vec<String>, loops: usize) {
    match &expression.expr {
        Expr::Unspecified | Expr::Literal(_) => {}
        Expr::Ident(name) => {
            if !bound.contains(name) {
                found.variables.insert(name.clone());
                // `tool` as a whole carries its annotations.
                found.annotations |= name == "tool";
            }
        }
        Expr::Select(select) => {
            if let Some(read) = spelled(expression, bound) {
                let root = read.first().cloned().unwrap_or_default();
                let member = read.get(1).map(String::as_str).unwrap_or_default();
                found.annotations |= root == "tool" && member != "name";
                found.variables.insert(root);
                if !select.test {
                    found.reads.insert(read);
                }
            } else {
                walk(&select.operand, found, bound, loops);
            }
        }
        Expr::Call(call) => {
            if let Some(read) = spelled(expression, bound) {
                let root = read.first().cloned().unwrap_or_default();
                let member = read.get(1).map(String::as_str).unwrap_or_default();
                found.annotations |= root == "tool" && member != "name";
                found.variables.insert(root);
                found.reads.insert(read);
                return;
            }
            found.functions.insert(call.func_name.clone());
            for part in call.target.iter().map(|target| &**target).chain(&call.args) {
                walk(part, found, bound, loops);
            }
        }
        Expr::Comprehension(walked) => {
            found.loops = found.loops.max(loops + 1);
            walk(&walked.iter_range, found, bound, loops);
            walk(&walked.accu_init, found, bound, loops);
            let before = bound.len();
            bound.extend([walked.iter_var.clone(), walked.accu_var.clone()]);
            bound.extend(walked.iter_var2.clone());
            for part in [&walked.loop_cond, &walked.loop_step, &walked.result] {
                walk(part, found, bound, loops + 1);
            }
            bound.truncate(before);
        }
        Expr::List(list) => {
            for element in &list.elements {
                walk(element, found, bound, loops);
            }
        }
        Expr::Map(map) => {
            found.maps = true;
            for entry in &map.entries {
                match &entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        walk(&entry.key, found, bound, loops);
                        walk(&entry.value, found, bound, loops);
                    }
                    EntryExpr::StructField(field) => walk(&field.value, found, bound, loops),
                }
            }
        }
        Expr::Struct(made) => {
            found.maps = true;
            found.functions.insert(made.type_name.clone());
        }
    }
}

/// The variable and members that `a.b["c"]` spells out; `None` where anything else is in it.
fn spelled(expression: &IdedExpr, bound: &[String]) -> Option<Vec<String>> {
    match &expression.expr {
        Expr::Ident(name) if !bound.contains(name) => Some(vec![name.clone()]),
        Expr::Select(select) => {
            let mut read = spelled(&select.operand, bound)?;
            read.push(select.field.clone());
            Some(read)
        }
        Expr::Call(call) if call.func_name == "_[_]" => {
            let [operand, index] = call.args.as_slice() else {
                return None;
            };
            let Expr::Literal(LiteralValue::String(key)) = &index.expr else {
                return None;
            };
            let mut read = spelled(operand, bound)?;
            read.push(key.inner().to_owned());
            Some(read)
        }
        Expr::Unspecified
        | Expr::Literal(_)
        | Expr::Ident(_)
        | Expr::Call(_)
        | Expr::Comprehension(_)
        | Expr::List(_)
        | Expr::Map(_)
        | Expr::Struct(_) => None,
    }
}
