#!/bin/sh
# Imports the disk of image {{ image.digest }} and registers an AMI; prints its id.
# usage: import-image.sh [FOLDER of the export]
set -eu
cd "${1:-.}"
{% if region is not none %}
AWS_REGION={{ region }}
export AWS_REGION
{% endif %}
{% set all = tags|with("io.nodelith.manifest", image.digest) %}
{% set key = image.short ~ "/" ~ file %}

known=$(aws ec2 describe-images --owners self --filters \
    {{ [{"Name": "name", "Values": [name]}, {"Name": "tag:io.nodelith.manifest", "Values": [image.digest]}]|json }} \
    --query 'Images[0].ImageId' --output text)
if [ "$known" != None ]; then
    echo "$known"
    exit
fi
known=$(aws ec2 describe-images --owners self --filters {{ [{"Name": "name", "Values": [name]}]|json }} \
    --query 'Images[0].ImageId' --output text)
if [ "$known" != None ]; then
    echo error: "$known" is called {{ name }} already and is of another image >&2
    exit 1
fi

printf '%s  %s\n' {{ checksum }} {{ file }} | sha256sum --check - >&2
aws s3 cp {{ file }} {{ "s3://" ~ bucket ~ "/" ~ key }} >&2
task=$(aws ec2 import-snapshot --description {{ name }} \
    --disk-container {{ {"Format": "RAW", "UserBucket": {"S3Bucket": bucket, "S3Key": key}}|json }} \
    --query ImportTaskId --output text)
aws ec2 wait snapshot-imported --import-task-ids "$task"
snapshot=$(aws ec2 describe-import-snapshot-tasks --import-task-ids "$task" \
    --query 'ImportSnapshotTasks[0].SnapshotTaskDetail.SnapshotId' --output text)
aws s3 rm {{ "s3://" ~ bucket ~ "/" ~ key }} >&2
aws ec2 create-tags --resources "$snapshot" --tags {{ all|pairs("Key", "Value")|json }}
devices=$(printf '[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "%s", "VolumeSize": %s, "VolumeType": "%s"}}]' \
    "$snapshot" {{ volume_size }} {{ volume_type }})
aws ec2 register-image --name {{ name }} --description {{ "nodelith " ~ image.digest }} \
    --architecture {{ architecture }} --boot-mode uefi --virtualization-type hvm --ena-support \
    --imds-support v2.0 --root-device-name /dev/xvda --block-device-mappings "$devices" \
    --tag-specifications {{ [{"ResourceType": "image", "Tags": all|pairs("Key", "Value")}]|json }} \
    --query ImageId --output text
