//! Structs that give no clear properties are refused where the provider starts.

use rectify_sdk::{Answer, Context, Probe, Properties, Provider, Resource, Result, Step, Types};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
};

struct Asking<P>(PhantomData<fn() -> P>);

impl<P: Properties> Probe for Asking<P> {
    type Properties = P;
    const TYPE: &'static str = "test.asked";

    fn ask(&self, _: &Context, _: &P) -> Result<Answer> {
        Ok(Answer { yes: true, sentence: "yes".into() })
    }
}

fn panicked(make: impl FnOnce() -> Types) -> String {
    let panic = catch_unwind(AssertUnwindSafe(make)).err().expect("a panic");
    panic.downcast::<String>().map(|text| *text).expect("a text")
}

fn refused<P: Properties>() -> String {
    panicked(|| Types::new("test", "1.0.0").probe(Asking::<P>(PhantomData)))
}

/// It has a number.
#[derive(Deserialize, JsonSchema, Properties)]
#[expect(dead_code, reason = "only its schema is looked at")]
struct Float {
    share: Option<Vec<f64>>,
}

#[derive(Deserialize, JsonSchema, Properties)]
#[expect(dead_code, reason = "only its schema is looked at")]
struct Untold {
    a: String,
}

/// It is named in another way.
#[derive(Deserialize, JsonSchema, Properties)]
#[serde(rename_all = "camelCase")]
struct Renamed {
    #[rectify(identity)]
    the_path: String,
}

/// One of two.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is looked at")]
enum Either {
    A { a: String },
    B { b: String },
}

/// It is not one object.
#[derive(Deserialize, JsonSchema, Properties)]
#[expect(dead_code, reason = "only its schema is looked at")]
struct Flat {
    #[serde(flatten)]
    either: Either,
}

/// It names nothing.
#[derive(Deserialize, JsonSchema, Properties)]
#[expect(dead_code, reason = "only its schema is looked at")]
struct Nameless {
    a: String,
}

struct Nothing;

impl Resource for Nothing {
    type Properties = Nameless;
    type State = String;
    const TYPE: &'static str = "test.nothing";

    fn read(&self, _: &Context, (): &()) -> Result<Option<String>> {
        Ok(None)
    }

    fn goal(&self, _: &Context, _: &Nameless, _: Option<&String>) -> Result<Option<String>> {
        Ok(None)
    }

    fn apply(&self, _: &Context, _: &Step<Self>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn what_is_not_clear_is_said_with_its_name() {
    assert_eq!(
        refused::<Float>(),
        "the properties of `test.asked`: `share`: floating-point numbers have no exact form; take a text"
    );
    assert!(
        refused::<Untold>()
            .ends_with("the struct has no documentation, whose first paragraph is the summary")
    );
    assert!(refused::<Renamed>().contains("there is no property `the_path`"));
    assert!(refused::<Flat>().contains("they are no struct of plain fields"));
    let nameless = panicked(|| Types::new("test", "1.0.0").resource(Nothing));
    assert_eq!(nameless, "the properties of `test.nothing`: no field is marked `#[rectify(identity)]`");
    let twice = panicked(|| {
        let asking = || Asking::<Empty>(PhantomData);
        Types::new("test", "1.0.0").probe(asking()).probe(asking())
    });
    assert_eq!(twice, "there are two types `test.asked`");
}

/// Nothing is to be said.
#[derive(Deserialize, JsonSchema, Properties)]
struct Empty {}

#[test]
fn a_question_without_properties_is_one() {
    let manifest = Types::new("test", "1.0.0").probe(Asking::<Empty>(PhantomData)).manifest();
    let [descriptor] = &manifest.types[..] else { panic!("{manifest:?}") };
    let expected: Value = json!({"type": "object", "properties": {}, "additionalProperties": false});
    assert_eq!((&descriptor.schema, descriptor.summary.as_str()), (&expected, "Nothing is to be said."));
}
