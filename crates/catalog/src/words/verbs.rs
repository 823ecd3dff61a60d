//! Verbs by what they do.

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
         determine locate cite observe chat reason rerank moderate brainstorm critique whois traceroute checksum presign \
         keyword hget hgetall lrange smembers",
    ),
    (Act::Derive, "download export backup save record capture"),
    (Act::Manage, "manage handle control administer crud interact"),
    (
        Act::Make,
        "create add insert new make register upload import append attach define draft compose open init \
         initialize initialise scaffold provision clone fork copy duplicate store remember log upsert \
         allocate reserve enroll provide prepare post touch mkdir index ingest checkpoint mock zip unzip onboard",
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
         unset dismiss disassociate dissociate regenerate categorize categorise whitelist blacklist organize organise chmod \
         chown hset lpush rpush sadd zadd setex expire unsuspend taint emulate crop trim upscale concatenate flatten \
         grade rebase fix mask combine amend decrease increase alter",
    ),
    (
        Act::Shelve,
        "archive unarchive trash untrash restore reactivate undelete recover undo redo",
    ),
    (Act::Detach, "remove exclude strip eject"),
    (
        Act::Send,
        "send reply forward notify message email invite call dial broadcast announce tweet retweet respond \
         alert page resend remind escalate nudge ring text dm",
    ),
    (
        Act::Run,
        "run execute start trigger launch invoke restart rerun retry resume replay dispatch deploy redeploy \
         exec eval evaluate install upgrade build rebuild crawl rollback rollout reboot boot spawn delegate \
         reload migrate kickoff recreate unpause continue enqueue instantiate orchestrate train finetune \
         failover test proxy power signal sync rescan repair backfill fire reconcile resync reindex process compile perform emit isolate unisolate quarantine materialize \
         optimize optimise cordon uncordon adopt wake mount unmount autoscale",
    ),
    (
        Act::Stop,
        "stop cancel abort halt pause suspend hangup shutdown interrupt unschedule quit exit end",
    ),
    (
        Act::Drive,
        "click type press hover navigate scroll drag tap swipe key mouse goto play unlock dim turn keypress \
         doubleclick uncheck focus fill step act speak cast seek fly arm disarm shuffle",
    ),
    (Act::Overwrite, "write overwrite replace rewrite put"),
    (
        Act::Delete,
        "delete destroy drop purge wipe erase flush truncate clear clean cleanup empty kill terminate revoke \
         reset ban kick prune expunge drain unregister deregister deprovision invalidate del rm rmdir discard \
         forget obliterate nuke shred teardown gc uninstall evict flushall flushdb hdel srem zrem lrem decommission unpair \
         reinstall reimage scrap",
    ),
    (
        Act::Pay,
        "pay charge refund buy sell purchase swap stake unstake bridge lend borrow repay payout deposit \
         donate tip mint redeem liquidate trade bid hedge remit reimburse disburse withdraw void exercise \
         topup recharge fund hire rent sponsor award rebalance undelegate harvest burn lease reinvest",
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
    block crawl answer dump count silence capture interact issue book purchase notify factory interrupt proxy step go act fill flag process chat reason cast keyword index fund award rent burn harvest sponsor text checkpoint ring optimize sort scale transform capture rule place refund trash auth sync forget signal power fire deposit stake trade";

/// Names that end so speak of what they show, where their verb could also be a noun.
pub(crate) const SHOWN: &str = "status info detail details history list logs stats statistics guide rules docs help version \
    overview summary metrics usage report balance result results count types templates schema";
