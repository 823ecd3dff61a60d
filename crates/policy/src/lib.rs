//! Policy text to a compiled program, with diagnostics.
