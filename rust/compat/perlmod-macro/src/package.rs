//! A module that becomes a Perl package.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Error, Item, ItemMod, Result};

use crate::attrs::{ExportAttrs, PackageAttrs};
use crate::function;

pub fn expand(attrs: &PackageAttrs, mut module: ItemMod) -> Result<TokenStream> {
    let package = attrs.name.value();
    let Some((_, items)) = &mut module.content else {
        return Err(Error::new_spanned(
            &module,
            "expected a module with its code",
        ));
    };

    let mut entries = Vec::new();
    for item in items.iter_mut() {
        let Item::Fn(func) = item else { continue };
        let Some(attrs) = ExportAttrs::take(&mut func.attrs)? else {
            continue;
        };
        let exported = function::expand(&package, attrs, func.clone())?;
        entries.push(exported.entry);
        *item = Item::Verbatim(exported.items);
    }
    items.push(Item::Verbatim(boot(&package, &entries)));
    Ok(quote! { #module })
}

/// The function that Perl looks for in the library. It is called like any XSUB, with the interpreter
/// if Perl is built for threads and with the code value, neither of which is needed.
fn boot(package: &str, entries: &[TokenStream]) -> TokenStream {
    let name = format_ident!("boot_{}", package.replace("::", "__"));
    quote! {
        /// Installs the functions of this package in Perl.
        #[unsafe(no_mangle)]
        #[allow(non_snake_case)]
        pub extern "C" fn #name() {
            static ONCE: ::std::sync::Once = ::std::sync::Once::new();
            ::perlmod::__private::boot(&ONCE, &[#(#entries),*]);
        }
    }
}
