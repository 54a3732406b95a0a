# A layer of a node image: store paths that get layers of their own. What is in one
# of `layers`, or in a layer before this one in an image, is not in it again.
{
  # Its name, in lower case: part of its layers' names. Needed once an image has
  # several of the same kind only to tell them apart.
  name ? null,
  # Store paths, with all that they refer to.
  deps ? [ ],
  # A store path, or a list: what is in it is copied to `/` too.
  copyToRoot ? null,
  # Modes and owners of copied files: { path, regex, mode, uid, gid }.
  perms ? [ ],
  # The most layers that it may have.
  maxLayers ? 1,
  # Layers that come before it.
  layers ? [ ],
}:
{
  _type = "nodelith-layer";
  inherit name deps perms maxLayers layers;
  copyToRoot =
    if copyToRoot == null then [ ]
    else if builtins.isList copyToRoot then copyToRoot
    else [ copyToRoot ];
}
