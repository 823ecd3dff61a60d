//! What an argument is for, as far as its name, its type and the tool's class tell.

use super::arguments::{Argument, Kinds};
use crate::class::Class;
use crate::definition::{Definition, Parameter};
use crate::text::{flat, words_of_name};
use crate::words::{self, Act};
use crate::{phrase, rules};

/// What an argument is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// It chooses what is done, from a list that the schema gives.
    Action,
    /// It names what is run or touched: only names on a list hold.
    Target,
    /// It is an address of a person, to which something is sent.
    Mail,
    /// It is a URL that the server may fetch or call.
    Url,
    /// It is a path in the file system of the server.
    Folder,
    /// It is a path inside something that another argument names.
    Inside,
    /// It is a name with slashes, such as that of a branch.
    Name,
    /// It is an identifier.
    Id,
    /// It is an identifier that the caller makes up, so that nothing is done twice.
    Once,
    /// It makes the server wait until what was started has ended.
    Wait,
    /// It takes away a safeguard.
    Force,
    /// It keeps the tool from changing anything.
    ReadOnly,
    /// It is an amount of money, or of what is traded.
    Amount,
    /// It says how many.
    Count {
        /// At most so many.
        max: u32,
    },
    /// It says how long.
    Time {
        /// At most so long, in the argument's own unit.
        max: u32,
    },
    /// It is code or a command.
    Code,
    /// It is a query that is to change nothing.
    Query,
    /// It is HTML that somebody is shown.
    Html,
    /// It is free text.
    Text {
        /// At most so many characters.
        max: u32,
    },
    /// It is an object of which the schema does not say what is in it.
    Open,
}

/// What of a tool matters for all of its arguments.
#[derive(Debug)]
pub(super) struct Tool<'d> {
    pub(super) definition: &'d Definition,
    pub(super) class: Class,
    /// Whether its credentials or its texts make it one that is read with care.
    pub(super) is_delicate: bool,
    /// The description, as phrases are looked for in it.
    pub(super) flat: String,
    /// What its name's verb does.
    pub(super) act: Option<Act>,
    /// Whether an argument names a thing in which paths lie.
    pub(super) has_container: bool,
    /// Whether an argument chooses what is done.
    pub(super) has_action: bool,
    /// Whether it sends something to people.
    pub(super) is_mail: bool,
}

/// Names of what is run.
const RUN: &str = "workflow flow pipeline job dag script playbook function lambda template macro automation \
    procedure recipe runbook scenario zap bot";
/// Names of the places in which things are run and changed.
const PLACES: &str = "repo repository owner org organization organisation project workspace team namespace database db \
    environment env cluster account tenant bucket channel guild server host hostname site domain vault mailbox \
    base board store realm instance";
/// More of them, where something is set going.
const PLACES_OF_RUNS: &str = "app application service node vm container droplet stack deployment device";
/// Names of those to whom something is sent or paid.
const RECEIVERS: &str =
    "recipient channel chat phone conversation room payee beneficiary destination wallet attendee";
/// Names of things in which paths lie.
const CONTAINERS: &str = "repo repository owner project bucket branch vault drive sandbox";

impl<'d> Tool<'d> {
    pub(super) fn new(
        definition: &'d Definition,
        class: Class,
        is_delicate: bool,
        arguments: &[Argument],
    ) -> Self {
        let names = words_of_name(&definition.name);
        Self {
            definition,
            class,
            is_delicate,
            flat: flat(&definition.description),
            act: names.iter().find_map(|word| phrase::act_of(word)),
            has_container: arguments.iter().any(|argument| argument.has(CONTAINERS)),
            has_action: arguments.iter().any(is_action),
            is_mail: arguments.iter().any(|argument| argument.has("subject"))
                && arguments.iter().any(|argument| argument.words == ["to"])
                || names.iter().any(|word| word == "email" || word == "mail"),
        }
    }

    const fn reads(&self) -> bool {
        matches!(self.class, Class::Read)
    }

    const fn runs(&self) -> bool {
        matches!(self.class, Class::Execute | Class::Financial | Class::Destructive)
    }
}

fn is_action(argument: &Argument) -> bool {
    argument.path.segments.len() == 1
        && !argument.choices.is_empty()
        && argument.ends(words::CHOOSES)
        && argument.kinds
            == Kinds {
                text: true,
                ..Kinds::default()
            }
}

