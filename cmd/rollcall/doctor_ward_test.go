package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"rollcall/cmd/rollcall/internal/doctor"
	"rollcall/internal/embedded"
	"rollcall/internal/show"
	"rollcall/internal/testing/clerkfake"
	"rollcall/internal/testing/stripefake"
	"rollcall/internal/testing/testdb"
	"rollcall/migrations"
	"rollcall/store"
	"rollcall/store/finding"
	"rollcall/store/status"
	"rollcall/webhooks"
)

// hospital has the servers of all wards, and the database that theirs begin as.
type hospital struct {
	servers  *embedded.Servers
	database *url.URL
	wards    atomic.Int64
}

const wardTemplate = "ward_template"

func newHospital(t *testing.T) *hospital {
	t.Helper()
	h := &hospital{servers: testdb.Private(t)}
	var err error
	if h.database, err = url.Parse(h.servers.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	h.exec(t, "CREATE DATABASE "+wardTemplate)
	if _, err := migrations.Up(t.Context(), h.at(wardTemplate)); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), h.at(wardTemplate), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Rebuild(t.Context(), "", nil); err != nil { // or workers would, and attach what ails
		t.Fatal(err)
	}
	return h
}

func (h *hospital) at(name string) string {
	u := *h.database
	u.Path = "/" + name
	return u.String()
}

func (h *hospital) exec(t *testing.T, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), h.servers.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// ward is a Rollcall whose doctor is asked: a receiver and a worker on databases
// of their own, beside fakes of Stripe and Clerk.
type ward struct {
	*testing.T
	store  *store.Store
	conn   *pgx.Conn
	clerk  *clerkfake.Clerk
	stripe *stripefake.Server
	env    map[string]string // of commands
	config Config
	stop   func() // the worker
}

// The secrets of the wards.
const (
	wardStripe = "whsec_ward_of_stripe"
	wardSvix   = "whsec_d2FyZCBvZiBzdml4IHdhcmQ="
)

