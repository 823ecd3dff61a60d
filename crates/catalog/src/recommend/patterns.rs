//! What texts may look like.

/// An identifier: nothing that ends a path, a word or a line, begins an option, leads upwards, spans a range, or means
/// anything to a shell.
pub(super) const ID: &str = r"^[A-Za-z0-9_](\.?[A-Za-z0-9_:@=+~-]){0,199}$";
/// The same, in steps.
pub(super) const NAME: &str =
    r"^[A-Za-z0-9_@](\.?[A-Za-z0-9_:@=+~-])*(/[A-Za-z0-9_@](\.?[A-Za-z0-9_:@=+~-])*)*$";
/// A path that stays below where it starts.
pub(super) const INSIDE: &str = r"^\.?[\w@+][\w.@+ -]*(/\.?[\w@+][\w.@+ -]*)*/?$";
/// One address, and no second behind it.
pub(super) const MAIL: &str = r"^[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9.-]{1,253}$";
/// An amount that is written as a text: no sign, no exponent, less than a thousand.
pub(super) const SMALL_AMOUNT: &str = r"^(0|[1-9][0-9]{0,2})(\.[0-9]{1,18})?$";
/// No amount is larger, whatever its unit; a budget is closer.
pub(super) const AMOUNT_MAX: u32 = 1_000_000;
/// A query that begins as one that reads.
pub(super) const READING: &str = r"(?i)^\s*(select|with|show|describe|desc|explain|values|table)\b";
/// Words and signs of queries that do more than read, or of a second query.
pub(super) const CHANGING: &str = r#"(?i)\b(insert|update|delete|merge|replace|drop|alter|create|truncate|grant|revoke|call|exec|execute|do|copy|load|attach|detach|pragma|set|into|lock|vacuum|reindex|refresh|pg_read\w*|pg_ls_\w+|pg_stat_file|pg_sleep\w*|pg_terminate_backend|pg_cancel_backend|pg_reload_conf|pg_rotate_logfile|pg_switch_wal|pg_write\w*|pg_file\w*|pg_(try_)?advisory\w*|lo_(import|export|unlink|create?|put|get|open|from_bytea)|dblink\w*|\w+_to_xml\w*|setval|nextval|set_config|pg_(drop|create|promote|logical|replication|start|stop|backup|notify|stat_reset|import)\w*|xp_(cmdshell|dirtree|fileexist|reg\w+)|sp_(executesql|oacreate|configure)|openrowset|opendatasource|openquery|load_file|load_extension|readfile|writefile|sys_exec|sys_eval|sleep|benchmark)\b|\bu&["']|;\s*\S|--|/\*"#;
/// HTML that runs, loads or sends something.
pub(super) const ACTIVE: &str = r"(?i)<\s*/?\s*(script|iframe|frame|object|embed|form|meta|link|base|svg|math|style|img|video|audio|input|button|source|track|picture|template|applet)\b|\b(on[a-z]+|style|src|srcset|srcdoc|background|poster|formaction)\s*=|&#|&colon;|(javascript|vbscript|data)\s*:";
