//! What each kind of record holds.
//!
//! No field holds an argument's value. Where the same value must be recognised again (arguments, the value
//! of an argument that a limit counts by), the field holds its HMAC-SHA-256 under a key of the state folder.

use super::DecodeError;
use super::codec::{Field, Scalar, Writer, text_of};
use crate::canonical::{Fields, Json, write_string};
use crate::value::{Amount, CallId, Code, Digest, Text, Uint53};

/// An enum whose variants are fixed words in the encoding.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in the encoding.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Scalar for $name {
            fn write(&self, out: &mut Vec<u8>) {
                write_string(self.as_str(), out);
            }

            fn read(json: Json<'_>) -> Option<Self> {
                let text = text_of(&json)?;
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
            }
        }
    )*};
}

/// The members of a struct, in the order of their keys, which is the order of the fields.
macro_rules! members {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            fn write_members(&self, writer: &mut Writer<'_>) {
                $(self.$field.put(stringify!($field), writer);)*
            }

            fn read_members(fields: &mut Fields<'_>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: Field::take(fields, stringify!($field))?,)* })
            }
        }
    )*};
}

/// The kinds of record, each with its body.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What a record says happened.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Body {
            $($(#[$doc])* $kind($kind),)*
        }

        words! {
            /// The kind of a record, named by its `kind` field.
            Kind { $($(#[$doc])* $kind = $name,)* }
        }

        impl Kind {
            /// The value of the `kind` field.
            #[must_use]
            pub const fn name(self) -> &'static str {
                self.as_str()
            }

            /// The kind of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
            }
        }

        impl Body {
            /// Its kind.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)* }
            }

            pub(super) fn write(&self, writer: &mut Writer<'_>) {
                match self { $(Self::$kind(body) => body.write_members(writer),)* }
            }

            pub(super) fn read(kind: Kind, fields: &mut Fields<'_>) -> Result<Self, DecodeError> {
                match kind { $(Kind::$kind => $kind::read_members(fields).map(Self::$kind),)* }
            }
        }

        $(impl From<$kind> for Body {
            fn from(body: $kind) -> Self {
                Self::$kind(body)
            }
        })*
    };
}

kinds! {
    /// A call that was allowed, written before it is forwarded.
    Intent = "intent",
    /// How a call ended; exactly one for each intent.
    Outcome = "outcome",
    /// A call that policy, limits or the gate itself refused.
    Denial = "denial",
    /// A message that was refused as malformed.
    Malformed = "malformed",
    /// A request that did not authenticate.
    AuthFailure = "auth_failure",
    /// A process began to serve.
    Start = "start",
    /// A process ended in order.
    Stop = "stop",
    /// A policy was loaded anew, or was refused.
    Reload = "reload",
    /// An answer came after its call had ended.
    Late = "late",
    /// A task that a call had started came to its end.
    TaskEnd = "task_end",
    /// Refusals that were counted instead of recorded one by one.
    Suppressed = "suppressed",
    /// A response that matched no open request was dropped.
    Drop = "drop",
    /// A server's list of tools was taken, or could not be.
    List = "list",
    /// A caller's right to use servers was made or changed.
    GrantChange = "grant",
}

