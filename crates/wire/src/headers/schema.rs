//! `x-mcp-header` annotations of a tool's `inputSchema`.

use crate::bounds::Bounds;
use crate::json::RawJson;
use crate::malformed::Malformed;
use callgate_core::json::Json;

use super::PARAM_PREFIX;

/// One argument that is repeated in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderParam {
    name: String,
    path: Vec<String>,
}

impl HeaderParam {
    /// The header's name in lower case.
    #[must_use]
    pub fn header(&self) -> String {
        format!("{PARAM_PREFIX}{}", self.name)
    }

    /// The keys that lead to the argument.
    #[must_use]
    pub fn path(&self) -> &[String] {
        &self.path
    }
}

/// Why a tool's annotations are not valid, which makes the whole tool so for HTTP clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The schema can be read in two ways.
    #[error("the schema can not be judged: {0}")]
    Malformed(#[from] Malformed),
    /// The annotation is no string, is empty, or is no token of HTTP (RFC 9110 section 5.1).
    #[error("an `x-mcp-header` is not a valid part of a header name")]
    BadName,
    /// Two annotations with the same name, case ignored.
    #[error("the `x-mcp-header` `{name}` is given twice")]
    Duplicate {
        /// The name in lower case.
        name: String,
    },
    /// The property is neither `string`, `integer` nor `boolean`.
    #[error("the `x-mcp-header` `{name}` stands on a property that is no string, integer or boolean")]
    NotPrimitive {
        /// The name in lower case.
        name: String,
    },
    /// The annotation stands where no chain of `properties` leads.
    #[error("an `x-mcp-header` stands where no chain of `properties` leads")]
    Unreachable,
}

/// The annotated properties of an `inputSchema`.
///
/// # Errors
/// [`SchemaError`] where an annotation is not valid.
pub fn params_of_schema(schema: RawJson<'_>, bounds: &Bounds) -> Result<Vec<HeaderParam>, SchemaError> {
    if memchr::memmem::find(schema.bytes(), b"x-mcp-header").is_none() && !schema.text().contains('\\') {
        return Ok(Vec::new());
    }
    schema.check_strict(bounds)?;
    let mut params = Vec::new();
    properties_of(&schema.parse(), &mut Vec::new(), &mut params)?;
    let mut names: Vec<&str> = params.iter().map(|param| param.name.as_str()).collect();
    names.sort_unstable();
    if let Some([name, _]) = names.array_windows().find(|[one, other]| one == other) {
        return Err(SchemaError::Duplicate {
            name: (*name).to_owned(),
        });
    }
    Ok(params)
}

/// Walks a schema that a chain of `properties` leads to.
fn properties_of(
    schema: &Json<'_>,
    path: &mut Vec<String>,
    params: &mut Vec<HeaderParam>,
) -> Result<(), SchemaError> {
    let Json::Object(members) = schema else {
        return Ok(());
    };
    for (key, value) in members {
        match (key.as_ref(), value) {
            ("x-mcp-header", name) => annotated(schema, name, path, params)?,
            ("properties", Json::Object(properties)) => {
                for (property, schema) in properties {
                    path.push(property.clone().into_owned());
                    properties_of(schema, path, params)?;
                    path.pop();
                }
            }
            // Data, not schemas: an example may well look like an annotation.
            ("default" | "const" | "enum" | "examples", _) => {}
            (_, elsewhere) => unannotated(elsewhere)?,
        }
    }
    Ok(())
}

fn annotated(
    schema: &Json<'_>,
    name: &Json<'_>,
    path: &[String],
    params: &mut Vec<HeaderParam>,
) -> Result<(), SchemaError> {
    if path.is_empty() {
        return Err(SchemaError::Unreachable);
    }
    let Json::String(name) = name else {
        return Err(SchemaError::BadName);
    };
    if name.is_empty() || !name.bytes().all(is_token_char) {
        return Err(SchemaError::BadName);
    }
    let name = name.to_ascii_lowercase();
    let is_primitive = matches!(schema.get("type"), Some(Json::String(kind))
        if matches!(kind.as_ref(), "string" | "integer" | "boolean"));
    if !is_primitive {
        return Err(SchemaError::NotPrimitive { name });
    }
    params.push(HeaderParam {
        name,
        path: path.to_vec(),
    });
    Ok(())
}

/// Refuses annotations where no chain of `properties` leads.
fn unannotated(value: &Json<'_>) -> Result<(), SchemaError> {
    match value {
        Json::Object(members) => members.iter().try_for_each(|(key, value)| match key.as_ref() {
            "x-mcp-header" => Err(SchemaError::Unreachable),
            _ => unannotated(value),
        }),
        Json::Array(elements) => elements.iter().try_for_each(unannotated),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Ok(()),
    }
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
