//! Logs to verify, made of every kind of record.

use callgate_ledger::export::{Header, write_checkpoint, write_header, write_record};
use callgate_ledger::record::*;
use callgate_ledger::*;

pub const ORIGIN: &str = "example.com/callgate";

/// A log as its owner holds it.
#[derive(Clone)]
pub struct Log {
    pub prefix: Prefix,
    pub records: Vec<Record>,
    /// Signed after that many records.
    pub checkpoints: Vec<u64>,
    pub origin: String,
    pub seed: u8,
}

impl Log {
    /// A log of `size` records, signed at its end and now and then before.
    pub fn new(size: u64) -> Self {
        let records = (0..size).map(|seq| record(seq, body(seq))).collect();
        let mut checkpoints: Vec<u64> = (0..size).filter(|size| size % 300 == 5).collect();
        checkpoints.push(size);
        Self {
            prefix: Prefix::default(),
            records,
            checkpoints,
            origin: ORIGIN.into(),
            seed: 1,
        }
    }

    pub fn signer(&self) -> Signer {
        Signer::from_seed(&self.origin, &[self.seed; 32]).unwrap()
    }

    /// The signed checkpoint of the first `size` records.
    pub fn note(&self, size: u64) -> String {
        let mut frontier = self.prefix.frontier.clone();
        let first = frontier.size();
        for record in &self.records[..usize::try_from(size - first).unwrap()] {
            frontier.push(leaf_hash(&record.encode()));
        }
        let size = Uint53::new(size).unwrap();
        Checkpoint {
            origin: self.origin.clone(),
            size,
            root: frontier.root(),
        }
        .sign(&self.signer())
        .unwrap()
    }

    pub fn export(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let first = self.prefix.frontier.size();
        let size = first + self.records.len() as u64;
        let header = Header {
            origin: self.origin.clone(),
            vkey: self.signer().verifier().clone(),
            prefix: self.prefix.clone(),
            size: Uint53::new(size).unwrap(),
        };
        write_header(&header, &mut out);
        for due in first..=size {
            for checkpoint in self.checkpoints.iter().filter(|size| **size == due) {
                write_checkpoint(&self.note(*checkpoint), &mut out);
            }
            if due < size {
                write_record(
                    &self.records[usize::try_from(due - first).unwrap()].encode(),
                    &mut out,
                );
            }
        }
        out
    }
}

pub fn record(seq: u64, body: Body) -> Record {
    let at = Uint53::new(1_795_226_400_000_000 + seq / 2).unwrap();
    Record {
        seq: Uint53::new(seq).unwrap(),
        at,
        run: RunId([9; 16]),
        body,
    }
}

pub fn call(number: u64) -> CallId {
    CallId(u128::from(number).to_be_bytes())
}

pub fn intent(number: u64) -> Body {
    let charge = |scope| Charge {
        amount: Amount::new("12.5e-1").unwrap(),
        counter: "calls".into(),
        rule: "/rules/0".into(),
        scope,
    };
    Intent {
        args_digest: Some(Digest([1; 32])),
        call: call(number),
        charges: vec![
            charge(Scope::Grant),
            charge(Scope::Argument {
                path: "args[\"a.b\"]".into(),
                value: Digest([2; 32]),
            }),
        ],
        grant: "local \u{1f600} \u{7f}\u{1}\n\"\\/".into(),
        issuer: Some("https://login.example.com".into()),
        method: "tools/call".into(),
        policy: Digest([3; 32]),
        rule: Some("/tools/pay/require".into()),
        server: "bank".into(),
        session: None,
        shadow: vec![Shadow {
            reason: "limit_reached".into(),
            rule: "/rules/7".into(),
        }],
        subject: Some("ana".into()),
        tool: Some("pay".into()),
        values: None,
    }
    .into()
}

pub fn outcome(number: u64, status: Status) -> Body {
    let settlement = Settlement::Kept;
    Outcome {
        call: call(number),
        duration_us: Some(250_u32.into()),
        reason: None,
        settlement,
        status,
    }
    .into()
}

/// The record at `seq` of a log that has every kind: twenty records that repeat, two calls among them.
fn body(seq: u64) -> Body {
    let (round, step) = (seq / 20, seq % 20);
    let (first, second) = (2 * round, 2 * round + 1);
    match step {
        0 => start(),
        1 => list(),
        2 => intent(first),
        3 => intent(second),
        4 => outcome(second, Status::Unknown),
        5 => outcome(first, Status::Accepted),
        6 => Late {
            after_us: 7_u32.into(),
            call: call(second),
            status: Status::ToolError,
        }
        .into(),
        7 => Late {
            after_us: 7_u32.into(),
            call: call(first),
            status: Status::Ok,
        }
        .into(),
        8 => TaskEnd {
            call: call(first),
            duration_us: None,
            status: TaskStatus::Failed,
        }
        .into(),
        9 => intent(1_000_000 + round),
        10 => malformed(),
        11 => AuthFailure {
            address: Some("192.0.2.1".into()),
            grant: None,
            issuer: None,
            reason: "revoked".into(),
            server: None,
            subject: None,
        }
        .into(),
        12 => reload(),
        13 => suppressed(),
        14 => dropped(),
        15 => Stop {
            reason: "signal".into(),
        }
        .into(),
        16 => grant(),
        _ => denial(),
    }
}

fn start() -> Body {
    let policies = vec![PolicyInUse {
        policy: Digest([3; 32]),
        server: "bank".into(),
    }];
    Start {
        durability: Durability::Disk,
        mode: Mode::Serve,
        policies,
        version: "0.1.0".into(),
    }
    .into()
}

fn list() -> Body {
    List {
        digest: Some(Digest([4; 32])),
        grant: None,
        policy: Some(Digest([3; 32])),
        reason: None,
        server: "bank".into(),
        session: Some("s".into()),
        shown: 3_u32.into(),
        tools: 5_u32.into(),
    }
    .into()
}

fn grant() -> Body {
    GrantChange {
        action: GrantAction::Attach,
        claim: None,
        expires: Some(Uint53::MAX),
        grant: "g_0123456789abcdef".into(),
        issuer: None,
        label: "ci".into(),
        policy_name: Some("reviewers".into()),
        server: Some("bank".into()),
        value: None,
    }
    .into()
}

fn malformed() -> Body {
    Malformed {
        bytes: Uint53::MAX,
        grant: None,
        peer: Peer::Client,
        reason: "duplicate_key".into(),
        server: None,
        session: None,
    }
    .into()
}

fn reload() -> Body {
    Reload {
        effect: ReloadEffect::Looser,
        from: None,
        reason: Some("tools/pay".into()),
        server: None,
        to: Some(Digest([5; 32])),
    }
    .into()
}

fn suppressed() -> Body {
    Suppressed {
        address: None,
        count: 40_u32.into(),
        grant: Some("local".into()),
        of: SuppressedKind::Denial,
        reason: None,
        since: 0_u32.into(),
    }
    .into()
}

fn dropped() -> Body {
    Drop {
        bytes: 10_u32.into(),
        grant: None,
        peer: Peer::Server,
        reason: "unmatched".into(),
        server: "bank".into(),
        session: None,
    }
    .into()
}

pub fn denial() -> Body {
    Denial {
        args_digest: None,
        grant: "local".into(),
        issuer: None,
        method: "tools/call".into(),
        policy: None,
        reason: "hidden".into(),
        rule: None,
        server: None,
        session: None,
        shadow: Vec::new(),
        subject: None,
        text: Some(Text::new(&"é".repeat(400))),
        tool: Some("rm".into()),
    }
    .into()
}