// wardKey is the public key of a Clerk instance that nobody has.
const wardKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA5Ye/dDksKLULtNgGLFnN
vtpSeI4hfbeB5AulQ2jwn6QflCnJb01CuL4r7vaIKRSktdSJRC9hDwzuCSeQ1gKX
O+++M33pIuJx/pNaKRRFGwpOfbGTs64Zq4V1KuJgSCeXyHb+AVKXgKIrm1Ax9kIX
8YhNOJLtH/3JK23poYR2Vkwq180pRyjg/yHlsObzJEkXQJ3WepEeMVeAWGBm5CSh
YOBYWk5T79Op+XxfPU5GS2s7NFfhuWJKfSebc60tDC7IEhpCEwGow7ozfvF6REVv
1BZQJAk/SzD5ZnG9zfGvGFN7ewg7x9ixBDNrRbyIqpTM5tB3eoWbavHqLqlUFqoP
EQIDAQAB
-----END PUBLIC KEY-----`

// newWard makes a ward; idle ones have no worker.
func (h *hospital) newWard(t *testing.T, idle bool) *ward {
	t.Helper()
	number := h.wards.Add(1)
	name := fmt.Sprintf("ward_%d", number)
	h.exec(t, "CREATE DATABASE "+name+" TEMPLATE "+wardTemplate)
	w := &ward{T: t, clerk: clerkfake.New(t), stripe: stripefake.New(t), stop: func() {}}
	database, redis := h.at(name), fmt.Sprintf("%s%d", strings.TrimSuffix(h.servers.RedisURL, "0"), number)
	secrets, svix, token := wardStripe, wardSvix, "0123456789abcdef"
	w.config = Config{
		DatabaseURL: &database, RedisURL: &redis, Listen: ptrTo("127.0.0.1:0"), StripeMode: new("any"),
		PlatformProductTypes: "creator_plan", LogLevel: "error", LogFormat: "text",
		StripeSecrets: &secrets, ClerkSecrets: &svix, PlatformSecrets: &svix, AdminToken: &token,
		StripeAPIKey: ptrTo(stripefake.Key), StripeAPIBase: &w.stripe.URL, ClerkSecretKey: ptrTo(clerkfake.Key),
		ClerkAPIBase: &w.clerk.URL,
	}
	var err error
	if w.store, err = store.Open(t.Context(), database, store.Options{PlatformTypes: w.config.platformTypes(),
		Conns: 6}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.store.Close)
	if w.conn, err = pgx.Connect(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.conn.Close(context.Background()) })
	address := w.serve()
	w.env = map[string]string{
		"DATABASE_URL": database, "REDIS_URL": redis, "LISTEN": address, "HOME": t.TempDir(), "PATH": os.Getenv("PATH"),
		"STRIPE_WEBHOOK_SECRETS": secrets, "CLERK_WEBHOOK_SECRETS": svix, "PLATFORM_WEBHOOK_SECRETS": svix,
		"ADMIN_TOKEN":    token,
		"STRIPE_API_KEY": stripefake.Key, "STRIPE_API_BASE": w.stripe.URL, "CLERK_SECRET_KEY": clerkfake.Key,
		"CLERK_API_BASE":         w.clerk.URL,
		"PLATFORM_PRODUCT_TYPES": w.config.PlatformProductTypes, "STRIPE_MODE": *w.config.StripeMode,
	}
	if !idle {
		w.work()
	}
	return w
}

// serve receives webhooks until the test ends, and returns where.
func (w *ward) serve() string {
	w.Helper()
	e := &env{Context: w.Context(), Config: w.config}
	redis, err := e.redis()
	if err != nil {
		w.Fatal(err)
	}
	site, err := e.newSite(w.store, redis, unwatched())
	if err != nil {
		w.Fatal(err)
	}
	l, err := bind("LISTEN", "--listen", e.listen())
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- site.serve(ctx, l, 0) }()
	w.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
	return l.Addr().String()
}

// unwatched is the telemetry of processes that nobody watches.
func unwatched() *telemetry {
	return &telemetry{log: slog.New(slog.DiscardHandler), registry: prometheus.NewRegistry()}
}

// work runs a worker until the test ends, or stop.
func (w *ward) work() {
	w.Helper()
	e := &env{Context: w.Context(), Config: w.config}
	redis, err := e.redis()
	if err != nil {
		w.Fatal(err)
	}
	worker, closing, err := e.newWorker(w.store, redis, unwatched())
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()
	ended := false
	w.stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			w.Error(err)
		}
		closing()
	}
	w.Cleanup(func() { w.stop() })
}

func (w *ward) sql(statements ...string) {
	w.Helper()
	for _, statement := range statements {
		if _, err := w.conn.Exec(w.Context(), statement); err != nil {
			w.Fatalf("%s: %v", statement, err)
		}
	}
}

// settled waits until nothing of the inbox is pending.
func (w *ward) settled() {
	w.Helper()
	w.until("an empty inbox", func() bool {
		counts, err := status.New(w.store).EventCounts(w.Context())
		return err == nil && counts["pending"] == 0
	})
}

func (w *ward) until(what string, done func() bool) {
	w.Helper()
	tick, end := time.NewTicker(50*time.Millisecond), time.After(deadline)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-end:
			w.Fatalf("not within %v: %s", deadline, what)
		}
	}
}

// sh runs commands as a person would.
func (w *ward) sh(script string, more map[string]string) (stdout string, status int) {
	w.Helper()
	cmd := exec.Command("sh", "-ec", script)
	for _, vars := range []map[string]string{w.env, more} {
		for name, value := range vars {
			if value != unset {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
		}
	}
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { // of the others the last one counts
		name, _, _ := strings.Cut(v, "=")
		return more[name] == unset
	})
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	if cmd.ProcessState == nil || !cmd.ProcessState.Exited() {
		w.Fatalf("%s: %v\n%s", script, err, &log)
	}
	if cmd.ProcessState.ExitCode() != 0 && log.Len() > 0 {
		w.Logf("status %d: %s\n%s", cmd.ProcessState.ExitCode(), script, &log)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// unset is a variable that a command is to be without.
const unset = "\x00"

// redis gives the ward's Redis commands.
func (w *ward) redis(commands ...string) {
	w.Helper()
	for _, command := range commands {
		if out, _ := w.sh(show.RedisCLI+" "+command, nil); strings.TrimSpace(out) != "OK" {
			w.Fatalf("%s: %s", command, out)
		}
	}
}

// say says an event of the platform's.
func (w *ward) say(typ, data string) {
	w.Helper()
	if out, status := w.sh("rollcall events send "+typ+" "+quote(data), nil); status != 0 {
		w.Fatalf("%s %s: %s", typ, data, out)
	}
}

// deliver posts a signed webhook of a source, and returns the status.
func (w *ward) deliver(source, secret, body string) int {
	w.Helper()
	id := fmt.Sprintf("msg_%x", random(8))
	var header http.Header
	var err error
	switch source {
	case webhooks.Clerk:
		header, err = webhooks.SignClerk(secret, id, []byte(body), time.Now())
	case webhooks.Platform:
		header, err = webhooks.SignPlatform(secret, id, []byte(body), time.Now())
	default:
		header = webhooks.SignStripe(secret, []byte(body), time.Now())
	}
	if err != nil {
		w.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.Context(), http.MethodPost, "http://"+w.env["LISTEN"]+"/webhooks/"+source,
		strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	req.Header = header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return res.StatusCode
}

// examine asks the doctor, in the same shell after a script.
func (w *ward) examine(script, args string, env map[string]string) (r doctor.Report, status int) {
	w.Helper()
	if script != "" {
		script = "{\n" + script + "\n} >&2\n"
	}
	out, status := w.sh(script+"exec rollcall doctor --json "+args, env)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		w.Fatalf("doctor %s: status %d, %v: %s", args, status, err, out)
	}
	if (status != 0) != r.Weighty() || status > 1 {
		w.Errorf("doctor %s: status %d with %d problems and %d warnings", args, status, r.Count(finding.Problem),
			r.Count(finding.Warning))
	}
	return r, status
}

// finds returns the finding of a kind and subject; nil if there is none.
func finds(r doctor.Report, kind, subject string) *finding.Finding {
	for i, f := range r.Findings {
		if f.Kind == kind && f.Subject == subject {
			return &r.Findings[i]
		}
	}
	return nil
}

// names lists what was found.
func names(r doctor.Report) (names []string) {
	for _, f := range r.Findings {
		if f.Severity != finding.OK {
			names = append(names, strings.TrimSpace(f.Kind+" "+f.Subject)+": "+f.What)
		}
	}
	return names
}
