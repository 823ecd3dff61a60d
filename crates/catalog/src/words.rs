//! The tables: which words mean what, and how much they weigh. [`crate::weigh`] adds them up.
//!
//! Weights are in points. A class that has [`ENOUGH`] is taken; where none has, one that has [`SOME`] is, with low
//! confidence. So a word of 60 speaks for itself, one of 30 needs another beside it.

use crate::class::Class::{self, Destructive, Execute, Financial, Read, Write};

/// A class with so many points is taken.
pub(crate) const ENOUGH: i32 = 50;
/// A class with so many points is taken where none has enough.
pub(crate) const SOME: i32 = 25;

/// What a verb does, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    /// Looks, computes, answers.
    Look,
    /// Works on what its object says: a conversion, a page that is fetched to a file.
    Derive,
    /// Handles in all ways: the parts say which.
    Manage,
    /// Makes something new.
    Make,
    /// Changes what is there.
    Change,
    /// Puts away what can be brought back, or brings it back.
    Shelve,
    /// Takes off or out.
    Detach,
    /// Says something to somebody.
    Send,
    /// Sets going.
    Run,
    /// Ends what goes on.
    Stop,
    /// Works a screen or a device.
    Drive,
    /// Puts something in the place of the whole.
    Overwrite,
    /// Takes away for good.
    Delete,
    /// Moves money.
    Pay,
}

/// Verbs by what they do. Each stands once.
pub(crate) const VERBS: &[(Act, &str)] = &[
    (
        Act::Look,
        "get list search find query read fetch retrieve describe show view count lookup look inspect analyze \
         analyse validate verify preview estimate calculate compute compare diff explain summarize summarise \
         discover browse explore monitor poll wait watch track tail suggest recommend translate lint plan \
         think detect extract parse simulate quote identify audit trace peek stat whoami ping help decode \
         encode hash classify predict render display enumerate measure profile review assess investigate \
         diagnose ask answer filter sample probe obtain return load see know tell match rank score forecast \
         recall grep glob ls cat head examine introspect geocode debug health screenshot snapshot tokenize \
         embed vectorize solve sum backtest screen troubleshoot interpret correlate study learn generate \
         transcribe ocr scrape print listen receive consult scrub report info status overview history details \
         doctor benchmark enrich map convert aggregate check resolve inquire expand compress enquire \
         determine locate cite",
    ),
    (Act::Derive, "download export backup save record capture"),
    (Act::Manage, "manage handle control administer crud interact"),
    (
        Act::Make,
        "create add insert new make register upload import append attach define draft compose open init \
         initialize initialise scaffold provision clone fork copy duplicate store remember log upsert \
         allocate reserve enroll provide post",
    ),
    (
        Act::Change,
        "edit modify change patch set configure assign unassign tag label rename move merge link unlink \
         subscribe unsubscribe follow unfollow mark star unstar pin unpin reopen complete close enable \
         disable toggle lock mute unmute block unblock grant share connect disconnect associate format adjust \
         reorder resize extend transfer switch protect unprotect highlight customize authenticate login auth \
         authorize claim snooze acknowledge ack silence transition increment decrement react upvote like use \
         choose setup reparent relate favorite unfavorite bookmark hide unhide promote demote join leave \
         checkout commit push stage unstage stash pull rate annotate schedule reschedule defer split \
         normalize comment alter finish done restrict approve accept reject decline submit confirm apply \
         publish finalize skip unskip request order book update sort select activate deactivate refresh scale \
         place renew revert flag tune go declare rotate sign wrap unwrap vote logout logoff signout detach \
         unset dismiss disassociate dissociate regenerate",
    ),
    (
        Act::Shelve,
        "archive unarchive trash untrash restore reactivate undelete recover undo redo",
    ),
    (Act::Detach, "remove exclude strip eject"),
    (
        Act::Send,
        "send reply forward notify message email invite call dial broadcast announce tweet retweet respond \
         alert page",
    ),
    (
        Act::Run,
        "run execute start trigger launch invoke restart rerun retry resume replay dispatch deploy redeploy \
         exec eval evaluate install upgrade build rebuild crawl rollback rollout reboot boot spawn delegate \
         reload migrate kickoff recreate unpause continue enqueue instantiate orchestrate train finetune \
         failover test proxy power signal sync rescan repair backfill fire reconcile resync reindex",
    ),
    (
        Act::Stop,
        "stop cancel abort halt pause suspend hangup shutdown interrupt unschedule quit exit end",
    ),
    (
        Act::Drive,
        "click type press hover navigate scroll drag tap swipe key mouse goto play unlock dim turn keypress \
         doubleclick uncheck focus fill step act",
    ),
    (Act::Overwrite, "write overwrite replace rewrite put"),
    (
        Act::Delete,
        "delete destroy drop purge wipe erase flush truncate clear clean cleanup empty kill terminate revoke \
         reset ban kick prune expunge drain unregister deregister deprovision invalidate del rm rmdir discard \
         forget obliterate nuke shred teardown gc uninstall evict",
    ),
    (
        Act::Pay,
        "pay charge refund buy sell purchase swap stake unstake bridge lend borrow repay payout deposit \
         donate tip mint redeem liquidate trade bid hedge remit reimburse disburse withdraw void exercise \
         topup recharge",
    ),
];

