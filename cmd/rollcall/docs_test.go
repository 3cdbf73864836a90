package main

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5"

	"rollcall/internal/embedded"
	"rollcall/internal/testing/clerkfake"
	"rollcall/internal/testing/stripefake"
	"rollcall/internal/testing/testdb"
)

// The commands of the documents are run as they stand: all blocks of one document,
// in order, as one script, in a copy of this repository and with a system at work.
// testdata/docs/prelude.sh has what stands in for the machine's own programs.

// heldBy are the commands of the documents that are not run with them, by the tests
// that hold them.
var heldBy = map[string]string{
	"make demo": "TestScripts", // demo.txtar: rollcall demo
	"rollcall demo --metrics-listen 127.0.0.1:9090": "TestScripts", // watch.txtar has the flag
	"make setup": "TestMakefile",
	"make bench": "TestMakefile",
	"kubectl apply -f deploy/kubernetes/rollcall.yaml": "TestKubernetes",
	"prometheus --config.file=deploy/prometheus/prometheus.yml --storage.tsdb.path=/tmp/prometheus " +
		"--web.listen-address=127.0.0.1:9095": "TestDashboard",
}

// block is a fenced block of a document.
type block struct {
	at   string // file and line
	kind string // what stands behind the fence
	text string
}

var fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

func blocks(t *testing.T, name string) (all []block) {
	t.Helper()
	text := readFile(t, name)
	for _, m := range fence.FindAllStringSubmatchIndex(text, -1) {
		at := fmt.Sprintf("%s:%d", strings.TrimPrefix(name, "../../"), strings.Count(text[:m[0]], "\n")+2)
		all = append(all, block{at, text[m[2]:m[3]], text[m[4]:m[5]]})
	}
	return all
}

// script is what a block has to be run, "" if nothing: of a session with prompts
// and answers, what is typed.
func (b block) script(t *testing.T) string {
	t.Helper()
	prompts := regexp.MustCompile(`(?m)^\$ .*\n`).FindAllString(b.text, -1)
	switch {
	case len(prompts) > 0:
		return strings.ReplaceAll("\n"+strings.Join(prompts, ""), "\n$ ", "\n")
	case b.kind == "sh" || b.kind == "" && b.namesPrograms():
		return b.text
	case b.kind != "" && b.kind != "json" && b.kind != "text":
		t.Errorf("%s: is %s to be run?", b.at, b.kind)
	}
	return ""
}

// namesPrograms tells whether a line begins with a program that there is.
func (b block) namesPrograms() bool {
	for line := range strings.Lines(b.text) {
		if words := strings.Fields(line); len(words) > 1 {
			if _, err := exec.LookPath(words[0]); err == nil {
				return true
			}
		}
	}
	return false
}

// TestDocuments runs the commands of README.md and docs/*.md.
func TestDocuments(t *testing.T) {
	t.Parallel()
	d := newDocs(t)
	t.Run("each", func(t *testing.T) {
		for i, name := range documents(t) {
			if filepath.Base(name) == "quickstart.md" {
				continue // TestQuickstart plays it
			}
			var script strings.Builder
			for _, b := range blocks(t, name) {
				if text := b.script(t); text != "" {
					fmt.Fprintf(&script, ": %s\n%s", b.at, text)
				}
			}
			if script.Len() > 0 {
				t.Run(filepath.Base(name), func(t *testing.T) { t.Parallel(); d.run(t, i+1, script.String()) })
			}
		}
	})
	for unrun := range d.unrun {
		if slices.ContainsFunc(dockerLines(t), func(line string) bool { return strings.HasPrefix(line, unrun) }) {
			continue // TestCompose does what it says
		}
		if heldBy[unrun] == "" {
			t.Errorf("%q is not run, and no other test is known to hold it", unrun)
		}
	}
	for unrun, test := range heldBy {
		if !d.unrun[unrun] {
			t.Errorf("%q, held by %s, is in no document", unrun, test)
		}
		if !d.tests[test] {
			t.Errorf("%q: there is no test %s", unrun, test)
		}
	}
}

// docs is what all documents have in common.
type docs struct {
	servers   *embedded.Servers
	endpoints *endpoints
	prelude   string
	tests     map[string]bool // that there are

	mu    sync.Mutex
	unrun map[string]bool
}

