package webhooks

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollcall/internal/testing/testdb"
)

// hang is a bound that only a request without an answer breaks.
const hang = 10 * time.Second

// begin sends the head of a delivery and the start of its body, and leaves the
// rest to the test.
func (b *bench) begin(t testing.TB, path string, header http.Header, length int, body string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(hang))
	var head strings.Builder
	header.Write(&head)
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: rollcall\r\n%sContent-Length: %d\r\n\r\n%s", path, head.String(), length,
		body)
	return conn
}

// finish reads the answer to what begin began.
func finish(t testing.TB, conn net.Conn) answer {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return readAnswer(t, res)
}

// forged is what a stranger can write: headers as they should be, but for the key.
func forged(at time.Time) http.Header {
	return SignStripe(stripeSecrets[2], []byte("something else"), at)
}

// What the headers alone show to be refused is refused before its body is read:
// none of it arrives here.
func TestRefusedBeforeTheBody(t *testing.T) {
	t.Parallel()
	b := open(t, testdb.Postgres(t), testdb.Redis(t), nil)
	stripe := func(value string) http.Header { return http.Header{stripeHeader: {value}} }
	svix := func(id, at, signature string) http.Header {
		return http.Header{"Svix-Id": {id}, "Svix-Timestamp": {at}, "Svix-Signature": {signature}}
	}
	fresh := strconv.FormatInt(now.Unix(), 10)
	for name, c := range map[string]struct {
		source string
		header http.Header
		length int
		status int
		code   string
	}{
		"no signature":         {Stripe, http.Header{}, 1000, 400, missingSignature},
		"no v1":                {Stripe, stripe("t=" + fresh + ",v0=00"), 1000, 400, invalidSignature},
		"no hash":              {Stripe, stripe("t=" + fresh + ",v1=abc"), 1000, 400, invalidSignature},
		"old":                  {Stripe, forged(now.Add(-time.Hour)), 1000, 400, timestampTooOld},
		"from the future":      {Stripe, forged(now.Add(time.Hour)), 1000, 400, timestampTooNew},
		"too large":            {Stripe, forged(now), 1<<20 + 1, 413, bodyTooLarge},
		"svix without headers": {Clerk, http.Header{}, 1000, 400, missingSignature},
		"svix without a hash":  {Platform, svix("msg", fresh, "v1,abc v2,x"), 1000, 400, invalidSignature},
		"svix without a number": {Platform, svix("msg", "now", "v1,"+strings.Repeat("A", 43)+"="), 1000,
			400, invalidSignature},
		"svix, old": {Clerk, svix("msg", "1", "v1,"+strings.Repeat("A", 43)+"="), 1000, 400, timestampTooOld},
	} {
		t.Run(name, func(t *testing.T) {
			got := finish(t, b.begin(t, "/webhooks/"+c.source, c.header, c.length, ""))
			if got.code != c.status || got.what != c.code {
				t.Errorf("%d %s, want %d %s", got.code, got.what, c.status, c.code)
			}
		})
	}
}

// Strangers who send large bodies, and do not end them, hold no more memory than
// the budget: they are told to come back, and signed events go through.
func TestFloodOfBodies(t *testing.T) {
	t.Parallel()
	const budget, strangers, size = 1 << 20, 200, 100_000
	b := open(t, testdb.Postgres(t), testdb.Redis(t), func(c *Config) { c.BodyBudget = budget })
	half := strings.Repeat("x", size/2)
	flood := make([]net.Conn, strangers)
	for i := range flood {
		flood[i] = b.begin(t, "/webhooks/stripe", forged(now), size, half)
		if i%4 == 0 {
			if got := b.deliver(t, fmt.Sprint("evt_", i)); got.code != 200 {
				t.Fatalf("a signed event in the flood: %+v", got)
			}
		}
	}
	cut := 0
	for _, conn := range flood[:strangers/2] { // those who have been here for longest
		got := finish(t, conn)
		if got.code != 503 || got.what != overloaded || got.header.Get("Retry-After") == "" {
			t.Errorf("%+v", got)
		}
		cut++
	}
	if held := b.budget.bytes(); held > 2*budget {
		t.Errorf("%d bytes are held after %d strangers were cut off", held, cut)
	}
	for _, conn := range flood[strangers/2:] {
		conn.Close()
	}
	if got := b.deliver(t, "evt_last"); got.code != 200 {
		t.Errorf("%+v", got)
	}
}

// A body without a length counts as it grows, and is not read beyond the limit.
func TestBodyOfUnknownLength(t *testing.T) {
	t.Parallel()
	b := open(t, testdb.Postgres(t), testdb.Redis(t), func(c *Config) { c.BodyLimit = 10_000 })
	send := func(body string) answer {
		req, err := http.NewRequestWithContext(t.Context(), "POST", b.url+"/webhooks/stripe",
			bufio.NewReader(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = SignStripe(stripeSecrets[0], []byte(body), now)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return readAnswer(t, res)
	}
	event := func(size int) string {
		start := `{"id":"evt_1","type":"thing.happened","created":1768212000,"x":"`
		return start + strings.Repeat("x", size-len(start)-2) + `"}`
	}
	if got := send(event(10_000)); got.code != 200 || len(b.rows(t)) != 1 || b.rows(t)[0].Payload != event(10_000) {
		t.Errorf("%+v", got)
	}
	if got := send(event(10_001)); got.code != 413 || got.what != bodyTooLarge {
		t.Errorf("%+v", got)
	}
	b.Close()
	if held := b.budget.bytes(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

// A sender has some seconds for a body; then it counts as torn.
func TestBodyTakesTooLong(t *testing.T) {
	t.Parallel()
	b := open(t, testdb.Postgres(t), testdb.Redis(t), func(c *Config) { c.BodyTimeout = time.Millisecond })
	if got := finish(t, b.begin(t, "/webhooks/stripe", forged(now), 1000, "{")); got.code != 400 ||
		got.what != incompleteBody {
		t.Errorf("%+v", got)
	}
}