/// Words that are nouns more often than verbs. They count as verbs where no other word of the name is one, or where
/// they come first.
pub(crate) const OFTEN_NOUNS: &str = "order test build post schedule log record label tag link comment message email \
    call page share star pin map alert trade transfer deposit charge bid tip backup draft key mouse type drop focus \
    request filter sort review snapshot screenshot score rank profile sample plan health match scan process release \
    control batch bulk group sum head cat invoice supply bridge swap mint store watch track trace audit \
    state report use view help hash bookmark vote claim reserve stage stash push pull commit \
    rate new open record learn screen dim unlock study print load put set run end monitor \
    forward quote stat exit alert checkout stop extend fork copy export import start return lock \
    block crawl answer dump count silence capture interact issue book purchase notify factory interrupt proxy step go act fill flag sort scale transform capture rule place refund trash auth sync forget signal power fire deposit stake trade";

/// Names that end so speak of what they show, where their verb could also be a noun.
pub(crate) const SHOWN: &str = "status info detail details history list logs stats statistics guide rules docs help version \
    overview summary metrics usage report balance result results count types templates schema";

/// A rule: what a verb with such an object or such a parameter comes to. What a rule leaves empty may be anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// Any of these kinds of verb.
    pub(crate) acts: &'static [Act],
    /// Any of these verbs.
    pub(crate) verbs: &'static str,
    /// Any of these words beside the verb.
    pub(crate) objects: &'static str,
    /// None of these words beside the verb.
    pub(crate) unless: &'static str,
    /// Any of these words in a parameter's name.
    pub(crate) params: &'static str,
    /// Any of these words anywhere in the definition.
    pub(crate) context: &'static str,
    /// What it speaks for, or against where the points are negative.
    pub(crate) class: Class,
    /// How much.
    pub(crate) points: i32,
    /// What it means, for the rationale: "it …". Nothing for what only takes points away.
    pub(crate) meaning: &'static str,
}

const fn rule(class: Class, points: i32, meaning: &'static str) -> Rule {
    Rule {
        acts: &[],
        verbs: "",
        objects: "",
        unless: "",
        params: "",
        context: "",
        class,
        points,
        meaning,
    }
}

impl Rule {
    const fn acts(self, acts: &'static [Act]) -> Self {
        Self { acts, ..self }
    }
    const fn verbs(self, verbs: &'static str) -> Self {
        Self { verbs, ..self }
    }
    const fn objects(self, objects: &'static str) -> Self {
        Self { objects, ..self }
    }
    const fn unless(self, unless: &'static str) -> Self {
        Self { unless, ..self }
    }
    const fn context(self, context: &'static str) -> Self {
        Self { context, ..self }
    }
    const fn params(self, params: &'static str) -> Self {
        Self { params, ..self }
    }
}

