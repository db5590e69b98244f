//! The desk is built three times and each build runs beside the others: the leak of 1.2.1 is found, by files and as a canary, by
//! the GitHub action, and by `diag ci`, which starts the desk itself.

mod action;
mod builds;
mod canary;
mod ci;
