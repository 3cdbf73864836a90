package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rollcall/internal/testing/testdb"
)

// goism matches what only those who read the program can understand: types, functions,
// and texts of its libraries.
var goism = regexp.MustCompile(`\b[a-z]\w*\.[A-Z]\w*|struct field|unmarshal|\bu?int\d*\b|\d bit\b|float64|<nil>|strconv|` +
	`\bparse "|parsing|context (canceled|deadline)|0x[0-9a-f]{4}|&\{|%!|\bjson:|envar|dial tcp|unexpected EOF|` +
	`\bEOF\b|\bpq:|\bsql:|time: (invalid|unknown|missing)|url: |invalid character|goroutine|runtime|panic`)

// TestErrorsArePlain: no error of a command shows Go's types or functions, or what
// libraries say to programmers.
func TestErrorsArePlain(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	broken := filepath.Join(dir, "broken")
	if err := os.MkdirAll(broken, 0o700); err != nil {
		t.Fatal(err)
	}
	write("broken/servers.json", "{")
	write("broken/secrets.json", "{")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	empty, current := testdb.Private(t).DatabaseURL, testdb.Postgres(t)
	away := "postgres://x@127.0.0.1:1/x"
	with := func(url string, lines ...string) (all []string) {
		for _, line := range lines {
			all = append(all, line+" --database-url "+url+" --redis-url redis://127.0.0.1:1")
		}
		return all
	}
	lines := []string{
		"serve --drain-delay soon", "serve --drain-delay 5", "work --customer-pictures=maybe", "events list --limit x",
		"events list --limit 99999999999999999999", "backfill show x", "backfill start stripe --since yesterday",
		"events replay --since 2026-13-01", "token create --store s --expires soon", "migrate up --wait x", "doctor --examples x",
		"audit strip", "completion tcsh", "nonsense", "events", "events show", "--nope", "token create", "erase",
		"events send product.upserted {", "events send product.upserted []", "events send product.upserted {\"id\":1}",
		"events send purchase.recorded {\"id\":\"o\",\"amount\":\"12.50\"}", "customers list", "init --file " + dir,
		"events list --data " + broken, "dev --data " + broken, "doctor --data " + broken, "dev --data " + write("file", ""),
		"health http://127.0.0.1:1", "health nonsense", "health ://", "health http://nowhere.invalid/",
		"serve --listen nonsense", "serve --listen :99999", "serve --listen " + l.Addr().String() + " --database-url " + current +
			" --redis-url redis://127.0.0.1:1",
		"serve --redis-url nonsense", "work --redis-url http://x --database-url " + current, "serve --public-url ::",
		"serve --trusted-proxies x", "work --retain-payloads x", "work --alert-webhook-url :: --alert-webhook-secret x",
		"work --stripe-api-key x", "work --import-dir x", "config --database-url ::", "backfill start convex /nowhere.zip",
		"stripe setup --url x", "stripe setup --url https://x.example/webhooks/stripe --stripe-api-key sk_test_x " +
			"--stripe-api-base http://127.0.0.1:1",
	}
	lines = append(lines, with(away, "doctor", "rebuild", "erase --email a@x.example --yes", "stores")...)
	for _, url := range []string{away, empty, "postgres://", "nonsense", "postgres://x@nowhere.invalid/x", "postgres://x:p@127.0.0.1:x/x"} {
		lines = append(lines, with(url, "events list", "migrate status", "migrate up --wait 0s", "customers list --store s",
			"backfill list")...)
	}
	lines = append(lines, with(current, "events show 1", "events retry 1", "customers list --store s", "customers show 1 --store s",
		"customers list --store s --rule {", "customers list --store s --last-activity-after x", "backfill show 1",
		"backfill cancel 1", "backfill start courses --chunk -1", "token revoke 1", "token create --store s --expires 2020-01-01",
		"erase --email nobody --yes", "events list --status x", "events list --before -1", "backfill start convex "+write("a.zip", "PK\x03\x04nonsense"))...)
	for _, line := range lines {
		var out, log bytes.Buffer
		status := run(strings.Fields(line), &out, &log)
		said := log.String()
		if strings.HasPrefix(line, "doctor") || strings.HasPrefix(line, "config") {
			said += out.String()
		}
		if status == 0 && !strings.Contains(line, empty) {
			t.Errorf("rollcall %s: status 0", line)
		}
		for text := range strings.Lines(strings.ReplaceAll(said, ".s.PGSQL.", "socket ")) {
			if found := goism.FindString(text); found != "" {
				t.Errorf("rollcall %s\n\tsays %q:\n\t%s", line, found, text)
			}
		}
	}
}
