//! The part of a schema that the JSON schema of Proxmox VE has too.

use proxmox_schema::{ApiStringFormat, ObjectSchema, Schema, StringSchema};
use serde_json::{Map, Value, json};

pub(super) fn object(schema: &ObjectSchema) -> Value {
    let properties: Map<String, Value> = schema
        .properties
        .iter()
        .map(|(name, optional, schema)| {
            let mut property = any(schema);
            if *optional {
                property["optional"] = 1.into();
            }
            ((*name).to_owned(), property)
        })
        .collect();
    json!({
        "type": "object",
        "description": schema.description,
        "additionalProperties": i32::from(schema.additional_properties),
        "properties": properties,
    })
}

fn any(schema: &Schema) -> Value {
    match schema {
        Schema::Boolean(schema) => json!({"type": "boolean", "description": schema.description}),
        Schema::Number(schema) => json!({"type": "number", "description": schema.description}),
        Schema::Integer(schema) => with(
            json!({"type": "integer", "description": schema.description}),
            [
                ("minimum", schema.minimum.map(Value::from)),
                ("maximum", schema.maximum.map(Value::from)),
                ("default", schema.default.map(Value::from)),
            ],
        ),
        Schema::String(schema) => string(schema),
        Schema::Array(schema) => json!({
            "type": "array",
            "description": schema.description,
            "items": any(schema.items),
        }),
        Schema::Object(schema) => object(schema),
        other => unreachable!("no operation uses {other:?}"),
    }
}

fn string(schema: &StringSchema) -> Value {
    let json = with(
        json!({"type": "string", "description": schema.description}),
        [
            ("minLength", schema.min_length.map(Value::from)),
            ("maxLength", schema.max_length.map(Value::from)),
        ],
    );
    match schema.format {
        // Proxmox VE anchors patterns itself
        Some(ApiStringFormat::Pattern(pattern)) => {
            let pattern = pattern
                .regex_string
                .trim_start_matches('^')
                .trim_end_matches('$');
            with(json, [("pattern", Some(pattern.into()))])
        }
        Some(ApiStringFormat::Enum(entries)) => {
            let values: Vec<_> = entries.iter().map(|entry| entry.value).collect();
            with(json, [("enum", Some(values.into()))])
        }
        _ => json,
    }
}

fn with<const N: usize>(mut json: Value, members: [(&str, Option<Value>); N]) -> Value {
    for (name, value) in members {
        if let Some(value) = value {
            json[name] = value;
        }
    }
    json
}
