package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"rollcall/internal/embedded"
	"rollcall/internal/testing/clerkfake"
	"rollcall/internal/testing/stripefake"
	"rollcall/internal/testing/testdb"
	"rollcall/jobs"
	"rollcall/migrations"
	"rollcall/store"
)

// The commands are tested as their users run them: testdata/script/*.txtar.

func TestMain(m *testing.M) {
	testscript.Main(withServers{m}, map[string]func(){"rollcall": main})
}

// withServers runs tests that share servers.
type withServers struct{ m *testing.M }

func (w withServers) Run() int { return testdb.Run(w.m) }

// deadline is how long a script waits for anything.
const deadline = time.Minute

func TestScripts(t *testing.T) {
	servers := testdb.Private(t)
	if err := migrated(t.Context(), servers.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	outside := newOutside(t)
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		WorkdirRoot:        passable(t),
		RequireUniqueNames: true,
		Setup:              func(e *testscript.Env) error { outside.tell(e); return setup(e, servers) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"until":  until,
			"term":   term,
			"get":    request(http.MethodGet),
			"post":   request(http.MethodPost),
			"empty":  empty,
			"insert": insert,
			"sql":    sql,
			"setenv": setenv,
		},
	})
}

// outside is what Stripe and Clerk have kept, and an export of Convex, for
// scripts to read; and a session of Clerk's.
type outside struct {
	stripe       *stripefake.Server
	clerk        *clerkfake.Clerk
	export       string
	key, session string // of a creator, see newSession
}

// newOutside makes up a sale to a user, a sale to somebody else, of which part
// was given back, and an event that no webhook brought.
func newOutside(t *testing.T) *outside {
	t.Helper()
	export, err := filepath.Abs("../../testdata/fixtures/convex/sample-snapshot.zip")
	if err != nil {
		t.Fatal(err)
	}
	o := &outside{stripe: stripefake.New(t), clerk: clerkfake.New(t), export: export}
	o.key, o.session = newSession(t)
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	o.clerk.Add(clerkfake.NewUser("user_1", "ava@x.example", at),
		clerkfake.NewUser("user_2", "noah@x.example", at.Add(time.Hour)))
	for i, buyer := range []string{`"userId":"user_1",`, ""} {
		o.stripe.Add("", fmt.Sprintf(`{"id":"cus_%d","object":"customer","email":"buyer%[1]d@x.example","created":%d}`, i,
			at.Unix()),
			fmt.Sprintf(
				`{"id":"pi_%d","object":"payment_intent","amount":4900,"amount_received":4900,"currency":"usd",`+
					`"status":"succeeded","customer":"cus_%[1]d","created":%d,"metadata":{}}`, i, at.Unix()),
			fmt.Sprintf(`{"id":"cs_%d","object":"checkout.session","mode":"payment","status":"complete","payment_status":"paid",
			"amount_total":4900,"currency":"usd","payment_intent":"pi_%[1]d","customer":"cus_%[1]d",
				"customer_details":{"email":"buyer%[1]d@x.example"},"created":%[2]d,
				"metadata":{%[3]s"storeId":"s1","courseId":"p1"}}`, i, at.Unix(), buyer))
	}
	o.stripe.Add(
		"", fmt.Sprintf(
			`{"id":"ch_1","object":"charge","amount":4900,"amount_refunded":900,"currency":"usd","payment_intent":"pi_1",`+
				`"created":%d}`, at.Unix()),
		fmt.Sprintf(`{"id":"re_1","object":"refund","amount":900,"currency":"usd","charge":"ch_1","payment_intent":"pi_1",`+
			`"status":"succeeded","created":%d}`, at.Unix()+60),
		fmt.Sprintf(
			`{"id":"evt_1","object":"event","type":"customer.created","created":%d,"livemode":false,"api_version":"2023-10-16",
			"data":{"object":{"id":"cus_1","object":"customer","email":"buyer1@x.example","created":%d}}}`,
			time.Now().Unix()-7200, at.Unix()))
	return o
}

// tell gives a script the addresses and keys, under names that no command reads.
func (o *outside) tell(e *testscript.Env) {
	e.Setenv("STRIPE", o.stripe.URL)
	e.Setenv("STRIPE_KEY", stripefake.Key)
	e.Setenv("CLERK", o.clerk.URL)
	e.Setenv("CLERK_KEY", clerkfake.Key)
	e.Setenv("EXPORT", o.export)
	e.Setenv("SESSION_KEY", strings.ReplaceAll(o.key, "\n", `\n`))
	e.Setenv("SESSION", o.session)
}

