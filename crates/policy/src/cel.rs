//! CEL expressions: compiled at load, bounded, and evaluated on values that are exact.

mod evaluate;
mod inspect;
mod scene;

use crate::bounds::{CEL_BRACKETS_MAX, CEL_BYTES_MAX, CEL_DEPTH_MAX, CEL_LOOPS_MAX, CEL_SIGNS_MAX};
use callgate_core::condition::{CheckId, CheckInput, Truth};
use inspect::Inspected;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The expressions of a policy, by the number that its conditions name them with.
#[derive(Debug, Default)]
pub(crate) struct Expressions(Vec<Expression>);

/// One expression.
#[derive(Debug)]
pub(crate) struct Expression {
    program: cel::Program,
    inspected: Inspected,
}

/// An expression that was taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Added {
    pub(crate) id: CheckId,
    /// Whether it reads what the server says of its tools.
    pub(crate) annotations: bool,
}

/// Why an expression cannot be used.
#[derive(Debug, Clone)]
pub(crate) struct CelFault {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// The byte of the expression it is about.
    pub(crate) at: Option<usize>,
}

impl CelFault {
    fn new(message: impl Into<String>, hint: &str) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.to_owned()),
            at: None,
        }
    }
}

/// The variables of an expression on a tool call.
const TOOL_VARIABLES: [&str; 6] = ["args", "caller", "tool", "session", "time", "server"];
/// The variables of an expression on another method.
const METHOD_VARIABLES: [&str; 7] = ["params", "uri", "name", "caller", "session", "time", "server"];

impl Expressions {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compiles an expression; `method` where it judges a method other than a tool call.
    pub(crate) fn add(&mut self, text: &str, method: bool) -> Result<Added, CelFault> {
        if text.trim().is_empty() {
            return Err(CelFault::new(
                "this expression is empty",
                "write a condition such as `args.amount <= 100`",
            ));
        }
        if text.len() > CEL_BYTES_MAX {
            return Err(CelFault::new(
                format!("an expression may have at most {CEL_BYTES_MAX} bytes"),
                "split it into several conditions",
            ));
        }
        if is_long(text) {
            return Err(too_deep());
        }
        let (program, inspected) = compile(text)?;
        let known: &[&str] = if method {
            &METHOD_VARIABLES
        } else {
            &TOOL_VARIABLES
        };
        if let Some(unknown) = inspected
            .variables
            .iter()
            .find(|name| !known.contains(&name.as_str()))
        {
            let near = crate::suggest::nearest(unknown, known.iter().copied());
            let mut fault = CelFault::new(
                format!("there is no variable `{unknown}`"),
                &near.map_or_else(
                    || format!("there are {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                ),
            );
            fault.at = text.find(unknown.as_str());
            return Err(fault);
        }
        if let Some(function) = inspected
            .functions
            .iter()
            .find(|name| !inspect::is_known_function(name))
        {
            let near = crate::suggest::nearest(function, inspect::FUNCTIONS.iter().copied());
            let mut fault = CelFault::new(
                format!("there is no function `{function}`"),
                &near.map_or_else(
                    || format!("there are {}", inspect::FUNCTIONS.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                ),
            );
            fault.at = text.find(function.as_str());
            return Err(fault);
        }
        if inspected.loops > CEL_LOOPS_MAX {
            return Err(CelFault::new(
                format!("macros that walk a list may nest at most {CEL_LOOPS_MAX} deep"),
                "split it into several conditions",
            ));
        }
        let id = CheckId(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        let annotations = inspected.annotations;
        self.0.push(Expression { program, inspected });
        Ok(Added { id, annotations })
    }

    /// Evaluates an expression. What cannot be evaluated is an error, whatever the reason.
    pub(crate) fn check(&self, id: CheckId, input: &CheckInput<'_>) -> Truth {
        let index = usize::try_from(id.0).unwrap_or(usize::MAX);
        match self.0.get(index) {
            Some(expression) => catch_unwind(AssertUnwindSafe(|| evaluate::evaluate(expression, input)))
                .unwrap_or_else(|_| evaluate::failed("the expression could not be evaluated")),
            None => evaluate::failed("the expression is unknown"),
        }
    }
}

/// What reading an expression may take of the stack. The parser recurses through some twenty functions a
/// bracket, so it runs on a stack that [`CEL_BRACKETS_MAX`] brackets cannot fill.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Whether an expression has too many signs to be read at all. What stands in strings counts too, so that no
/// spelling of a string hides brackets.
fn is_long(text: &str) -> bool {
    let signs = text
        .chars()
        .filter(|c| !c.is_alphanumeric() && !matches!(c, '_' | ' ' | '\n'));
    let brackets = text.chars().filter(|c| matches!(c, '(' | '[' | '{'));
    signs.count() > CEL_SIGNS_MAX || brackets.count() > CEL_BRACKETS_MAX
}

fn too_deep() -> CelFault {
    CelFault::new(
        "this expression is too deep or has too many signs",
        "split it into several conditions",
    )
}

/// Reads an expression. The parser is known to panic on some texts; that is an error like any other.
fn compile(text: &str) -> Result<(cel::Program, Inspected), CelFault> {
    let unreadable = || CelFault::new("this expression cannot be used", EXAMPLE);
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("cel".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || parse(text))
            .map_err(|_| unreadable())?
            .join()
            .map_err(|_| unreadable())?
    })
}

const EXAMPLE: &str = "write CEL, such as `args.amount <= 100 && args.currency == \"eur\"`";

fn parse(text: &str) -> Result<(cel::Program, Inspected), CelFault> {
    match cel::Program::compile(text) {
        Ok(program) => {
            let inspected = inspect::inspect(program.expression());
            // What is taken is evaluated on an ordinary stack.
            if inspected.depth > CEL_DEPTH_MAX {
                return Err(too_deep());
            }
            Ok((program, inspected))
        }
        Err(errors) => {
            let first = errors.errors.first();
            let message = first.map_or("it cannot be read", |error| error.msg.as_str());
            Err(CelFault {
                message: format!("this expression cannot be used: {}", short(message)),
                hint: Some(EXAMPLE.to_owned()),
                at: first.and_then(|error| offset(text, error.pos)),
            })
        }
    }
}

/// The parser's message without its list of everything that could stand there.
fn short(message: &str) -> &str {
    let line = message.lines().next().unwrap_or_default();
    line.split_once(" expecting ").map_or(line, |(before, _)| before)
}

/// The byte of a line and a column, both counted from 1.
fn offset(text: &str, (line, column): (isize, isize)) -> Option<usize> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let column = usize::try_from(column).ok()?.saturating_sub(1);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(start..)?;
    let inside = rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
    Some(start + inside)
}
