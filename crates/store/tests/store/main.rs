//! The store on real files, in real processes.

#[cfg(test)]
mod limits;
#[cfg(test)]
mod support;
