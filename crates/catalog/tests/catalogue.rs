//! Packing data files, and finding what is in them.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use callgate_catalog::catalogue::{Catalogue, Damaged, Filter, PackCause, pack};
use callgate_catalog::{Class, Severity, Signal, classify_list};

fn file(name: &str, tools: &str) -> String {
    format!(
        r#"{{"name":"{name}","package":{{"registry":"npm","name":"@x/{name}-mcp","version":"1.2.3"}},"licence":"MIT","source":null,"date":"2026-11-26","obtained":{{"how":"tools/list over stdio","serverInfo":{{"name":"{name} server","title":"The {name}","description":"Helps with {name}."}}}},"tools":[{tools}]}}"#
    )
}

fn two() -> Catalogue {
    let one = file(
        "shop",
        r#"{"name":"cancel_order","description":"Cancels an order."},{"name":"list_orders","description":"Lists the orders that can be cancelled."},{"name":"cance1_order"}"#,
    );
    let other = file(
        "flows",
        r#"{"name":"run_workflow","description":"Runs a workflow.","inputSchema":{"properties":{"query":{"type":"string"}}}},{"name":"get_status","description":"Where an order of flows stands, ÜBER ALLES."}"#,
    );
    Catalogue::open(pack([("shop", &*one), ("flows", &*other)]).unwrap()).unwrap()
}

fn found(catalogue: &Catalogue, text: &str, filter: &Filter) -> Vec<String> {
    catalogue
        .search_by(text, filter)
        .iter()
        .map(|hit| match hit.tool {
            Some(tool) => format!("{}.{}", hit.server.name, tool.name),
            None => hit.server.name.clone(),
        })
        .collect()
}

#[test]
fn what_was_packed_is_there_by_name() {
    let catalogue = two();
    let names: Vec<_> = catalogue.servers().iter().map(|server| &*server.name).collect();
    assert_eq!(names, ["flows", "shop"]);
    let shop = catalogue.server("@x/shop-mcp").unwrap();
    assert_eq!(shop.shown_title(), "The shop");
    assert_eq!(shop.about.as_deref(), Some("Helps with shop."));
    assert_eq!((shop.source.as_deref(), &*shop.date), (None, "2026-11-26"));
    assert_eq!((shop.count(Class::Financial), shop.count(Class::Read)), (1, 1));
    let risky: Vec<_> = shop.high_risk().iter().map(|tool| &*tool.name).collect();
    assert_eq!(risky, ["cancel_order", "cance1_order"]);
    let definitions = catalogue.definitions(shop).unwrap();
    assert_eq!(
        definitions.tools[0].raw,
        r#"{"name":"cancel_order","description":"Cancels an order."}"#
    );
    let (_, verdict) = catalogue.verdict(shop, "cance1_order").unwrap().unwrap();
    let read: Vec<_> = definitions
        .tools
        .iter()
        .map(|tool| tool.definition.clone())
        .collect();
    assert_eq!(verdict, classify_list(&read)[2]);
    assert!(
        shop.tool("cance1_order")
            .unwrap()
            .signals
            .contains(&"look_alike_name")
    );
    assert!(catalogue.server("nothing").is_none());
}

#[test]
fn every_word_has_to_be_there_and_a_name_weighs_more_than_a_description() {
    let catalogue = two();
    let all = Filter::default();
    for (text, wanted) in [
        ("cancel_order", &["shop.cancel_order"][..]),
        (
            "order",
            &[
                "shop.cancel_order",
                "shop.cance1_order",
                "shop.list_orders",
                "flows.get_status",
            ],
        ),
        ("flows", &["flows", "flows.get_status"]),
        ("FLOWS status", &["flows.get_status"]),
        ("über", &["flows.get_status"]),
        ("@x/shop-mcp cancel", &["shop.cancel_order", "shop.list_orders"]),
        ("order nowhere", &[]),
        (
            "",
            &[
                "shop.cancel_order",
                "flows.run_workflow",
                "shop.cance1_order",
                "flows.get_status",
                "shop.list_orders",
            ],
        ),
    ] {
        assert_eq!(found(&catalogue, text, &all), wanted, "{text}");
    }
}