/// Nouns of money that moves, and of duties to pay, which mean nothing else.
const MONEY: &str = "payment invoice refund payout withdrawal escrow mandate bolt11 l402 chargeback takeprofit stoploss usdc \
    leverage bounty bill prepayment overpayment payrun payslip remittance order subscription adset adgroup paylink loan payable deposit";
/// Nouns that mean money where prices and amounts are spoken of.
const OFTEN_MONEY: &str = "transaction position transfer margin receipt journal expense swap trade purchase \
    charge fund credit quote booking reservation campaign ad budget bid auction allowance donation stake liquidity po \
    dispute money checkout offer";
/// Words that are spoken where money is.
const PRICED: &str = "price amount currency usd eur leverage symbol qty invoice paid payment billing billed broker exchange trading \
    crypto market ledger bookkeeping accounting cents customer charge money bank spend bidding fare passenger onchain wallet";
/// Words of notes that people keep of their own money.
const HOUSEHOLD: &str = "ynab household personal memory sql commit rollback isolation";
/// Words beside which these mean something else.
const NO_MONEY: &str = "webhook event topic notification channel column page field sort list tag issue comment label \
    template watch push pubsub mailing view layout shape call rule setting widget cursor text file key tab watchlist attachment permission \
    plan gateway method term ownership owner data note grail query tool";
/// Acts that make, change or end something.
const HANDLES: &[Act] = &[
    Act::Make,
    Act::Change,
    Act::Manage,
    Act::Stop,
    Act::Delete,
    Act::Detach,
    Act::Overwrite,
    Act::Run,
    Act::Send,
];

