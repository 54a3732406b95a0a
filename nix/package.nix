# The program, with nixpkgs' Rust.
{ lib, glibc, rustPlatform }:
rustPlatform.buildRustPackage {
  pname = "nodelith";
  version = (builtins.fromTOML (builtins.readFile ../Cargo.toml)).package.version;
  # What the tests need is not at hand in a build of Nix.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.toml
      ../Cargo.lock
      ../src
      ../profiles
      ../examples
      ../docs
      ../image-templates
      ../tests
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;
  doCheck = false;
  # Linked statically, as .cargo/config.toml has it: an initrd has nothing of the store.
  RUSTFLAGS = "-C target-feature=+crt-static";
  buildInputs = [ glibc.static ];
  meta = {
    description = "Turns a short profile into an immutable Kubernetes node image";
    license = lib.licenses.asl20;
    mainProgram = "nodelith";
    platforms = lib.platforms.linux;
  };
}
