package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"rollcall/internal/embedded"
)

// needsNoDatabase are the commands that do their work, or begin to, without one.
var needsNoDatabase = map[string]bool{
	"serve": true, "work": true, "health": true, "version": true, "config": true, "events send": true,
	"stripe setup": true, "init": true, "completion": true, "man": true, "settings": true,
}

// migrates are the commands that a database without the schema is no trouble for.
var migrates = map[string]bool{"dev": true, "demo": true, "migrate up": true, "migrate status": true}

// behind is what is typed behind a command; others take nothing.
var behind = map[string][]string{
	"demo":                   {"--exit"},
	"customers list":         {"--store", "s1"},
	"customers show":         {"ava@x.example", "--store", "s1"},
	"events show":            {"1"},
	"events retry":           {"--all"},
	"events dismiss":         {"--all", "--why", "wrong payload"},
	"events replay":          {"--type", "invoice.paid"},
	"backfill start stripe":  {"--account", "all"},
	"backfill start convex":  {"../../testdata/fixtures/convex/sample-snapshot.zip"},
	"backfill show":          {"1"},
	"backfill pause":         {"1"},
	"backfill resume":        {"1"},
	"backfill cancel":        {"1"},
	"erase":                  {"--email", "ava@x.example", "--yes"},
	"mail list":              {"--store", "s1"},
	"mail show":              {"1"},
	"mail resend":            {"1"},
	"mail stops list":        {"--store", "s1"},
	"mail stops add":         {"ava@x.example", "--store", "s1"},
	"mail stops lift":        {"ava@x.example", "--store", "s1"},
	"mail consents import":   {"testdata/consents.csv"},
	"mail pause":             {"--store", "s1"},
	"mail resume":            {"--store", "s1"},
	"mail campaigns":         {"--store", "s1"},
	"mail preview":           {"camp_1", "--store", "s1"},
	"mail results":           {"camp_1", "--store", "s1"},
	"token create":           {"--store", "s1"},
	"token revoke":           {"1"},
	"doctor":                 {"--email", "ava@x.example"},
	"events list":            {"--json"},
	"backfill list":          {"--json"},
	"rebuild":                {"--json"},
	"backfill start courses": {"--follow"},
}

// commands lists all, as they are typed.
func commands(t *testing.T) (all [][]string) {
	t.Helper()
	var visit func(*kong.Node)
	visit = func(n *kong.Node) {
		if n.Type == kong.CommandNode && n.Leaf() {
			words := strings.Fields(n.FullPath())[1:]
			if name := strings.Join(words, " "); !needsNoDatabase[name] {
				all = append(all, append(words, behind[name]...))
			}
		}
		for _, c := range n.Children {
			visit(c)
		}
	}
	visit(kong.Must(&commandLine{}, kong.Vars{"data": "x"}).Model.Node)
	if len(all) < 25 {
		t.Fatalf("only %d commands: %q", len(all), all)
	}
	return all
}

// Whatever database is wrong in whatever way, each command says so in one line:
// which one, what is wrong with it, and what to do.
func TestCommandsNameTheDatabaseThatIsWrong(t *testing.T) {
	h := newHospital(t)
	h.exec(t, "CREATE DATABASE nothing")
	h.exec(t, "CREATE DATABASE older")
	h.restore(t, "older", "../../testdata/upgrade/0013.sql.gz")
	tcp, err := url.Parse(h.servers.DatabaseTCPURL)
	if err != nil {
		t.Fatal(err)
	}
	tcp.User = url.UserPassword("rollcall", "hushhush")
	socket := filepath.Join(h.database.Query().Get("host"), ".s.PGSQL."+h.database.Query().Get("port"))
	for _, c := range []struct {
		name, url, says string
		schema          bool // only the schema is wrong
	}{
		{"not a URL", "hushhush", "DATABASE_URL cannot be read: " +
			"write postgres://user:password@host/database, with %XX for special characters of the password", false},
		{"no server", "postgres://u:hushhush@127.0.0.1:1/x",
			"Postgres at 127.0.0.1:1 does not answer (connection refused): start it, or correct DATABASE_URL", false},
		{"no host", "postgres://u:hushhush@nowhere.invalid/x",
			`Postgres at nowhere.invalid:5432 does not answer (there is no host "nowhere.invalid"): start it, or correct ` +
				`DATABASE_URL`, false},
		{"no socket", "postgres://u:hushhush@/x?host=/nowhere",
			"Postgres at /nowhere/.s.PGSQL.5432 does not answer (there is no such socket): start it, or correct DATABASE_URL",
			false},
		{"wrong password", tcp.String(),
			"Postgres at " + h.servers.PostgresAddr +
				` refuses the login: password authentication failed for user "rollcall": correct the user and the password in ` +
				`DATABASE_URL`, false},
		{"missing database", h.at("missing"),
			"Postgres at " + socket + ` has no database "missing": create it, or correct DATABASE_URL; then run ` +
				"`rollcall migrate up`", false},
		{"empty database", h.at("nothing"),
			`database "nothing" on Postgres at ` + socket + " has no schema of Rollcall: run `rollcall migrate up`", true},
		{"older schema", h.at("older"),
			`database "older" on Postgres at ` + socket + " lacks N migrations of this version: run `rollcall migrate up`",
			true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, args := range commands(t) {
				if !c.schema || !migrates[strings.Join(args[:min(2, len(args))], " ")] && !migrates[args[0]] {
					h.refuses(t, c.url, c.says, args)
				}
			}
			h.diagnoses(t, c.url, c.says)
		})
	}
}

