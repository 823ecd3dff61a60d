//! Black-box tests of the commands around policies: `validate`, `explain`, `test`, `scan`, `schema`.

mod explain;
mod scan;
mod server;
mod support;
mod test;
mod validate;
