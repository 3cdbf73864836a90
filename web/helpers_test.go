package web

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/browser"
	"rollcall/internal/testing/prose"
	"rollcall/internal/testing/testdb"
	"rollcall/jobs"
	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/web/access"
	"rollcall/web/core"
)

func TestMain(m *testing.M) { testdb.Main(browser.Around(m)) }

const token = "the admin's token"

// now is the time at the sites of the tests.
var now = time.Date(2026, 1, 12, 10, 0, 0, 0, time.UTC)

// site is a Site on a real network, Postgres and Redis.
type site struct {
	*Server
	url      string
	database string
	log      *syncBuffer
	told     int           // events so far, see hear
	cookie   string        // of an operator's session, where a test has one
	clock    *atomic.Int64 // how far the site's time has gone, where a test says so
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// open starts a site on a database of its own; config may change what it is made of.
func open(t testing.TB, config func(*core.Config)) *site {
	t.Helper()
	return openOn(t, testdb.Postgres(t), testdb.Redis(t), config)
}

func openOn(t testing.TB, database, redis string, config func(*core.Config)) *site {
	t.Helper()
	opt, err := jobs.ParseRedis(redis)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), database, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := &site{database: database, log: &syncBuffer{}}
	cfg := core.Config{Store: db, Redis: opt, AdminToken: token, Version: "v1", ImportDir: "/exports",
		Scrapes: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "figures") }),
		Now:     func() time.Time { return now },
		Log: slog.New(
			slog.NewJSONHandler(x.log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: pg.PlainErrors}))}
	if config != nil {
		config(&cfg)
	}
	if x.Server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(x)
	x.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := x.Close(); err != nil {
			t.Error(err)
		}
		db.Close()
	})
	return x
}

func (x *site) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), x.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// wantCount checks what a statement that counts returns.
func (x *site) wantCount(t testing.TB, sql string, want int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), x.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var got int
	if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil || got != want {
		t.Errorf("%s: %d, want %d (%v)", sql, got, want, err)
	}
}

// fill adds two stores with a customer each, and one event of each status.
func (x *site) fill(t testing.TB) {
	t.Helper()
	x.exec(t, `INSERT INTO stores (id, name, version) VALUES ('store_a', 'Ada''s <b>beats</b>', 'v')`)
	x.exec(t, `INSERT INTO customers (store_id, email) VALUES ('store_a', 'a@example.com'), ('store_b', 'b@example.com')`)
	x.exec(t, fillEventsSQL)
}

const fillEventsSQL = `
		INSERT INTO webhook_events (source, event_id, type, occurred_at, payload, status, processed_at, last_error)
		VALUES
			('stripe',   'evt_1', 'charge.refunded',  '2026-01-01', '{"a": "<&>"}', 'pending',   NULL,         NULL),
			('clerk',    'msg_1', 'user.created',     '2026-01-02', '{}',           'processed', '2026-01-02', NULL),
			('clerk',    'msg_2', 'user.created',     '2026-01-02', '{}',           'processed', '2026-01-02', NULL),
			('platform', 'p_1',   'store.upserted',   '2026-01-03', '{}',           'ignored',   '2026-01-03', 'unknown'),
			('platform', 'p_2',   'product.upserted', '2026-01-03', '{}',           'failed',    NULL,         'why')`

// as makes a request in the name of somebody.
type as func(*http.Request)

func stranger(*http.Request) {}

func withBearer(token string) as {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func withBasic(password string) as {
	return func(r *http.Request) { r.SetBasicAuth("anybody", password) }
}

func withCookie(value string) as {
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: access.SessionCookie, Value: value}) }
}

func withHeader(name, value string) as {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// answer is what came back.
type answer struct {
	*http.Response
	text string
}

// send sends a request and follows no redirect. A body is a form. Whatever the
// API answers must be as openapi.json describes it.
func (x *site) send(t testing.TB, method, path, body string, who ...as) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, x.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, w := range who {
		w(r)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answer{res, string(text)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		if wrong := prose.FaultsOfPage(got.text); len(wrong) > 0 {
			t.Errorf("%s %s reads wrong: %q", method, path, wrong)
		}
	}
	if core.IsAPI(r) {
		if err := describedAs(r, got); err != nil {
			t.Errorf("%s %s: %d %.500s\nis not as openapi.json has it: %v", method, path, res.StatusCode, text, err)
		}
	}
	return got
}

func (x *site) get(t testing.TB, path string, who ...as) answer {
	t.Helper()
	return x.send(t, "GET", path, "", who...)
}

// code is the code of an error in our form, or empty.
func (a answer) code(t testing.TB) string {
	t.Helper()
	var said struct {
		Error *struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(a.text), &said); err != nil {
		t.Fatalf("%d: no JSON: %q", a.StatusCode, a.text)
	}
	if said.Error == nil {
		return ""
	}
	if said.Error.Code == "" || said.Error.Message == "" {
		t.Errorf("%d: an error that says nothing: %s", a.StatusCode, a.text)
	}
	return said.Error.Code
}
