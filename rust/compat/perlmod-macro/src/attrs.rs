//! The arguments of the macros.

use proc_macro2::Span;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, ExprLit, Lit, LitStr, Meta, Result, Token};

/// Those of `#[perlmod::package(...)]`.
pub struct PackageAttrs {
    pub name: LitStr,
}

impl PackageAttrs {
    pub fn parse(input: ParseStream) -> Result<Self> {
        let mut name = None;
        for meta in Punctuated::<Meta, Token![,]>::parse_terminated(input)? {
            let path = meta.path();
            if path.is_ident("name") {
                name = Some(string(&meta)?);
            } else if path.is_ident("lib") {
                // Only for writing a .pm file, which the original does not do by default either.
                string(&meta)?;
            } else {
                return Err(unsupported(&meta));
            }
        }
        let name =
            name.ok_or_else(|| Error::new(Span::call_site(), "the package needs a 'name'"))?;
        if name.value().contains("${") {
            return Err(Error::new(
                name.span(),
                "the stand-in for perlmod does not expand variables",
            ));
        }
        Ok(Self { name })
    }
}

/// Those of `#[export(...)]`.
#[derive(Default)]
pub struct ExportAttrs {
    pub name: Option<LitStr>,
}

impl ExportAttrs {
    /// Removes the attribute from a function; `None` if it has none.
    pub fn take(attrs: &mut Vec<Attribute>) -> Result<Option<Self>> {
        let Some(index) = attrs.iter().position(|a| a.path().is_ident("export")) else {
            return Ok(None);
        };
        let attr = attrs.remove(index);
        if let Some(second) = attrs.iter().find(|a| a.path().is_ident("export")) {
            return Err(Error::new_spanned(second, "exported twice"));
        }
        match attr.meta {
            Meta::Path(_) => Ok(Some(Self::default())),
            Meta::List(list) => Self::parse.parse2(list.tokens).map(Some),
            meta => Err(Error::new_spanned(meta, "expected #[export(...)]")),
        }
    }

    fn parse(input: ParseStream) -> Result<Self> {
        let mut attrs = Self::default();
        for meta in Punctuated::<Meta, Token![,]>::parse_terminated(input)? {
            if !meta.path().is_ident("name") {
                return Err(unsupported(&meta));
            }
            attrs.name = Some(string(&meta)?);
        }
        Ok(attrs)
    }
}

/// The error for what the original may have, but this does not.
pub fn unsupported(meta: &Meta) -> Error {
    let name = meta.path().get_ident().map(ToString::to_string);
    let name = name.as_deref().unwrap_or("this");
    Error::new_spanned(
        meta,
        format!("the stand-in for perlmod does not support '{name}'"),
    )
}

fn string(meta: &Meta) -> Result<LitStr> {
    match &meta.require_name_value()?.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Ok(text.clone()),
        other => Err(Error::new_spanned(other, "expected a string")),
    }
}
