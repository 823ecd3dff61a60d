//! Black-box tests: the built `callgate` between servers and clients, judged by what each side notices, by what
//! the servers logged, and by the ledger.
//!
//! The bundled servers and the clients come from the testkit. Real servers and clients are installed below the
//! target folder, once (`support/deps.rs`).

#[cfg(test)]
mod admin;
#[cfg(test)]
mod aggregate;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod bridge;
#[cfg(test)]
mod chaos;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod fidelity;
#[cfg(test)]
mod http;
#[cfg(test)]
mod init;
#[cfg(test)]
mod judged_is_forwarded;
#[cfg(test)]
mod limits_and_record;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod mcp;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod misbehaving_clients;
#[cfg(test)]
mod misbehaving_servers;
#[cfg(test)]
mod modern_clients;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod oauth_client;
#[cfg(test)]
mod packaging;
#[cfg(test)]
mod passing;
#[cfg(test)]
mod real_servers;
#[cfg(test)]
mod recommended;
#[cfg(test)]
mod refused_at_start;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod reload_config;
#[cfg(test)]
mod secrets_stay;
#[cfg(test)]
mod seeds_and_attacks;
#[cfg(test)]
mod seen_is_callable;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod site;
#[cfg(test)]
mod slow_clients;
#[cfg(test)]
mod sockets;
#[cfg(test)]
mod stdio_kinds;
#[cfg(test)]
mod support;
#[cfg(test)]
mod team;
#[cfg(test)]
mod team_attacks;
#[cfg(test)]
mod team_changes;
#[cfg(test)]
mod team_floods;
#[cfg(test)]
mod team_workflows;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod traces;