var numbers = regexp.MustCompile(`lacks \d+ migrations`)

// refuses runs a command that must fail with these words, and no others.
func (h *hospital) refuses(t *testing.T, database, says string, args []string) {
	t.Helper()
	stdout, stderr, status := h.run(t, database, args...)
	stderr = strings.TrimPrefix(stderr, "Starting …\n") // says demo
	stderr = numbers.ReplaceAllString(stderr, "lacks N migrations")
	if status != exitFailed || stdout != "" || stderr != "rollcall: "+says+"\n" {
		t.Errorf("%s: status %d, stdout %q, stderr %q, want %q", strings.Join(args, " "), status, stdout, stderr, says)
	}
}

// diagnoses wants a doctor to say the same.
func (h *hospital) diagnoses(t *testing.T, database, says string) {
	t.Helper()
	stdout, stderr, status := h.run(t, database, "doctor")
	what, _, _ := strings.Cut(says, ": start it")
	if strings.Contains(says, "migrate up") && strings.Contains(says, "schema") || strings.Contains(says, "lacks") {
		what = "not applied: the checks that need the tables are left out"
	}
	if status != exitFailed || !strings.Contains(stdout, what) || strings.Contains(stdout+stderr, "SQLSTATE") ||
		strings.Contains(stdout+stderr, "hushhush") {
		t.Errorf("doctor: status %d, stderr %q, no %q in\n%s", status, stderr, what, stdout)
	}
	if strings.Contains(stdout, "check_failed") || strings.Contains(stdout, "Fix:  rollcall doctor") {
		t.Errorf("doctor: a check failed, or it offers itself:\n%s", stdout)
	}
}

// run runs a command on a database.
func (h *hospital) run(t *testing.T, database string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, "rollcall", args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "DATABASE_URL=" + database,
		"REDIS_URL=" + h.servers.RedisURL,
		"STRIPE_API_KEY=sk_test_1", "CLERK_SECRET_KEY=sk_test_1", "LISTEN=127.0.0.1:0", "LOG_LEVEL=error"}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), said.String(), cmd.ProcessState.ExitCode()
}

// restore fills a database from a dump.
func (h *hospital) restore(t *testing.T, name, dump string) {
	t.Helper()
	tool, err := embedded.PostgresTool("psql")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(dump)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), tool, "--quiet", "--no-psqlrc", "--dbname", h.at(name))
	cmd.Stdin = plain // what an older psql does not know, it passes over
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("psql: %v: %s", err, out)
	}
}

// A Redis that is away, or refuses the password, is named as well; what does not
// need it goes on.
func TestCommandsNameTheRedisThatIsWrong(t *testing.T) {
	h := newHospital(t)
	database := h.at(wardTemplate)
	refusing := strings.Replace(h.servers.RedisURL, "redis://:", "redis://:hushhush", 1)
	for _, c := range []struct{ name, url, says string }{
		{"away", "redis://:hushhush@127.0.0.1:1", "Redis at 127.0.0.1:1 does not answer (connection refused)"},
		{"wrong password", refusing, "Redis at " + h.servers.RedisAddr +
			" refuses: WRONGPASS invalid username-password pair or user is disabled."},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.exec(t, "CREATE DATABASE redis_"+c.name[:4]+" TEMPLATE "+wardTemplate)
			at := "--database-url=" + h.at("redis_"+c.name[:4])
			redis := "--redis-url=" + c.url
			stdout, stderr, status := h.run(t, database, "backfill", "start", "courses", redis, at)
			if status != 0 || !strings.HasPrefix(stdout, "Backfill 1 (courses) is queued.") ||
				stderr != c.says+": the run could not be enqueued; a worker's sweep will pick it up\n" {
				t.Errorf("backfill start: status %d, stdout %q, stderr %q", status, stdout, stderr)
			}
			stdout, stderr, status = h.run(t, database, "demo", "--exit", redis, at)
			if status != exitFailed || stdout != "" || stderr != "Starting …\nrollcall: "+c.says+
				": start it, or correct REDIS_URL\n" {
				t.Errorf("demo: status %d, stdout %q, stderr %q", status, stdout, stderr)
			}
			stdout, _, status = h.run(t, database, "doctor", redis, at)
			if status != exitFailed || !strings.Contains(stdout, c.says) || strings.Contains(stdout, "hushhush") {
				t.Errorf("doctor: status %d, no %q in\n%s", status, c.says, stdout)
			}
		})
	}
}
