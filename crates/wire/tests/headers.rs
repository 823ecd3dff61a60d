//! Mirrored headers against their body, scenario by scenario of the specification.
#![expect(clippy::panic, reason = "a test says what is wrong by panicking")]

use callgate_wire::headers::{HeaderParam, Mismatch, SchemaError, compare, expected, params_of_schema};
use callgate_wire::{Bounds, Decoded, Kind, RawJson, Request, decode};

fn request(text: &str) -> Request<'_> {
    match decode(text.as_bytes(), &Bounds::default()) {
        Ok(Decoded::Single(message)) => match message.into_kind() {
            Kind::Request(request) => request,
            other @ (Kind::Notification(_) | Kind::Response(_)) => panic!("{other:?}"),
        },
        other => panic!("{text}: {other:?}"),
    }
}

fn params(schema: &str) -> Result<Vec<HeaderParam>, SchemaError> {
    let schema =
        RawJson::read(schema.as_bytes(), &Bounds::default()).unwrap_or_else(|error| panic!("{error}"));
    params_of_schema(schema, &Bounds::default())
}

const SCHEMA: &str = r#"{"type":"object","properties":{
    "region":{"type":"string","x-mcp-header":"Region"},
    "deep":{"type":"object","properties":{"count":{"type":"integer","x-mcp-header":"Count"}}},
    "dry":{"type":"boolean","x-mcp-header":"Dry"},
    "query":{"type":"string"}}}"#;

fn body(method: &str, params: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
    )
}

fn verdict(body: &str, headers: &[(&str, &str)]) -> Result<(), Mismatch> {
    let params = params(SCHEMA).unwrap_or_else(|error| panic!("{error}"));
    compare(
        &request(body),
        &params,
        headers.iter().map(|(name, value)| (*name, value.as_bytes())),
    )
}

#[test]
fn headers_agree_or_disagree_with_their_body() {
    let call = body(
        "tools/call",
        r#""name":"sql","arguments":{"region":"Zürich","deep":{"count":42},"dry":null,"query":"q"},"#,
    );
    let base = [
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("mcp-name", "sql"),
    ];
    let region = ("Mcp-Param-Region", "=?base64?WsO8cmljaA==?=");
    let count = ("MCP-PARAM-COUNT", "42");
    let with = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
    let named = |header: &str| header.to_owned();

    assert_eq!(verdict(&call, &with(&[region, count])), Ok(()));
    assert_eq!(
        verdict(&call, &with(&[region, ("mcp-param-count", "42.0")])),
        Ok(())
    );
    assert_eq!(
        verdict(&call, &with(&[region, count, ("Mcp-Param-Other", "\u{e9}")])),
        Ok(())
    );
    assert_eq!(
        verdict(&call, &with(&[region])),
        Err(Mismatch::Missing {
            header: named("mcp-param-count")
        })
    );
    assert_eq!(
        verdict(&call, &with(&[region, ("mcp-param-count", "43")])),
        Err(Mismatch::Differs {
            header: named("mcp-param-count")
        })
    );
    assert_eq!(
        verdict(&call, &with(&[("Mcp-Param-Region", "zurich"), count])),
        Err(Mismatch::Differs {
            header: named("mcp-param-region")
        })
    );
    assert!(matches!(
        verdict(&call, &with(&[("Mcp-Param-Region", "Z\u{fc}rich"), count])),
        Err(Mismatch::Invalid { .. })
    ));
    assert_eq!(
        verdict(&call, &with(&[region, count, ("mcp-param-dry", "true")])),
        Err(Mismatch::Unexpected {
            header: named("mcp-param-dry")
        })
    );
    assert_eq!(
        verdict(&call, &with(&[region, count, ("Mcp-Name", "sql")])),
        Err(Mismatch::Repeated {
            header: named("mcp-name")
        })
    );
}

