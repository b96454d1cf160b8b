//! `#[derive(Properties)]` of `rectify-sdk`, which tells of it.
//!
//! Shape, documentation and rules of the properties are what serde and schemars derive. What is left, and done
//! here, is what neither knows: which properties name the thing, and what they name.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Attribute, Data, DeriveInput, Error, Field, Fields, Ident, LitStr, Result, ext::IdentExt,
    parse_macro_input,
};

/// See `rectify_sdk::Properties`.
#[proc_macro_derive(Properties, attributes(rectify))]
pub fn properties(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// What `#[rectify(…)]` says of a field.
#[derive(Default)]
struct Marks {
    identity: bool,
    touch: Option<LitStr>,
    /// Whether it writes what it touches, if that is said.
    writes: Option<bool>,
}

impl Marks {
    fn of(field: &Field) -> Result<Self> {
        let mut marks = Self::default();
        for attribute in field.attrs.iter().filter(|a| a.path().is_ident("rectify")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("identity") {
                    marks.identity = true;
                } else if meta.path.is_ident("touch") {
                    marks.touch = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("read") {
                    marks.writes = Some(false);
                } else if meta.path.is_ident("write") {
                    marks.writes = Some(true);
                } else {
                    return Err(meta.error("expected `identity`, `touch = \"kind\"`, `read` or `write`"));
                }
                Ok(())
            })?;
        }
        if marks.writes.is_some() && marks.touch.is_none() && !marks.identity {
            return Err(Error::new_spanned(field, "`read` and `write` go with `identity` or `touch`"));
        }
        Ok(marks)
    }
}

/// The name of a field in JSON: that of `#[serde(rename = "…")]`, or its own.
fn name_of(field: &Field, ident: &Ident) -> Result<String> {
    let mut name = ident.unraw().to_string();
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("serde")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("rename") && meta.input.peek(syn::Token![=]) {
                name = meta.value()?.parse::<LitStr>()?.value();
            } else if meta.input.peek(syn::Token![=]) {
                let _: syn::Expr = meta.value()?.parse()?;
            } else if meta.input.peek(syn::token::Paren) {
                let inner;
                syn::parenthesized!(inner in meta.input);
                let _: TokenStream = inner.parse()?;
            }
            Ok(())
        })?;
    }
    Ok(name)
}

fn docs(field: &Field) -> Vec<&Attribute> {
    field.attrs.iter().filter(|a| a.path().is_ident("doc")).collect()
}

fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "properties are a struct with named fields"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(&input.ident, "properties are a struct with named fields"));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "properties are a struct without parameters"));
    }
    let (mut touches, mut names, mut members, mut cloned, mut read) =
        (vec![], vec![], vec![], vec![], vec![]);
    for field in &fields.named {
        let marks = Marks::of(field)?;
        let Some(ident) = &field.ident else { continue };
        if !marks.identity && marks.touch.is_none() {
            continue;
        }
        let name = name_of(field, ident)?;
        let kind = marks.touch.as_ref().map_or_else(|| quote!(None), |kind| quote!(Some(#kind)));
        let writes = marks.writes.unwrap_or(marks.identity);
        touches.push(quote!(::rectify_sdk::Touch { property: #name, kind: #kind, writes: #writes }));
        if marks.identity {
            let (ty, visible, docs) = (&field.ty, &field.vis, docs(field));
            members.push(quote!(#(#docs)* #visible #ident: #ty));
            cloned.push(quote!(#ident: ::core::clone::Clone::clone(&self.#ident)));
            read.push(quote!(#ident: ::rectify_sdk::property(desired, #name)?));
            names.push(name);
        }
    }
    let ident = &input.ident;
    let (definition, id, own, found) = if names.is_empty() {
        (quote!(), quote!(()), quote!(()), quote!(Ok(())))
    } else {
        let (id, visible) = (format_ident!("{}Id", ident), &input.vis);
        let told = format!("What names one thing among those of [`{ident}`].");
        let definition = quote! {
            #[doc = #told]
            #[derive(Clone, Debug, PartialEq, Eq)]
            #visible struct #id { #(#members),* }
        };
        (definition, quote!(#id), quote!(#id { #(#cloned),* }), quote!(Ok(#id { #(#read),* })))
    };
    Ok(quote! {
        #definition

        #[automatically_derived]
        #[allow(clippy::unused_unit)]
        impl ::rectify_sdk::Properties for #ident {
            type Id = #id;
            const TOUCHES: &'static [::rectify_sdk::Touch] = &[#(#touches),*];
            const NAMES: &'static [&'static str] = &[#(#names),*];

            fn id(&self) -> Self::Id {
                #own
            }

            fn read_id(
                desired: &::rectify_sdk::Object,
            ) -> ::core::result::Result<Self::Id, ::rectify_sdk::protocol::ItemError> {
                // Nothing names a thing that cannot be looked at by itself.
                let _ = desired;
                #found
            }
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use syn::parse_quote;

    fn refused(input: &DeriveInput) -> String {
        expand(input).unwrap_err().to_string()
    }

    #[test]
    fn what_names_a_thing_becomes_a_type_of_its_own() {
        let out = expand(&parse_quote! {
            pub struct Setting {
                /// Where.
                #[rectify(identity, touch = "path")]
                #[serde(default, rename = "file", alias = "x")]
                pub r#type: String,
                #[rectify(touch = "user")]
                owner: String,
                value: u32,
            }
        });
        let text = out.unwrap().to_string();
        for part in [
            "pub struct SettingId",
            "# [doc = r\" Where.\"] pub r#type : String",
            "property : \"file\" , kind : Some (\"path\") , writes : true",
            "property : \"owner\" , kind : Some (\"user\") , writes : false",
            "property (desired , \"file\")",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("value"), "{text}");
    }

    #[test]
    fn what_says_nothing_clear_is_refused() {
        let unknown = refused(&parse_quote!(
            struct A {
                #[rectify(identify)]
                a: String,
            }
        ));
        assert!(unknown.contains("expected `identity`, `touch = \"kind\"`"), "{unknown}");
        let lonely = refused(&parse_quote!(
            struct A {
                #[rectify(write)]
                a: String,
            }
        ));
        assert!(lonely.contains("go with `identity` or `touch`"), "{lonely}");
        assert!(
            refused(&parse_quote!(
                struct A(String);
            ))
            .contains("named fields")
        );
        assert!(
            refused(&parse_quote!(
                enum A {
                    B,
                }
            ))
            .contains("named fields")
        );
        assert!(
            refused(&parse_quote!(
                struct A<T> {
                    a: T,
                }
            ))
            .contains("without parameters")
        );
    }
}
