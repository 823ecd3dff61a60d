//! Reading tools from a file: a list as servers send it, or one tool a line.

use anyhow::{Context, bail};
use callgate_catalog::Definition;
use callgate_wire::list::{ToolList, result_of};
use callgate_wire::{Bounds, Decoded, Kind, Malformed, RawJson, decode};
use std::io::Read;
use std::path::Path;

/// 16 MiB: the most that is read.
const INPUT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// So many tools are classified at once.
const TOOLS_MAX: usize = 10_000;

/// What an answer looks like around the list that it carries.
const BEFORE: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":";

/// The text of a file, or of stdin where the file is `-`.
pub(crate) fn text(file: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let mut limited: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?)
    };
    limited
        .by_ref()
        .take(u64::try_from(INPUT_BYTES_MAX.saturating_add(1)).unwrap_or(u64::MAX))
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", file.display()))?;
    if bytes.len() > INPUT_BYTES_MAX {
        bail!(
            "{} has more than the {INPUT_BYTES_MAX} bytes that are read",
            file.display()
        );
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        anyhow::anyhow!("{} is not UTF-8 text at byte {at}", file.display())
    })?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}

/// The tools of a text.
pub(super) fn tools(text: &str) -> anyhow::Result<Vec<Definition>> {
    if text.trim().is_empty() {
        bail!("there are no tools: the input is empty");
    }
    let is_one_document = match frame(text) {
        Ok(()) => true,
        // What follows a whole value is another line, or a mistake.
        Err(cause) => {
            !is_lines(text) && {
                return Err(at(text, 1, &cause));
            }
        }
    };
    let tools = if is_one_document {
        document(text)?
    } else {
        lines(text)?
    };
    if tools.len() > TOOLS_MAX {
        bail!(
            "there are {} tools, more than the {TOOLS_MAX} that are classified at once",
            tools.len()
        );
    }
    Ok(tools)
}

/// Whether a text is one JSON value. Values of lists are framed only, since schemas hold numbers that no call may.
fn frame(text: &str) -> Result<(), Malformed> {
    decode(format!("{BEFORE}{text}}}").as_bytes(), &bounds()).map(|_| ())
}

fn bounds() -> Bounds {
    Bounds {
        message_bytes_max: INPUT_BYTES_MAX.saturating_add(64),
        ..Bounds::default()
    }
}

/// Whether the first line that is not empty is a JSON object by itself, and more follows.
fn is_lines(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .next()
        .is_some_and(|line| line.trim_start().starts_with('{') && frame(line).is_ok())
        && lines.next().is_some()
}

/// What is wrong, with line and column in place of the byte.
fn at(text: &str, first_line: usize, cause: &Malformed) -> anyhow::Error {
    let Some(offset) = cause.offset().and_then(|offset| offset.checked_sub(BEFORE.len())) else {
        return anyhow::anyhow!("line {first_line}: {cause}");
    };
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(first_line);
    let column = before
        .rsplit('\n')
        .next()
        .map_or(1, |rest| rest.chars().count().saturating_add(1));
    let said = cause.to_string();
    let said = said
        .replace(
            &format!(
                " at byte {offset_all}",
                offset_all = offset.saturating_add(BEFORE.len())
            ),
            "",
        )
        .replace(
            &format!(
                " (byte {offset_all})",
                offset_all = offset.saturating_add(BEFORE.len())
            ),
            "",
        );
    anyhow::anyhow!("line {line}, column {column}: {said}")
}

/// One document: a response, a result, an array, or one tool.
fn document(text: &str) -> anyhow::Result<Vec<Definition>> {
    let trimmed = text.trim();
    let bounds = bounds();
    if trimmed.starts_with('[') {
        return result(&format!("{BEFORE}{{\"tools\":{trimmed}}}}}"));
    }
    if let Ok(Decoded::Single(message)) = decode(trimmed.as_bytes(), &bounds)
        && matches!(message.kind(), Kind::Response(_))
    {
        return result(trimmed);
    }
    let framed = format!("{BEFORE}{trimmed}}}");
    let is_tool = with_result(&framed, |result| {
        Ok(result
            .as_object()
            .is_some_and(|object| object.get("tools").is_none() && object.get("name").is_some()))
    })?;
    if is_tool {
        return result(&format!("{BEFORE}{{\"tools\":[{trimmed}]}}}}"));
    }
    result(&framed)
}

/// One tool a line.
fn lines(text: &str) -> anyhow::Result<Vec<Definition>> {
    let mut tools = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = index.saturating_add(1);
        if let Err(cause) = frame(line) {
            return Err(at(line, number, &cause));
        }
        let tool = result(&format!("{BEFORE}{{\"tools\":[{}]}}}}", line.trim()))
            .with_context(|| format!("line {number}"))?;
        tools.extend(tool);
        if tools.len() > TOOLS_MAX {
            bail!("there are more than the {TOOLS_MAX} tools that are classified at once");
        }
    }
    Ok(tools)
}

fn with_result<T>(message: &str, read: impl FnOnce(RawJson<'_>) -> anyhow::Result<T>) -> anyhow::Result<T> {
    match decode(message.as_bytes(), &bounds()) {
        Ok(Decoded::Single(message)) => match message.kind() {
            Kind::Response(response) => {
                read(result_of(response).context("this is an error, not a list of tools")?)
            }
            Kind::Request(_) | Kind::Notification(_) => bail!("this is a request, not a list of tools"),
        },
        Ok(Decoded::Batch(_)) => bail!("this is a batch, not a list of tools"),
        Err(cause) => bail!("this is not a list of tools: {cause}"),
    }
}

fn result(message: &str) -> anyhow::Result<Vec<Definition>> {
    with_result(message, |result| {
        let page = ToolList::read(result)?;
        if page.unjudgeable() > 0 {
            bail!(
                "{} of the tools cannot be read: each has to be an object with one `name`, and no key twice",
                page.unjudgeable()
            );
        }
        Ok(page
            .tools()
            .map(|tool| Definition::read(&tool.raw.parse()))
            .collect())
    })
}