/// What verbs come to by themselves, with their objects, and with their parameters.
pub(crate) const RULES: &[Rule] = &[
    rule(Read, 80, "looks something up").acts(&[Act::Look]),
    rule(Write, 60, "keeps a copy of something").acts(&[Act::Derive]),
    rule(Write, 50, "handles something in several ways").acts(&[Act::Manage]),
    rule(Write, 70, "makes something new").acts(&[Act::Make]),
    rule(Write, 70, "changes something that is there").acts(&[Act::Change]),
    rule(Write, 90, "puts something away, or brings it back").acts(&[Act::Shelve]),
    rule(Write, 50, "says something to others").acts(&[Act::Send]),
    rule(Execute, 75, "sets something going").acts(&[Act::Run]),
    rule(Execute, 70, "stops something that goes on").acts(&[Act::Stop]),
    rule(Execute, 65, "works a screen or a device").acts(&[Act::Drive]),
    rule(Write, 60, "puts something in the place of a part").acts(&[Act::Overwrite]),
    rule(Destructive, 90, "takes something away for good").acts(&[Act::Delete]),
    rule(Destructive, 60, "takes something out").acts(&[Act::Detach]),
    // What was put on can be put on again.
    rule(Destructive, -45, "").acts(&[Act::Detach]).objects(
        "from label reaction breakpoint member assignee tag participant follower watcher star favorite relation dependency \
         membership attendee suppression link user role permission watchlist",
    ),
    rule(Write, 55, "takes something off that can be put on again").acts(&[Act::Detach]),
    rule(Destructive, 75, "puts new content in the place of what is there")
        .verbs("write").objects("file document page sheet content script config configuration"),
    rule(Destructive, 75, "puts new content in the place of what is there").verbs("overwrite"),
    rule(Destructive, -70, "").verbs("reset clear clean discard empty forget").objects("zoom view filter session context state camera selection highlight viewport cache emulation layout override draft field"),
    rule(Write, 60, "sets back what the session keeps").verbs("reset clear clean discard empty forget").objects("zoom view filter session context state camera selection highlight viewport cache emulation layout override draft field"),
    // Money.
    rule(Financial, 90, "moves money").acts(&[Act::Pay]).unless(NO_MONEY),
    rule(Financial, 80, "signs what can be an order").verbs("sign").objects("message transaction typed psbt tx hash").context("wallet key crypto onchain address"),
    rule(Financial, 80, "moves value on a chain").verbs("wrap unwrap claim harvest delegate vote launch deploy burn airdrop").context("wallet onchain staking defi erc20 lamports wei gwei"),
    rule(Financial, 80, "makes, changes or ends a payment or a duty to pay").acts(HANDLES).objects(MONEY).unless(NO_MONEY),
    rule(Financial, 70, "makes, changes or ends a duty to pay")
        .acts(&[Act::Make, Act::Change, Act::Stop, Act::Overwrite, Act::Run])
        .objects(OFTEN_MONEY)
        .unless("webhook event topic notification channel column page field sort list tag issue comment label template watch push pubsub mailing view layout shape call email rule setting widget cursor text file key tab watchlist attachment permission plan gateway method term ownership owner data grail query tool score card message test")
        .context(PRICED),
    rule(Financial, -90, "").objects("subscription").context("topic webhook pubsub websocket callback kafka sns graph webpush"),
    rule(Financial, -80, "").acts(&[Act::Make, Act::Change, Act::Delete]).objects(OFTEN_MONEY).context(HOUSEHOLD),
    rule(Financial, 80, "buys or renews something").verbs("register renew transfer").objects("domain subscription license plan").unless("resend email list sender"),
    rule(Financial, 85, "places an order").verbs("place order book checkout").objects("order trade room flight hotel ticket food ride stock crypto option").unless("sort"),
    rule(Financial, 85, "moves what it names to somebody else").verbs("transfer send withdraw").params("amount sats lamport wei"),
    rule(Financial, 85, "moves value").verbs("transfer send approve sign broadcast").objects("token eth sol btc erc20 nft transaction tx coin crypto psbt usdc sats lamport calldata onchain").unless("list reset"),
    // Messages.
    rule(Execute, 70, "sends a message outward").acts(&[Act::Send]).objects("email sms mms whatsapp telegram fax call tweet toot push invite invitation newsletter broadcast mail imessage voicemail").unless("template draft domain list"),
    rule(Execute, 70, "reaches people outside").acts(&[Act::Make]).objects("sms mms whatsapp fax call tweet toot invite invitation voicemail").unless("template draft note log list setting"),
    rule(Execute, 70, "turns something on that runs by itself").acts(&[Act::Make, Act::Change]).objects("automation"),
    rule(Execute, 70, "turns on or off what runs by itself").verbs("activate deactivate enable disable publish toggle").objects("workflow flow scenario zap agent bot schedule pipeline campaign job cron dag trigger broadcast"),
    rule(Execute, 70, "changes what runs in a cluster").verbs("patch apply create edit set").objects("kubectl k8s kubernetes manifest"),
    rule(Execute, 70, "works a page").verbs("select upload new open go act back").objects("browser tab element playwright puppeteer selenium back").unless("session state context close"),
    rule(Write, 70, "settles what is open").verbs("resolve").objects("issue thread comment conversation incident alert ticket discussion bug conflict todo annotation"),
    rule(Execute, 60, "answers a dialog").acts(&[Act::Manage]).objects("dialog alert prompt popup"),
    rule(Execute, 70, "calls what it is told to").verbs("call invoke").objects("service tool function action api endpoint event method"),
    // Languages that cannot write, and what only looks.
    rule(Execute, -70, "").acts(&[Act::Run]).objects("promql logql dql insight nrql kql report analyzer lucene jql metric card logsql traceql"),
    rule(Read, 60, "asks in a language that cannot write").acts(&[Act::Run]).objects("promql logql dql insight nrql kql report analyzer lucene jql metric card logsql traceql"),
    rule(Execute, -70, "").verbs("test refresh process").objects("connection regex cache schema credential expression text"),
    rule(Read, 60, "tries whether something answers").verbs("test").objects("connection regex credential expression"),
    rule(Execute, -75, "").acts(&[Act::Run, Act::Stop]).objects("trace screencast codegen tracing auth oauth login downtime silence"),
    rule(Write, 60, "begins or ends a recording or a session").acts(&[Act::Run, Act::Stop]).objects("trace screencast codegen tracing auth oauth login downtime silence"),
    rule(Destructive, 60, "carries out any list of changes").verbs("update").objects("batch").params("request operation delete"),
    rule(Destructive, 60, "puts an old state in the place of what is there").verbs("restore rollback revert import").objects("backup snapshot database dump checkpoint db"),
    rule(Destructive, 60, "builds anew what is there").verbs("rebuild").objects("server machine vm instance database mysql postgres mongo redis mariadb droplet volume"),
    rule(Write, 60, "keeps a picture or a copy").verbs("screenshot snapshot convert print generate render capture audit").params("path filepath filename output save directory outputpath"),
    rule(Write, 60, "turns one thing into another").verbs("convert").objects("issue lead subtask item draft"),
    rule(Write, 60, "has something verified").verbs("verify").objects("domain sender"),
    // What can be put back although its verb sounds final.
    rule(Destructive, -80, "").acts(&[Act::Delete]).objects("reaction relation breakpoint link mapping assignment").unless("all deep"),
    rule(Write, 60, "takes off what can be put on again").acts(&[Act::Delete]).objects("reaction relation breakpoint link mapping assignment"),
    rule(Destructive, 70, "makes an old secret worthless").verbs("refresh renew rotate regenerate reset roll").objects("token key secret password credential"),
    rule(Destructive, 60, "can put something in the place of what is there").acts(&[Act::Make, Act::Change, Act::Derive, Act::Overwrite]).params("overwrite truncate droptarget truncatetarget truncatefirst"),
    rule(Execute, 65, "sends a message outward").acts(&[Act::Send]).unless("channel thread slack teams discord room conversation dm chat space lark feishu im comment note workspace event"),
    rule(Execute, 70, "invites people").acts(&[Act::Make, Act::Change]).params("attendee invitee guest").context("calendar meeting appointment event"),
    rule(Execute, 60, "shares something with people outside").verbs("share").params("email address recipient"),
    rule(Execute, 60, "publishes something").verbs("post publish").objects("tweet social status public linkedin twitter x instagram facebook reddit thread video reel story"),
    // What runs, and what makes something run.
    rule(Execute, 65, "creates what runs from then on").acts(&[Act::Make]).objects("container job build run pod execution crawl backup scan").unless("template file group definition note comment name key label test log"),
    rule(Execute, 60, "deploys something").verbs("publish apply sync promote push submit").objects("change workflow manifest deployment release app application site stack job scan"),
    rule(Execute, 60, "turns something on or off").verbs("set toggle switch turn enable disable control unlock lock open close").objects("light power climate thermostat fan cover scene media lamp plug tv door garage vacuum"),
];

