//! Reads what the stock client and server wrote: `tests/vectors/datastore`, and copies of it that are damaged.

mod damage;
mod decode;
mod prove;
mod pxar;
mod store;
