//! From text to all that is known of a policy.

use crate::checks::PolicyChecks;
use crate::diagnostic::{Diagnostic, Diagnostics, Findings};
use crate::lower::{self, ArgumentUse};
use crate::read::{self, Genre, Read};
use crate::shape::{Shape, shape};
use crate::tree::Node;
use callgate_core::condition::Checks;
use callgate_core::program::{Default, Mode, Program, ToolRules};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// What the reader of a policy says about its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// How far what the server says of its own tools is trusted.
    pub trust: Trust,
}

/// How far a server's annotations are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// They may restrict calls, and let none pass.
    #[default]
    Nothing,
    /// They may also let calls pass: the server's `trust: annotations`.
    Annotations,
}

/// A policy that loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What judges calls.
    pub program: Program,
    /// What its author should know, by place in the text.
    pub warnings: Vec<Diagnostic>,
    /// The document as it was written.
    pub document: Document,
    /// Which of the published shapes it has.
    pub shape: Shape,
    /// What it comes to.
    pub summary: Summary,
    /// Arguments that its rules follow, for [`crate::check_against_tools`].
    pub(crate) uses: Vec<ArgumentUse>,
}

/// A policy as it was written: a tree with places and comments, for formatting and explaining.
///
/// Two documents are equal where they say the same in the same order, whatever their spacing.
#[derive(Debug, Clone)]
pub struct Document {
    /// The tree.
    pub root: Node,
    /// Comments below the last line.
    pub trailing: Vec<Box<str>>,
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
    }
}

impl Eq for Document {}

/// What a policy comes to, for `validate`, `run` and `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The policy's own description.
    pub description: Option<String>,
    /// Whether tools that it does not name are denied.
    pub denies_unlisted_tools: bool,
    /// Whether methods that are neither housekeeping nor named are denied.
    pub denies_unlisted_methods: bool,
    /// Whether it only records what it would deny.
    pub shadow: bool,
    /// The tools that it names exactly.
    pub tools: Vec<String>,
    /// The patterns among its tools.
    pub patterns: Vec<String>,
    /// What it hides.
    pub hidden: Vec<String>,
    /// The methods that it names.
    pub methods: Vec<String>,
    /// How many rules of any kind it has.
    pub rules: usize,
    /// The policy's own deadline for answers.
    pub timeout: Option<Duration>,
    /// Whether some calls are held for a person.
    pub holds: bool,
    /// Whether it has an `approvals` key, which is kept but not in force.
    pub approvals_not_in_force: bool,
}

const POLICY: Genre = Genre {
    called: "policy",
    begin: "begin with `version: \"1\"`, `default: deny` and `tools:`",
    split: "split it into one policy a server",
    repeat: "use a glob as the tool's key, or `all_tools`, instead of repeating",
};

/// Reads a policy.
///
/// # Errors
/// Every error of the text, and the warnings among them. There is no policy then, and what would be judged by it
/// has to be denied.
pub fn load(text: &str, options: &LoadOptions) -> Result<Loaded, Diagnostics> {
    let mut findings = Findings::default();
    let Some(Read { root, trailing }) = read::read(text, &POLICY, &mut findings) else {
        return Err(Diagnostics(findings.finish()));
    };
    let shape = shape(&root);
    let lowered = lower::lower(&root, text, shape, options.trust, &mut findings);
    let failed = findings.error_count() > 0;
    let found = findings.finish();
    if failed {
        return Err(Diagnostics(found));
    }
    let mut program = lowered.program;
    program.digest = Sha256::digest(text.as_bytes()).into();
    if !lowered.expressions.is_empty() || validates(&program) {
        program.checks = Some(Arc::new(PolicyChecks::new(lowered.expressions)) as Arc<dyn Checks>);
    }
    let summary = summary(&root, &program, lowered.rules);
    Ok(Loaded {
        program,
        warnings: found,
        document: Document { root, trailing },
        shape,
        summary,
        uses: lowered.uses,
    })
}

/// All rules of a program.
fn each_rules(program: &Program) -> impl Iterator<Item = &ToolRules> {
    program
        .exact
        .values()
        .chain(program.globs.iter().map(|(_, rules)| rules))
        .chain([&program.everywhere])
        .map(|rules| &**rules)
}

fn validates(program: &Program) -> bool {
    each_rules(program).any(|rules| !rules.validate.is_empty())
}

fn summary(root: &Node, program: &Program, rules: usize) -> Summary {
    let methods = &program.methods;
    Summary {
        description: root.get("description").and_then(Node::text).map(str::to_owned),
        denies_unlisted_tools: program.default == Default::Deny,
        denies_unlisted_methods: methods.default == Default::Deny,
        shadow: program.mode == Mode::Shadow,
        tools: program
            .exact
            .keys()
            .map(|name| name.as_str().to_owned())
            .collect(),
        patterns: program
            .globs
            .iter()
            .map(|(pattern, _)| pattern.text.as_ref().to_owned())
            .collect(),
        hidden: program
            .hide
            .texts
            .iter()
            .map(|text| text.as_ref().to_owned())
            .collect(),
        methods: methods
            .exact
            .keys()
            .map(|method| method.as_ref().to_owned())
            .chain(
                methods
                    .globs
                    .iter()
                    .map(|(pattern, _)| pattern.text.as_ref().to_owned()),
            )
            .collect(),
        rules,
        timeout: program.timeout,
        holds: each_rules(program).any(|rules| !rules.approvals.is_empty()),
        approvals_not_in_force: root.get("approvals").is_some(),
    }
}
