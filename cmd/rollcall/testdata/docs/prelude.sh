# What the commands of the documents run in, when a test runs them: see
# docs_test.go. Each function stands in for a program where that would not end,
# would need a machine of its own, or may rightly end with another status than 0.
set -eu

# A release, as downloaded. Its program is the one that is tested.
if grep -q SHA256SUMS "$0"; then
	release=rollcall_1.2.3_linux_amd64
	mkdir "$release"
	printf '#!/bin/sh\nexec %s "$@"\n' "$(command -v rollcall)" >"$release/rollcall"
	rollcall man >"$release/rollcall.1"
	tar -czf "$release.tar.gz" "$release"
	sha256sum "$release.tar.gz" >SHA256SUMS
	rm -r "$release"
fi

# unrun notes a command that is not run here; the test knows where it is.
unrun() {
	echo "$*" >>"$UNRUN"
}

rollcall() {
	case $1 in
	dev | demo | serve | work)
		unrun rollcall "$@"
		return
		;;
	esac
	command rollcall "$@" && return
	status=$?
	case $* in
	doctor*) [ $status = 1 ] ;; # it has found something
	"backfill pause"*) [ $status = 1 ] ;; # the run has ended already
	*) return $status ;;
	esac
}

# What is refused is a failure; what was started a moment ago may not listen yet.
curl() {
	command curl -sSf --retry 60 --retry-delay 1 --retry-all-errors "$@"
}

make() {
	case $1 in
	build) command make "$@" ;;
	*) unrun make "$@" ;;
	esac
}

git() { unrun git "$@"; }
prometheus() { unrun prometheus "$@"; }
kubectl() { unrun kubectl "$@"; }
docker() { unrun docker "$@"; }

# sudo -u postgres PROGRAM: the environment makes us Postgres' superuser.
sudo() {
	shift 2
	"$@"
}

# fill_in is the editor.
fill_in() {
	sed "s/:password@/:${password-}@/" "$FILLED" >"$1"
}

# systemctl does with a unit's process what systemd would: by its ExecStart, in the
# environment of its EnvironmentFiles, without what it unsets.
systemctl() {
	verb=$1
	shift
	for unit; do
		case $unit in --now) continue ;; esac
		case $verb in stop | restart) stop_unit "$unit" ;; esac
		case $verb in start | restart | enable) start_unit "$unit" ;; esac
	done
}

start_unit() {
	case $1 in
	*@*) file=$ROOT/etc/systemd/system/${1%@*}@.service ;;
	*) file=$ROOT/etc/systemd/system/$1.service ;;
	esac
	(
		set -a
		for env in $(sed -n 's/^EnvironmentFile=-*//p' "$file" | sed "s/%N/$1/"); do
			[ ! -f "$ROOT$env" ] || . "$ROOT$env"
		done
		unset $(sed -n 's/^UnsetEnvironment=//p' "$file")
		before=$(sed -n 's/^ExecStartPre=//p' "$file")
		[ -z "$before" ] || "$ROOT"$before
		exec "$ROOT"$(sed -n 's/^ExecStart=//p' "$file")
	) >>"$ROOT/$1.log" 2>&1 &
	echo $! >"$ROOT/$1.pid"
}

# One stopped while it starts ends by the signal itself, which systemd takes for clean.
stop_unit() {
	pid=$(cat "$ROOT/$1.pid")
	kill "$pid"
	wait "$pid" || [ $? = 143 ]
	rm "$ROOT/$1.pid"
}

# No unit outlives the document.
trap 'for file in "$ROOT"/*.pid; do [ ! -f "$file" ] || kill "$(cat "$file")"; done' EXIT
