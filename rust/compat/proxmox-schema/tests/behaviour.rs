//! How the crate behaves, by its public API only. Passes with the stand-in and with the real crate.

use std::any::Any;
use std::panic::catch_unwind;

use anyhow::{Error, bail, format_err};
use proxmox_schema::{
    ApiStringFormat, ApiStringVerifyFn, ApiType, ArraySchema, BooleanSchema, ConstRegexPattern,
    EnumEntry, IntegerSchema, NumberSchema, ObjectSchema, ObjectSchemaType, ParameterError,
    ReturnType, Schema, SchemaPropertyEntry, SchemaPropertyMap, StringSchema, const_regex,
};
use serde_json::{Map, Value, json};

const_regex! {
    /// Two lower case letters.
    pub TWO_LETTERS_REGEX = "^[a-z]{2}$";
    UNANCHORED_REGEX = concat!("a", "b");
}

const TWO_LETTERS: ApiStringFormat = ApiStringFormat::Pattern(&TWO_LETTERS_REGEX);
const UNANCHORED: ApiStringFormat = ApiStringFormat::Pattern(&UNANCHORED_REGEX);
const MODE: ApiStringFormat = ApiStringFormat::Enum(&[
    EnumEntry::new("snapshot", "While it runs."),
    EnumEntry::new("stop", "While it is off."),
]);
const EVEN: ApiStringFormat = ApiStringFormat::VerifyFn(verify_even);

fn verify_even(value: &str) -> Result<(), Error> {
    match value.len() % 2 {
        0 => Ok(()),
        odd => bail!("odd by {odd}"),
    }
}

const ANY_BOOLEAN: Schema = BooleanSchema::new("A boolean.").schema();
const PERCENT: IntegerSchema = IntegerSchema::new("A percentage.").minimum(0).maximum(100);
const RATIO: NumberSchema = NumberSchema::new("A ratio.").minimum(-0.5).maximum(1.0);
const NAME: StringSchema = StringSchema::new("A name.").min_length(2).max_length(4);

const PERCENT_SCHEMA: Schema = PERCENT.schema();
const NAME_SCHEMA: Schema = NAME.schema();
static NAMES: Schema = ArraySchema::new("Names.", &NAME_SCHEMA)
    .min_length(1)
    .max_length(3)
    .schema();

const PAIR: ObjectSchema = ObjectSchema::new(
    "A pair.",
    &[
        ("name", false, &NAME_SCHEMA),
        ("nothing", true, &Schema::Null),
        ("percent", true, &PERCENT_SCHEMA),
    ],
);
static PAIR_SCHEMA: Schema = PAIR.schema();
static OPEN_PAIR_SCHEMA: Schema = PAIR.additional_properties(true).schema();
static PAIRS: Schema = ArraySchema::new("Pairs.", &PAIR_SCHEMA).schema();
static MATRIX: Schema = ArraySchema::new("Lists of names.", &NAMES).schema();

static TREE: Schema = ObjectSchema::new(
    "Nested.",
    &[
        ("inner", true, &PAIR_SCHEMA),
        ("list", true, &NAMES),
        ("matrix", true, &MATRIX),
        ("outer", true, &DEEP),
        ("pairs", true, &PAIRS),
    ],
)
.schema();
static DEEP: Schema = ObjectSchema::new("Deep.", &[("inner", false, &PAIR_SCHEMA)]).schema();
static REQUIRED_NULL: Schema =
    ObjectSchema::new("Odd.", &[("nothing", false, &Schema::Null)]).schema();

/// What a verification said: nothing, the bare text, or `path: text` for each parameter.
fn said(result: Result<(), Error>) -> Vec<String> {
    match result.map_err(|err| err.downcast::<ParameterError>()) {
        Ok(()) => vec![],
        Err(Ok(errors)) => errors
            .errors()
            .iter()
            .map(|(path, err)| format!("{path}: {err}"))
            .collect(),
        Err(Err(err)) => vec![err.to_string()],
    }
}

