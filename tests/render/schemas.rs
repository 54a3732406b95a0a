//! The fields of other people's formats that the templates use, as JSON schemas. Each closes
//! what it knows: a field that is written wrong is a field too many.

#![expect(
    clippy::needless_pass_by_value,
    reason = "schemas are put together from schemas"
)]

use nodelith::render::{Format, Rendered};
use serde_json::{Value, json};

use crate::judges;

/// Holds the documents of a file against their schemas.
pub fn hold(file: &Rendered) {
    let documents = match file.format {
        Format::Json => vec![judges::json(&file.text)],
        Format::Yaml => judges::yaml(&file.text),
        _ => return,
    };
    for document in documents {
        let schema = of(file, &document);
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let wrong: Vec<_> = validator
            .iter_errors(&document)
            .map(|wrong| format!("{}: {wrong}", wrong.instance_path()))
            .collect();
        assert!(
            wrong.is_empty(),
            "{}: {wrong:#?}\n{}",
            file.template,
            file.text
        );
    }
}

fn of(file: &Rendered, document: &Value) -> Value {
    let kind = document["kind"].as_str().unwrap_or_default();
    match (&*file.template, &*file.name, kind) {
        ("matchbox", "profile.json", _) => closed(
            &["id", "name", "boot"],
            json!({
                "id": string(), "name": string(),
                "boot": closed(&["kernel", "initrd", "args"], json!({
                    "kernel": string(), "initrd": list(string()), "args": list(string()),
                })),
            }),
        ),
        ("matchbox", "group.json", _) => closed(
            &["id", "name", "profile", "selector", "metadata"],
            json!({
                "id": string(), "name": string(), "profile": string(),
                "selector": map(), "metadata": map(),
            }),
        ),
        ("metal3", _, "BareMetalHost") => object("metal3.io/v1alpha1", bare_metal_host()),
        ("kubeadm-join", _, "JoinConfiguration") => join_configuration(document),
        ("aws-karpenter", _, "EC2NodeClass") => object("karpenter.k8s.aws/v1", node_class()),
        ("aws-launch-template", _, _) => cloud_formation(),
        (_, _, "Metal3MachineTemplate") => object(
            "infrastructure.cluster.x-k8s.io/v1beta1",
            template(metal3_machine()),
        ),
        (_, _, "AWSMachineTemplate") => object(
            "infrastructure.cluster.x-k8s.io/v1beta2",
            template(aws_machine()),
        ),
        (_, _, "KubeadmConfigTemplate") => {
            let api = document["apiVersion"].as_str().unwrap();
            object(api, template(kubeadm_config(api)))
        }
        (_, _, "MachineDeployment") => machine_deployment(document),
        other => panic!("there is no schema for {other:?}"),
    }
}

fn string() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn map() -> Value {
    json!({"type": "object", "additionalProperties": string()})
}

/// An object with these fields and no others.
fn closed(required: &[&str], properties: Value) -> Value {
    json!({
        "type": "object", "required": required, "properties": properties,
        "additionalProperties": false,
    })
}

/// An object of Kubernetes.
fn object(api: &str, spec: Value) -> Value {
    closed(
        &["apiVersion", "kind", "metadata", "spec"],
        json!({
            "apiVersion": {"const": api}, "kind": string(), "spec": spec,
            "metadata": closed(&["name"], json!({
                "name": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"},
                "namespace": string(), "labels": map(), "annotations": map(),
            })),
        }),
    )
}

fn template(spec: Value) -> Value {
    let spec = closed(&["spec"], json!({"spec": spec}));
    closed(&["template"], json!({"template": spec}))
}

/// An image as Ironic takes it, by SHA-256.
fn disk_image() -> Value {
    closed(
        &["url", "checksum", "checksumType", "format"],
        json!({
            "url": {"type": "string", "pattern": "^https?://"},
            "checksum": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "checksumType": {"const": "sha256"},
            "format": {"enum": ["raw", "qcow2", "live-iso"]},
        }),
    )
}

