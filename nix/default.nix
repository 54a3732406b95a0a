# Node images and layers from closures, as pure functions of the nodelith package:
#
#   let nodelith = import ./nix { nodelith = …; };
#   in nodelith.nodeImage { name = "node"; nixosSystem = …; }
#
# Nothing here needs nixpkgs. docs/nix.md describes every argument.
{
  # The package: a derivation or a path with `bin/nodelith` in it.
  nodelith,
  # The system that builds.
  system ? nodelith.system or builtins.currentSystem,
}:
{
  nodeImage = import ./node-image.nix { inherit nodelith system; };
  layer = import ./layer.nix;
}