/// Verifies each value and compares what is said.
fn check(schema: &Schema, table: &[(Value, &[&str])]) {
    for (value, expected) in table {
        assert_eq!(said(schema.verify_json(value)), *expected, "{value}");
    }
}

#[test]
fn null() {
    const NOT: &[&str] = &["Expected Null, but value is not Null."];
    let table = [
        (json!(null), &[][..]),
        (json!(false), NOT),
        (json!(""), NOT),
        (json!({}), NOT),
    ];
    check(&Schema::Null, &table);
}

#[test]
fn boolean() {
    const NOT: &[&str] = &["Expected boolean value."];
    let table = [
        (json!(true), &[][..]),
        (json!(false), &[]),
        (json!(0), NOT),
        (json!("true"), NOT),
        (json!(null), NOT),
    ];
    check(&ANY_BOOLEAN, &table);
}

#[test]
fn integer() {
    const NOT: &[&str] = &["Expected integer value."];
    const LOW: &[&str] = &["value must have a minimum value of 0 (got -1)"];
    const HIGH: &[&str] = &["value must have a maximum value of 100 (got 101)"];
    let table = [
        (json!(0), &[][..]),
        (json!(100), &[]),
        (json!(-1), LOW),
        (json!(101), HIGH),
        (json!(1.0), NOT),
        (json!(u64::MAX), NOT),
        (json!("1"), NOT),
        (json!(null), NOT),
        (json!([1]), NOT),
    ];
    check(&PERCENT_SCHEMA, &table);
    let any = IntegerSchema::new("Any.").schema();
    check(
        &any,
        &[(json!(i64::MIN), &[]), (json!(i64::MAX as u64), &[])],
    );
}

#[test]
fn number() {
    const NOT: &[&str] = &["Expected number value."];
    const LOW: &[&str] = &["value must have a minimum value of -0.5 (got -0.75)"];
    const HIGH: &[&str] = &["value must have a maximum value of 1 (got 2)"];
    let table = [
        (json!(0.5), &[][..]),
        (json!(-0.5), &[]),
        (json!(1), &[]),
        (json!(-0.75), LOW),
        (json!(2), HIGH),
        (json!("0.5"), NOT),
        (json!(null), NOT),
    ];
    check(&RATIO.schema(), &table);
}

#[test]
fn string_length_counts_characters() {
    const NOT: &[&str] = &["Expected string value."];
    const SHORT: &[&str] = &["value must be at least 2 characters long"];
    const LONG: &[&str] = &["value may only be 4 characters long"];
    let table = [
        (json!("ab"), &[][..]),
        (json!("äöüß"), &[]),
        (json!(""), SHORT),
        (json!("ä"), SHORT),
        (json!("abcde"), LONG),
        (json!(12), NOT),
        (json!(null), NOT),
        (json!({}), NOT),
    ];
    check(&NAME_SCHEMA, &table);
}

#[test]
fn string_format() {
    const NO_MATCH: &[&str] = &["value does not match the regex pattern"];
    const NO_VALUE: &[&str] = &["value 'Stop' is not defined in the enumeration."];
    let with = |format| StringSchema::new("Formatted.").format(format).schema();
    check(
        &with(&TWO_LETTERS),
        &[
            (json!("ab"), &[]),
            (json!("abc"), NO_MATCH),
            (json!("ab\n"), NO_MATCH),
        ],
    );
    check(
        &with(&UNANCHORED),
        &[(json!("xaby"), &[]), (json!("xy"), NO_MATCH)],
    );
    check(
        &with(&MODE),
        &[
            (json!("stop"), &[]),
            (json!("Stop"), NO_VALUE),
            (json!(1), &["Expected string value."]),
        ],
    );
    check(
        &with(&EVEN),
        &[(json!("ab"), &[]), (json!("abc"), &["odd by 1"])],
    );
}