#[test]
fn a_filter_lets_through_what_has_all_that_it_asks_for() {
    let catalogue = two();
    let by = |filter: Filter| found(&catalogue, "", &filter);
    assert_eq!(
        by(Filter {
            classes: vec![Class::Execute, Class::Read],
            ..Filter::default()
        }),
        ["flows.run_workflow", "flows.get_status", "shop.list_orders"]
    );
    assert_eq!(
        by(Filter {
            severity: Some(Severity::Critical),
            ..Filter::default()
        }),
        ["shop.cancel_order"]
    );
    assert_eq!(
        by(Filter {
            signals: vec!["no_description", "look_alike_name"],
            ..Filter::default()
        }),
        ["shop.cance1_order"]
    );
    let of_shop = Filter {
        classes: vec![Class::Read],
        ..Filter::default()
    };
    assert_eq!(found(&catalogue, "shop", &of_shop), ["shop.list_orders"]);
}

#[test]
fn a_data_file_with_a_fault_is_not_packed_and_the_fault_is_named() {
    let good = file("a", r#"{"name":"x"}"#);
    let cause = |text: &str| pack([("a", text)]).map(|_| ()).unwrap_err().cause;
    assert!(matches!(cause("{"), PackCause::Json(_)));
    for (from, to, wanted) in [
        ("\"a\",\"package\"", "\"b\",\"package\"", PackCause::Name),
        ("\"npm\"", "\"pip\"", PackCause::Registry),
        ("\"1.2.3\"", "\"\"", PackCause::Field("package.version")),
        ("\"1.2.3\"", "7", PackCause::Field("package.version")),
        ("\"2026-11-26\"", "\"yesterday\"", PackCause::Date),
        ("\"MIT\"", "null", PackCause::Field("licence")),
        ("\"how\"", "\"who\"", PackCause::Field("obtained.how")),
        ("[{\"name\":\"x\"}]", "[]", PackCause::Field("tools")),
        ("[{\"name\":\"x\"}]", "[{\"title\":\"x\"}]", PackCause::Tool(1)),
        (
            "[{\"name\":\"x\"}]",
            "[{\"name\":\"x\"},{\"name\":\"x\"}]",
            PackCause::Tool(2),
        ),
    ] {
        assert!(good.contains(from), "{from}");
        assert_eq!(cause(&good.replace(from, to)), wanted, "{to}");
    }
    let told = pack([("a", &*good.replace("\"MIT\"", "5"))])
        .unwrap_err()
        .to_string();
    assert_eq!(told, "a: `licence` is missing, empty, or of the wrong type");
}

#[test]
fn bytes_that_are_no_catalogue_are_refused_wherever_they_are_cut() {
    let text = file("a", r#"{"name":"x"}"#);
    let packed = pack([("a", &*text)]).unwrap();
    assert_eq!(Catalogue::open(Vec::new()), Err(Damaged));
    for length in 0..packed.len() {
        let cut = packed.get(..length).unwrap().to_vec();
        // What lies beyond the index is missed only when it is asked for.
        if let Ok(catalogue) = Catalogue::open(cut) {
            assert_eq!(
                catalogue.definitions(&catalogue.servers()[0]),
                Err(Damaged),
                "{length}"
            );
        }
    }
    let mut other = packed;
    other[3] ^= 1;
    assert_eq!(Catalogue::open(other), Err(Damaged));
}

#[test]
fn signals_classes_and_severities_mean_what_the_documents_say() {
    let texts = || vec!["x".to_owned()];
    let all = [
        Signal::Freeform { parameters: texts() },
        Signal::Credentials,
        Signal::Bulk,
        Signal::SingleTarget,
        Signal::RawHtml { parameters: texts() },
        Signal::Url { parameters: texts() },
        Signal::Path { parameters: texts() },
        Signal::ManyParameters { count: 12 },
        Signal::LyingAnnotation,
        Signal::NoDescription,
        Signal::Instructions {
            quote: "x".to_owned(),
        },
        Signal::HiddenText { characters: texts() },
        Signal::MixedAlphabets,
        Signal::LookAlike {
            other: "x".to_owned(),
        },
    ];
    let codes: Vec<_> = all.iter().map(Signal::code).collect();
    assert_eq!(Signal::KINDS.map(|(code, _)| code).to_vec(), codes);
    let page = include_str!("../../../docs/classes.md");
    for class in Class::ALL {
        let row = format!("| {class} | {} |", class.meaning());
        assert!(page.contains(&row), "{class}");
    }
    for severity in Severity::ALL {
        let row = format!("| {severity} | {}", severity.meaning());
        assert!(page.contains(&row), "{severity}");
    }
    for (code, meaning) in Signal::KINDS {
        assert!(page.contains(&format!("| `{code}` | {meaning} |")), "{code}");
    }
}
