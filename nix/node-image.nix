# An image as a derivation: an OCI layout (`out`), and its digest in a file (`digest`).
{ nodelith, system }:
let
  layer = import ./layer.nix;
  program = "${nodelith}/bin/nodelith";
  architectures = {
    x86_64-linux = "amd64";
    aarch64-linux = "arm64";
  };

  # A derivation that the program builds itself: no shell, no other tools.
  build = attributes:
    derivation (attributes // {
      inherit system;
      builder = program;
      args = [ "nix-builder" ];
      __structuredAttrs = true;
    });

  # Layers in order, each with those that it names before it, each once.
  flatten = builtins.foldl'
    (done: one: let before = flattenInto done one.layers; in
      if builtins.elem one before then before else before ++ [ one ]);
  flattenInto = done: layers: flatten done layers;

  isPath = value: builtins.isPath value || builtins.isString value;
in
{
  # The image's name, in lower case.
  name,
  # Its version, and the layout's tag.
  tag ? "1",
  # The node's architecture: `amd64` or `arm64`.
  arch ? architectures.${system} or (throw "nodeImage: say which `arch` to build for on ${system}"),
  # The rest of the profile: an attribute set, or a file that the profile extends.
  profile ? { },
  # `system.build.toplevel` of NixOS: the node's root.
  nixosSystem ? null,
  # Store paths, with all that they refer to.
  deps ? [ ],
  # A store path, or a list: what is in it is copied to `/` too.
  copyToRoot ? null,
  # Modes and owners of copied files: { path, regex, mode, uid, gid }.
  perms ? [ ],
  # The most layers for what is in none of `layers`; null: as many as the image may have.
  maxLayers ? null,
  # Layers made by `layer`, whose store paths come first.
  layers ? [ ],
  # An OCI layout or archive that the image is built upon.
  fromImage ? null,
  # Why errors that the check finds are accepted.
  acceptFindings ? null,
}:
let
  own = layer { inherit deps copyToRoot perms maxLayers; name = "image"; };
  root = layer { name = "system"; deps = [ nixosSystem ]; maxLayers = null; };
  all = flatten [ ] layers
    ++ (if nixosSystem == null then [ ] else [ root ])
    ++ [ own ];
  wanted = builtins.filter (one: one.deps != [ ] || one.copyToRoot != [ ]) all;

  closure = index:
    let one = builtins.elemAt wanted index; in {
      graph = "graph${toString index}";
      name = if one.name == null then "layer-${toString index}" else one.name;
      copy-to-root = map (path: "${path}") one.copyToRoot;
      perms = map (perm: perm // (if perm ? path then { path = "${perm.path}"; } else { })) one.perms;
      layers = one.maxLayers;
      system = nixosSystem != null && one == root;
    };
  indices = builtins.genList (index: index) (builtins.length wanted);
  graph = index:
    let one = builtins.elemAt wanted index; in {
      name = "graph${toString index}";
      value = one.deps ++ one.copyToRoot;
    };

  image = build {
    name = "image-${name}";
    outputs = [ "out" "digest" ];
    exportReferencesGraph = builtins.listToAttrs (map graph indices);
    # A layout holds what it needs; a layer's bytes may name store paths.
    unsafeDiscardReferences = { out = true; digest = true; };
    nodelith.image = {
      inherit name tag arch;
      profile = if isPath profile then { } else profile;
      profile-file = if isPath profile then "${profile}" else null;
      from-image = if fromImage == null then null else "${fromImage}";
      closures = map closure indices;
      accept-findings = acceptFindings;
    };
  };

  # `nix run` of it, or `bin/push docker://REGISTRY/NAME:TAG`, pushes the image: every
  # digest is known, so that what the registry has is not sent.
  push = build {
    name = "push";
    nodelith.push = { image = "${image}"; nodelith = program; };
  };
in
image // {
  inherit push;
  imageName = name;
  imageTag = tag;
}
