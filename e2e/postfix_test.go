//go:build postfix

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// postfixMain has the folder of its queue and logs, and the folder of its programs.
const postfixMain = `
compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
daemon_directory = %[2]s/usr/lib/postfix/sbin
command_directory = %[2]s/usr/sbin
shlib_directory = no
mail_owner = daemon
setgid_group = mail
default_privs = nobody
import_environment = MAIL_CONFIG TZ LANG=C LD_LIBRARY_PATH LD_PRELOAD FAKEROOTKEY
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example
mydestination = x.example
mynetworks =
local_recipient_maps = regexp:%[1]s/people
local_transport = discard:
alias_maps =
alias_database =
`

// postfixServices has the address to listen on.
const postfixServices = `
%s inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

// startPostfix runs Postfix from its unpacked packages (scripts/postfix.sh) until the test ends, as anyone who fakeroot
// lets pass for root. It takes mail for everyone at x.example but gone@x.example. log is what it did so far.
func startPostfix(t *testing.T) (address string, log func() string) {
	t.Helper()
	programs, err := filepath.Abs("../bin/postfix")
	if err != nil {
		t.Fatal(err)
	}
	fake, err := filepath.Glob(programs + "/usr/lib/*/libfakeroot/libfakeroot-sysv.so")
	if err != nil || len(fake) == 0 {
		t.Fatalf("no Postfix in %s: run make test-postfix", programs)
	}
	dir, address := t.TempDir(), freePort(t)
	for _, name := range []string{"conf", "data", "spool/active", "spool/bounce", "spool/corrupt", "spool/defer",
		"spool/deferred", "spool/flush", "spool/hold", "spool/incoming", "spool/private", "spool/saved", "spool/trace",
		"spool/public", "spool/maildrop", "spool/pid"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"conf/main.cf":   fmt.Sprintf(postfixMain, dir, programs),
		"conf/master.cf": fmt.Sprintf(postfixServices, address),
		"people":         "!/^gone@/ here\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	libraries := programs + "/usr/lib/postfix"
	cmd := exec.Command(programs+"/usr/bin/fakeroot-sysv", "--lib", fake[0], "--faked", programs+"/usr/bin/faked-sysv",
		"--", "sh", "-c", `chown -R daemon "$1/data" "$1/spool" && chown root "$1/spool" "$1/spool/pid" &&
			exec env LD_LIBRARY_PATH="$2" "$3/usr/lib/postfix/sbin/master" -c "$1/conf" -d`, "sh", dir, libraries, programs)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		cmd.Wait()
	})
	log = func() string {
		text, _ := os.ReadFile(filepath.Join(dir, "log"))
		return string(text)
	}
	until(t, "Postfix answers", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return address, log
}

// Whom a real Postfix does not know is a hard stop: they are not mailed again, by no store. All others get theirs, each
// once.
func TestPostfix(t *testing.T) {
	address, log := startPostfix(t)
	s, classes := mailing(t, address)
	s.due("gone@x.example", "service", "not_started", "first", "course:c1")
	s.until("all are settled", `count(*) = 0 FROM mails WHERE status IN ('due', 'sending')`)
	if got := s.rows(`SELECT status, reason FROM mails WHERE email = 'gone@x.example'`); got !=
		`[{"status":"failed","reason":"hard"}]` {
		t.Errorf("gone@x.example: %s\n%s", got, log())
	}
	if got := s.rows(`SELECT store_id, reason FROM mail_stops`); got != `[{"store_id":"","reason":"hard"}]` {
		t.Errorf("stops: %s", got)
	}
	s.exec(`INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, due_at, not_after)
		VALUES ('s1', 'gone@x.example', 'service', 'not_started', 'first', 'course:c2', 1, now(), now() + interval '1 day')`)
	s.until("the next to them is skipped", `count(*) = 1 FROM mails WHERE status = 'skipped' AND reason = 'stopped'`)
	until(t, "Postfix has delivered all", func() bool { return strings.Count(log(), "status=sent") >= len(classes) })
	if n := strings.Count(log(), "550 5.1.1"); n != 1 {
		t.Errorf("gone@x.example was tried %d times, want 1\n%s", n, log())
	}
	times := map[string]int{}
	for _, to := range regexp.MustCompile(`to=<([^>]*)>.*status=sent`).FindAllStringSubmatch(log(), -1) {
		times[to[1]]++
	}
	for to := range classes {
		if times[to] != 1 {
			t.Errorf("%s got %d mails", to, times[to])
		}
	}
}