// passable is a temporary folder through which the account that runs Postgres
// can reach what is below, as t.TempDir's is not.
func passable(t *testing.T) string {
	dir, err := os.MkdirTemp("", "rollcall-scripts-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// template has the schema, and nothing in it: the databases of scripts begin as it.
const template = "template"

// migrated makes it, on the servers of a database.
func migrated(ctx context.Context, database string) error {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+template); err != nil {
		return err
	}
	at, err := url.Parse(database)
	if err != nil {
		return err
	}
	at.Path = "/" + template
	_, err = migrations.Up(ctx, at.String())
	return err
}

var scripts atomic.Int64

// setup gives a script servers of its own, under names that no command reads:
// it says itself which it wants. $POSTGRES has the schema. Nobody listens on $FREE and $FREE2.
func setup(e *testscript.Env, servers *embedded.Servers) error {
	n := scripts.Add(1)
	database, err := url.Parse(servers.DatabaseURL)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("script_%d", n)
	conn, err := pgx.Connect(context.Background(), servers.DatabaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		return err
	}
	for _, variable := range []string{"FREE", "FREE2"} {
		free, err := freeAddress()
		if err != nil {
			return err
		}
		e.Setenv(variable, free)
	}
	database.Path = "/" + name
	e.Setenv("POSTGRES", database.String())
	e.Setenv("REDIS", strings.TrimSuffix(servers.RedisURL, "0")+strconv.FormatInt(n, 10))
	e.Setenv("DRAIN_DELAY", "0") // no balancer has to notice
	e.Setenv("HOME", e.WorkDir+"/home")
	return nil
}

// freeAddress is one that stays free until a script takes it. Ports that the
// system hands out (32768 and up, to every connection and to whoever asks for
// port 0) do not: other tests take them meanwhile.
func freeAddress() (string, error) {
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(20000+rand.IntN(12768)))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", errors.New("no free port below 32768")
}

// exits runs a command that must end with a certain status: exits 2 rollcall …
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("status %d, want %d", got, want)
	}
}

// until runs a command again and again until it succeeds, and says so:
// until PATTERN rollcall … also wants the text in its output.
func until(ts *testscript.TestScript, _ bool, args []string) {
	wait(ts, strings.Join(args, " "), func() bool {
		return ts.Exec(args[1], args[2:]...) == nil && strings.Contains(ts.ReadFile("stdout"), args[0])
	})
}

// wait polls until done, for deadline at most.
func wait(ts *testscript.TestScript, what string, done func() bool) {
	tick, end := time.Tick(100*time.Millisecond), time.After(deadline)
	for !done() {
		select {
		case <-tick:
		case <-end:
			ts.Fatalf("not within %v: %s", deadline, what)
		}
	}
}

// term sends SIGTERM to all commands in the background.
func term(ts *testscript.TestScript, _ bool, _ []string) {
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(syscall.SIGTERM))
	}
}

// request asks for a URL until it is answered with a status: get 200 http://…
// A token may follow.
func request(method string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		req, err := http.NewRequest(method, args[1], nil)
		ts.Check(err)
		if len(args) > 2 {
			req.Header.Set("Authorization", "Bearer "+args[2])
		}
		last := "nothing"
		wait(ts, strings.Join(args, " "), func() bool {
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return false
			}
			resp.Body.Close()
			if got := strconv.Itoa(resp.StatusCode); got != last {
				ts.Logf("%s %s: %s", method, args[1], got)
				last = got
			}
			return last == args[0]
		})
	}
}

// empty takes the schema away from $POSTGRES.
func empty(ts *testscript.TestScript, _ bool, _ []string) {
	sql(ts, false, []string{`DROP SCHEMA public CASCADE; CREATE SCHEMA public`})
}

// insert puts a file into the inbox and asks for it to be applied, as a
// receiver would: insert SOURCE EVENT_ID TYPE FILE.
func insert(ts *testscript.TestScript, _ bool, args []string) {
	s, err := store.Open(context.Background(), ts.Getenv("POSTGRES"), store.Options{})
	ts.Check(err)
	defer s.Close()
	in, err := s.InsertEvents(context.Background(), []store.NewEvent{{
		Source: args[0], EventID: args[1], Type: args[2], OccurredAt: time.Now(), Payload: []byte(ts.ReadFile(args[3])),
	}})
	ts.Check(err)
	redis, err := jobs.ParseRedis(ts.Getenv("REDIS"))
	ts.Check(err)
	client := jobs.NewClient(redis)
	defer client.Close()
	ts.Check(client.EnqueueEvent(context.Background(), args[0], in[0].ID, ""))
}

// sql runs a statement on the script's database.
func sql(ts *testscript.TestScript, _ bool, args []string) {
	conn, err := pgx.Connect(context.Background(), ts.Getenv("POSTGRES"))
	ts.Check(err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(context.Background(), args[0])
	ts.Check(err)
}

// setenv sets a variable to what is in a file: setenv NAME FILE.
func setenv(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}