/// What an argument is for; `None` where the schema says all that can be said of it.
pub(super) fn role(argument: &Argument, tool: &Tool<'_>) -> Option<Role> {
    let kinds = argument.kinds;
    if argument.is_choice {
        return match () {
            () if is_action(argument) && !tool.reads() => Some(Role::Action),
            () if tool.class == Class::Execute && argument.has(RUN) && !argument.choices.is_empty() => {
                Some(Role::Target)
            }
            () => None,
        };
    }
    if kinds.is_flag() {
        return of_flag(argument, tool);
    }
    if kinds.is_number() {
        return of_number(argument, tool);
    }
    if is_open_object(argument, tool) {
        return Some(Role::Open);
    }
    if kinds.may_be_text() {
        return of_text(argument, tool);
    }
    None
}

fn is_open_object(argument: &Argument, tool: &Tool<'_>) -> bool {
    (argument.kinds.object || argument.kinds.is_open())
        && !argument.has_members
        && tool.runs()
        && argument.path.segments.len() == 1
        && argument.ends("input param parameter arg argument variable payload option data")
}

fn of_flag(argument: &Argument, tool: &Tool<'_>) -> Option<Role> {
    if tool.reads() && !tool.is_delicate {
        return argument.joined("readonly").then_some(Role::ReadOnly);
    }
    if argument.joined("readonly") {
        return Some(Role::ReadOnly);
    }
    if argument.words.first().is_some_and(|word| word == "wait")
        || argument.joined("sync synchronous blocking await block")
    {
        return (tool.class != Class::Write).then_some(Role::Wait);
    }
    (argument.joined(
        "force forced overwrite permanent permanently purge cascade allnamespace skipconfirmation skipconfirm noverify \
         skipverification insecure all recursive allowwrite allowdestructive",
    ) && !tool.reads())
    .then_some(Role::Force)
}

fn of_number(argument: &Argument, tool: &Tool<'_>) -> Option<Role> {
    if tool.class == Class::Financial
        && argument.has(AMOUNTS)
        && !argument.ends("id decimal precision type currency")
    {
        return Some(Role::Amount);
    }
    if argument.ends("id iid number") {
        return is_target(argument, tool).then_some(Role::Target);
    }
    if argument.is_bounded {
        return None;
    }
    if argument.has("timeout wait delay") || argument.words == ["duration"] {
        let is_in_millis = argument.has("ms milli millisecond millis")
            || argument.description.contains("millisecond")
            || argument.description.contains(" ms");
        return Some(Role::Time {
            max: if is_in_millis { 600_000 } else { 600 },
        });
    }
    if argument.has("limit perpage pagesize max top first last") || argument.joined("perpage pagesize count")
    {
        return (!argument.has("token length price depth id")).then_some(Role::Count { max: 1_000 });
    }
    if !tool.reads() && argument.has("replica copy quantity") {
        return Some(Role::Count { max: 10 });
    }
    None
}

const AMOUNTS: &str =
    "amount total value sat cost sum quantity qty size share notional volume price budget fee";

fn of_text(argument: &Argument, tool: &Tool<'_>) -> Option<Role> {
    if tool.class == Class::Financial && argument.ends("amount total price quantity qty size value sum") {
        return Some(Role::Amount);
    }
    if is_once(argument, tool) {
        return Some(Role::Once);
    }
    if is_code(argument, tool) {
        let is_sql = argument.has("sql") || tool.flat.contains(" sql ");
        return match () {
            () if !tool.reads() || argument.has("command cmd shell bash") => Some(Role::Code),
            () if is_sql => Some(Role::Query),
            () => (!argument.is_bounded).then_some(Role::Text { max: 20_000 }),
        };
    }
    if argument.has("html") && !argument.ends("id type format mode url uri link path file") {
        return (!tool.reads()).then_some(Role::Html);
    }
    if is_url(argument, tool) {
        return Some(Role::Url);
    }
    if !tool.reads()
        && (argument.format.as_deref() == Some("email")
            || argument.has("email cc bcc")
                && !argument.ends("subject body content text template id type name")
            || tool.is_mail && argument.words == ["to"])
    {
        return Some(Role::Mail);
    }
    if argument.has("path file filename filepath directory dir folder cwd workdir")
        && !argument.has(
            "id type size count content format json url uri token mode name description pattern extension data",
        )
    {
        return Some(if tool.has_container && !argument.has("cwd dir directory workdir") {
            Role::Inside
        } else {
            Role::Folder
        });
    }
    if is_target(argument, tool) {
        return Some(Role::Target);
    }
    if argument.ends("cursor token secret password") {
        return None;
    }
    if argument.ends("branch ref") || argument.ends(SLASHED) {
        return Some(Role::Name);
    }
    let is_called = argument.words == ["name"] && tool.class == Class::Execute && argument.is_required;
    if argument.ends("id iid uuid guid sid sha slug arn")
        || argument.joined("identifier key")
        || is_called && (tool.has_action || tool.act == Some(Act::Run))
    {
        return Some(Role::Id);
    }
    of_free_text(argument, tool)
}

