package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/testdb"
	"rollcall/jobs"
	"rollcall/store"
)

func TestMain(m *testing.M) { testdb.Main(m) }

// now is the time at the receivers of the tests.
var now = time.Date(2026, 1, 12, 10, 0, 0, 0, time.UTC)

// Two secrets of each source are configured, the third is a stranger's.
var (
	stripeSecrets = []string{"whsec_stripe_first", "whsec_stripe_second", "whsec_stripe_stranger"}
	svixSecrets   = []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2Vjb25kIHNlY3JldCBvZiBzdml4",
		"whsec_c3RyYW5nZXIgc2VjcmV0IG9mIHN2aXg="}
	passwords = []string{"first-password-of-us", "second-password-of-us", "password-of-a-stranger"}
	topics    = []string{"arn:aws:sns:eu-central-1:123456789012:mail", "arn:aws:sns:us-east-1:123456789012:mail_2",
		"arn:aws:sns:eu-central-1:999999999999:mail"}
)

func secretsOf(t testing.TB) map[string][]Secret {
	t.Helper()
	all := map[string][]Secret{}
	for source, list := range map[string]string{
		Stripe:   stripeSecrets[0] + "," + stripeSecrets[1],
		Clerk:    svixSecrets[0] + "," + svixSecrets[1],
		Platform: svixSecrets[0] + "," + svixSecrets[1],
		Resend:   svixSecrets[0] + "," + svixSecrets[1],
		Postmark: passwords[0] + "," + passwords[1],
		SES:      topics[0] + "," + topics[1],
		Mailgun:  passwords[0] + "," + passwords[1],
	} {
		secrets, err := ParseSecrets(source, list)
		if err != nil {
			t.Fatal(err)
		}
		all[source] = secrets
	}
	return all
}

// bench is a receiver on a real network, Postgres and Redis.
type bench struct {
	*Receiver
	url      string
	database string
	log      *bytes.Buffer // read it after Close only
}

// open starts a receiver; config may change what it is made of.
func open(t testing.TB, database, redis string, config func(*Config)) *bench {
	t.Helper()
	opt, err := asynq.ParseRedisURI(redis)
	if err != nil {
		t.Fatal(err)
	}
	inbox, err := store.Open(t.Context(), database, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{database: database, log: new(bytes.Buffer)}
	client := jobs.NewClient(opt)
	cfg := Config{
		Store:   inbox,
		Jobs:    client,
		Secrets: secretsOf(t),
		Logger:  slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:     func() time.Time { return now },
	}
	if config != nil {
		config(&cfg)
	}
	b.Receiver = New(cfg)
	server := httptest.NewServer(b)
	b.url = server.URL
	t.Cleanup(func() {
		server.Close()
		b.Close()
		inbox.Close()
		client.Close()
	})
	return b
}

// answer is what a sender gets to see.
type answer struct {
	code   int
	what   string // accepted, duplicate or an error's code
	header http.Header
	text   string // all of the body
}

func (b *bench) send(t testing.TB, method, path string, header http.Header, body []byte) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, b.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return readAnswer(t, res)
}

func readAnswer(t testing.TB, res *http.Response) answer {
	t.Helper()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Status string
		Error  struct{ Code, Message string }
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields() // {"status"} or {"error":{"code","message"}}, nothing else
	if err := decoder.Decode(&said); err != nil || res.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d: no JSON: %q: %v", res.StatusCode, text, err)
	}
	if said.Status == "" && said.Error.Message == "" {
		t.Errorf("%d: an error without a message: %s", res.StatusCode, text)
	}
	return answer{res.StatusCode, said.Status + said.Error.Code, res.Header, string(text)}
}

// inboxRow is a row of webhook_events as the receiver leaves it.
type inboxRow struct {
	Source     string
	EventID    string
	Type       string
	Account    string
	APIVersion string
	Livemode   *bool
	OccurredAt time.Time
	Payload    string
	Status     string
}

func (b *bench) rows(t testing.TB) []inboxRow {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	found, err := conn.Query(t.Context(), `
		SELECT source, event_id, type, account, api_version, livemode, occurred_at AT TIME ZONE 'UTC', payload::text, status
		FROM webhook_events
		ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := pgx.CollectRows(found, pgx.RowToStructByPos[inboxRow])
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// exec runs SQL in the bench's database.
func (b *bench) exec(t testing.TB, sql string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.database)
	if err != nil {
		return err
	}
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), sql)
	return err
}

func (b *bench) empty(t testing.TB) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `DELETE FROM webhook_events`); err != nil {
		t.Fatal(err)
	}
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "testdata", "fixtures", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func svixHeader(t testing.TB, sign func(secret, id string, body []byte, t time.Time) (http.Header, error), secret,
	id string, body []byte, at time.Time) http.Header {
	t.Helper()
	header, err := sign(secret, id, body, at)
	if err != nil {
		t.Fatal(err)
	}
	return header
}
