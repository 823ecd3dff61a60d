//! What a verb comes to, by itself, with what stands beside it, and with what it takes.

use super::Act;
use crate::class::Class::{self, Destructive, Execute, Financial, Read, Write};

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
/// What a session or a screen keeps, and a reset brings back.
const OWN_STATE: &str = "zoom view filter session context state camera selection highlight viewport cache emulation layout override draft field count counter notification budget badge unread";
/// Languages that cannot write, and what only reports.
const READ_LANGUAGES: &str =
    "promql logql dql insight nrql kql report analyzer lucene jql metric card logsql traceql";
/// What is begun and ended without an effect on others.
const RECORDINGS: &str = "trace screencast codegen tracing auth oauth authorization login downtime silence transaction savepoint timer recording profiling highlight copy";
/// What joins two things and can be put back.
const LINKS: &str =
    "reaction relation breakpoint link mapping assignment relationship membership bookmark favorite";
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
    rule(Execute, 65, "works a screen or a device").acts(&[Act::Drive]).unless("element file range cell document sheet note goal"),
    rule(Execute, -100, "").verbs("text").objects("voice speech sound image video audio"),
    rule(Execute, -70, "").verbs("optimize optimise repair").objects("table index fulltext"),
    rule(Write, 60, "puts a table in order").verbs("optimize optimise repair").objects("table index fulltext"),
    // The old stays as a version.
    rule(Destructive, -75, "").acts(&[Act::Change, Act::Make]).objects("file page wiki document").params("comment versioncomment versionmessage commitmessage"),
    rule(Write, 60, "puts something in the place of a part").acts(&[Act::Overwrite]),
    rule(Destructive, 90, "takes something away for good").acts(&[Act::Delete]),
    rule(Destructive, 60, "takes something out").acts(&[Act::Detach]),
    // What was put on can be put on again.
    rule(Destructive, -110, "").acts(&[Act::Detach]).objects(
        "from label reaction breakpoint member assignee tag participant follower watcher star favorite relation dependency \
         membership attendee suppression link user role permission watchlist bookmark moderator delegate collaborator \
         playlist domain port background reviewer",
    ),
    rule(Write, 55, "takes something off that can be put on again").acts(&[Act::Detach]),
    rule(Destructive, 75, "puts new content in the place of what is there")
        .verbs("write").objects("file document page sheet content script config configuration"),
    rule(Destructive, 75, "puts new content in the place of what is there").verbs("overwrite"),
    rule(Destructive, -70, "").verbs("reset clear clean discard empty forget").objects(OWN_STATE),
    rule(Write, 60, "sets back what the session keeps").verbs("reset clear clean discard empty forget").objects(OWN_STATE),
    // What is only made ready, what is charged with current, and what changes places.
    rule(Financial, -120, "").verbs("prepare"),
    rule(Financial, -120, "").verbs("charge").context("vehicle battery charger tesla ev kwh car"),
    rule(Financial, -120, "").verbs("swap order change move reorder").objects("pane window layer node element tab block slide shape"),
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
    rule(Financial, 80, "books a payment").verbs("record register log book confirm").objects("payment expense").unless(NO_MONEY),
    rule(Financial, 75, "starts, stops or changes what advertising costs")
        .acts(&[Act::Make, Act::Change, Act::Stop, Act::Run])
        .objects("campaign ad adset adgroup line keyword")
        .unless("report insight creative label negative audience draft name note comment code text")
        .context("advertiser bid budget advertiserid adgroup adset"),
    rule(Financial, 70, "sets what a position is closed at").acts(&[Act::Change, Act::Make]).objects("stop tp sl trailing takeprofit stoploss").context("trading takeprofit stoploss leverage"),
    rule(Financial, 60, "makes a bid for work").verbs("submit send place post").objects("proposal bid").context("bid rate hourly freelance connect budget"),
    rule(Financial, 60, "changes what is delivered and paid for").verbs("skip unskip").objects("delivery box shipment meal"),
    rule(Financial, 60, "changes whether something is renewed and paid").acts(&[Act::Change]).objects("renew renewal autorenew").context("domain subscription license"),
    rule(Financial, 70, "makes a bill of it").verbs("convert").objects("invoice bill"),
    rule(Financial, 60, "settles what work costs").verbs("approve revert submit").objects("timesheet payroll payrun"),
    rule(Financial, 70, "offers a prize").params("prizeusd budgetusd bountyusd rewardusd budgetsat bountysat"),
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
    rule(Execute, -70, "").acts(&[Act::Run]).objects(READ_LANGUAGES),
    rule(Read, 60, "asks in a language that cannot write").acts(&[Act::Run]).objects(READ_LANGUAGES),
    rule(Execute, -70, "").verbs("test refresh process").objects("connection regex cache schema credential expression text"),
    rule(Read, 60, "tries whether something answers").verbs("test").objects("connection regex credential expression"),
    rule(Execute, -75, "").acts(&[Act::Run, Act::Stop]).objects(RECORDINGS),
    rule(Write, 60, "begins or ends a recording or a session").acts(&[Act::Run, Act::Stop]).objects(RECORDINGS),
    rule(Destructive, 60, "carries out any list of changes").verbs("update").objects("batch").params("request operation delete"),
    rule(Destructive, 60, "puts an old state in the place of what is there").verbs("restore rollback revert import").objects("backup snapshot database dump checkpoint db"),
    rule(Destructive, 60, "builds anew what is there").verbs("rebuild").objects("server machine vm instance database mysql postgres mongo redis mariadb droplet volume"),
    rule(Write, 60, "keeps a picture or a copy").verbs("screenshot snapshot convert print generate render capture audit").params("path filepath filename output save directory outputpath"),
    rule(Write, 60, "turns one thing into another").verbs("convert").objects("issue lead subtask item draft"),
    rule(Write, 60, "has something verified").verbs("verify").objects("domain sender"),
    // What can be put back although its verb sounds final.
    rule(Destructive, -140, "").acts(&[Act::Delete]).objects(LINKS).unless("all deep"),
    rule(Write, 60, "takes off what can be put on again").acts(&[Act::Delete]).objects(LINKS),
    rule(Destructive, 70, "makes an old secret worthless").verbs("renew rotate regenerate reset roll").objects("token key secret password credential"),
    rule(Destructive, 60, "puts another password in the place of the old one").verbs("change set update").objects("password passphrase").unless("policy hint setting reset expiry"),
    rule(Destructive, 55, "can drop what a table has").verbs("alter").objects("table column view"),
    rule(Destructive, 60, "puts new content in the place of what is there")
        .verbs("update put set save")
        .objects("file document doc page wiki slide script template policy config configuration memory")
        .params("content markdown markdowncontent html code filecontent newcontent policydocument")
        .unless("comment metadata property block section field title header footer description list style permission"),
    rule(Destructive, -75, "").verbs("write").params("range"),
    rule(Destructive, 60, "can put something in the place of what is there").acts(&[Act::Make, Act::Change, Act::Derive, Act::Overwrite]).params("overwrite truncate droptarget truncatetarget truncatefirst"),
    rule(Execute, 65, "sends a message outward").acts(&[Act::Send]).unless("channel thread slack teams discord room conversation dm chat space lark feishu im comment note workspace event reaction"),
    rule(Execute, 70, "invites people").acts(&[Act::Make, Act::Change]).params("attendee invitee guest").context("calendar meeting appointment event"),
    rule(Execute, 60, "shares something with people outside").verbs("share").params("email address recipient"),
    rule(Execute, 60, "publishes something").verbs("post publish").objects("tweet social status public linkedin twitter x instagram facebook reddit thread video reel story"),
    // What runs, and what makes something run.
    rule(Execute, 45, "creates what runs from then on").acts(&[Act::Make]).objects("container job build run pod execution crawl backup scan").unless("template file group definition note comment name key label test log"),
    rule(Execute, 60, "creates what runs from then on")
        .verbs("create launch provision spawn")
        .objects("droplet vm cluster worker sandbox prediction server replication machine devbox")
        .unless("template group config key snapshot image name parameter subnet tag note list mcp discord guild setting metric log workspace event parser backup topic user database pool acl message block workflow"),
    rule(Execute, 60, "deploys something").verbs("publish apply sync promote push submit").objects("change workflow manifest deployment release app application site stack job scan"),
    rule(Execute, 60, "turns something on or off").verbs("set toggle switch turn enable disable control unlock lock open close").objects("light power climate thermostat fan cover scene media lamp plug tv door garage vacuum"),
];
