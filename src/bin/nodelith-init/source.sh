# Writes the transfer definitions for updates from where a credential says.
source=$(sed 's/%/%%/g; s/[&|\\]/\\&/g' "$CREDENTIALS_DIRECTORY/nodelith.update-url")
mkdir -p /run/sysupdate.d
for file in /run/nodelith/sysupdate.d/*; do
    sed "s|^Path=https://unknown\.invalid\$|Path=$source|" "$file" >"/run/sysupdate.d/${file##*/}"
done