// newDocs starts servers. Their superuser is postgres, as where it was installed by
// a package, so that documents may have a role of their own by the name rollcall.
func newDocs(t *testing.T) *docs {
	t.Helper()
	prelude, err := filepath.Abs("testdata/docs/prelude.sh")
	if err != nil {
		t.Fatal(err)
	}
	d := &docs{servers: testdb.Private(t), endpoints: newEndpoints(t), prelude: prelude, tests: map[string]bool{},
		unrun: map[string]bool{}}
	d.exec(t, d.servers.DatabaseURL, "CREATE ROLE postgres SUPERUSER LOGIN")
	d.exec(t, d.database("postgres"), "ALTER ROLE rollcall RENAME TO first", "ALTER DATABASE rollcall RENAME TO first")
	if err := migrated(t.Context(), d.database("postgres")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(readFile(t, file), -1) {
			d.tests[m[1]] = true
		}
	}
	return d
}

// database is the URL of a database, for the superuser.
func (d *docs) database(name string) string {
	return strings.Replace(d.servers.DatabaseURL, "rollcall@/rollcall", "postgres@/"+name, 1)
}

func (d *docs) exec(t *testing.T, database string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// machine is what a document has for itself.
type machine struct {
	dir     string // what is in there:
	clone   string // a copy of the repository, where commands are run
	root    string // instead of /
	unrun   string // see unrun in the prelude
	filled  string // .env.example, filled in
	address string // instead of 127.0.0.1:8080
	env     []string
}

// differences is what rebuild says if it found any.
var differences = regexp.MustCompile(`(?m)^[1-9]\d* differences in .*`)

// run runs the commands of the nth document.
func (d *docs) run(t *testing.T, n int, script string) {
	m := newMachine(t)
	if err := m.serve(t, d, n, !strings.Contains(script, "systemctl enable")); err != nil {
		t.Fatal(err)
	}
	script = strings.NewReplacer(
		"127.0.0.1:8080", m.address,
		"/usr/local/", m.root+"/usr/local/", "/etc/", m.root+"/etc/",
		"sk_…", clerkfake.Key, "rk_…", stripefake.Key,
	).Replace(script)
	file := filepath.Join(m.dir, "script.sh")
	if err := os.WriteFile(file, []byte(". "+quote(d.prelude)+"\nset -x\n"+script), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", file)
	cmd.Dir, cmd.Env = m.clone, m.env
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if differ := differences.Find(out); differ != nil {
		t.Errorf("rebuild, which ends with 0 all the same: %s", differ)
	}
	if err != nil {
		t.Error(err)
		logs, _ := filepath.Glob(m.root + "/*.log")
		for _, log := range logs {
			t.Logf("%s:\n%s", filepath.Base(log), readFile(t, log))
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for line := range strings.Lines(readFile(t, m.unrun)) {
		d.unrun[strings.TrimSpace(line)] = true
	}
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir, address := t.TempDir(), "127.0.0.1:"+freePort(t)
	m := &machine{dir: dir, clone: dir + "/rollcall", root: dir + "/root", unrun: dir + "/unrun", filled: dir + "/filled",
		address: address}
	for _, folder := range []string{"/usr/local/bin", "/etc/systemd/system"} {
		if err := os.MkdirAll(m.root+folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(m.unrun, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := copyRepository(m.clone); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(m.clone+"/testdata/fixtures/convex/sample-snapshot.zip", m.clone+"/snapshot.zip"); err != nil {
		t.Fatal(err)
	}
	return m
}

// copyRepository copies what a clone would have.
func copyRepository(to string) error {
	from := filepath.Join("..", "..")
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case slices.Contains([]string{".git", "bin", ".env", "node_modules"}, filepath.Base(name)) && entry.IsDir():
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case !entry.Type().IsRegular() || name == ".git" || name == ".env":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o644)
	})
}

// serve finds servers and outsiders for a machine and, if it is to have one, starts
// a system there with something in it. A document that starts one itself finds all
// it needs in the file that its editor writes.
func (m *machine) serve(t *testing.T, d *docs, n int, system bool) error {
	t.Helper()
	o := newOutside(t)
	o.clerk.Add(clerkfake.NewUser("user_2Ava", "ava@example.com", time.Now()),
		clerkfake.NewUser("user_2Noah", "noah@example.com", time.Now()))
	at, err := url.Parse(d.servers.DatabaseURL)
	if err != nil {
		return err
	}
	values := o.values()
	values["STRIPE_API_BASE"] = d.stripe(t, o.stripe.URL)
	values["REDIS_URL"] = strings.Replace(strings.TrimSuffix(d.servers.RedisURL, "0"), "://:", "://default:", 1) +
		fmt.Sprint(n)
	values["DATABASE_URL"] = "postgres://rollcall:password@" + d.servers.PostgresAddr + "/rollcall"
	values["LISTEN"], values["DRAIN_DELAY"] = m.address, "0"
	fillIn(t, m.filled, values)
	m.env = append(toolchain(t), "HOME="+m.dir, "ROOT="+m.root, "UNRUN="+m.unrun, "FILLED="+m.filled, "EDITOR=fill_in",
		"PATH="+m.root+"/usr/local/bin:"+os.Getenv("PATH"),
		"PGHOST="+at.Query().Get("host"), "PGPORT="+at.Query().Get("port"), "PGUSER=postgres", "PGDATABASE=postgres")
	if !system {
		return nil
	}
	values["DATABASE_URL"] = d.database(fmt.Sprintf("doc_%d", n))
	d.exec(t, d.database("postgres"), fmt.Sprintf("CREATE DATABASE doc_%d TEMPLATE "+template, n))
	startDevOn(t, values)
	maps.DeleteFunc(values, func(name, _ string) bool { return slices.Contains(composeOnly, name) })
	for name, value := range values {
		m.env = append(m.env, name+"="+strings.Trim(value, "'"))
	}
	m.env = append(m.env, "ROLLCALL=http://"+m.address, "TOKEN="+values["ADMIN_TOKEN"], "PLATFORM_SECRET="+
		values["PLATFORM_WEBHOOK_SECRETS"])
	m.tell(t)
	return nil
}

// toolchain is what the go command needs to build as quickly as here.
func toolchain(t *testing.T) (env []string) {
	t.Helper()
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(out)))
	}
	return env
}

// stripe is a Stripe that keeps webhook endpoints beside all else.
func (d *docs) stripe(t *testing.T, rest string) string {
	t.Helper()
	to, err := url.Parse(rest)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/webhook_endpoints", d.endpoints)
	mux.Handle("/", httputil.NewSingleHostReverseProxy(to))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// startDevOn starts a dev by environment variables.
func startDevOn(t *testing.T, values map[string]string) {
	t.Helper()
	var cli commandLine
	parser := kong.Must(&cli, kong.Vars{"data": passable(t)},
		kong.Resolvers(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
			for _, name := range flag.Envs {
				if value, ok := values[name]; ok {
					return strings.Trim(value, "'"), nil
				}
			}
			return nil, nil
		})))
	if _, err := parser.Parse([]string{"dev"}); err != nil {
		t.Fatal(err)
	}
	startTestDevWith(t, cli.Settings)
}