#[test]
fn string_length_comes_before_format() {
    let both = NAME.format(&TWO_LETTERS);
    check(
        &both.schema(),
        &[
            (json!("A"), &["value must be at least 2 characters long"]),
            (json!("AB"), &["value does not match the regex pattern"]),
        ],
    );
    let lax = NAME.format(&TWO_LETTERS).format_is_optional(true);
    check(
        &lax.schema(),
        &[
            (json!("AB"), &[]),
            (json!("A"), &["value must be at least 2 characters long"]),
        ],
    );
}

#[test]
fn constraints_without_json() {
    assert!(NAME.check_constraints("abc").is_ok());
    assert!(PERCENT.check_constraints(7).is_ok());
    assert!(RATIO.check_constraints(0.1).is_ok());
    assert!(RATIO.check_constraints(f64::NAN).is_ok());
    let texts = [
        NAME.check_constraints("a"),
        PERCENT.check_constraints(-7),
        RATIO.check_constraints(1.5),
    ]
    .map(|result| result.unwrap_err().to_string());
    let expected = [
        "value must be at least 2 characters long",
        "value must have a minimum value of 0 (got -7)",
        "value must have a maximum value of 1 (got 1.5)",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn array() {
    const LONG: &[&str] = &["array may only contain 3 elements"];
    let table = [
        (json!(["ab", "cd"]), &[][..]),
        (json!([]), &["array must contain at least 1 elements"]),
        (json!(["ab", "cd", "ef", "gh"]), LONG),
        (json!([1, 2, 3, 4]), LONG),
        (json!({}), &["Expected array - got object."]),
        (json!("ab"), &["Expected array - got scalar value."]),
        (json!(null), &["Expected array - got scalar value."]),
        // only the first that is wrong
        (json!(["ab", 1, 2]), &["[1]: Expected string value."]),
    ];
    check(&NAMES, &table);
}

#[test]
fn object() {
    const MISSING: &str = "name: property is missing and it is not optional";
    let table = [
        (json!({"name": "ab"}), &[][..]),
        (json!({"name": "ab", "percent": 1, "nothing": null}), &[]),
        (json!({}), &[MISSING]),
        // null counts as missing, where it must not be
        (
            json!({"name": null}),
            &["name: Expected string value.", MISSING],
        ),
        (
            json!({"name": "ab", "percent": null}),
            &["percent: Expected integer value."],
        ),
        (
            json!({"name": "ab", "Name": 1}),
            &["Name: schema does not allow additional properties"],
        ),
        (json!([]), &["Expected object - got array."]),
        (json!("name=ab"), &["Expected object - got scalar value."]),
        (json!(null), &["Expected object - got scalar value."]),
    ];
    check(&PAIR_SCHEMA, &table);
    check(
        &REQUIRED_NULL,
        &[(
            json!({"nothing": null}),
            &["nothing: property is missing and it is not optional"],
        )],
    );
}

#[test]
fn object_with_additional_properties() {
    let table = [
        (json!({"name": "ab", "other": [1, {"x": null}]}), &[][..]),
        (
            json!({"name": "a", "other": 1}),
            &["name: value must be at least 2 characters long"],
        ),
        (
            json!({"other": 1}),
            &["name: property is missing and it is not optional"],
        ),
    ];
    check(&OPEN_PAIR_SCHEMA, &table);
}

#[test]
fn several_errors_at_once() {
    let value = json!({"additional": 1, "nothing": 1, "percent": 101});
    let expected = [
        "additional: schema does not allow additional properties",
        "nothing: Expected Null, but value is not Null.",
        "percent: value must have a maximum value of 100 (got 101)",
        "name: property is missing and it is not optional",
    ];
    check(&PAIR_SCHEMA, &[(value.clone(), &expected)]);
    assert_eq!(
        PAIR_SCHEMA.verify_json(&value).unwrap_err().to_string(),
        "parameter verification failed:\n\
         - 'additional': schema does not allow additional properties\n\
         - 'nothing': Expected Null, but value is not Null.\n\
         - 'percent': value must have a maximum value of 100 (got 101)\n\
         - 'name': property is missing and it is not optional"
    );
}

#[test]
fn nested_paths() {
    let table = [
        (
            json!({"inner": {"name": "ab"}, "list": ["ab"], "matrix": [["ab"]], "pairs": []}),
            &[][..],
        ),
        (
            json!({"inner": {"percent": -1}, "list": []}),
            &[
                "inner/percent: value must have a minimum value of 0 (got -1)",
                "inner/name: property is missing and it is not optional",
                "list: array must contain at least 1 elements",
            ],
        ),
        (
            json!({"inner": 1}),
            &["inner: Expected object - got scalar value."],
        ),
        (
            json!({"outer": {"inner": {"name": ""}}}),
            &["outer/inner/name: value must be at least 2 characters long"],
        ),
        (
            json!({"list": ["ab", 1]}),
            &["list/[1]: Expected string value."],
        ),
        // below an element there is one entry with a text, not an entry for each error
        (
            json!({"matrix": [["ab"], ["ab", 1]]}),
            &["matrix/[1]: parameter verification failed - '[1]': Expected string value."],
        ),
        (
            json!({"pairs": [{"name": "ab"}, {"percent": true}]}),
            &["pairs/[1]: parameter verification failed:\n\
               - 'percent': Expected integer value.\n\
               - 'name': property is missing and it is not optional"],
        ),
    ];
    check(&TREE, &table);
}

#[test]
fn verify_json_of_each_type() {
    let wrong = json!({"name": 1});
    let texts = [
        BooleanSchema::new("").verify_json(&wrong),
        PERCENT.verify_json(&wrong),
        RATIO.verify_json(&wrong),
        NAME.verify_json(&wrong),
        ArraySchema::new("", &NAME_SCHEMA).verify_json(&wrong),
        PAIR.verify_json(&wrong),
    ]
    .map(|result| said(result).join("; "));
    let expected = [
        "Expected boolean value.",
        "Expected integer value.",
        "Expected number value.",
        "Expected string value.",
        "Expected array - got object.",
        "name: Expected string value.",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn parameter_error_texts() {
    let mut errors = ParameterError::new();
    assert!(errors.is_empty());
    assert_eq!(errors.to_string(), "");

    errors.push("a".to_string(), format_err!("wrong \n"));
    assert_eq!(
        errors.to_string(),
        "parameter verification failed - 'a': wrong"
    );

    errors.add_errors("b", format_err!("inner").context("outer"));
    errors.add_errors("c", ParameterError::from(("d", format_err!("bad"))).into());
    errors.add_errors("e", ParameterError::new().into());
    assert_eq!(errors.len(), 3);
    assert_eq!(
        errors.to_string(),
        "parameter verification failed:\n- 'a': wrong \n\n- 'b': outer\n- 'c/d': bad"
    );
    assert_eq!(errors.errors()[2].0, "c/d");
}

#[test]
fn parameter_error_conversions() {
    let errors = ParameterError::from((String::from("a"), format_err!("bad")));
    let names: Vec<String> = errors.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a"]);

    let errors = ParameterError::from(("b", format_err!("bad")));
    assert_eq!(errors.into_inner()[0].0, "b");
    assert_eq!(ParameterError::default().len(), 0);

    let err = Error::from(ParameterError::from(("b", format_err!("bad"))));
    assert!(err.downcast_ref::<ParameterError>().is_some());
}

#[test]
fn regex_constant() {
    assert_eq!(TWO_LETTERS_REGEX.regex_string, "^[a-z]{2}$");
    assert!(TWO_LETTERS_REGEX.is_match("xy"));
    assert_eq!((TWO_LETTERS_REGEX.regex_obj)().as_str(), "^[a-z]{2}$");
    assert_eq!(format!("{UNANCHORED_REGEX:?}"), "\"ab\"");
    let compiled: [*const regex::Regex; 2] = [&*UNANCHORED_REGEX, &*UNANCHORED_REGEX];
    assert_eq!(compiled[0], compiled[1]);
}

#[test]
fn object_schema_type() {
    let schema: &dyn ObjectSchemaType = &PAIR;
    assert_eq!(schema.description(), "A pair.");
    assert_eq!(schema.default_key(), None);
    assert!(!schema.additional_properties());
    let names: Vec<(&str, bool)> = schema
        .properties()
        .map(|(name, optional, _)| (*name, *optional))
        .collect();
    assert_eq!(
        names,
        [("name", false), ("nothing", true), ("percent", true)]
    );
    assert!(matches!(
        schema.lookup("percent"),
        Some((true, Schema::Integer(_)))
    ));
    assert!(PAIR.lookup("perc").is_none());
    assert_eq!(
        said(schema.verify_json(&json!(1))),
        ["Expected object - got scalar value."]
    );
}

/// The text of a panic.
fn panic_text(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().unwrap().to_string(),
    }
}

#[test]
fn properties_must_be_sorted() {
    const A: SchemaPropertyEntry = ("a", false, &Schema::Null);
    const AB: SchemaPropertyEntry = ("ab", false, &Schema::Null);
    const B: SchemaPropertyEntry = ("b", false, &Schema::Null);
    const UNSORTED: &str = "object schema properties must be sorted";
    const DUPLICATE: &str = "duplicate object schema properties not allowed";
    let table: [(SchemaPropertyMap, Option<&str>); 7] = [
        (&[], None),
        (&[A], None),
        (&[A, AB, B], None),
        (&[B, A], Some(UNSORTED)),
        (&[AB, A], Some(UNSORTED)),
        (&[A, B, AB], Some(UNSORTED)),
        (&[A, AB, AB], Some(DUPLICATE)),
    ];
    for (properties, expected) in table {
        let panic = catch_unwind(|| ObjectSchema::new("", properties)).map(|_| ());
        assert_eq!(panic.map_err(panic_text).err().as_deref(), expected);
    }
}

struct Percent;

impl ApiType for Percent {
    const API_SCHEMA: Schema = PERCENT.default(50).schema();
}

#[test]
fn api_type() {
    for schema in [Percent::API_SCHEMA, Option::<Percent>::API_SCHEMA] {
        assert_eq!(schema.unwrap_integer_schema().default, Some(50));
    }
    static RETURNS: ReturnType = ReturnType::new(true, &Percent::API_SCHEMA);
    let ReturnType { optional, schema } = &RETURNS;
    assert!(*optional);
    assert!(schema.verify_json(&json!(1)).is_ok());
}

#[test]
fn accessors() {
    const COPY: IntegerSchema = PERCENT.schema().unwrap_integer_schema_cloned();
    const LIST: Schema = ArraySchema::new("Pairs.", &PAIR.schema()).schema();
    const ITEMS: &Schema = LIST.unwrap_array_schema().items;
    assert_eq!(COPY.description("Other.").description, "Other.");
    assert!(ITEMS.object().is_some());
    assert!(ITEMS.array().is_none() && ITEMS.string().is_none() && ITEMS.boolean().is_none());
    assert!(ITEMS.integer().is_none() && ITEMS.number().is_none());
    let panic = catch_unwind(|| Schema::Null.unwrap_string_schema_cloned()).unwrap_err();
    assert_eq!(
        panic_text(panic),
        "unwrap_string_schema_cloned on different schema"
    );
    let panic = catch_unwind(|| Schema::Null.unwrap_object_schema().description).unwrap_err();
    assert_eq!(
        panic_text(panic),
        "unwrap_object_schema on different schema"
    );
}

/// Reads every field there is, as a writer of JSON schemas does.
fn json_schema(schema: &Schema) -> Value {
    match schema {
        Schema::Null => json!({"type": "null"}),
        Schema::Boolean(s) => json!({"type": "boolean", "about": s.description, "or": s.default}),
        Schema::Integer(s) => json!({
            "type": "integer", "about": s.description, "or": s.default,
            "range": [s.minimum, s.maximum],
        }),
        Schema::Number(s) => json!({
            "type": "number", "about": s.description, "or": s.default,
            "range": [s.minimum, s.maximum],
        }),
        Schema::String(s) => json!({
            "type": "string", "about": s.description, "or": s.default,
            "length": [s.min_length, s.max_length], "text": s.type_text,
            "format": s.format.map(json_format), "lax": s.format_is_optional,
        }),
        Schema::Array(s) => json!({
            "type": "array", "about": s.description, "items": json_schema(s.items),
            "length": [s.min_length, s.max_length],
        }),
        Schema::Object(s) => {
            let members = s.properties.iter().map(|(name, optional, schema)| {
                (name.to_string(), json!([optional, json_schema(schema)]))
            });
            json!({
                "type": "object", "about": s.description, "key": s.default_key,
                "members": members.collect::<Map<_, _>>(), "open": s.additional_properties,
            })
        }
        _ => unreachable!("not in these tests"),
    }
}

fn json_format(format: &ApiStringFormat) -> Value {
    match format {
        ApiStringFormat::Enum(entries) => entries
            .iter()
            .map(|entry| json!([entry.value, entry.description]))
            .collect(),
        ApiStringFormat::Pattern(regex) => {
            let regex: &ConstRegexPattern = regex;
            json!(regex.regex_string)
        }
        ApiStringFormat::VerifyFn(verify) => {
            let verify: ApiStringVerifyFn = *verify;
            json!(verify("").is_ok())
        }
        _ => unreachable!("not in these tests"),
    }
}

#[test]
fn fields() {
    const FORMATTED: Schema = StringSchema::new("S.")
        .description("T.")
        .default("d")
        .min_length(1)
        .max_length(2)
        .format(&MODE)
        .format_is_optional(true)
        .type_text("<mode>")
        .schema();
    const LIST: Schema = ArraySchema::new("L.", &FORMATTED)
        .description("M.")
        .min_length(3)
        .max_length(4)
        .schema();
    const MAYBE: Schema = BooleanSchema::new("B.")
        .description("C.")
        .default(true)
        .schema();
    const HALF: Schema = RATIO.description("R.").default(0.5).schema();
    const ALL: Schema = ObjectSchema::new(
        "O.",
        &[
            ("half", true, &HALF),
            ("list", false, &LIST),
            ("maybe", true, &MAYBE),
            ("null", false, &Schema::Null),
            ("percent", true, &Percent::API_SCHEMA),
        ],
    )
    .additional_properties(true)
    .default_key("null")
    .schema();

    let string = json!({
        "type": "string", "about": "T.", "or": "d", "length": [1, 2], "text": "<mode>",
        "format": [["snapshot", "While it runs."], ["stop", "While it is off."]], "lax": true,
    });
    let half = json!({"type": "number", "about": "R.", "or": 0.5, "range": [-0.5, 1.0]});
    let list = json!({"type": "array", "about": "M.", "items": string, "length": [3, 4]});
    let maybe = json!({"type": "boolean", "about": "C.", "or": true});
    let percent = json!({"type": "integer", "about": "A percentage.", "or": 50, "range": [0, 100]});
    let expected = json!({
        "type": "object", "about": "O.", "key": "null", "open": true,
        "members": {
            "half": [true, half], "list": [false, list], "maybe": [true, maybe],
            "null": [false, {"type": "null"}], "percent": [true, percent],
        },
    });
    assert_eq!(json_schema(&ALL), expected);
}

#[test]
fn formats() {
    assert_eq!(json_format(&TWO_LETTERS), json!("^[a-z]{2}$"));
    assert_eq!(json_format(&EVEN), json!(true));
}
