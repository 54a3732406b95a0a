# Writes the transfer definitions for updates from where a credential says: all of them, or none.
set -e
source=$(cat "$CREDENTIALS_DIRECTORY/nodelith.update-url")
case $source in
    *[[:cntrl:]]*) kind='' ;;
    http://* | https://*) kind=url-file ;;
    /*) kind=regular-file ;;
    *) kind='' ;;
esac
if [ -z "$kind" ]; then
    echo "the credential nodelith.update-url is not http://, https:// or an absolute path, on one line" >&2
    exit 1
fi
path=$(printf '%s\n' "$source" | sed 's/%/%%/g; s/[&|\\]/\\&/g')
new=/run/nodelith/sysupdate.new
mkdir -p "$new" /run/sysupdate.d
for file in /run/nodelith/sysupdate.d/*; do
    sed "s|^Path=https://unknown\.invalid\$|Path=$path|; s|^Type=url-file\$|Type=$kind|" "$file" >"$new/${file##*/}"
done
mv "$new"/* /run/sysupdate.d/