/// Where a phrase of a description counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Whatever the verb is.
    Always,
    /// Where the verb is not one of looking.
    NotLooking,
}

/// Phrases of a description. `*` stands for any ending of a word.
pub(crate) const PHRASES: &[(&str, Reach, Class, i32, &str)] = &[
    (
        "permanently delete*",
        Reach::NotLooking,
        Destructive,
        70,
        "deletes for good",
    ),
    (
        "permanently remove*",
        Reach::NotLooking,
        Destructive,
        70,
        "removes for good",
    ),
    (
        "cannot be undone",
        Reach::NotLooking,
        Destructive,
        60,
        "cannot be undone",
    ),
    (
        "can't be undone",
        Reach::NotLooking,
        Destructive,
        60,
        "cannot be undone",
    ),
    (
        "is destructive",
        Reach::NotLooking,
        Destructive,
        60,
        "destroys something",
    ),
    (
        "destructive operation",
        Reach::NotLooking,
        Destructive,
        60,
        "destroys something",
    ),
    (
        "destructive action",
        Reach::NotLooking,
        Destructive,
        60,
        "destroys something",
    ),
    (
        "all data will be lost",
        Reach::NotLooking,
        Destructive,
        60,
        "loses data",
    ),
    (
        "irreversibl*",
        Reach::NotLooking,
        Destructive,
        50,
        "cannot be undone",
    ),
    (
        "replaces all",
        Reach::NotLooking,
        Destructive,
        60,
        "replaces all that is there",
    ),
    (
        "replaces the entire",
        Reach::NotLooking,
        Destructive,
        60,
        "replaces all that is there",
    ),
    (
        "replaces the whole",
        Reach::NotLooking,
        Destructive,
        60,
        "replaces all that is there",
    ),
    (
        "replace all existing",
        Reach::NotLooking,
        Destructive,
        60,
        "replaces all that is there",
    ),
    (
        "replace the entire",
        Reach::NotLooking,
        Destructive,
        60,
        "replaces all that is there",
    ),
    (
        "overwrite the entire",
        Reach::NotLooking,
        Destructive,
        60,
        "replaces all that is there",
    ),
    (
        "overwrites existing",
        Reach::NotLooking,
        Destructive,
        50,
        "overwrites what is there",
    ),
    (
        "overwrites the file",
        Reach::NotLooking,
        Destructive,
        60,
        "overwrites what is there",
    ),
    (
        "overwrites the entire",
        Reach::NotLooking,
        Destructive,
        60,
        "overwrites what is there",
    ),
    (
        "overwrites the whole",
        Reach::NotLooking,
        Destructive,
        60,
        "overwrites what is there",
    ),
    (
        "overwriting existing",
        Reach::NotLooking,
        Destructive,
        50,
        "overwrites what is there",
    ),
    (
        "overwrite existing",
        Reach::NotLooking,
        Destructive,
        50,
        "overwrites what is there",
    ),
    (
        "will be deleted",
        Reach::NotLooking,
        Destructive,
        50,
        "deletes something",
    ),
    ("crud", Reach::NotLooking, Destructive, 60, "can delete"),
    (
        "replaces existing",
        Reach::NotLooking,
        Destructive,
        50,
        "replaces what is there",
    ),
    (
        "will be overwritten",
        Reach::NotLooking,
        Destructive,
        60,
        "overwrites what is there",
    ),
    (
        "overwrite all existing",
        Reach::NotLooking,
        Destructive,
        60,
        "replaces all that is there",
    ),
    (
        "all existing",
        Reach::NotLooking,
        Destructive,
        30,
        "touches all that is there",
    ),
    (
        "replace all data",
        Reach::NotLooking,
        Destructive,
        60,
        "replaces all that is there",
    ),
    (
        "overwrites all",
        Reach::NotLooking,
        Destructive,
        60,
        "replaces all that is there",
    ),
    ("data loss", Reach::NotLooking, Destructive, 60, "can lose data"),
    ("saves it to", Reach::Always, Write, 60, "saves a file"),
    ("save to disk", Reach::Always, Write, 60, "saves a file"),
    ("saved to disk", Reach::Always, Write, 60, "saves a file"),
    (
        "http post",
        Reach::NotLooking,
        Execute,
        60,
        "makes calls that change something",
    ),
    (
        "http put",
        Reach::NotLooking,
        Execute,
        60,
        "makes calls that change something",
    ),
    (
        "http patch",
        Reach::NotLooking,
        Execute,
        60,
        "makes calls that change something",
    ),
    (
        "http delete",
        Reach::NotLooking,
        Execute,
        60,
        "makes calls that change something",
    ),
    (
        "automatically pay*",
        Reach::Always,
        Financial,
        70,
        "pays by itself",
    ),
    ("release their payment", Reach::Always, Financial, 70, "pays"),
    ("get paid", Reach::NotLooking, Financial, 60, "pays people"),
    ("human worker*", Reach::Always, Financial, 60, "hires people"),
    ("sql quer*", Reach::Always, Execute, 30, "takes any SQL"),
    ("arbitrary", Reach::NotLooking, Execute, 30, "takes anything"),
    (
        "shell command*",
        Reach::NotLooking,
        Execute,
        50,
        "runs shell commands",
    ),
    ("moves money", Reach::NotLooking, Financial, 60, "moves money"),
    ("spend* real", Reach::NotLooking, Financial, 60, "spends money"),
    ("place* a bid", Reach::NotLooking, Financial, 60, "places a bid"),
    ("place* a bet", Reach::NotLooking, Financial, 60, "places a bet"),
    ("place* a trade", Reach::NotLooking, Financial, 60, "trades"),
    ("real money", Reach::NotLooking, Financial, 60, "moves money"),
    (
        "place* order*",
        Reach::NotLooking,
        Financial,
        60,
        "places an order",
    ),
    ("purchase* a", Reach::NotLooking, Financial, 50, "buys something"),
];

