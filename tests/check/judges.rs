//! Output for programs, judged by what it must be.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::common::{document, nodelith, output};

const TARGET: &str = "tests/check/fixtures/docker-package";

fn printed(format: &str) -> Vec<u8> {
    output(nodelith().args(["check", TARGET, "--date", "2025-06-01", "--format", format])).stdout
}

#[test]
fn json() {
    let value = document(&printed("json"));
    assert_eq!(value["schema"], "nodelith.check");
    for finding in value["findings"].as_array().unwrap() {
        for key in ["id", "severity", "title", "message", "fix"] {
            assert!(
                finding[key].as_str().is_some_and(|text| !text.is_empty()),
                "{finding:#}"
            );
        }
    }
    let disabled = value["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == "ND-CRI-001");
    assert_eq!(disabled.unwrap()["place"]["line"], 3);
    let rules = document(&output(nodelith().args(["check", "--list", "--json"])).stdout);
    let ids: BTreeSet<_> = rules["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["id"].as_str().unwrap())
        .collect();
    assert!(ids.len() > 80);
    document(&output(nodelith().args(["check", "--explain", "ND-CRI-001", "--json"])).stdout);
}

/// What the SARIF 2.1.0 specification asks of the parts that we write: required
/// properties (3.13, 3.14, 3.18, 3.19, 3.27, 3.49) and their bounds.
const SARIF: &str = r##"{
  "type": "object", "required": ["version", "runs"],
  "properties": {
    "version": {"const": "2.1.0"},
    "runs": {"type": "array", "minItems": 1, "items": {
      "type": "object", "required": ["tool", "results"],
      "additionalProperties": false,
      "properties": {
        "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
        "originalUriBaseIds": {"type": "object"},
        "tool": {"type": "object", "required": ["driver"], "properties": {
          "driver": {"type": "object", "required": ["name"], "properties": {
            "semanticVersion": {"type": "string"},
            "rules": {"type": "array", "uniqueItems": true, "items": {
              "type": "object", "required": ["id"],
              "properties": {
                "shortDescription": {"$ref": "#/$defs/message"},
                "fullDescription": {"$ref": "#/$defs/message"},
                "help": {"$ref": "#/$defs/message"},
                "defaultConfiguration": {"properties": {"level": {"$ref": "#/$defs/level"}}}
              }
            }}
          }}
        }},
        "results": {"type": "array", "items": {
          "type": "object", "required": ["message", "ruleId", "ruleIndex"],
          "additionalProperties": false,
          "properties": {
            "ruleId": {"type": "string"},
            "ruleIndex": {"type": "integer", "minimum": 0},
            "level": {"$ref": "#/$defs/level"},
            "message": {"$ref": "#/$defs/message"},
            "suppressions": {"type": "array", "items": {
              "type": "object", "required": ["kind"],
              "properties": {"kind": {"enum": ["inSource", "external"]}, "justification": {"type": "string"}}
            }},
            "locations": {"type": "array", "items": {
              "type": "object", "required": ["physicalLocation"],
              "properties": {"physicalLocation": {
                "type": "object", "required": ["artifactLocation"],
                "properties": {
                  "artifactLocation": {
                    "type": "object",
                    "properties": {"uri": {"type": "string", "pattern": "^[^/ \\\\][^ \\\\]*$"}, "uriBaseId": {"type": "string"}}
                  },
                  "region": {
                    "type": "object",
                    "properties": {
                      "startLine": {"type": "integer", "minimum": 1},
                      "startColumn": {"type": "integer", "minimum": 1}
                    }
                  }
                }
              }}
            }}
          }
        }}
      }
    }}
  },
  "$defs": {
    "level": {"enum": ["none", "note", "warning", "error"]},
    "message": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
  }
}"##;

#[test]
fn sarif() {
    let log: Value = serde_json::from_slice(&printed("sarif")).unwrap();
    let schema: Value = serde_json::from_str(SARIF).unwrap();
    let judge = jsonschema::validator_for(&schema).unwrap();
    let faults = |value: &Value| {
        judge
            .iter_errors(value)
            .map(|error| error.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(faults(&log), Vec::<String>::new());
    let run = &log["runs"][0];
    for result in run["results"].as_array().unwrap() {
        let at = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][at]["id"], result["ruleId"]);
    }
    // The judge finds fault with what is wrong.
    for (pointer, wrong) in [
        ("/runs/0/results/0/level", "fatal"),
        ("/version", "2.0.0"),
        ("/runs/0/results/0/message", "text"),
    ] {
        let mut broken = log.clone();
        *broken.pointer_mut(pointer).unwrap() = wrong.into();
        assert!(!faults(&broken).is_empty(), "{pointer}");
    }
}

/// Parsed by Python's XML reader, which counts what the report says that it has.
const JUNIT: &str = r#"
import sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
assert root.tag == "testsuites", root.tag
tests = failures = 0
for suite in root:
    assert suite.tag == "testsuite", suite.tag
    cases = list(suite)
    failed = [case for case in cases if case.find("failure") is not None]
    assert int(suite.get("tests")) == len(cases), suite.get("name")
    assert int(suite.get("failures")) == len(failed), suite.get("name")
    for case in cases:
        assert case.tag == "testcase" and case.get("name") and case.get("classname")
        for child in case:
            assert child.tag in ("failure", "system-out"), child.tag
    tests += len(cases)
    failures += len(failed)
assert (int(root.get("tests")), int(root.get("failures"))) == (tests, failures)
assert failures > 3
"#;

fn judge(xml: &[u8]) -> bool {
    let mut python = Command::new("python3")
        .args(["-c", JUNIT])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(xml).unwrap();
    python.wait().unwrap().success()
}

#[test]
fn junit() {
    let report = printed("junit");
    assert!(judge(&report), "{}", String::from_utf8_lossy(&report));
    let text = String::from_utf8(report).unwrap();
    assert!(!judge(text.replacen("</testcase>", "", 1).as_bytes()));
    assert!(!judge(
        text.replacen("<failure ", "<skipped ", 1).as_bytes()
    ));
}
