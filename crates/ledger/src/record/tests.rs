use super::*;
use crate::value::{Amount, CallId, Code, Digest, Text};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = Text> {
    any::<String>().prop_map(|text| Text::new(&text))
}

fn code() -> impl Strategy<Value = Code> {
    "[a-z0-9_]{1,20}".prop_map(|text| Code::new(&text))
}

fn number() -> impl Strategy<Value = Uint53> {
    prop_oneof![
        any::<u64>().prop_map(Uint53::saturating),
        any::<u32>().prop_map(Uint53::from)
    ]
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn call() -> impl Strategy<Value = CallId> {
    any::<[u8; 16]>().prop_map(CallId)
}

fn maybe<S: Strategy>(strategy: S) -> impl Strategy<Value = Option<S::Value>>
where
    S::Value: Clone,
{
    proptest::option::of(strategy)
}

fn of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

fn charges() -> impl Strategy<Value = Vec<Charge>> {
    let scope = prop_oneof![
        of(&[0_usize, 1, 2, 3, 4]).prop_map(|index| {
            [
                Scope::Grant,
                Scope::Session,
                Scope::Tool,
                Scope::Server,
                Scope::Global,
            ][index]
                .clone()
        }),
        (text(), digest()).prop_map(|(path, value)| Scope::Argument { path, value }),
    ];
    let charge = (any::<u64>(), text(), text(), scope).prop_map(|(amount, counter, rule, scope)| Charge {
        amount: Amount::from(amount),
        counter,
        rule,
        scope,
    });
    proptest::collection::vec(charge, 0..4)
}

fn shadow() -> impl Strategy<Value = Vec<Shadow>> {
    proptest::collection::vec(
        (code(), text()).prop_map(|(reason, rule)| Shadow { reason, rule }),
        0..3,
    )
}

fn calls() -> impl Strategy<Value = Body> {
    let intent = (
        (maybe(digest()), call(), charges(), text(), text(), digest()),
        (
            maybe(text()),
            text(),
            maybe(text()),
            shadow(),
            maybe(text()),
            maybe(digest()),
            (maybe(text()), maybe(text())),
        ),
    )
        .prop_map(|((args_digest, call, charges, grant, method, policy), rest)| {
            let (rule, server, session, shadow, tool, values, (issuer, subject)) = rest;
            let intent = Intent {
                args_digest,
                call,
                charges,
                grant,
                issuer,
                method,
                policy,
                rule,
                server,
                session,
                shadow,
                subject,
                tool,
                values,
            };
            Body::from(intent)
        });
    let outcome = (
        call(),
        maybe(number()),
        maybe(code()),
        of(Settlement::ALL),
        of(Status::ALL),
    )
        .prop_map(|(call, duration_us, reason, settlement, status)| {
            Outcome {
                call,
                duration_us,
                reason,
                settlement,
                status,
            }
            .into()
        });
    let late = (number(), call(), of(Status::ALL)).prop_map(|(after_us, call, status)| {
        Late {
            after_us,
            call,
            status,
        }
        .into()
    });
    let task_end = (call(), maybe(number()), of(TaskStatus::ALL)).prop_map(|(call, duration_us, status)| {
        TaskEnd {
            call,
            duration_us,
            status,
        }
        .into()
    });
    prop_oneof![intent.boxed(), outcome.boxed(), late.boxed(), task_end.boxed()]
}

fn refusals() -> impl Strategy<Value = Body> {
    let denial = (
        (
            maybe(digest()),
            text(),
            text(),
            maybe(digest()),
            code(),
            maybe(text()),
        ),
        (
            maybe(text()),
            maybe(text()),
            shadow(),
            maybe(text()),
            maybe(text()),
            (maybe(text()), maybe(text())),
        ),
    )
        .prop_map(|((args_digest, grant, method, policy, reason, rule), rest)| {
            let (server, session, shadow, text, tool, (issuer, subject)) = rest;
            let denial = Denial {
                args_digest,
                grant,
                issuer,
                method,
                policy,
                reason,
                rule,
                server,
                session,
                shadow,
                subject,
                text,
                tool,
            };
            Body::from(denial)
        });
    let malformed = (
        number(),
        maybe(text()),
        of(Peer::ALL),
        code(),
        maybe(text()),
        maybe(text()),
    )
        .prop_map(|(bytes, grant, peer, reason, server, session)| {
            Malformed {
                bytes,
                grant,
                peer,
                reason,
                server,
                session,
            }
            .into()
        });
    let auth = (
        (maybe(text()), maybe(text()), maybe(text())),
        (code(), maybe(text()), maybe(text())),
    )
        .prop_map(|((address, grant, issuer), (reason, server, subject))| {
            AuthFailure {
                address,
                grant,
                issuer,
                reason,
                server,
                subject,
            }
            .into()
        });
    let suppressed = (
        maybe(text()),
        number(),
        maybe(text()),
        of(SuppressedKind::ALL),
        maybe(code()),
        number(),
    )
        .prop_map(|(address, count, grant, of, reason, since)| {
            Suppressed {
                address,
                count,
                grant,
                of,
                reason,
                since,
            }
            .into()
        });
    let drop = (
        number(),
        maybe(text()),
        of(Peer::ALL),
        code(),
        text(),
        maybe(text()),
    )
        .prop_map(|(bytes, grant, peer, reason, server, session)| {
            Drop {
                bytes,
                grant,
                peer,
                reason,
                server,
                session,
            }
            .into()
        });
    prop_oneof![
        denial.boxed(),
        malformed.boxed(),
        auth.boxed(),
        suppressed.boxed(),
        drop.boxed()
    ]
}

fn processes() -> impl Strategy<Value = Body> {
    let policies = proptest::collection::vec(
        (digest(), text()).prop_map(|(policy, server)| PolicyInUse { policy, server }),
        0..3,
    );
    let start = (of(Durability::ALL), of(Mode::ALL), policies, text()).prop_map(
        |(durability, mode, policies, version)| {
            Start {
                durability,
                mode,
                policies,
                version,
            }
            .into()
        },
    );
    let stop = code().prop_map(|reason| Stop { reason }.into());
    let reload = (
        of(ReloadEffect::ALL),
        maybe(digest()),
        maybe(text()),
        maybe(text()),
        maybe(digest()),
    )
        .prop_map(|(effect, from, reason, server, to)| {
            Reload {
                effect,
                from,
                reason,
                server,
                to,
            }
            .into()
        });
    let list = (
        (maybe(digest()), maybe(text()), maybe(digest()), maybe(code())),
        (text(), maybe(text()), number(), number()),
    )
        .prop_map(
            |((digest, grant, policy, reason), (server, session, shown, tools))| {
                List {
                    digest,
                    grant,
                    policy,
                    reason,
                    server,
                    session,
                    shown,
                    tools,
                }
                .into()
            },
        );
    let grant = (
        (of(GrantAction::ALL), maybe(number()), text()),
        (text(), maybe(text()), maybe(text())),
        (maybe(text()), maybe(text()), maybe(text())),
    )
        .prop_map(
            |((action, expires, grant), (label, policy_name, server), identity)| {
                let (claim, issuer, value) = identity;
                GrantChange {
                    action,
                    claim,
                    expires,
                    grant,
                    issuer,
                    label,
                    policy_name,
                    server,
                    value,
                }
                .into()
            },
        );
    prop_oneof![
        start.boxed(),
        stop.boxed(),
        reload.boxed(),
        list.boxed(),
        grant.boxed()
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let body = prop_oneof![calls().boxed(), refusals().boxed(), processes().boxed()];
    (number(), number(), any::<[u8; 16]>(), body).prop_map(|(seq, at, run, body)| Record {
        seq,
        at,
        run: RunId(run),
        body,
    })
}

fn intent() -> Record {
    Record {
        seq: 7_u32.into(),
        at: Uint53::new(1_795_226_400_000_001).unwrap(),
        run: RunId([0xab; 16]),
        body: Intent {
            args_digest: Some(Digest([1; 32])),
            call: CallId([2; 16]),
            charges: vec![
                Charge {
                    amount: Amount::new("12.50").unwrap(),
                    counter: "spend".into(),
                    rule: "/rules/0".into(),
                    scope: Scope::Argument {
                        path: "args.customer".into(),
                        value: Digest([3; 32]),
                    },
                },
                Charge {
                    amount: 1.into(),
                    counter: "calls".into(),
                    rule: "/rules/1".into(),
                    scope: Scope::Grant,
                },
            ],
            grant: "local".into(),
            issuer: None,
            method: "tools/call".into(),
            policy: Digest([4; 32]),
            rule: Some("/tools/pay".into()),
            server: "bank".into(),
            session: None,
            shadow: vec![Shadow {
                reason: "limit".into(),
                rule: "a \"b\"\n".into(),
            }],
            subject: None,
            tool: Some("pay".into()),
            values: None,
        }
        .into(),
    }
}

#[test]
fn an_intent_is_written_like_this() {
    let expected = concat!(
        r#"{"args_digest":"0101010101010101010101010101010101010101010101010101010101010101","#,
        r#""at":1795226400000001,"call":"02020202020202020202020202020202","#,
        r#""charges":[{"amount":"12.50","counter":"spend","rule":"/rules/0","scope":"args.customer","#,
        r#""scope_value":"0303030303030303030303030303030303030303030303030303030303030303"},"#,
        r#"{"amount":"1","counter":"calls","rule":"/rules/1","scope":"grant"}],"#,
        r#""grant":"local","kind":"intent","method":"tools/call","#,
        r#""policy":"0404040404040404040404040404040404040404040404040404040404040404","#,
        r#""rule":"/tools/pay","run":"abababababababababababababababab","seq":7,"server":"bank","#,
        r#""shadow":[{"reason":"limit","rule":"a \"b\"\n"}],"tool":"pay","v":1}"#,
    );
    assert_eq!(String::from_utf8(intent().encode()).unwrap(), expected);
    assert_eq!(Record::decode(expected.as_bytes()), Ok(intent()));
}

#[test]
fn what_is_not_the_one_encoding_is_refused() {
    let good = String::from_utf8(intent().encode()).unwrap();
    for (from, to, error) in [
        (r#""v":1"#, r#""v":2"#, DecodeError::NewerVersion(2_u32.into())),
        (r#""v":1"#, r#""v":0"#, DecodeError::UnknownVersion(0_u32.into())),
        (r#","v":1"#, "", DecodeError::Missing("v")),
        (
            r#""intent""#,
            r#""wish""#,
            DecodeError::UnknownKind("wish".into()),
        ),
        (
            r#","tool":"#,
            r#","tools":"x","z":"#,
            DecodeError::Canonical(key_order(&good)),
        ),
        (
            r#","v":1"#,
            r#","v":1,"w":1"#,
            DecodeError::UnknownField("w".into()),
        ),
        (
            r#","v":1"#,
            r#","v":1,"values":[]"#,
            DecodeError::Invalid("values"),
        ),
        (r#""grant":"local","#, "", DecodeError::Missing("grant")),
        (
            r#""server":"bank""#,
            r#""server":7"#,
            DecodeError::Invalid("server"),
        ),
        (
            r#""server":"bank""#,
            r#""server":["bank"]"#,
            DecodeError::Invalid("server"),
        ),
        (r#""abab"#, r#""ABab"#, DecodeError::Invalid("run")),
        (
            r#""scope":"grant""#,
            r#""scope":"galaxy""#,
            DecodeError::Invalid("charges"),
        ),
        (
            r#""amount":"1""#,
            r#""amount":"-1""#,
            DecodeError::Invalid("charges"),
        ),
        (
            r#"[{"reason":"limit","rule":"a \"b\"\n"}]"#,
            "[]",
            DecodeError::NotCanonical,
        ),
    ] {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good);
        match (Record::decode(changed.as_bytes()), error) {
            (Err(DecodeError::Canonical(_)), DecodeError::Canonical(_)) => {}
            (result, error) => assert_eq!(result, Err(error), "{changed}"),
        }
    }
    let long = vec![b' '; RECORD_BYTES_MAX + 1];
    assert_eq!(Record::decode(&long), Err(DecodeError::TooLong(long.len())));
}

fn key_order(text: &str) -> CanonicalError {
    CanonicalError {
        at: text.len(),
        reason: crate::canonical::Reason::KeyOrder,
    }
}

proptest! {
    #[test]
    fn any_record_reads_back(record in record()) {
        let bytes = record.encode();
        prop_assert_eq!(Record::decode(&bytes), Ok(record));
    }

    #[test]
    fn another_byte_is_another_record(record in record(), at in any::<usize>(), byte in any::<u8>()) {
        let mut bytes = record.encode();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(other) = Record::decode(&bytes) {
            prop_assert_ne!(other, record);
        }
    }
}