/// Places whose names may have slashes.
const SLASHED: &str = "repo repository owner org namespace project bucket cluster database workspace";

fn of_free_text(argument: &Argument, tool: &Tool<'_>) -> Option<Role> {
    if argument.is_bounded || argument.path.segments.len() > 1 {
        return None;
    }
    if tool.reads() {
        let is_free = argument.ends("query q search prompt expression filter");
        return (is_free && tool.is_delicate).then_some(Role::Text { max: 2_000 });
    }
    if argument.ends("title subject summary headline") {
        return Some(Role::Text { max: 500 });
    }
    argument
        .ends("body content text message description comment note prompt query markdown instruction goal")
        .then_some(Role::Text { max: 20_000 })
}

fn is_url(argument: &Argument, tool: &Tool<'_>) -> bool {
    argument.format.as_deref() == Some("uri")
        || argument.ends("url uri href webhook")
        || argument.ends("callback endpoint") && argument.description.contains("url")
        || tool.class != Class::Write && argument.words == ["link"]
}

/// An identifier that a caller may make up: a server that sees it twice does the thing once.
fn is_once(argument: &Argument, tool: &Tool<'_>) -> bool {
    if tool.reads() {
        return false;
    }
    let is_named = argument.has("idempotency idempotent")
        || argument.joined("clienttoken clientrequestid clientrequesttoken clientorderid");
    let is_made_up = argument.ends("id key")
        && !argument.is_required
        && matches!(tool.act, Some(Act::Run))
        && [
            "auto-generated",
            "autogenerated",
            "generated if",
            "idempoten",
            "dedup",
            "custom",
        ]
        .iter()
        .any(|word| argument.description.contains(word));
    // A workflow is run, whatever the verb of its tool is called.
    is_named && argument.path.segments.len() == 1 || is_made_up
}

fn is_code(argument: &Argument, tool: &Tool<'_>) -> bool {
    let parameter = Parameter {
        name: argument.name.clone(),
        description: argument.description.clone(),
        kinds: vec!["string".to_owned()],
        choices: Vec::new(),
        is_required: argument.is_required,
    };
    let makes = matches!(tool.class, Class::Write) && !argument.has("sql command");
    rules::takes_code(&parameter, &tool.flat) && !makes
}

/// Whether an argument names what is run or touched.
fn is_target(argument: &Argument, tool: &Tool<'_>) -> bool {
    if argument.ends(
        "type kind status format mode description field order sort by at date time count url title color",
    ) || argument.has("token password secret callback")
    {
        return false;
    }
    let names = |list: &str| {
        argument.ends(list)
            || argument.ends("id name key slug identifier uuid sid number address")
                && argument
                    .words
                    .iter()
                    .rev()
                    .nth(1)
                    .is_some_and(|word| list.split_whitespace().any(|other| other == word))
    };
    match tool.class {
        Class::Read => tool.is_delicate && argument.is_required && argument.ends("id name key path secret"),
        Class::Write => names(PLACES) || names("channel recipient"),
        Class::Execute => {
            names(RUN)
                || names(PLACES)
                || names(PLACES_OF_RUNS)
                || names(RECEIVERS)
                || argument.words == ["to"]
                || argument.is_required
                    && !tool.has_action
                    && tool.act == Some(Act::Run)
                    && argument.path.segments.len() == 1
                    && (argument.words == ["name"] || argument.words == ["id"])
        }
        Class::Financial | Class::Destructive => {
            names(PLACES)
                || names(RECEIVERS)
                || argument.words == ["to"]
                || argument.ends("address") && tool.class == Class::Financial
        }
    }
}

/// Whether what a target names is run, rather than the place in which it is.
pub(super) fn is_run(argument: &Argument) -> bool {
    argument.has(RUN)
}
