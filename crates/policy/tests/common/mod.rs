//! A plain call for tests that only need one.

use callgate_core::call::{Call, Caller, ListedTool, Listing, Scene, WallTime};
use callgate_core::decision::Decision;
use callgate_core::json::Json;
use callgate_core::name::{GrantId, ServerName, ToolName};
use callgate_core::{Program, decide};

/// What a program says of a call of `tool` with `{"a": 1}`.
pub(crate) fn decide_plainly(program: &Program, tool: &str) -> Decision {
    let server = ServerName::new("s").unwrap();
    let caller = Caller {
        grant: GrantId::new("g").unwrap(),
        label: "l".into(),
        issuer: None,
        subject: None,
        claims: Json::Null,
    };
    let listed = ListedTool {
        name: ToolName::new(tool).unwrap(),
        input_schema: Some("{}".into()),
        required: Vec::new(),
        annotations: Json::Null,
        class: None,
    };
    let arguments = Json::Object(vec![("a".into(), Json::Number("1".into()))]);
    decide(
        program,
        &Call {
            scene: Scene {
                server: &server,
                caller: &caller,
                session: None,
                now: WallTime(0),
            },
            tool,
            listing: Listing::Listed(&listed),
            arguments: Some(&arguments),
        },
    )
}