// tell says what the documents speak of, and waits until it is known.
func (m *machine) tell(t *testing.T) {
	t.Helper()
	for _, event := range [][2]string{
		{"store.upserted", `{"id":"store_1","name":"Aurora Academy","owner_user_id":"user_2Olga"}`},
		{"product.upserted", `{"id":"course_1","store_id":"store_1","kind":"course","title":"Mixing Basics"}`},
		{"enrollment.upserted", `{"course_id":"course_1","email":"ava@example.com","user_id":"user_2Ava"}`},
		{"enrollment.upserted", `{"course_id":"course_1","email":"noah@example.com","user_id":"user_2Noah"}`},
		{"purchase.recorded",
			`{"id":"order_1","product_id":"course_1","email":"noah@example.com","user_id":"user_2Noah","amount":4900,` +
				`"currency":"usd","purchased_at":"2026-01-12T10:00:00Z"}`},
	} {
		if out, err := m.rollcall("events", "send", event[0], event[1]); err != nil {
			t.Fatalf("%v: %v\n%s", event, err, out)
		}
	}
	eventually(t, "no event is pending", func() bool {
		out, err := m.rollcall("events", "list")
		return err == nil && strings.Contains(string(out), "\n0 pending,")
	})
}

func (m *machine) rollcall(args ...string) ([]byte, error) {
	cmd := exec.Command("rollcall", args...)
	cmd.Env = m.env
	return cmd.CombinedOutput()
}
