{
  description = "Immutable Kubernetes node images from short profiles and Nix closures";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forSystems = f: builtins.listToAttrs (map (name: { inherit name; value = f name; }) systems);
      functions = nodelith: system: import ./nix { inherit nodelith system; };
      package = pkgs: pkgs.callPackage ./nix/package.nix { };
    in
    {
      packages = forSystems (system: rec {
        nodelith = package nixpkgs.legacyPackages.${system};
        default = nodelith;
      });

      # nodeImage and layer, which use this package.
      lib = forSystems (system: functions self.packages.${system}.nodelith system);

      overlays.default = final: previous: {
        nodelith = package final;
        nodelithImages = functions final.nodelith final.stdenv.hostPlatform.system;
      };
    };
}
