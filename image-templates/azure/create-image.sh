{% if scale_set is not none and ssh_key_file is none %}
{{ fail("value `ssh_key_file` is needed with `scale_set`") }}
{% endif %}
#!/bin/sh
# Makes an image version in an Azure gallery{% if scale_set is not none %}, and a scale set of it,{% endif %} of image
# {{ image.digest }}.
# usage: create-image.sh [FOLDER of the export]
set -eu
cd "${1:-.}"
{% set blob = image.short ~ ".vhd" %}
{% set all = tags|with("io.nodelith.manifest", image.digest)|pairs("name", "value") %}

if ! az sig image-definition show --resource-group {{ resource_group }} --gallery-name {{ gallery }} \
    --gallery-image-definition {{ definition }} > /dev/null 2>&1; then
    az sig image-definition create --resource-group {{ resource_group }} --location {{ location }} \
        --gallery-name {{ gallery }} --gallery-image-definition {{ definition }} \
        --publisher {{ publisher }} --offer {{ definition }} --sku {{ architecture }} \
        --os-type Linux --os-state Generalized --hyper-v-generation V2 \
        --architecture {{ architecture }}{% if security_type == "TrustedLaunch" %} --features SecurityType=TrustedLaunchSupported{% endif +%}
fi

if ! az sig image-version show --resource-group {{ resource_group }} --gallery-name {{ gallery }} \
    --gallery-image-definition {{ definition }} --gallery-image-version {{ version }} > /dev/null 2>&1; then
    printf '%s  %s\n' {{ checksum }} {{ file }} | sha256sum --check -
    az storage blob upload --account-name {{ storage_account }} --container-name {{ container }} \
        --name {{ blob }} --file {{ file }} --type page --auth-mode login --overwrite
    account=$(az storage account show --resource-group {{ resource_group }} --name {{ storage_account }} \
        --query id --output tsv)
    az sig image-version create --resource-group {{ resource_group }} --location {{ location }} \
        --gallery-name {{ gallery }} --gallery-image-definition {{ definition }} \
        --gallery-image-version {{ version }} --os-vhd-storage-account "$account" \
        --os-vhd-uri {{ "https://" ~ storage_account ~ ".blob.core.windows.net/" ~ container ~ "/" ~ blob }} \
        --tags{% for tag in all %} {{ tag.name ~ "=" ~ tag.value }}{% endfor +%}
fi
made=$(az sig image-version show --resource-group {{ resource_group }} --gallery-name {{ gallery }} \
    --gallery-image-definition {{ definition }} --gallery-image-version {{ version }} \
    --query 'tags."io.nodelith.manifest"' --output tsv)
if [ "$made" != {{ image.digest }} ]; then
    echo error: version {{ version }} of {{ definition }} is there already and is of another image >&2
    exit 1
fi
{% if scale_set is not none %}

# Making it again would set its size again.
if known=$(az vmss show --resource-group {{ resource_group }} --name {{ scale_set }} \
    --query 'tags."io.nodelith.manifest"' --output tsv 2> /dev/null); then
    if [ "$known" != {{ image.digest }} ]; then
        echo error: scale set {{ scale_set }} is there already and is of another image >&2
        exit 1
    fi
    exit
fi
image=$(az sig image-version show --resource-group {{ resource_group }} --gallery-name {{ gallery }} \
    --gallery-image-definition {{ definition }} --gallery-image-version {{ version }} --query id --output tsv)
az vmss create --resource-group {{ resource_group }} --location {{ location }} --name {{ scale_set }} \
    --image "$image" --vm-sku {{ machine_size }} --instance-count {{ instances }} \
    --orchestration-mode Uniform --upgrade-policy-mode Manual --os-disk-size-gb {{ disk_size }} \
{% if security_type == "TrustedLaunch" %}
    --security-type TrustedLaunch \
{% endif %}
    --admin-username azureuser --ssh-key-values {{ ssh_key_file }} \
{% if subnet is not none %}
    --subnet {{ subnet }} \
{% endif %}
{% if custom_data_file is not none %}
    --custom-data {{ custom_data_file }} \
{% endif %}
    --tags{% for tag in all %} {{ tag.name ~ "=" ~ tag.value }}{% endfor +%}
{% endif %}
