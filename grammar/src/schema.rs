//! JSON schemas, made ready for the grammar.

use crate::{Error, Result};
use llguidance::JsonCompileOptions;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// 2⁵³ − 1: up to here JavaScript's numbers tell integers apart.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// A date that is in the calendar: the 29th of February in leap years alone.
const DATE: &str = "(?:[0-9]{4}-(?:(?:0[13-9]|1[0-2])-(?:0[1-9]|[12][0-9]|30)|(?:0[13578]|1[02])-31|\
                    02-(?:0[1-9]|1[0-9]|2[0-8]))|\
                    (?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)";
/// A time without the leap second, which is not there on most days.
const TIME: &str = "[0-9]{2}:[0-9]{2}:[0-5]";
/// A name of a host, by its labels' lengths, and an address there.
const HOST: &str = "[0-9A-Za-z-]{1,63}(?:\\.[0-9A-Za-z-]{1,63})*";
const EMAIL: &str = "[^@]{1,64}@(?:\\[.*|";

/// What a format means beyond the grammar's reading of it: a pattern, and the longest that it can be.
fn strict(format: &str) -> Option<(String, Option<u32>)> {
    Some(match format {
        "date" => (format!("^{DATE}$"), None),
        "date-time" => (format!("^{DATE}[tT]{TIME}"), None),
        "time" => (format!("^{TIME}"), None),
        "hostname" => (format!("^{HOST}$"), Some(253)),
        "email" => (format!("^{EMAIL}{HOST})$"), Some(254)),
        _ => return None,
    })
}

/// Reads a schema.
///
/// # Errors
/// Where the text is no JSON, or no schema that describes something.
pub fn read(text: &str) -> Result<Value> {
    let mut schema = match serde_json::from_str(text) {
        Ok(Value::Bool(true)) => Value::Object(Map::new()),
        Ok(schema @ Value::Object(_)) => schema,
        Ok(_) => return Err(Error("a schema is an object, or true".into())),
        Err(error) => return Err(Error(format!("the schema is no JSON: {error}"))),
    };
    tighten(&mut schema)?;
    tighten_targets(&mut schema)?;
    // White space between the parts would be a way to write on without end.
    let options = JsonCompileOptions {
        item_separator: ", ".into(),
        key_separator: ": ".into(),
        whitespace_flexible: false,
        ..JsonCompileOptions::default()
    };
    options.apply_to(&mut schema);
    Ok(schema)
}

/// As [`tighten`], what references lead to: that may stand under any keyword.
fn tighten_targets(schema: &mut Value) -> Result<()> {
    let mut targets = BTreeSet::new();
    find_references(schema, &mut targets);
    for target in targets {
        let Some(pointer) = target.strip_prefix('#') else { continue };
        if pointer.contains('%') {
            return Err(Error(format!("$ref {target}: names with a % cannot be referred to; call it by another name")));
        }
        schema.pointer_mut(pointer).map_or(Ok(()), tighten)?;
    }
    Ok(())
}

fn find_references(value: &Value, targets: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            targets.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| find_references(member, targets));
        }
        Value::Array(items) => items.iter().for_each(|item| find_references(item, targets)),
        _ => {}
    }
}

/// Takes out of a schema, and of those in it, what the grammar's reading of it would let through and a validator, or a reader
/// of numbers, would not.
fn tighten(schema: &mut Value) -> Result<()> {
    let Some(schema) = schema.as_object_mut() else { return Ok(()) };
    for (keyword, value) in schema.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(named)) => {
                named.values_mut().try_for_each(tighten)?;
            }
            ("items" | "prefixItems" | "allOf" | "anyOf" | "oneOf", Value::Array(list)) => {
                list.iter_mut().try_for_each(tighten)?;
            }
            ("items" | "additionalItems" | "additionalProperties", value) => tighten(value)?,
            _ => {}
        }
    }
    let n_required = schema.get("required").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    if schema.get("minProperties").and_then(Value::as_u64).is_some_and(|n| n > n_required + 1) {
        return Err(Error("minProperties: no more than one can be asked for beyond those that are required".into()));
    }
    bound(schema);
    let Some((pattern, max_length)) = schema.get("format").and_then(Value::as_str).and_then(strict) else {
        return Ok(());
    };
    let mut strict = json!({ "pattern": pattern });
    if let Some(max_length) = max_length {
        strict["maxLength"] = json!(max_length);
    }
    if let Value::Array(all) = schema.entry("allOf").or_insert_with(|| json!([])) {
        // A schema can be come by twice.
        if !all.contains(&strict) {
            all.push(strict);
        }
    }
    Ok(())
}

