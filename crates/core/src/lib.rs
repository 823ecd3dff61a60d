//! The pure heart of Callgate: calls, conditions, decisions, limits.
