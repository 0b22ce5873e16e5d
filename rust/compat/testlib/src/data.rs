//! Lists, maps, structs and enums.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Account {
    user_name: String,
    quota: u64,
    #[serde(default)]
    enabled: bool,
    comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    limits: BTreeMap<String, i64>,
    #[serde(default)]
    children: Vec<Account>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Strict {
    id: u32,
}

#[derive(Debug, Deserialize, Serialize)]
pub struct Meters(f64);

#[derive(Debug, Deserialize, Serialize)]
pub struct Pair(u32, String);

#[derive(Debug, Deserialize, Serialize)]
pub struct Marker;

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    Point,
    Circle(u32),
    Named(Option<String>),
    Rect(u32, u32),
    Boxed { width: u32, label: Option<String> },
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Tagged {
    Text { value: String },
    Number { value: i64 },
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Loose {
    Number(i64),
    Text(String),
    Many(Vec<Loose>),
}

#[derive(Debug, Deserialize, Serialize)]
pub struct Flat {
    id: u32,
    #[serde(flatten)]
    rest: BTreeMap<String, String>,
}

#[perlmod::package(name = "CompatTestlib::Data", lib = "compat_testlib")]
pub mod exports {
    use std::collections::BTreeMap;

    use super::{Account, Flat, Loose, Marker, Meters, Pair, Shape, Strict, Tagged};

    #[export]
    pub fn strings(value: Vec<String>) -> Vec<String> {
        value
    }

    #[export]
    pub fn bools(value: Vec<bool>) -> Vec<bool> {
        value
    }

    #[export]
    pub fn options(value: Vec<Option<i64>>) -> Vec<Option<i64>> {
        value
    }

    #[export]
    pub fn borrowed_strings(value: Vec<&str>) -> String {
        value.join("|")
    }

    #[export]
    pub fn map(value: BTreeMap<String, String>) -> BTreeMap<String, String> {
        value
    }

    #[export]
    pub fn deep(value: BTreeMap<String, Vec<BTreeMap<String, i64>>>) -> String {
        format!("{value:?}")
    }

    #[export]
    pub fn numbered(value: Vec<String>) -> BTreeMap<usize, String> {
        value.into_iter().enumerate().collect()
    }

    #[export]
    pub fn by_number(value: BTreeMap<u32, String>) -> usize {
        value.len()
    }

    #[export]
    pub fn account(value: Account) -> Account {
        value
    }

    #[export]
    pub fn show_account(value: Account) -> String {
        format!("{value:?}")
    }

    #[export]
    pub fn strict(value: Strict) -> Strict {
        value
    }

    #[export]
    pub fn meters(value: Meters) -> Meters {
        value
    }

    #[export]
    pub fn pair(value: Pair) -> Pair {
        value
    }

    #[export]
    pub fn marker() -> Marker {
        Marker
    }

    #[export]
    pub fn in_marker(value: Marker) -> String {
        format!("{value:?}")
    }

    #[export]
    pub fn shape(value: Shape) -> Shape {
        value
    }

    #[export]
    pub fn shapes() -> Vec<Shape> {
        vec![
            Shape::Point,
            Shape::Circle(3),
            Shape::Named(None),
            Shape::Rect(1, 2),
            Shape::Boxed {
                width: 7,
                label: None,
            },
        ]
    }

    #[export]
    pub fn tagged(value: Tagged) -> Tagged {
        value
    }

    #[export]
    pub fn loose(value: Loose) -> String {
        format!("{value:?}")
    }

    #[export]
    pub fn flat(value: Flat) -> Flat {
        value
    }

    #[export]
    pub fn tuple_in(value: (u32, String)) -> String {
        format!("{value:?}")
    }
}
