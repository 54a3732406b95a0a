//! Images of one program, written by hand as OCI archives.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Writes an archive with one image, named `name`: a static program at /bin/`program`
/// and names for it beside it.
pub fn archive(to: &Path, name: &str, program: &Path, names: &[&str], command: &[&str]) {
    let file = program.file_name().unwrap().to_str().unwrap();
    let mut layer = tar::Builder::new(Vec::new());
    let content = fs::read(program).unwrap();
    append(&mut layer, &format!("bin/{file}"), &content, 0o755);
    for link in names {
        let mut header = header(0, 0o777);
        header.set_entry_type(tar::EntryType::Symlink);
        layer
            .append_link(&mut header, format!("bin/{link}"), file)
            .unwrap();
    }
    let passwd = b"root:x:0:0:root:/:/bin/sh\n";
    append(&mut layer, "etc/passwd", passwd, 0o644);
    let layer = layer.into_inner().unwrap();

    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": {"Cmd": command, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    });
    let manifest = manifest.to_string().into_bytes();
    let mut of_manifest = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    of_manifest["annotations"] = json!({
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rsplit(':').next(),
    });
    let index = json!({"schemaVersion": 2, "manifests": [of_manifest]}).to_string();

    let mut all = tar::Builder::new(Vec::new());
    append(
        &mut all,
        "oci-layout",
        br#"{"imageLayoutVersion":"1.0.0"}"#,
        0o644,
    );
    append(&mut all, "index.json", index.as_bytes(), 0o644);
    for blob in [&layer, &config, &manifest] {
        let path = format!("blobs/sha256/{}", &digest(blob)["sha256:".len()..]);
        append(&mut all, &path, blob, 0o644);
    }
    fs::write(to, all.into_inner().unwrap()).unwrap();
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(content), "size": content.len()})
}

fn digest(content: &[u8]) -> String {
    let bytes = Sha256::digest(content);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn append(to: &mut tar::Builder<Vec<u8>>, path: &str, content: &[u8], mode: u32) {
    let mut header = header(content.len(), mode);
    to.append_data(&mut header, path, content).unwrap();
}

fn header(size: usize, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size as u64);
    header.set_mode(mode);
    header
}
