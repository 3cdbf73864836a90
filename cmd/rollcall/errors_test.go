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
var goism = regexp.MustCompile(`\b[a-z]\w*\.[A-Z]\w*|struct field|unmarshal|\bu?int\d*\b|\d bit\b|float64|<nil>|` +
	`strconv|\bparse "|parsing|context (canceled|deadline)|0x[0-9a-f]{4}|&\{|%!|\bjson:|envar|dial tcp|\bEOF\b|\bpq:|` +
	`\bsql:|\bredis: |failed to|unable to|cannot parse|keyword/value|missing port|time: (invalid|unknown|missing)|url: |` +
	`invalid character|goroutine|runtime|panic`)

// failing are command lines that fail without a database, or before they ask it. DIR is a
// folder, BROKEN one with a dev's files that are damaged, FILE no folder, and somebody
// listens at TAKEN. The database at CURRENT has the schema.
const failing = `
	serve --drain-delay soon
	serve --drain-delay 5
	serve --listen nonsense
	serve --listen :99999
	serve --listen TAKEN --database-url CURRENT --redis-url redis://127.0.0.1:1
	serve --redis-url nonsense
	serve --public-url ::
	serve --trusted-proxies x
	work --customer-pictures=maybe
	work --redis-url http://x --database-url CURRENT
	work --redis-url redis://x/y
	work --database-url postgres://x/y?sslmode=nonsense
	work --database-url postgres://x/y?sslmode=verify-full&sslrootcert=/nowhere
	work --retain-payloads x
	work --alert-webhook-url :: --alert-webhook-secret x
	work --stripe-api-key x
	work --import-dir x
	config --database-url ::
	dev --data BROKEN
	dev --data FILE
	doctor --data BROKEN
	doctor --examples x
	migrate up --wait x
	events
	events list --limit x
	events list --limit 99999999999999999999
	events list --data BROKEN
	events show
	events replay --since 2026-13-01
	events send product.upserted {
	events send product.upserted []
	events send product.upserted {"id":1}
	events send purchase.recorded {"id":"o","amount":"12.50"}
	events send product.upserted {"id":"p"} --to ://
	backfill show x
	backfill start stripe --since yesterday
	backfill start convex /nowhere.zip
	token create
	token create --store s --expires soon
	erase
	audit strip
	completion tcsh
	customers list
	init --file DIR
	health http://127.0.0.1:1
	health nonsense
	health ://
	health http://nowhere.invalid/
	stripe setup --url x
	stripe setup --url https://x.example/webhooks/stripe --stripe-api-key sk_test_x --stripe-api-base http://127.0.0.1:1
	nonsense
	--nope`

// failingAt are command lines that fail with any of some databases that are not usable.
const failingAt = `
	events list
	migrate status
	migrate up --wait 0s
	customers list --store s
	backfill list`

// failingAway fail as Postgres does not answer.
const failingAway = `
	doctor
	rebuild
	stores
	erase --email a@x.example --yes`

// failingCurrent fail though the database is usable: it is empty.
const failingCurrent = `
	events show 1
	events retry 1
	events list --status x
	events list --before -1
	customers list --store s
	customers list --store s --rule {
	customers list --store s --last-activity-after x
	customers show 1 --store s
	backfill show 1
	backfill cancel 1
	backfill start courses --chunk -1
	token revoke 1
	token create --store s --expires 2020-01-01
	erase --email nobody --yes`

// TestErrorsArePlain: no error of a command shows Go's types or functions, or what
// libraries say to programmers.
func TestErrorsArePlain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"broken/servers.json": "{", "broken/secrets.json": "{", "file": ""} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	current := testdb.Postgres(t)
	places := strings.NewReplacer("DIR", dir, "BROKEN", dir+"/broken", "FILE", dir+"/file", "TAKEN", taken.Addr().String(),
		"CURRENT", current)
	failsPlainly(t, places.Replace(failing), "")
	away := "postgres://x@127.0.0.1:1/x"
	failsPlainly(t, failingAway, away)
	for _, url := range []string{away, "postgres://", "nonsense", "postgres://x@nowhere.invalid/x",
		"postgres://x:p@127.0.0.1:x/x"} {
		failsPlainly(t, failingAt, url)
	}
	failsPlainly(t, failingCurrent, current)
}

// failsPlainly runs command lines, with a database if one is given.
func failsPlainly(t *testing.T, lines, database string) {
	t.Helper()
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		args := strings.Fields(line)
		if database != "" {
			args = append(args, "--database-url", database, "--redis-url", "redis://127.0.0.1:1")
		}
		var out, log bytes.Buffer
		status := run(args, &out, &log)
		if status == 0 {
			t.Errorf("rollcall %s: status 0", line)
		}
		if args[0] == "doctor" || args[0] == "config" {
			log.Write(out.Bytes())
		}
		said := strings.ReplaceAll(log.String(), ".s.PGSQL.", "socket ") // a file
		for text := range strings.Lines(said) {
			if found := goism.FindString(text); found != "" {
				t.Errorf("rollcall %s\n\tsays %q:\n\t%s", line, found, text)
			}
		}
	}
}
