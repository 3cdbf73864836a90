#!/bin/sh
# Unpacks Postfix, and fakeroot, into a folder, without installing them: no service starts, and anyone may run them.
#
#   scripts/postfix.sh bin/postfix
set -eu

fail() {
	printf 'postfix: %s\n' "$*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

[ $# = 1 ] || fail "give the folder"
[ ! -x "$1/usr/lib/postfix/sbin/master" ] || exit 0
command -v apt-get >/dev/null || fail "this needs apt-get: it runs on Debian and Ubuntu"

# The libraries that it needs are installed: they harm no one.
libraries=$(apt-cache depends postfix | sed -n 's/^ *Depends: \(lib[^ <>]*\)$/\1/p')
for library in $libraries; do
	dpkg -s "$library" >/dev/null 2>&1 || as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -q --no-install-recommends "$library"
done
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
(cd "$packages" && apt-get -o APT::Sandbox::User=root download -q postfix fakeroot libfakeroot) ||
	fail "apt-get loads nothing: try apt-get update first"
mkdir -p "$1.part"
for package in "$packages"/*.deb; do
	dpkg -x "$package" "$1.part"
done
mv "$1.part" "$1"