/// What the definition says that something lost can be brought back.
pub(crate) const CAN_BE_BROUGHT_BACK: &[&str] = &[
    "to trash",
    "to the trash",
    "to bin",
    "to the bin",
    "recycle bin",
    "soft delete*",
    "soft deletion",
    "can be restored",
    "be recovered",
    "archive",
    "archives",
    "moves to trash",
    "soft deletes",
    "can be undone",
    "undeleted",
    "recoverable",
    "moves it to",
    "deactivates",
];
/// What says that it can not.
pub(crate) const IS_LOST: &[&str] = &[
    "permanent*",
    "cannot be undone",
    "can't be undone",
    "irreversibl*",
    "not reversible",
    "cannot be recovered",
    "cannot be restored",
    "no undo",
    "bypass* trash",
    "skip* trash",
];
/// What says that nothing is owed yet.
pub(crate) const DRAFT_ONLY: &[&str] = &["in draft state", "only works on draft", "does not send"];
/// Parameters that hold a query; what says "read-only" of these is a promise that writing is refused.
pub(crate) const QUERIES: &str =
    "query sql cypher graphql statement soql expression q queries pipeline filter querystring";
/// Parameters of which nothing said of reading can be a promise.
pub(crate) const ANYTHING: &str = "command cmd commands script shell bash code";
/// What says that only reading is let through, anywhere in a description.
pub(crate) const ONLY_READS: &[&str] = &[
    "only select",
    "select only",
    "select statements only",
    "get only",
    "only get",
    "select queries only",
    "only read",
    "does not modify",
    "non mutating",
    "only supports select",
    "only select queries",
    "sql like",
    "select quer*",
    "read only sql",
    "safe read",
    "only queries",
    "read only transaction",
    "read only mode",
];
/// What says so near the beginning.
pub(crate) const READ_ONLY: &[&str] = &["read only", "readonly"];
/// What says so of the tool as a whole.
pub(crate) const READS_ONLY: &[&str] = &[
    ". read only .",
    "read only operation",
    "read operations read only",
    "this tool is read only",
    "read only tool",
];
/// What turns a phrase into its opposite, right before it.
pub(crate) const NOT: &str = "not never without non no cannot don't doesn't won't isn't avoid";

/// Parameters whose values say what is done.
pub(crate) const CHOOSES: &str = "action operation op method verb act subcommand actions operations";
/// HTTP's methods that change something.
pub(crate) const HTTP_CHANGES: &str = "post put patch delete";

/// Names of parameters that take code, commands or queries in a language that can do anything.
pub(crate) const COMMANDS: &str =
    "command cmd sql cypher graphql shell bash mutation commands sqlquery querysql";
/// Names of parameters that take code to be looked at where the verb looks, and to be run where it does not.
pub(crate) const CODE: &str =
    "code script javascript js python expression statement pipeline manifest function";
/// Verbs that do not run what they are given.
pub(crate) const ONLY_LOOKS_AT_CODE: &str =
    "validate verify explain format lint parse analyze analyse check estimate count describe";
/// What makes of a free text such a language.
pub(crate) const LANGUAGES: &[&str] = &[
    "sql",
    "cypher",
    "graphql",
    "javascript",
    "python",
    "shell",
    "bash",
    "command line",
    "aggregation pipeline",
    "typescript",
    "groovy",
    "powershell",
    "spl",
    "n1ql",
    "aql",
    "gremlin",
    "sparql update",
];
