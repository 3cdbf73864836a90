package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rollcall/store/customers"
	"rollcall/webhooks"
)

// The crowd that webhooks are measured beside, all at once.
const (
	greedyReaders = 30
	greedyStores  = 3  // whose tokens they have
	deafExporters = 30 // ask for the long list and read nothing
	slowClients   = 500
	unsignedCount = 2000
	unsignedSize  = 1 << 20
)

// aimSlower is how many times as slow the slowest webhooks may get, and aimPeak
// how much memory serve may hold, in MB.
const (
	aimSlower = 10
	aimPeak   = 256
)

// isolation measures signed webhooks of `rollcall serve`, a process of its own
// with Go's memory limit as in a container of 256 MB, alone and beside the crowd.
func (s *system) isolation(ctx context.Context, r *Report, customers, events int) error {
	if err := s.fillLists(ctx, customers); err != nil {
		return err
	}
	serve, base, err := s.startServe(ctx, "GOMEMLIMIT=205MiB")
	if err != nil {
		return err
	}
	defer serve.Process.Kill()
	paced := &paced{load: newLoad(base + "/webhooks/stripe"), every: 20 * time.Millisecond}
	if _, err := paced.run(ctx, s.next(100)); err != nil { // what an idle server has forgotten
		return err
	}
	quiet, err := paced.run(ctx, s.next(events))
	if err != nil {
		return err
	}
	leave, err := s.gather(ctx, base)
	if err != nil {
		return err
	}
	crowded, err := paced.run(ctx, s.next(events))
	there := leave()
	if err != nil {
		return err
	}
	ratio := percentile(crowded, 0.99) / percentile(quiet, 0.99)
	r.add("(j) webhooks, quiet, p50", percentile(quiet, 0.50), "ms",
		fmt.Sprintf("%d signed ones, 50/s; a list of %d customers", events, customers))
	r.add("    p99", percentile(quiet, 0.99), "ms", "")
	r.add("    in the crowd, p50", percentile(crowded, 0.50), "ms", "all accepted; "+there)
	r.add("    p99", percentile(crowded, 0.99), "ms", "")
	r.add("    ratio of p99", ratio, "", fmt.Sprintf("aim: below %d", aimSlower))
	peak, err := peakMemory(serve.Process.Pid)
	if err == nil {
		r.add("    memory of serve", peak, "MB", fmt.Sprintf("at most; aim: below %d", aimPeak))
	}
	return errors.Join(err, serve.Process.Signal(syscall.SIGTERM), serve.Wait())
}

// fillLists writes three lists, the longest of which has so many customers.
func (s *system) fillLists(ctx context.Context, most int) error {
	if err := s.empty(ctx); err != nil {
		return err
	}
	for i := range greedyStores {
		if _, err := s.pool.Exec(ctx, `
			INSERT INTO customers (store_id, email, name, type, last_activity_at, first_seen_at, spent, courses)
			SELECT 'store_' || $1::int, 'buyer' || i || '@bench.example', 'Buyer ' || i, CASE WHEN i % 3 = 0 THEN 'paying' ELSE 'lead' END,
				now() - i * interval '1 min', now() - i * interval '2 min',
				CASE WHEN i % 3 = 0 THEN jsonb_build_array(jsonb_build_object('currency', 'usd', 'amount', i)) ELSE '[]' END,
				jsonb_build_array(jsonb_build_object('id', 'course_' || i % 30, 'progress', i % 100))
			FROM generate_series(1, $2::int) i`, i, most/(1+9*min(i, 1))); err != nil {
			return err
		}
	}
	if err := s.store.FoldFigures(ctx); err != nil {
		return err
	}
	_, err := s.pool.Exec(ctx, `VACUUM ANALYZE`)
	return err
}

// startServe builds the program and starts its serve.
func (s *system) startServe(ctx context.Context, settings ...string) (*exec.Cmd, string, error) {
	binary, listen, err := s.program(ctx)
	if err != nil {
		return nil, "", err
	}
	cmd := exec.CommandContext(ctx, binary, "serve")
	cmd.Env = append(append(os.Environ(), "DATABASE_URL="+s.servers.DatabaseURL, "REDIS_URL="+s.servers.RedisURL,
		"LISTEN="+listen, "DRAIN_DELAY=0",
		"STRIPE_WEBHOOK_SECRETS="+secret, "ADMIN_TOKEN="+adminToken, "LOG_LEVEL=error"), settings...)
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	return cmd, "http://" + listen, ready(ctx, "http://"+listen+"/readyz")
}

// paced sends signed events at a steady pace, whether or not those before are
// answered: who waits for a slow answer before asking again sees few of them.
type paced struct {
	load  *load
	every time.Duration
}

