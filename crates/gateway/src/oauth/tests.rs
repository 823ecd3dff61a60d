//! Signatures that others made, and tokens that mean nothing.

use super::*;
use crate::oauth::jwk::KeySet;

/// The examples of RFC 7515, appendices A.2 and A.3, and of RFC 8037, appendix A.4: algorithm, key, token.
const EXAMPLES: [(Algorithm, &str, &str); 3] = [
    (
        Algorithm::Rs256,
        concat!(
            r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qP"#,
            "CJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX",
            "ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK",
            r#"-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#
        ),
        concat!(
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb2",
            "90Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp",
            "5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0Ga",
            "rZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98r",
            "qVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
        ),
    ),
    (
        Algorithm::Es256,
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        concat!(
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb2",
            "90Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
        ),
    ),
    (
        Algorithm::EdDsa,
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        concat!(
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWb",
            "hijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        ),
    ),
];

fn set(keys: &str) -> KeySet {
    KeySet::read(format!("{{\"keys\":[{keys}]}}").as_bytes()).unwrap()
}

#[test]
fn signatures_of_the_standards_own_examples_are_good_and_others_are_not() {
    for (algorithm, key, token) in EXAMPLES {
        let set = set(key);
        let found = set.find(None, algorithm).unwrap();
        let read = Unverified::read(token).unwrap();
        assert!(
            found[0].verifies(algorithm, read.signed(), read.signature()),
            "{algorithm:?}"
        );
        let mut flipped = read.signature().to_vec();
        flipped[7] ^= 1;
        assert!(!found[0].verifies(algorithm, read.signed(), &flipped));
        assert!(!found[0].verifies(algorithm, &read.signed().replacen('e', "f", 1), read.signature()));
        assert!(!found[0].verifies(algorithm, read.signed(), &[]));
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            assert!(
                !found[0].verifies(other, read.signed(), read.signature()),
                "{other:?}"
            );
        }
    }
}

#[test]
fn a_key_is_found_by_its_name_and_for_its_algorithm_alone() {
    let [(_, rsa, _), (_, ec, _), _] = EXAMPLES;
    let named = |key: &str, more: &str| key.replacen('{', &format!("{{{more},"), 1);
    let set = set(&[
        named(rsa, r#""kid":"a","alg":"RS256""#),
        named(ec, r#""kid":"a""#),
        named(ec, r#""kid":"b""#),
    ]
    .join(","));
    let found = |kid, algorithm| set.find(kid, algorithm).map(|found| found.len());
    assert_eq!(found(Some("a"), Algorithm::Rs256), Ok(1));
    assert_eq!(found(Some("a"), Algorithm::Ps256), Err(NoKey::Unknown));
    assert_eq!(found(Some("a"), Algorithm::Es256), Ok(1));
    assert_eq!(found(Some("c"), Algorithm::Es256), Err(NoKey::Unknown));
    assert_eq!(found(None, Algorithm::Rs256), Ok(1));
    assert_eq!(found(None, Algorithm::Es256), Err(NoKey::Unnamed));
}

#[test]
fn a_document_without_a_key_to_verify_by_is_none() {
    let (_, ec, _) = EXAMPLES[1];
    for document in [
        String::new(),
        "[]".to_owned(),
        r#"{"keys":{}}"#.to_owned(),
        r#"{"keys":[]}"#.to_owned(),
        r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#.to_owned(),
        format!(r#"{{"keys":[{}]}}"#, ec.replace("P-256", "P-521")),
        format!(r#"{{"keys":[{}]}}"#, ec.replacen('{', r#"{"use":"enc","#, 1)),
        format!(r#"{{"keys":[{}]}}"#, ec.replacen('{', r#"{"alg":"HS256","#, 1)),
        format!(
            r#"{{"keys":[{}]}}"#,
            ec.replacen('{', r#"{"key_ops":["sign"],"#, 1)
        ),
        format!(r#"{{"keys":[{ec}],"keys":[{ec}]}}"#),
        r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#.to_owned(),
    ] {
        assert!(check_keys(document.as_bytes()).is_err(), "{document}");
    }
}

#[test]
fn the_order_of_claims_does_not_tell_two_sets_apart_and_all_else_does() {
    let of = |audience: &str, claims: &str| {
        let text = format!(r#"{{"iss":"i","aud":{audience},"sub":"s","exp":9,{claims}}}"#);
        let raw = callgate_wire::RawJson::read(text.as_bytes(), &callgate_wire::Bounds::default()).unwrap();
        let expected = Expected {
            issuer: &"i".into(),
            audience: "a",
            scopes: &[],
            ignored: &["sid".into()],
            now: 1,
        };
        expected.holder(&raw.parse()).unwrap().digest
    };
    let digest = |claims: &str| of(r#""a""#, claims);
    let base = digest(r#""a":{"x":1,"y":["z"]},"b":true"#);
    assert_eq!(
        base,
        digest(r#""b":true,"a":{"y":["z"],"x":1},"jti":"7","iat":1,"nbf":1,"sid":"8""#)
    );
    // Each endpoint has an audience of its own, and its tokens are of the same subject.
    assert_eq!(base, of(r#"["b","a"]"#, r#""a":{"x":1,"y":["z"]},"b":true"#));
    for other in [
        r#""a":{"x":1,"y":["z"]},"b":false"#,
        r#""a":{"x":"1","y":["z"]},"b":true"#,
        r#""a":{"x":1,"y":"z"},"b":true"#,
        r#""a":{"x":1,"y":["z",null]},"b":true"#,
        r#""a":{"x":1},"y":["z"],"b":true"#,
    ] {
        assert_ne!(base, digest(other), "{other}");
    }
}

#[test]
fn what_is_no_token_is_told_from_one_without_a_panic() {
    for text in [
        "",
        ".",
        "..",
        "a.b.c",
        "e30.e30.",
        "e30.e30.e30.e30",
        "é.é.é",
        "W10.W10.AA",
    ] {
        assert!(Unverified::read(text).is_err(), "{text}");
    }
}
