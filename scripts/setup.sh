#!/bin/sh
# Installs what is missing, by the system's package manager:
#
#   scripts/setup.sh                        Postgres (15 or newer) and redis-server
#   scripts/setup.sh chromium prometheus …  these too, for the tests
#
# Where nothing is missing it does nothing, quickly and without a network. A
# server that a package starts by itself is left alone: Rollcall starts its own.
set -eu

oldest_postgres=15
oldest_go=1.26

fail() {
	printf 'setup: %s\n' "$*" >&2
	exit 1
}

# The places are those of internal/embedded/binaries.go.
have_postgres() {
	old_ifs=$IFS IFS=:
	set -- $PATH
	IFS=$old_ifs
	for dir in "$@" /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/lib/postgresql*/bin \
		/opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin \
		/home/linuxbrew/.linuxbrew/opt/postgresql*/bin \
		/Applications/Postgres.app/Contents/Versions/*/bin /usr/local/pgsql/bin; do
		[ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] || continue
		major=$("$dir/postgres" --version | sed 's/.*) \([0-9]*\).*/\1/') || continue
		[ "${major:-0}" -ge $oldest_postgres ] && postgres=$("$dir/postgres" --version | sed 's/.*) //') && return 0
	done
	return 1
}

have_redis() {
	command -v redis-server >/dev/null ||
		[ -x /opt/homebrew/bin/redis-server ] || [ -x /usr/local/bin/redis-server ] ||
		[ -x /home/linuxbrew/.linuxbrew/bin/redis-server ]
}

# A Chromium without windows does with half the processor what one with them does. Debian has it.
have_chromium() {
	for name in chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
		command -v $name >/dev/null && return 0
	done
	[ -d "/Applications/Google Chrome.app" ] || [ -d "/Applications/Chromium.app" ]
}

have_pgbouncer() {
	command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] ||
		[ -x /opt/homebrew/bin/pgbouncer ] || [ -x /usr/local/bin/pgbouncer ] ||
		[ -x /home/linuxbrew/.linuxbrew/bin/pgbouncer ]
}

have_node() {
	command -v node >/dev/null && command -v npm >/dev/null
}

have_prometheus() {
	command -v prometheus >/dev/null && command -v promtool >/dev/null
}

# An older go fetches the version that go.mod names by itself, unless told not to.
check_go() {
	command -v go >/dev/null || fail "go is not installed; get Go $oldest_go or newer from https://go.dev/dl/"
	version=$(go env GOVERSION) || fail "go does not run; get Go $oldest_go or newer from https://go.dev/dl/"
	minor=$(printf %s "$version" | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
	[ -z "$minor" ] || [ "$minor" -ge "${oldest_go#*.}" ] ||
		fail "$(command -v go) is $version; get Go $oldest_go or newer from https://go.dev/dl/"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		fail "no sudo here: as root, run: $*"
	fi
}

install_apt() {
	echo "setup: installing $* with apt-get"
	as_root apt-get -o DPkg::Lock::Timeout=300 update -q ||
		echo "setup: apt-get update failed; trying with the package lists there are" >&2
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "$@"
}

install_brew() {
	echo "setup: installing $* with brew"
	HOMEBREW_NO_AUTO_UPDATE=1 brew install "$@"
}

install() {
	case $manager in
	apt) install_apt "$@" ;;
	brew) install_brew "$@" ;;
	*) fail "missing: $*. Neither apt-get nor brew is here: install them with this system's package manager" ;;
	esac
}

check_go
if command -v apt-get >/dev/null; then
	manager=apt chromium=chromium
	! grep -qsx 'ID=debian' /etc/os-release || chromium=chromium-headless-shell
elif command -v brew >/dev/null; then
	manager=brew chromium=google-chrome
else
	manager=none chromium=chromium
fi

missing=
have_postgres || missing=postgresql
if ! have_redis; then
	[ $manager = brew ] && missing="$missing redis" || missing="$missing redis-server"
fi
for extra in "$@"; do
	case $extra in
	chromium) have_chromium || missing="$missing $chromium" ;;
	pgbouncer) have_pgbouncer || missing="$missing pgbouncer" ;;
	prometheus) have_prometheus || missing="$missing prometheus" ;;
	node) have_node || { [ $manager = brew ] && missing="$missing node" || missing="$missing nodejs npm"; } ;;
	curl | jq | openssl) command -v "$extra" >/dev/null || missing="$missing $extra" ;;
	*) fail "nothing is known of $extra" ;;
	esac
done
[ -z "$missing" ] || install $missing

have_postgres || fail "no Postgres $oldest_postgres or newer, even after installing; see https://www.postgresql.org/download/"
have_redis || fail "no redis-server, even after installing; see https://redis.io/docs/latest/operate/oss_and_stack/install/"
for extra in "$@"; do
	case $extra in
	chromium) have_chromium || fail "no Chromium, even after installing; install Chromium or Google Chrome" ;;
	pgbouncer) have_pgbouncer || fail "no PgBouncer, even after installing; see https://www.pgbouncer.org/install.html" ;;
	prometheus) have_prometheus || fail "no prometheus and promtool, even after installing; see https://prometheus.io/download/" ;;
	node) have_node || fail "no node and npm, even after installing; see https://nodejs.org/en/download" ;;
	*) command -v "$extra" >/dev/null || fail "no $extra, even after installing" ;;
	esac
done
[ -n "$missing" ] || printf 'Postgres %s, redis-server %s: nothing to install\n' "${postgres%% *}" \
	"$(redis-server --version 2>/dev/null | sed 's/.*v=\([^ ]*\).*/\1/')"
