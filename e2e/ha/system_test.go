package ha

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	secret     = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	adminToken = "beyond-one-machine-0123456789"
	// patience is how long a test waits for what must come. No test is about
	// how soon it does.
	patience = 2 * time.Minute
)

// system is where some processes of Rollcall have their servers.
type system struct {
	t               *testing.T
	database, redis string        // as DATABASE_URL and REDIS_URL
	pool            *pgxpool.Pool // for looking
	sent            int           // events of the story, so far
}

// newSystem looks at the database by another URL where the processes' own is a
// way with faults on it.
func newSystem(t *testing.T, database, redis, look string) *system {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), look)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &system{t: t, database: database, redis: redis, pool: pool}
}

// process is a command of rollcall that runs.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	name string
	ends chan error
	base string // where a serve listens

	mu        sync.Mutex
	lines     []string // of its log
	listening chan string
}

// command is one of rollcall's, on the system's servers.
func (s *system) command(args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+s.database, "REDIS_URL="+s.redis, "LISTEN=127.0.0.1:0",
		"LOG_FORMAT=json", "LOG_LEVEL=info",
		"ADMIN_TOKEN="+adminToken, "STRIPE_WEBHOOK_SECRETS="+secret, "CLERK_WEBHOOK_SECRETS="+secret,
		"PLATFORM_WEBHOOK_SECRETS="+secret, "DRAIN_DELAY=0")
	return cmd
}

// does runs commands that must succeed.
func (s *system) does(commands ...string) {
	s.t.Helper()
	for _, c := range commands {
		if out, err := s.command(strings.Fields(c)...).CombinedOutput(); err != nil {
			s.t.Fatalf("rollcall %s: %v\n%s", c, err, out)
		}
	}
}

// start runs a command until the test ends, and holds it to ending well then.
func (s *system) start(command string, settings ...string) *process {
	s.t.Helper()
	cmd := s.command(command)
	cmd.Env = append(cmd.Env, settings...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	p := &process{t: s.t, cmd: cmd, name: command, ends: make(chan error, 1), listening: make(chan string, 1)}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
			p.heard(scanner.Text())
		}
		p.ends <- cmd.Wait()
	}()
	s.t.Cleanup(func() {
		p.terminate()
		if s.t.Failed() {
			p.mu.Lock()
			defer p.mu.Unlock()
			s.t.Logf("the end of what %s said:\n%s", p.name, strings.Join(p.lines[max(0, len(p.lines)-40):], "\n"))
		}
	})
	return p
}

// heard keeps a line of the log, and tells where the process listens.
func (p *process) heard(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, line)
	var said struct{ Msg, URL string }
	if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "listening" {
		p.listening <- said.URL
	}
}

// terminate sends SIGTERM and wants an orderly end.
func (p *process) terminate() {
	p.t.Helper()
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM) // if it is gone already, the next lines tell
	select {
	case err := <-p.ends:
		if err != nil {
			p.t.Errorf("%s: %v", p.name, err)
		}
	case <-time.After(patience):
		p.cmd.Process.Kill()
		p.t.Errorf("%s did not end on SIGTERM", p.name)
	}
	p.cmd = nil
}

// url is where a serve listens, once it is ready.
func (p *process) url() string {
	p.t.Helper()
	select {
	case p.base = <-p.listening:
	case <-time.After(patience):
		p.t.Fatalf("%s does not listen", p.name)
	}
	wait(p.t, "/readyz", func() bool {
		answer, err := http.Get(p.base + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return p.base
}

// wait polls until something has come true.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick, end := time.Tick(20*time.Millisecond), time.After(patience)
	for !done() {
		select {
		case <-tick:
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// until waits for a condition on the rows, through outages.
func (s *system) until(what, condition string, args ...any) {
	s.t.Helper()
	wait(s.t, what, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		var yes bool
		err := s.pool.QueryRow(ctx, "SELECT "+condition, args...).Scan(&yes)
		return err == nil && yes
	})
}

// rows returns a query's rows as JSON, a line each.
func rows(t *testing.T, pool *pgxpool.Pool, sql string) string {
	t.Helper()
	found, err := pool.Query(context.Background(), `SELECT row_to_json(x)::text FROM (`+sql+`) x`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// tables are all that events come to, and their keys.
var tables = [][2]string{
	{"users", "id"}, {"stores", "id"}, {"products", "id"}, {"stripe_customers", "account, id"},
	{"enrollments", "course_id, person"},
	{"payments", "account, id"}, {"refunds", "account, id"}, {"subscriptions", "account, id"},
	{"customers", "store_id, email"},
}

// outcome is all that events came to, but for what differs from run to run:
// numbers given and times of writing.
func outcome(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	var all []string
	for _, table := range tables {
		all = append(all, table[0],
			rows(t, pool, fmt.Sprintf(`SELECT to_jsonb(f) - '{id,customer_id,created_at}'::text[] AS row FROM %s f ORDER BY %s`,
				table[0], table[1])))
	}
	return strings.Join(all, "\n")
}
