//! Black-box tests of the built `callgate`, one for each way that was once found around it, or to make it stand
//! still.

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod standstill;
#[cfg(test)]
mod support;