fn bare_metal_host() -> Value {
    let mac = "^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$";
    closed(
        &["online", "bootMACAddress", "bmc", "image"],
        json!({
            "online": {"type": "boolean"},
            "architecture": {"enum": ["x86_64", "aarch64"]},
            "bootMACAddress": {"type": "string", "pattern": mac},
            "bootMode": {"enum": ["UEFI", "UEFISecureBoot", "legacy"]},
            "bmc": closed(&["address", "credentialsName"], json!({
                "address": string(), "credentialsName": string(),
                "disableCertificateVerification": {"type": "boolean"},
            })),
            "rootDeviceHints": closed(&[], json!({"deviceName": string()})),
            "userData": closed(&["name"], json!({"name": string(), "namespace": string()})),
            "image": disk_image(),
        }),
    )
}

fn metal3_machine() -> Value {
    closed(
        &["image"],
        json!({
            "image": disk_image(),
            "dataTemplate": closed(&["name"], json!({"name": string()})),
            "hostSelector": closed(&[], json!({"matchLabels": map()})),
        }),
    )
}

fn aws_machine() -> Value {
    closed(
        &["ami", "instanceType"],
        json!({
            "ami": closed(&["id"], json!({"id": string()})),
            "instanceType": string(), "iamInstanceProfile": string(),
            "instanceMetadataOptions": closed(&[], json!({
                "httpEndpoint": {"enum": ["enabled", "disabled"]},
                "httpTokens": {"enum": ["optional", "required"]},
                "httpPutResponseHopLimit": {"type": "integer"},
            })),
            "rootVolume": closed(&["size"], json!({
                "size": {"type": "integer", "minimum": 8}, "type": string(),
                "encrypted": {"type": "boolean"},
            })),
        }),
    )
}

/// A map of flags, or the list of pairs that later versions have.
fn arguments(pairs: bool) -> Value {
    match pairs {
        true => list(closed(
            &["name", "value"],
            json!({"name": string(), "value": string()}),
        )),
        false => map(),
    }
}

fn kubeadm_config(api: &str) -> Value {
    closed(
        &["joinConfiguration"],
        json!({"joinConfiguration": closed(&["nodeRegistration"], json!({
            "nodeRegistration": closed(&["criSocket"], json!({
                "criSocket": {"type": "string", "pattern": "^unix:///"},
                "kubeletExtraArgs": arguments(api.ends_with("v1beta2")),
            })),
        }))}),
    )
}

fn machine_deployment(document: &Value) -> Value {
    let api = document["apiVersion"].as_str().unwrap();
    // A reference is by version, and by group alone in v1beta2.
    let by = match api {
        "cluster.x-k8s.io/v1beta2" => "apiGroup",
        _ => "apiVersion",
    };
    let reference = closed(
        &[by, "kind", "name"],
        json!({by: string(), "kind": string(), "name": string()}),
    );
    let labels = closed(&["labels"], json!({"labels": map()}));
    let spec = closed(
        &["clusterName", "version", "bootstrap", "infrastructureRef"],
        json!({
            "clusterName": string(),
            "version": {"type": "string", "pattern": r"^v\d+\.\d+\.\d+$"},
            "bootstrap": closed(&["configRef"], json!({"configRef": reference})),
            "infrastructureRef": reference,
        }),
    );
    object(
        api,
        closed(
            &["clusterName", "selector", "template"],
            json!({
                "clusterName": string(), "replicas": {"type": "integer", "minimum": 0},
                "selector": closed(&["matchLabels"], json!({"matchLabels": map()})),
                "template": closed(&["metadata", "spec"], json!({
                    "metadata": labels, "spec": spec,
                })),
            }),
        ),
    )
}

