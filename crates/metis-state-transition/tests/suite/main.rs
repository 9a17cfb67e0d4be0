//! Tests of the crate as others use it. One program, since linking it is what takes time.

#![allow(non_snake_case)] // names of tests are subject__condition__outcome

mod decode;
mod formulas;
mod inference;