words! {
    /// How a call ended.
    Status {
        /// The server answered with a result.
        Ok = "ok",
        /// The server answered with a result that says it is an error.
        ToolError = "tool_error",
        /// The server answered with a JSON-RPC error, or with what is no answer.
        ProtocolError = "protocol_error",
        /// Not one byte of the call reached the server.
        Unreachable = "unreachable",
        /// The client cancelled.
        Cancelled = "cancelled",
        /// Nobody knows: it may have run, it may be running.
        Unknown = "unknown",
        /// The server asks for input before it goes on.
        InputRequired = "input_required",
        /// The server made a task of it; a `task_end` follows.
        Accepted = "accepted",
    }
    /// What became of a call's charges.
    Settlement {
        /// The limits keep what the call took.
        Kept = "kept",
        /// Given back: not one byte of the call left the gate.
        Refunded = "refunded",
    }
    /// How a task ended.
    TaskStatus {
        /// It completed.
        Completed = "completed",
        /// It failed.
        Failed = "failed",
        /// It was cancelled.
        Cancelled = "cancelled",
        /// The gate lost sight of it.
        Unknown = "unknown",
    }
    /// Which side sent a message.
    Peer {
        /// The agent's side.
        Client = "client",
        /// The server's side.
        Server = "server",
    }
    /// How the process serves.
    Mode {
        /// One server, one caller.
        Run = "run",
        /// A gateway of many.
        Serve = "serve",
    }
    /// What the ledger survives.
    Durability {
        /// Crashes of processes.
        Process = "process",
        /// Loss of power too: fsynced before a call is forwarded.
        Disk = "disk",
    }
    /// What a reload did.
    ReloadEffect {
        /// In force; something that was refused may now be allowed.
        Looser = "looser",
        /// In force; nothing is allowed that was not.
        Tighter = "tighter",
        /// In force; decides as before.
        Same = "same",
        /// Looser, and waits for a person (`--reload tighten`); the old policy stays.
        Waiting = "waiting",
        /// Does not load; the old policy stays.
        Rejected = "rejected",
    }
    /// What was done to a grant.
    GrantAction {
        /// It was made, with a token.
        Create = "create",
        /// It got another token; the one before is no more.
        Rotate = "rotate",
        /// It ended.
        Revoke = "revoke",
        /// It may use a server, or uses it under another policy; or tokens of an issuer let in as it.
        Attach = "attach",
        /// It may not use a server any more; or such tokens do not let in any more.
        Detach = "detach",
    }
    /// Kinds of refusal that may be counted instead of recorded.
    SuppressedKind {
        /// Denials.
        Denial = "denial",
        /// Malformed messages.
        Malformed = "malformed",
        /// Failed authentications.
        AuthFailure = "auth_failure",
        /// Dropped responses.
        Drop = "drop",
    }
}

