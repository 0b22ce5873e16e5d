//! Stand-in for Proxmox' `perlmod-macro`, see the stand-in for `perlmod`.

mod attrs;
mod function;
mod package;
mod types;

use proc_macro::TokenStream;
use proc_macro2::Span;
use syn::parse_macro_input;

/// Makes a Perl package of a module, out of its functions marked with `#[export]`.
///
/// Arguments: `name = "Perl::Package"`, and `lib = "library"` for the tools of the original.
#[proc_macro_attribute]
pub fn package(args: TokenStream, item: TokenStream) -> TokenStream {
    let args = parse_macro_input!(args with attrs::PackageAttrs::parse);
    let module = parse_macro_input!(item as syn::ItemMod);
    package::expand(&args, module)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Marks a function to export. Argument: `name = "name_in_perl"`.
///
/// Within a package, that macro deals with it. In the original it also works on its own.
#[proc_macro_attribute]
pub fn export(_args: TokenStream, _item: TokenStream) -> TokenStream {
    let text = "the stand-in for perlmod only has #[export] inside of #[perlmod::package]";
    syn::Error::new(Span::call_site(), text)
        .to_compile_error()
        .into()
}
