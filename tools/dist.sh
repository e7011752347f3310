#!/usr/bin/env bash
# `make dist`: what a release consists of, in build/dist: the source archive, a Debian package from this system's libraries, a Homebrew
# formula that names the archive's hash, and SHA256SUMS. Needs git and dpkg-dev; lintian and ruby judge the results where they are installed.
#   tools/dist.sh BUILD    BUILD: a finished release build, for example build/release
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
version=$(cat VERSION)
out=$PWD/build/dist
rm -rf "$out"
mkdir -p "$out"
epoch=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH=$epoch

# Who answers for the packages: DEBFULLNAME and DEBEMAIL, as Debian's own tools read them.
maintainer="${DEBFULLNAME:-The Wick authors} <${DEBEMAIL:-$(git log -1 --format=%ae)}>"
homepage=${WICK_HOMEPAGE:-https://example.org/wick}

source=wick-$version.tar.gz
git archive --format=tar --prefix="wick-$version/" HEAD | gzip -9n >"$out/$source"

# --- Debian ---------------------------------------------------------------------------------------------------------------
if command -v dpkg-deb >/dev/null && command -v dpkg-shlibdeps >/dev/null; then
    arch=$(dpkg --print-architecture)
    work=$out/deb
    root=$work/debian/wick
    mkdir -p "$root/DEBIAN"
    cmake --install "$build" --prefix "$work/stage" >/dev/null
    mkdir -p "$root/usr/bin" "$root/usr/share/doc/wick/examples" "$root/usr/share/zsh/vendor-completions"
    install -m 755 "$work/stage/bin/wick" "$root/usr/bin/wick"
    strip --strip-unneeded --remove-section=.comment --remove-section=.note "$root/usr/bin/wick"
    for d in man bash-completion fish wick; do
        [ -d "$work/stage/share/$d" ] && cp -r "$work/stage/share/$d" "$root/usr/share/"
    done
    [ -f "$work/stage/share/zsh/site-functions/_wick" ] && cp "$work/stage/share/zsh/site-functions/_wick" "$root/usr/share/zsh/vendor-completions/"
    find "$root/usr/share/man" -type f -exec gzip -9n {} +
    cp deploy/wick.service "$root/usr/share/doc/wick/examples/"
    {
        printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: wick\n\nFiles: *\nCopyright: %s\nLicense: Expat\n' \
            "$(sed -n 's/^Copyright (c) //p' LICENSE)"
        sed -n '/^Permission is/,$p' LICENSE | sed 's/^$/./; s/^/ /'
    } >"$root/usr/share/doc/wick/copyright"
    printf 'wick (%s) unstable; urgency=medium\n\n  * See the commits of this version.\n\n -- %s  %s\n' "$version" "$maintainer" \
        "$(date -u -R -d "@$epoch")" | gzip -9n >"$root/usr/share/doc/wick/changelog.gz"
    mkdir -p "$root/usr/share/lintian/overrides"
    printf '# The path is data: wick sh warns of commands that touch it.\nwick: uses-dpkg-database-directly [usr/bin/wick]\n' \
        >"$root/usr/share/lintian/overrides/wick"
    printf 'Source: wick\n\nPackage: wick\nArchitecture: any\n' >"$work/debian/control"
    depends=$(cd "$work" && dpkg-shlibdeps -O debian/wick/usr/bin/wick 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
    chmod -R u=rwX,go=rX "$root"
    cat >"$root/DEBIAN/control" <<CONTROL
Package: wick
Version: $version
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $(du -k -s "$root/usr" | cut -f1)
Depends: $depends, ca-certificates
Section: science
Priority: optional
Description: run language models on this machine
 Runs the language models that people already have (GGUF, MLX and Hugging
 Face safetensors, NPZ) on the processor, as a program, as a chat and as a
 server that speaks OpenAI's API. Downloads models by name. A small model is
 part of the package.
CONTROL
    (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
    find "$root" -exec touch -h -d "@$epoch" {} +
    dpkg-deb --root-owner-group -Zxz --build "$root" "$out/wick_${version}_$arch.deb" >/dev/null
    rm -rf "$work"
    if command -v lintian >/dev/null; then
        lintian --allow-root --fail-on error,warning "$out/wick_${version}_$arch.deb"
    fi
fi

# --- Homebrew -------------------------------------------------------------------------------------------------------------
cat >"$out/wick.rb" <<FORMULA
class Wick < Formula
  desc "Run language models on this machine"
  homepage "$homepage"
  url "$homepage/wick-$version.tar.gz"
  sha256 "$(sha256sum "$out/$source" | cut -d' ' -f1)"
  license "MIT"

  depends_on "cmake" => :build
  depends_on "ninja" => :build
  depends_on "pkgconf" => :build
  depends_on "jansson"
  depends_on "libmicrohttpd"
  depends_on "libyaml"
  depends_on "nettle"
  depends_on "pcre2"
  depends_on "utf8proc"

  def install
    system "cmake", "-S", ".", "-B", "build", "-G", "Ninja", "-DWICK_TESTS=OFF", *std_cmake_args
    system "cmake", "--build", "build"
    system "cmake", "--install", "build"
  end

  test do
    assert_match "\"cmd\"", shell_output("#{bin}/wick run wick-shell 'list all files' --temp 0")
  end
end
FORMULA
if command -v ruby >/dev/null; then ruby -c "$out/wick.rb" >/dev/null; fi

(cd "$out" && sha256sum ./*.tar.gz ./*.deb ./*.rb 2>/dev/null | sed 's# \./# #' >SHA256SUMS)
ls -l "$out"
