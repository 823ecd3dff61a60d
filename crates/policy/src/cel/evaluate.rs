//! One evaluation: the call as CEL values, the result as a truth.

use super::Expression;
use super::scene::variable;
use crate::bounds::{CEL_LOOP_NODES_MAX, CEL_NESTED_NODES_MAX, CEL_NODES_MAX};
use crate::exact::{Exact, exact};
use callgate_core::condition::{CheckInput, EvalError, Truth};
use callgate_core::json::Json;
use cel::objects::{Key, Map};
use cel::{Context, ExecutionError, Value};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) fn failed(reason: &str) -> Truth {
    Truth::Error(EvalError::Check(reason.into()))
}

pub(super) fn evaluate(expression: &Expression, input: &CheckInput<'_>) -> Truth {
    let mut budget = match expression.inspected.loops {
        0 => Budget {
            nodes: CEL_NODES_MAX,
            text: TextCost::Free,
        },
        1 => Budget {
            nodes: CEL_LOOP_NODES_MAX,
            text: TextCost::Counted,
        },
        _ => Budget {
            nodes: CEL_NESTED_NODES_MAX,
            text: TextCost::Counted,
        },
    };
    let mut context = Context::default();
    for name in &expression.inspected.variables {
        let Some(json) = variable(name, input) else {
            return Truth::Missing;
        };
        match value(&json, &mut budget) {
            Ok(value) => context.add_variable_from_value(name.as_str(), value),
            Err(Unfit::Number) => return failed("a number is not one that an expression can hold exactly"),
            Err(Unfit::TooLarge) => return failed("the call is larger than an expression may look through"),
        }
    }
    match expression.program.execute(&context) {
        Ok(Value::Bool(true)) => Truth::True,
        Ok(Value::Bool(false)) => Truth::False,
        Ok(_) => failed("the expression gives no boolean"),
        Err(ExecutionError::NoSuchKey(_)) if lacks(expression, input) => Truth::Missing,
        Err(error) => failed(kind(&error)),
    }
}

/// Whether a member that the expression spells out is not there; only then is a missing key the call's.
fn lacks(expression: &Expression, input: &CheckInput<'_>) -> bool {
    !expression.inspected.maps
        && expression.inspected.reads.iter().any(|read| {
            let Some((root, members)) = read.split_first() else {
                return false;
            };
            let Some(json) = variable(root, input) else {
                return true;
            };
            let mut at = Some(&json);
            for member in members {
                at = match at {
                    Some(object @ Json::Object(_)) => object.get(member),
                    Some(_) | None => return false,
                };
                if at.is_none() {
                    return true;
                }
            }
            false
        })
}

/// What failed, without the values, which may be secret.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the crate's errors are many, and say no more to a user"
)]
const fn kind(error: &ExecutionError) -> &'static str {
    match error {
        ExecutionError::NoSuchKey(_) => "the expression reads a key that is not there",
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "the expression divides by zero"
        }
        ExecutionError::Overflow(..) => "a number of the expression is out of range",
        ExecutionError::IndexOutOfBounds(_) => "the expression reads beyond the end of a list",
        _ => "the expression does not fit the types of the call",
    }
}

enum Unfit {
    Number,
    TooLarge,
}

/// How much of a call an expression may still look at.
struct Budget {
    nodes: usize,
    text: TextCost,
}

/// Whether the length of texts counts.
enum TextCost {
    Free,
    Counted,
}

/// So many bytes of text count as one value.
const TEXT_BYTES_A_NODE: usize = 64;

impl Budget {
    fn take(&mut self, json: &Json<'_>) -> Result<(), Unfit> {
        let cost = match (&self.text, json) {
            (TextCost::Counted, Json::String(text)) => 1 + text.len() / TEXT_BYTES_A_NODE,
            (TextCost::Counted | TextCost::Free, _) => 1,
        };
        self.nodes = self.nodes.checked_sub(cost).ok_or(Unfit::TooLarge)?;
        Ok(())
    }
}

fn value(json: &Json<'_>, budget: &mut Budget) -> Result<Value, Unfit> {
    budget.take(json)?;
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(numeral) => match exact(numeral).ok_or(Unfit::Number)? {
            Exact::Signed(number) => Value::Int(number),
            Exact::Unsigned(_) => return Err(Unfit::Number),
            Exact::Double(number) => Value::Float(number),
        },
        Json::String(text) => Value::String(Arc::new(text.clone().into_owned())),
        Json::Array(items) => {
            let mut list = Vec::with_capacity(items.len());
            for item in items {
                list.push(value(item, budget)?);
            }
            Value::List(Arc::new(list))
        }
        Json::Object(members) => {
            let mut map = HashMap::with_capacity(members.len());
            for (key, member) in members {
                map.insert(
                    Key::String(Arc::new(key.clone().into_owned())),
                    value(member, budget)?,
                );
            }
            Value::Map(Map { map: Arc::new(map) })
        }
    })
}
