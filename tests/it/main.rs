//! The one integration binary: real processes, real servers, real files.

mod house;
