//! Bounds and deadlines of a gate, each with its name, unit and default.

use crate::recorder::Company;
use callgate_wire::Bounds;
use std::time::Duration;

/// How much a gate takes on, and how long it waits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What one message may be.
    pub bounds: Bounds,
    /// Requests of one session that may wait for an answer at once.
    pub pending_max: usize,
    /// How long a server may take to answer where no policy says otherwise; progress renews it.
    pub timeout: Duration,
    /// The longest that progress can stretch a deadline to.
    pub timeout_max: Duration,
    /// How long a server may take to list its tools.
    pub list_timeout: Duration,
    /// The least time between two listings that an unknown name causes.
    pub relist_interval: Duration,
    /// Pages read of one list.
    pub list_pages_max: usize,
    /// Tools read of one list.
    pub list_tools_max: usize,
    /// How long what a client has asked may still be answered once its input has ended.
    pub drain_grace: Duration,
    /// How long a server may take to end by itself once its input is closed. Shorter than the two seconds
    /// that the SDKs give a child of their own, so that nothing of Callgate's is left when it is killed.
    pub close_grace: Duration,
    /// How long it may take after SIGTERM, before SIGKILL.
    pub kill_grace: Duration,
    /// Whether sessions share their thread.
    pub company: Company,
    /// Sessions open at once over HTTP.
    pub sessions_max: usize,
    /// Sessions that one grant may open within a minute.
    pub sessions_per_minute_max: u32,
    /// How long a client may take to answer what its server asks, where the two are of different eras.
    pub answer_time: Duration,
    /// How long a client over HTTP may take to send a body, and may take nothing of what is written to it.
    pub client_time: Duration,
}

impl Settings {
    /// How many sessions one grant may open within a minute where nobody says otherwise.
    pub const SESSIONS_PER_MINUTE: u32 = 30;
    /// The default of [`Settings::answer_time`], in seconds.
    pub const ANSWER_SECONDS: u32 = 600;
    /// The default of [`Settings::client_time`], in seconds.
    pub const CLIENT_SECONDS: u32 = 60;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bounds: Bounds::default(),
            pending_max: 1_024,
            timeout: Duration::from_secs(60),
            timeout_max: Duration::from_secs(3_600),
            list_timeout: Duration::from_secs(30),
            relist_interval: Duration::from_secs(5),
            list_pages_max: 100,
            list_tools_max: 10_000,
            drain_grace: Duration::from_secs(5),
            close_grace: Duration::from_millis(1_500),
            kill_grace: Duration::from_millis(1_500),
            company: Company::Others,
            sessions_max: 1_024,
            sessions_per_minute_max: Self::SESSIONS_PER_MINUTE,
            answer_time: Duration::from_secs(u64::from(Self::ANSWER_SECONDS)),
            client_time: Duration::from_secs(u64::from(Self::CLIENT_SECONDS)),
        }
    }
}
