//! x
#[derive(Debug)]pub struct Damage;#[derive(Debug)]pub struct ReadError;pub fn read(){} pub fn write(){}