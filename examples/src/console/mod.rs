//! tokio-console before a service that `diag console` shows: what is on its screen.

pub mod history;
pub mod screen;
pub mod service;
pub mod table;
pub mod terminal;