func (p *paced) run(ctx context.Context, requests []request) ([]time.Duration, error) {
	each, errs := make([]time.Duration, len(requests)), make([]error, len(requests))
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	var all sync.WaitGroup
	for i, r := range requests {
		all.Go(func() {
			began := time.Now()
			errs[i] = p.load.post(ctx, r)
			each[i] = time.Since(began)
		})
		<-tick.C
	}
	all.Wait()
	return each, errors.Join(errs...)
}

// gather starts the crowd, in a process that gives way to this one: on machines of
// their own they would not slow down who measures. What leave returns tells who was
// there, and what became of them.
func (s *system) gather(ctx context.Context, base string) (leave func() string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"-n", "19", self, "-crowd", base}
	for i := range greedyStores {
		made, err := customers.New(s.store).CreateToken(ctx,
			customers.NewToken{Store: fmt.Sprint("store_", i), Name: "bench"})
		if err != nil {
			return nil, err
		}
		args = append(args, made.Secret)
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "nice", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	told := new(bytes.Buffer)
	cmd.Stdout = told
	return func() string {
		cancel()
		cmd.Wait()
		return told.String()
	}, cmd.Start()
}

// crowd is everybody else, until they leave.
type crowd struct {
	ctx  context.Context
	all  sync.WaitGroup
	host string

	answered, refused, unsigned, overloaded atomic.Int64
}

// beCrowd is the crowd until ctx ends, and then tells what became of it. Each token
// is of a store whose readers are greedy.
func beCrowd(ctx context.Context, base string, tokens []string) {
	c := &crowd{ctx: ctx, host: strings.TrimPrefix(base, "http://")}
	for i, token := range tokens {
		for n := range greedyReaders / greedyStores {
			c.all.Go(func() { c.read(base, fmt.Sprint("store_", i), token, n) })
		}
	}
	for range deafExporters {
		c.stay("GET /api/stores/" + longest + "/customers.csv HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer " + adminToken + "\r\n\r\n")
	}
	for range slowClients {
		c.stay("POST /webhooks/stripe HTTP/1.1\r\nHost: be")
	}
	for range unsignedCount {
		c.all.Go(c.flood)
	}
	<-ctx.Done()
	c.all.Wait()
	fmt.Print(c)
}

// String tells who was there, and what became of them.
func (c *crowd) String() string {
	return fmt.Sprintf("%d readers (%d answers, %d refusals), %d exporters who read nothing, %d slow clients, %d "+
		"senders of unsigned bodies of 1 MiB (%d refused as unsigned, %d for memory)",
		greedyReaders, c.answered.Load(), c.refused.Load(), deafExporters, slowClients, unsignedCount, c.unsigned.Load(),
		c.overloaded.Load())
}

// read asks questions that count a whole list, one after the other.
func (c *crowd) read(base, store, token string, n int) {
	for i := 0; c.ctx.Err() == nil; i++ {
		r, err := http.NewRequestWithContext(c.ctx, http.MethodGet,
			fmt.Sprintf("%s/api/stores/%s/stats?spent_min=%d&q=e", base, store, n*1000+i), nil)
		if err != nil {
			return
		}
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			continue
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			c.answered.Add(1)
			continue
		}
		c.refused.Add(1)
	}
}

// stay sends the start of a request, or one whose answer it does not read, and
// again whenever it is cut off.
func (c *crowd) stay(text string) {
	c.all.Go(func() {
		for c.ctx.Err() == nil {
			conn, err := c.dial()
			if err != nil {
				return
			}
			_, err = io.WriteString(conn, text)
			closed := make(chan struct{})
			stop := context.AfterFunc(c.ctx, func() { conn.Close(); close(closed) })
			if err == nil && strings.HasPrefix(text, "POST") { // who is cut off comes again
				io.Copy(io.Discard, conn)
			} else {
				<-closed
			}
			stop()
			conn.Close()
		}
	})
}

func (c *crowd) dial() (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(c.ctx, "tcp", c.host)
	if err == nil {
		conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	}
	return conn, err
}

var megabyte = bytes.Repeat([]byte("x"), unsignedSize)

// flood sends one unsigned body, whose headers are as they should be.
func (c *crowd) flood() {
	r, err := http.NewRequestWithContext(c.ctx, http.MethodPost, "http://"+c.host+"/webhooks/stripe",
		bytes.NewReader(megabyte))
	if err != nil {
		return
	}
	r.Header = webhooks.SignStripe("whsec_of_a_stranger", []byte("something else"), time.Now())
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusServiceUnavailable {
		c.overloaded.Add(1)
		return
	}
	c.unsigned.Add(1)
}