#[test]
fn the_standard_headers_are_needed_and_compared_with_case() {
    let read = body("resources/read", r#""uri":"file:///a","#);
    let task = body("tasks/get", r#""taskId":"t 1","#);
    let list = body("tools/list", "");
    let version = ("MCP-Protocol-Version", "2026-07-28");
    for (body, headers, agrees) in [
        (
            &read,
            vec![
                version,
                ("Mcp-Method", "resources/read"),
                ("Mcp-Name", "file:///a"),
            ],
            true,
        ),
        (
            &read,
            vec![
                version,
                ("Mcp-Method", "resources/read"),
                ("Mcp-Name", "=?base64?ZmlsZTovLy9h?="),
            ],
            true,
        ),
        (
            &read,
            vec![
                version,
                ("Mcp-Method", "resources/read"),
                ("Mcp-Name", "file:///A"),
            ],
            false,
        ),
        (&read, vec![version, ("Mcp-Method", "resources/read")], false),
        (
            &task,
            vec![version, ("Mcp-Method", "tasks/get"), ("Mcp-Name", "t 1")],
            true,
        ),
        (
            &task,
            vec![version, ("Mcp-Method", "tasks/get"), ("Mcp-Name", "t 2")],
            false,
        ),
        (&list, vec![version, ("Mcp-Method", "tools/list")], true),
        (&list, vec![version, ("Mcp-Method", "Tools/list")], false),
        (
            &list,
            vec![version, ("Mcp-Method", "=?base64?dG9vbHMvbGlzdA==?=")],
            false,
        ),
        (&list, vec![version], false),
        (&list, vec![("Mcp-Method", "tools/list")], false),
        (
            &list,
            vec![
                ("MCP-Protocol-Version", "2025-11-25"),
                ("Mcp-Method", "tools/list"),
            ],
            false,
        ),
    ] {
        assert_eq!(verdict(body, &headers).is_ok(), agrees, "{body} {headers:?}");
    }
    let old = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(
        verdict(old, &[version, ("Mcp-Method", "tools/list")]),
        Err(Mismatch::NoVersionInBody)
    );
}

#[test]
fn integers_are_mirrored_as_integers_and_other_values_not_at_all() {
    let sent = |count: &str| {
        let call = body(
            "tools/call",
            &format!(r#""name":"sql","arguments":{{"deep":{{"count":{count}}}}},"#),
        );
        let params = params(SCHEMA).unwrap_or_else(|error| panic!("{error}"));
        let headers = expected(&request(&call), &params).map_err(|error| error.to_string())?;
        Ok::<_, String>(
            headers
                .last()
                .map(|header| header.encoded().into_owned())
                .unwrap_or_default(),
        )
    };
    for (count, header) in [
        ("42", "42"),
        ("-7", "-7"),
        ("42.0", "42"),
        ("4.2e1", "42"),
        ("-0", "0"),
        ("100", "100"),
        ("1e2", "100"),
        ("9007199254740991", "9007199254740991"),
        ("\"a\"", "a"),
        ("true", "true"),
        ("null", "sql"),
    ] {
        assert_eq!(sent(count).as_deref(), Ok(header), "{count}");
    }
    for count in [
        "1.5",
        "9007199254740992",
        "-9007199254740992",
        "1e300",
        "[]",
        "{}",
        "1e-3",
    ] {
        assert!(sent(count).is_err(), "{count}");
    }
}

#[test]
fn annotations_are_valid_or_the_tool_is_not() {
    let on = |annotation: &str| {
        format!(r#"{{"properties":{{"a":{{"type":"string","x-mcp-header":{annotation}}}}}}}"#)
    };
    let paths: Vec<_> = params(SCHEMA)
        .unwrap_or_default()
        .iter()
        .map(|param| (param.header(), param.path().join(".")))
        .collect();
    let expected = [
        ("mcp-param-region", "region"),
        ("mcp-param-count", "deep.count"),
        ("mcp-param-dry", "dry"),
    ];
    assert_eq!(
        paths,
        expected.map(|(header, path)| (header.to_owned(), path.to_owned()))
    );
    assert_eq!(
        params(r#"{"properties":{"x-mcp-header":{"type":"string"}}}"#),
        Ok(Vec::new())
    );
    assert_eq!(
        params(r#"{"properties":{"a":{"default":{"x-mcp-header":"A"}}}}"#),
        Ok(Vec::new())
    );
    for (schema, cause) in [
        (on("\"\""), SchemaError::BadName),
        (on("\"a b\""), SchemaError::BadName),
        (on(r#""a\r\nX: y""#), SchemaError::BadName),
        (on("5"), SchemaError::BadName),
        (on("\"é\""), SchemaError::BadName),
        (r#"{"x-mcp-header":"A","type":"string"}"#.to_owned(), SchemaError::Unreachable),
        (r#"{"properties":{"a":{"items":{"type":"string","x-mcp-header":"A"}}}}"#.to_owned(), SchemaError::Unreachable),
        (r#"{"oneOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}"#.to_owned(), SchemaError::Unreachable),
        (r#"{"$defs":{"d":{"type":"string","x-mcp-\u0068eader":"A"}}}"#.to_owned(), SchemaError::Unreachable),
        (
            r#"{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}"#.to_owned(),
            SchemaError::NotPrimitive { name: "a".to_owned() },
        ),
        (
            r#"{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}"#.to_owned(),
            SchemaError::Duplicate { name: "a".to_owned() },
        ),
    ] {
        assert_eq!(params(&schema), Err(cause), "{schema}");
    }
}
