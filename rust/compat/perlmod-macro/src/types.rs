//! Telling types by their spelling, as the original does: a renamed `Result` is not recognized.

use syn::{GenericArgument, PathArguments, ReturnType, Type};

/// What a function returns.
pub struct Returned {
    pub fallible: bool,
    pub shape: Shape,
}

/// How many values the caller gets.
pub enum Shape {
    None,
    One,
    Many(usize),
}

impl Returned {
    pub fn of(output: &ReturnType) -> Self {
        let ReturnType::Type(_, ty) = output else {
            return Self {
                fallible: false,
                shape: Shape::None,
            };
        };
        let inner = first_argument(ty, "result", "Result");
        Self {
            fallible: inner.is_some(),
            shape: match inner.unwrap_or(ty) {
                Type::Tuple(tuple) if tuple.elems.is_empty() => Shape::None,
                Type::Tuple(tuple) => Shape::Many(tuple.elems.len()),
                _ => Shape::One,
            },
        }
    }
}

pub fn is_option(ty: &Type) -> bool {
    first_argument(ty, "option", "Option").is_some()
}

/// The `T` of `Name<T, ...>` or `std::module::Name<T, ...>`.
fn first_argument<'a>(ty: &'a Type, module: &str, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else {
        return None;
    };
    let segments: Vec<_> = path.path.segments.iter().collect();
    let last = match segments[..] {
        [last] => last,
        [std, middle, last] if std.ident == "std" && middle.ident == module => last,
        _ => return None,
    };
    match &last.arguments {
        PathArguments::AngleBracketed(args) if last.ident == name => match args.args.first() {
            Some(GenericArgument::Type(ty)) => Some(ty),
            _ => None,
        },
        _ => None,
    }
}
