{% if subnet is not none and region is none %}
{{ fail("value `region` is needed with `subnet`") }}
{% endif %}
#!/bin/sh
# Makes an image and an instance template in Google Cloud of image
# {{ image.digest }}.
# usage: create-image.sh [FOLDER of the export]
set -eu
cd "${1:-.}"
{% set object = "gs://" ~ bucket ~ "/" ~ image.short ~ "/" ~ file %}

if about=$(gcloud compute images describe {{ name }} {{ "--project=" ~ project }} \
    --format='value(description)' 2> /dev/null); then
    if [ "$about" != {{ "nodelith " ~ image.digest }} ]; then
        echo error: image {{ name }} is there already and is of another image >&2
        exit 1
    fi
else
    printf '%s  %s\n' {{ checksum }} {{ file }} | sha256sum --check -
    gcloud storage cp {{ file }} {{ object }} {{ "--project=" ~ project }}
    gcloud compute images create {{ name }} {{ "--project=" ~ project }} \
        {{ "--source-uri=" ~ object }} {{ "--family=" ~ family }} \
        {{ "--architecture=" ~ architecture }} {{ "--description=nodelith " ~ image.digest }} \
{% if labels %}
        {{ "--labels=" ~ (labels|assignments) }} \
{% endif %}
        --guest-os-features=UEFI_COMPATIBLE,GVNIC,VIRTIO_SCSI_MULTIQUEUE
    gcloud storage rm {{ object }} {{ "--project=" ~ project }}
fi
if gcloud compute instance-templates describe {{ name }} {{ "--project=" ~ project }} > /dev/null 2>&1; then
    exit
fi
gcloud compute instance-templates create {{ name }} {{ "--project=" ~ project }} \
    {{ "--image=" ~ name }} {{ "--image-project=" ~ project }} {{ "--machine-type=" ~ machine_type }} \
    {{ "--boot-disk-size=" ~ disk_size ~ "GB" }} --boot-disk-type=pd-balanced \
    {{ "--network=" ~ network }} \
{% if subnet is not none %}
    {{ "--subnet=" ~ subnet }} {{ "--region=" ~ region }} \
{% endif %}
{% if service_account is not none %}
    {{ "--service-account=" ~ service_account }} --scopes=cloud-platform \
{% endif %}
{% if user_data_file is not none %}
    {{ "--metadata-from-file=user-data=" ~ user_data_file }} \
{% endif %}
{% if labels %}
    {{ "--labels=" ~ (labels|assignments) }} \
{% endif %}
    --shielded-vtpm --shielded-integrity-monitoring