members! {
    /// A call that was allowed. It is in the log before a byte of it reaches the server.
    Intent {
        /// HMAC-SHA-256 of the bytes of the arguments that were judged and forwarded.
        args_digest: Option<Digest>,
        /// Names the call in its outcome.
        call: CallId,
        /// What the call took from its limits.
        charges: Vec<Charge>,
        /// The caller.
        grant: Text,
        /// The issuer of the OAuth token that the caller came with, where it was one.
        issuer: Option<Text>,
        /// The method, `tools/call` for a tool.
        method: Text,
        /// SHA-256 of the policy in force.
        policy: Digest,
        /// The rule that allowed it; absent where the policy's default did.
        rule: Option<Text>,
        /// The server's configured name.
        server: Text,
        /// The session, where there is one.
        session: Option<Text>,
        /// Shadow rules that would have refused the call.
        shadow: Vec<Shadow>,
        /// The subject of the OAuth token, as its issuer names it.
        subject: Option<Text>,
        /// The server's own name of the tool.
        tool: Option<Text>,
        /// Salted hash of the argument values that the policy records beside the ledger.
        values: Option<Digest>,
    }
    /// How a call ended.
    Outcome {
        /// The call of the intent.
        call: CallId,
        /// Microseconds from forwarding to the answer, where the writer saw both.
        duration_us: Option<Uint53>,
        /// Why, where the status alone does not say: `deadline`, `too_large`, `upstream_auth`,
        /// `process_gone`.
        reason: Option<Code>,
        /// What became of its charges.
        settlement: Settlement,
        /// How it ended.
        status: Status,
    }
    /// A call that was refused.
    Denial {
        /// HMAC-SHA-256 of the bytes of the arguments.
        args_digest: Option<Digest>,
        /// The caller.
        grant: Text,
        /// The issuer of the OAuth token that the caller came with, where it was one.
        issuer: Option<Text>,
        /// The method.
        method: Text,
        /// SHA-256 of the policy in force, where one was.
        policy: Option<Digest>,
        /// The stable reason code.
        reason: Code,
        /// The rule that decided, where one did.
        rule: Option<Text>,
        /// The server's configured name, where the call could be routed.
        server: Option<Text>,
        /// The session, where there is one.
        session: Option<Text>,
        /// Shadow rules that would have refused the call as well.
        shadow: Vec<Shadow>,
        /// The subject of the OAuth token, as its issuer names it.
        subject: Option<Text>,
        /// What the policy's author tells the caller; never made of argument values.
        text: Option<Text>,
        /// The tool that was asked for.
        tool: Option<Text>,
    }
    /// A message that was refused as malformed. Nothing of its content is kept.
    Malformed {
        /// Its length.
        bytes: Uint53,
        /// The caller, where known.
        grant: Option<Text>,
        /// Who sent it.
        peer: Peer,
        /// The stable reason code.
        reason: Code,
        /// The server's configured name, where known.
        server: Option<Text>,
        /// The session, where there is one.
        session: Option<Text>,
    }
    /// A request that did not authenticate.
    AuthFailure {
        /// Where it came from.
        address: Option<Text>,
        /// The grant that the credential had named (revoked or expired), where known.
        grant: Option<Text>,
        /// The issuer of an OAuth token whose signature was good.
        issuer: Option<Text>,
        /// The stable reason code.
        reason: Code,
        /// The server asked for, where known.
        server: Option<Text>,
        /// The subject of such a token.
        subject: Option<Text>,
    }
    /// A process began to serve.
    Start {
        /// What the ledger survives.
        durability: Durability,
        /// How the process serves.
        mode: Mode,
        /// The policies in force.
        policies: Vec<PolicyInUse>,
        /// The program's version.
        version: Text,
    }
    /// A process ended in order; after a crash there is none.
    Stop {
        /// The stable reason code: `exit`, `signal`, `child_exit`.
        reason: Code,
    }
    /// A policy was loaded anew, or was refused.
    Reload {
        /// What the reload did.
        effect: ReloadEffect,
        /// SHA-256 of the policy that was in force.
        from: Option<Digest>,
        /// Why a policy was rejected, or what got looser.
        reason: Option<Text>,
        /// The server whose policy it is.
        server: Option<Text>,
        /// SHA-256 of the policy that was read, where it could be read.
        to: Option<Digest>,
    }
    /// An answer came after its call had ended; the call's outcome stays as it is.
    Late {
        /// Microseconds from forwarding to the answer.
        after_us: Uint53,
        /// The call.
        call: CallId,
        /// What the answer said.
        status: Status,
    }
    /// The end of a task that a call had started.
    TaskEnd {
        /// The call whose outcome was `accepted`.
        call: CallId,
        /// Microseconds from forwarding to the end, where the writer saw both.
        duration_us: Option<Uint53>,
        /// How it ended.
        status: TaskStatus,
    }
    /// Refusals that were counted instead of recorded one by one.
    Suppressed {
        /// The address, where they were not authenticated.
        address: Option<Text>,
        /// How many.
        count: Uint53,
        /// The caller, where known.
        grant: Option<Text>,
        /// What they were.
        of: SuppressedKind,
        /// Their reason code, where it was one.
        reason: Option<Code>,
        /// When the first of them was, in microseconds since the Unix epoch.
        since: Uint53,
    }
    /// A response that matched no open request.
    Drop {
        /// Its length.
        bytes: Uint53,
        /// The caller, where known.
        grant: Option<Text>,
        /// Who sent it.
        peer: Peer,
        /// The stable reason code: `unmatched`, `duplicate`.
        reason: Code,
        /// The server's configured name.
        server: Text,
        /// The session, where there is one.
        session: Option<Text>,
    }
    /// A server's list of tools, as the gate took it for a session.
    List {
        /// SHA-256 of the definitions as listed; absent where no list was had.
        digest: Option<Digest>,
        /// The caller, where the list belongs to one.
        grant: Option<Text>,
        /// SHA-256 of the policy in force.
        policy: Option<Digest>,
        /// Why no list was had.
        reason: Option<Code>,
        /// The server's configured name.
        server: Text,
        /// The session, where there is one.
        session: Option<Text>,
        /// How many of them the caller sees.
        shown: Uint53,
        /// How many tools the server listed.
        tools: Uint53,
    }
    /// A caller's right to use servers was made or changed. Nothing of its token is kept.
    GrantChange {
        /// What was done.
        action: GrantAction,
        /// The claim that tokens of `issuer` have to hold, `sub` for their subject.
        claim: Option<Text>,
        /// When it ends by itself, in microseconds since the Unix epoch.
        expires: Option<Uint53>,
        /// The grant, as intents and denials name it.
        grant: Text,
        /// The issuer whose tokens were attached or detached.
        issuer: Option<Text>,
        /// What people call it.
        label: Text,
        /// The name of the policy that calls to the server are judged by.
        policy_name: Option<Text>,
        /// The server that was attached or detached.
        server: Option<Text>,
        /// The value that the claim has to have.
        value: Option<Text>,
    }
}