/// Gives numbers that have none the bounds within which JavaScript keeps them exact, and digits an end.
fn bound(schema: &mut Map<String, Value>) {
    let is_number = |name: &Value| name == "number" || name == "integer";
    let is_meant = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(is_number),
        Some(name) => is_number(name),
        None => false,
    };
    if !is_meant {
        return;
    }
    let given = |names: [&str; 2]| names.iter().find_map(|name| schema.get(*name).and_then(Value::as_f64));
    let least = given(["minimum", "exclusiveMinimum"]);
    let most = given(["maximum", "exclusiveMaximum"]);
    if least.is_none() && most.is_none_or(|most| most > -MAX_SAFE) {
        schema.entry("minimum").or_insert(json!(-MAX_SAFE));
    }
    if most.is_none() && least.is_none_or(|least| least < MAX_SAFE) {
        schema.entry("maximum").or_insert(json!(MAX_SAFE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tightened(mut schema: Value) -> Value {
        tighten(&mut schema).unwrap();
        schema
    }

    #[test]
    fn numbers_without_bounds_get_them() {
        let both = json!({ "type": "integer", "minimum": -MAX_SAFE, "maximum": MAX_SAFE });
        assert_eq!(tightened(json!({ "type": "integer" })), both);
        let inside = json!({ "items": { "anyOf": [{ "type": "integer" }, { "const": { "type": "number" } }] } });
        assert_eq!(tightened(inside), json!({ "items": { "anyOf": [both, { "const": { "type": "number" } }] } }));
        let above = json!({ "type": ["number", "null"], "exclusiveMinimum": 3 });
        assert_eq!(tightened(above)["maximum"], json!(MAX_SAFE));
        for as_it_is in [
            json!({ "type": "number", "minimum": 1e17 }),
            json!({ "type": "number", "maximum": -1e17 }),
            json!({ "type": "string" }),
            json!({ "minimum": 3 }),
            json!({ "properties": { "type": { "const": "number" } } }),
            json!(true),
        ] {
            assert_eq!(tightened(as_it_is.clone()), as_it_is);
        }
    }

    #[test]
    fn dates_get_a_pattern_beside_what_is_there() {
        let schema = tightened(json!({ "format": "date", "allOf": [{ "maxLength": 10 }] }));
        assert_eq!(schema["allOf"].as_array().map(Vec::len), Some(2));
        assert_eq!(schema["allOf"][0], json!({ "maxLength": 10 }));
        assert_eq!(tightened(json!({ "format": "hostname" }))["allOf"][0]["maxLength"], json!(253));
        // properties may have any name
        let named = json!({ "properties": { "format": { "format": "uuid" } }, "const": { "format": "date" } });
        assert_eq!(tightened(named.clone()), named);
    }

    #[test]
    fn what_is_referred_to_is_tightened_wherever_it_stands() {
        let text = r##"{ "$ref": "#/parts/schemas/a", "parts": { "schemas": {
            "a": { "items": { "$ref": "#/parts/schemas/b" } }, "b": { "format": "date" }, "c": { "format": "date" } } } }"##;
        let schema = read(text).unwrap();
        let has_pattern = |name: &str| schema["parts"]["schemas"][name]["allOf"][0]["pattern"].is_string();
        assert!(has_pattern("b") && !has_pattern("c"));
        let within = r##"{ "$ref": "#/$defs/a", "$defs": { "a": { "format": "date" } } }"##;
        assert_eq!(read(within).unwrap()["$defs"]["a"]["allOf"].as_array().map(Vec::len), Some(1));
        for refused in [
            r##"{ "$ref": "#/parts/a", "parts": { "a": { "minProperties": 3 } } }"##,
            r##"{ "$ref": "#/parts/a%20b", "parts": { "a b": {} } }"##,
        ] {
            assert!(read(refused).is_err(), "{refused}");
        }
        assert_eq!(tightened(json!({ "type": "integer", "minimum": "5" }))["minimum"], json!("5"));
    }

    #[test]
    fn more_properties_than_can_be_told_apart_are_refused() {
        // what may be there twice under one name counts once
        for (schema, is_fine) in [
            (json!({ "minProperties": 1 }), true),
            (json!({ "minProperties": 2, "required": ["a"] }), true),
            (json!({ "items": { "minProperties": 2 } }), false),
        ] {
            assert_eq!(tighten(&mut schema.clone()).is_ok(), is_fine, "{schema}");
        }
    }
}