fn join_configuration(document: &Value) -> Value {
    let api = document["apiVersion"].as_str().unwrap();
    let taint = closed(
        &["key", "effect"],
        json!({
            "key": string(), "value": {"type": "string"},
            "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
        }),
    );
    closed(
        &["apiVersion", "kind", "discovery", "nodeRegistration"],
        json!({
            "apiVersion": {"enum": [
                "kubeadm.k8s.io/v1beta2", "kubeadm.k8s.io/v1beta3", "kubeadm.k8s.io/v1beta4",
            ]},
            "kind": {"const": "JoinConfiguration"},
            "discovery": {"oneOf": [
                closed(&["file"], json!({
                    "file": closed(&["kubeConfigPath"], json!({"kubeConfigPath": string()})),
                })),
                closed(&["bootstrapToken"], json!({
                    "bootstrapToken": closed(
                        &["apiServerEndpoint", "token", "caCertHashes"],
                        json!({
                            "apiServerEndpoint": string(), "token": string(),
                            "caCertHashes": list(string()),
                        }),
                    ),
                })),
            ]},
            "nodeRegistration": closed(&["criSocket"], json!({
                "name": string(),
                "criSocket": {"type": "string", "pattern": "^unix:///"},
                "taints": list(taint),
                "kubeletExtraArgs": arguments(api.ends_with("v1beta4")),
            })),
        }),
    )
}

fn node_class() -> Value {
    let terms = list(closed(&["tags"], json!({"tags": map()})));
    let disk = closed(
        &["deviceName", "ebs"],
        json!({
            "deviceName": string(), "rootVolume": {"type": "boolean"},
            "ebs": closed(&["volumeSize"], json!({
                "volumeSize": {"type": "string", "pattern": "^[0-9]+Gi$"}, "volumeType": string(),
                "encrypted": {"type": "boolean"}, "deleteOnTermination": {"type": "boolean"},
            })),
        }),
    );
    closed(
        &[
            "amiFamily",
            "amiSelectorTerms",
            "role",
            "subnetSelectorTerms",
            "securityGroupSelectorTerms",
        ],
        json!({
            "amiFamily": {"const": "Custom"},
            "amiSelectorTerms": list(closed(&["tags"], json!({"owner": string(), "tags": map()}))),
            "role": string(), "subnetSelectorTerms": terms, "securityGroupSelectorTerms": terms,
            "metadataOptions": closed(&[], json!({
                "httpEndpoint": {"enum": ["enabled", "disabled"]},
                "httpTokens": {"enum": ["optional", "required"]},
                "httpPutResponseHopLimit": {"type": "integer"},
            })),
            "blockDeviceMappings": list(disk), "tags": map(), "userData": {"type": "string"},
        }),
    )
}

fn cloud_formation() -> Value {
    let tags = list(closed(
        &["Key", "Value"],
        json!({"Key": string(), "Value": string()}),
    ));
    let disk = closed(
        &["DeviceName", "Ebs"],
        json!({
            "DeviceName": string(),
            "Ebs": closed(&["VolumeSize"], json!({
                "VolumeSize": {"type": "integer"}, "VolumeType": string(),
                "Encrypted": {"type": "boolean"}, "DeleteOnTermination": {"type": "boolean"},
            })),
        }),
    );
    let data = closed(
        &["ImageId", "InstanceType", "SecurityGroupIds"],
        json!({
            "ImageId": {"type": "string", "pattern": "^ami-"}, "InstanceType": string(),
            "SecurityGroupIds": list(string()),
            "IamInstanceProfile": closed(&["Name"], json!({"Name": string()})),
            "MetadataOptions": closed(&[], json!({
                "HttpTokens": {"enum": ["optional", "required"]},
                "HttpPutResponseHopLimit": {"type": "integer"},
            })),
            "BlockDeviceMappings": list(disk),
            "TagSpecifications": list(closed(&["ResourceType", "Tags"], json!({
                "ResourceType": {"enum": ["instance", "volume"]}, "Tags": tags,
            }))),
            "UserData": closed(&["Fn::Base64"], json!({"Fn::Base64": {"type": "string"}})),
        }),
    );
    let resource = closed(
        &["Type", "Properties"],
        json!({
            "Type": {"const": "AWS::EC2::LaunchTemplate"},
            "Properties": closed(&["LaunchTemplateName", "LaunchTemplateData"], json!({
                "LaunchTemplateName": string(), "LaunchTemplateData": data,
            })),
        }),
    );
    closed(
        &["AWSTemplateFormatVersion", "Resources", "Outputs"],
        json!({
            "AWSTemplateFormatVersion": {"const": "2010-09-09"}, "Description": string(),
            "Resources": closed(&["LaunchTemplate"], json!({"LaunchTemplate": resource})),
            "Outputs": {"type": "object"},
        }),
    )
}
