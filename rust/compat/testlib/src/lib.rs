//! Sample functions for the binding tests in `t/`.
//!
//! The tests state what Proxmox' own perlmod does. They have to pass with the library built against
//! it and with the library built against the stand-in.

mod calls;
mod data;
mod scalars;