impl Body {
    /// The call that the record belongs to, where it belongs to one.
    #[must_use]
    pub const fn call(&self) -> Option<CallId> {
        match self {
            Self::Intent(body) => Some(body.call),
            Self::Outcome(body) => Some(body.call),
            Self::Late(body) => Some(body.call),
            Self::TaskEnd(body) => Some(body.call),
            Self::Denial(_)
            | Self::Malformed(_)
            | Self::AuthFailure(_)
            | Self::Start(_)
            | Self::Stop(_)
            | Self::Reload(_)
            | Self::Suppressed(_)
            | Self::Drop(_)
            | Self::List(_)
            | Self::GrantChange(_) => None,
        }
    }
}

/// What a call took from one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// How much.
    pub amount: Amount,
    /// The counter's name.
    pub counter: Text,
    /// The rule that the limit stands in.
    pub rule: Text,
    /// What the limit is counted by.
    pub scope: Scope,
}

/// What a limit is counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The caller.
    Grant,
    /// The session.
    Session,
    /// The tool.
    Tool,
    /// The server.
    Server,
    /// One counter for all.
    Global,
    /// The value of an argument.
    Argument {
        /// The argument's path, beginning with `args`.
        path: Text,
        /// HMAC-SHA-256 of its value.
        value: Digest,
    },
}

impl Scope {
    const FIXED: [Self; 5] = [Self::Grant, Self::Session, Self::Tool, Self::Server, Self::Global];

    /// The scope's name in policies and in the encoding.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Grant => "grant",
            Self::Session => "session",
            Self::Tool => "tool",
            Self::Server => "server",
            Self::Global => "global",
            Self::Argument { path, .. } => path.as_str(),
        }
    }
}

impl Scalar for Charge {
    fn write(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::nested(out);
        self.amount.put("amount", &mut writer);
        self.counter.put("counter", &mut writer);
        self.rule.put("rule", &mut writer);
        write_string(self.scope.name(), writer.key("scope"));
        if let Scope::Argument { value, .. } = &self.scope {
            value.put("scope_value", &mut writer);
        }
        writer.finish();
    }

    fn read(json: Json<'_>) -> Option<Self> {
        nested(json, |fields| {
            let name: Text = Field::take(fields, "scope")?;
            let value: Option<Digest> = Field::take(fields, "scope_value")?;
            let scope = match value {
                Some(value) => Some(Scope::Argument { path: name, value }),
                None => Scope::FIXED
                    .iter()
                    .find(|scope| scope.name() == name.as_str())
                    .cloned(),
            };
            Ok(Self {
                amount: Field::take(fields, "amount")?,
                counter: Field::take(fields, "counter")?,
                rule: Field::take(fields, "rule")?,
                scope: scope.ok_or(DecodeError::Invalid("scope"))?,
            })
        })
    }
}

macro_rules! nested_members {
    ($($name:ident)*) => {$(
        impl Scalar for $name {
            fn write(&self, out: &mut Vec<u8>) {
                let mut writer = Writer::nested(out);
                self.write_members(&mut writer);
                writer.finish();
            }

            fn read(json: Json<'_>) -> Option<Self> {
                nested(json, Self::read_members)
            }
        }
    )*};
}

members! {
    /// A shadow rule that would have refused the call.
    Shadow {
        /// The reason code that the caller would have got.
        reason: Code,
        /// The rule.
        rule: Text,
    }
    /// A policy in force.
    PolicyInUse {
        /// SHA-256 of the policy.
        policy: Digest,
        /// The server that it judges.
        server: Text,
    }
}

nested_members! { Shadow PolicyInUse }

fn nested<T>(json: Json<'_>, read: impl FnOnce(&mut Fields<'_>) -> Result<T, DecodeError>) -> Option<T> {
    let Json::Object(mut fields) = json else {
        return None;
    };
    let value = read(&mut fields).ok()?;
    fields.left_over().is_none().then_some(value)
}
