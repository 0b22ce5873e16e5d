//! An exported function.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, Index, ItemFn, Pat, PatType, Result, ReturnType};

use crate::attrs::{ExportAttrs, unsupported};
use crate::types::{Returned, Shape, is_option};

/// The code for a function.
pub struct Exported {
    /// The function itself, and what Perl calls.
    pub items: TokenStream,
    /// Its entry in the table of the package.
    pub entry: TokenStream,
}

/// Local names of the generated code, which the exported function's name cannot clash with.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

pub fn expand(package: &str, attrs: ExportAttrs, mut func: ItemFn) -> Result<Exported> {
    check_signature(&func)?;
    let params = func.sig.inputs.iter_mut().map(Param::of);
    let params: Vec<_> = params.collect::<Result<_>>()?;

    let body_name = format_ident!("xs_{}", func.sig.ident);
    let body = body(&func, &body_name, &params);
    let perl_name = match &attrs.name {
        Some(name) => name.value(),
        None => func.sig.ident.to_string(),
    };
    let name = c_string(&format!("{package}::{perl_name}"));
    let prototype = c_string(&prototype(&params));
    Ok(Exported {
        items: quote! { #func #body },
        entry: quote! {
            ::perlmod::__private::Export { name: #name, prototype: #prototype, body: #body_name }
        },
    })
}

fn check_signature(func: &ItemFn) -> Result<()> {
    let sig = &func.sig;
    if !sig.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &sig.generics,
            "generic functions cannot be exported",
        ));
    }
    if sig.asyncness.is_some() {
        return Err(Error::new_spanned(
            sig.asyncness,
            "async functions cannot be exported",
        ));
    }
    Ok(())
}

fn c_string(text: &str) -> Literal {
    Literal::c_string(&std::ffi::CString::new(text).unwrap_or_default())
}

struct Param {
    name: String,
    ty: syn::Type,
    optional: bool,
}

impl Param {
    fn of(arg: &mut FnArg) -> Result<Self> {
        let FnArg::Typed(PatType { attrs, pat, ty, .. }) = arg else {
            return Err(Error::new_spanned(arg, "methods cannot be exported"));
        };
        let special = ["raw", "try_from_ref", "cv"];
        for attr in attrs {
            if special.iter().any(|name| attr.path().is_ident(name)) {
                return Err(unsupported(&attr.meta));
            }
        }
        match &**pat {
            Pat::Ident(ident) if ident.by_ref.is_none() && ident.subpat.is_none() => Ok(Self {
                name: ident.ident.to_string(),
                optional: is_option(ty),
                ty: (**ty).clone(),
            }),
            _ => Err(Error::new_spanned(pat, "expected a plain parameter")),
        }
    }
}

/// `Option`s at the end may be left out.
fn prototype(params: &[Param]) -> String {
    let trailing = params.iter().rev().take_while(|p| p.optional).count();
    let mut text = "$".repeat(params.len() - trailing);
    if trailing > 0 {
        text.push(';');
        text.push_str(&"$".repeat(trailing));
    }
    text
}

/// The function that the glue calls: takes all arguments, reads them, calls and writes the result.
fn body(func: &ItemFn, body_name: &Ident, params: &[Param]) -> TokenStream {
    let name = &func.sig.ident;
    let text = name.to_string();
    let count = params.len();
    let args = local("args");
    let (takes, reads): (Vec<_>, Vec<_>) = params
        .iter()
        .enumerate()
        .map(|(i, param)| take_and_read(i, param, &args))
        .unzip();
    let values = (0..count).map(|i| local(&format!("value{i}")));
    let call = quote! { #name(#(#values),*) };
    let call = write(&call, &func.sig.output);

    // With the function's own place, so that `unsafe_code` complains like with the original.
    let [argv, argc, results, read_and_call] = ["argv", "argc", "results", "body"].map(local);
    let run = quote_spanned! {name.span()=>
        // SAFETY: the arguments are passed on as they are.
        unsafe { ::perlmod::__private::run(#argv, #argc, #results, #read_and_call) }
    };

    quote! {
        #[doc(hidden)]
        #[allow(non_snake_case)]
        unsafe extern "C" fn #body_name(
            #argv: *const *mut ::perlmod::__private::SV,
            #argc: usize,
            #results: *mut ::perlmod::__private::AV,
        ) -> *mut ::perlmod::__private::SV {
            let #read_and_call = |#args: &mut ::perlmod::__private::Args| {
                #(#takes)*
                #args.end(#text, #count)?;
                #(#reads)*
                ::perlmod::__private::guard(move || #call)
            };
            #run
        }
    }
}

fn take_and_read(index: usize, param: &Param, args: &Ident) -> (TokenStream, TokenStream) {
    let Param { name, ty, optional } = param;
    let raw = local(&format!("raw{index}"));
    let value = local(&format!("value{index}"));
    let taken = match optional {
        true => quote! { #args.optional() },
        false => quote! { #args.required(#name)? },
    };
    (
        quote! { let #raw = #taken; },
        // Where the type is, for that is where a missing `Deserialize` is to be reported.
        quote_spanned! { ty.span()=>
            let #value: #ty = ::perlmod::__private::read(&#raw)?;
        },
    )
}

/// Turns the result of the call into an `Output`.
fn write(call: &TokenStream, output: &ReturnType) -> TokenStream {
    let span = output.span();
    let returned = Returned::of(output);
    let result = local("result");
    let error = local("error");
    let write = match returned.shape {
        Shape::None => quote! { ::perlmod::__private::nothing(#result) },
        Shape::One => quote_spanned! { span=> ::perlmod::__private::one(&#result) },
        Shape::Many(count) => {
            let fields = (0..count).map(Index::from);
            quote_spanned! { span=>
                ::perlmod::__private::many([#(::perlmod::__private::to_value(&#result.#fields)),*])
            }
        }
    };
    if returned.fallible {
        quote! {
            match #call {
                Ok(#result) => #write,
                Err(#error) => Err(::perlmod::__private::die(&#error)),
            }
        }
    } else {
        quote! { { let #result = #call; #write } }
    }
}
