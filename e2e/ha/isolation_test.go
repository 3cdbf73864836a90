package ha

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/internal/testing/testdb"
	"rollcall/webhooks"
)

// Readers who take all they can get, exporters who do not read, clients who do
// not end their requests and strangers' large bodies, all at once, and while no
// list can be read at all: every signed webhook is accepted, and this server
// stays ready. bench/isolation.go measures how fast.
func TestNobodyHurtsTheOthers(t *testing.T) {
	t.Parallel()
	database := testdb.Postgres(t)
	s := newSystem(t, database, testdb.Redis(t), database)
	base := s.start("serve").url()
	c := &crowd{t: t, base: base, host: strings.TrimPrefix(base, "http://")}
	defer c.leave()
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), `LOCK TABLE customers IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		c.reads(fmt.Sprintf("/api/stores/store_1/stats?q=%d", i))
		c.reads("/api/stores/store_1/customers")
		c.reads("/store/store_1/customers")
	}
	for range 5 {
		c.says("GET /api/stores/store_1/customers.csv HTTP/1.1\r\nHost: rollcall\r\nAuthorization: Bearer " + adminToken +
			"\r\n\r\n")
	}
	for range 50 {
		c.says("POST /webhooks/stripe HTTP/1.1\r\nHost: roll")
	}
	half := strings.Repeat("x", 1<<19)
	for range 100 { // 50 MB
		c.says(unsigned(1<<20) + half)
		c.says("POST /webhooks/stripe HTTP/1.1\r\nHost: rollcall\r\nContent-Length: 1048576\r\n\r\n" + half)
	}
	for i := range 100 {
		c.signed(i)
	}
	if status := c.get("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d", status)
	}
}

// crowd is everybody who is at one server at a time.
type crowd struct {
	t          *testing.T
	base, host string
	conns      []net.Conn
	cancels    []context.CancelFunc
	readers    sync.WaitGroup
}

// reads asks for something and does not wait for the answer.
func (c *crowd) reads(path string) {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancels = append(c.cancels, cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	c.readers.Go(func() {
		for ctx.Err() == nil {
			if res, err := http.DefaultTransport.RoundTrip(r); err == nil {
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		}
	})
}

// says sends the start of a request, and neither ends it nor reads an answer.
func (c *crowd) says(text string) {
	conn, err := net.Dial("tcp", c.host)
	if err != nil {
		c.t.Fatal(err)
	}
	c.conns = append(c.conns, conn)
	c.readers.Go(func() { io.WriteString(conn, text) }) // fails where it is refused
}

// unsigned is the head of a delivery that only its body's signature gives away.
func unsigned(size int) string {
	var head bytes.Buffer
	webhooks.SignStripe("whsec_of_a_stranger", []byte("something else"), time.Now()).Write(&head)
	return fmt.Sprintf("POST /webhooks/stripe HTTP/1.1\r\nHost: rollcall\r\n%sContent-Length: %d\r\n\r\n", head.String(),
		size)
}

// signed sends an event that must be accepted.
func (c *crowd) signed(i int) {
	c.t.Helper()
	body := fmt.Appendf(nil, `{"id":"evt_%d","type":"thing.happened","created":%d}`, i, time.Now().Unix())
	r, err := http.NewRequest(http.MethodPost, c.base+"/webhooks/stripe", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header = webhooks.SignStripe(secret, body, time.Now())
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		c.t.Fatalf("signed event %d: %s: %s", i, res.Status, text)
	}
}

func (c *crowd) get(path string) int {
	c.t.Helper()
	res, err := http.Get(c.base + path)
	if err != nil {
		c.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func (c *crowd) leave() {
	for _, cancel := range c.cancels {
		cancel()
	}
	for _, conn := range c.conns {
		conn.Close()
	}
	c.readers.Wait()
}
