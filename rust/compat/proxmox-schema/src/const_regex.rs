//! Regular expressions in constants.

use std::fmt;
use std::ops::Deref;

use regex::Regex;

/// A regular expression that can stand in a constant, since it is compiled on first use.
///
/// Made by [`const_regex!`](crate::const_regex).
pub struct ConstRegexPattern {
    /// The expression as it was written, for documentation and debugging.
    pub regex_string: &'static str,
    /// Gives the compiled expression.
    pub regex_obj: fn() -> &'static Regex,
}

impl Deref for ConstRegexPattern {
    type Target = Regex;

    fn deref(&self) -> &Regex {
        (self.regex_obj)()
    }
}

impl fmt::Debug for ConstRegexPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.regex_string, f)
    }
}

/// Defines constants of type [`ConstRegexPattern`].
///
/// The crate that uses it needs the `regex` crate among its own dependencies. An expression that
/// does not compile panics on its first use.
///
/// ```
/// proxmox_schema::const_regex! {
///     /// A colour as in CSS.
///     pub COLOUR_REGEX = "^#[0-9a-f]{6}$";
/// }
/// assert!(COLOUR_REGEX.is_match("#c0ffee"));
/// ```
#[macro_export]
macro_rules! const_regex {
    ($($(#[$meta:meta])* $vis:vis $name:ident = $pattern:expr;)+) => {$(
        $(#[$meta])*
        $vis const $name: $crate::ConstRegexPattern = {
            fn compiled() -> &'static ::regex::Regex {
                static REGEX: ::std::sync::OnceLock<::regex::Regex> = ::std::sync::OnceLock::new();
                REGEX.get_or_init(|| ::regex::Regex::new($pattern).unwrap())
            }
            $crate::ConstRegexPattern {
                regex_string: $pattern,
                regex_obj: compiled,
            }
        };
    )+};
}
