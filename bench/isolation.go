package main

import (
	"bytes"
	"context"
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

// isolation measures signed webhooks of `rollcall serve`, a process of its own
// with Go's memory limit as in a container of 256 MB, alone and beside the crowd.
func (s *system) isolation(ctx context.Context, o options) {
	listed, events := min(o.customers, 200_000), min(o.events, 1000)
	s.fillMarket(ctx, listed)
	serve := s.start(ctx, "serve", "GOMEMLIMIT=205MiB")
	to := newLoad(serve.url + "/webhooks/stripe")
	paced := func(n int) []time.Duration {
		return try(to.pace(ctx, s.next(n), 20*time.Millisecond, make([]time.Time, n)))
	}
	paced(100) // what an idle server has forgotten
	quiet := paced(events)
	leave := s.gather(ctx, serve.url)
	crowded := paced(events)
	s.addTimes("(j) webhooks, quiet", quiet, 99,
		fmt.Sprintf("%d signed ones, 50/s; a list of %d customers", events, listed))
	s.addTimes("    in the crowd", crowded, 99, "all accepted; "+leave())
	s.add("    ratio of p99", percentile(crowded, 99)/percentile(quiet, 99), "×", "")
	s.add("    memory of serve", serve.end(), "MB", "at most")
}

// gather starts the crowd, in a process that gives way to this one: on machines of
// their own they would not slow down the one that measures. What leave returns tells
// who was there, and what became of them.
func (s *system) gather(ctx context.Context, base string) (leave func() string) {
	args := []string{"-n", "19", try(os.Executable()), "-crowd", base}
	for i := range greedyStores {
		token := customers.NewToken{Store: fmt.Sprint("store_", i), Name: "bench"}
		args = append(args, try(customers.New(s.store).CreateToken(ctx, token)).Secret)
	}
	cmd := exec.CommandContext(ctx, "nice", args...)
	told := new(bytes.Buffer)
	cmd.Stdout = told
	check(cmd.Start())
	s.onClose(func() error { cmd.Process.Kill(); return nil })
	return func() string {
		check(cmd.Process.Signal(syscall.SIGTERM))
		check(cmd.Wait())
		return told.String()
	}
}

// crowd is everyone else, until they leave.
type crowd struct {
	ctx  context.Context
	all  sync.WaitGroup
	base string

	answered, refused, unsigned, overloaded atomic.Int64
}

// beCrowd is the crowd until ctx ends, and then tells what became of it. Each token
// is of a store whose readers are greedy.
func beCrowd(ctx context.Context, base string, tokens []string) {
	c := &crowd{ctx: ctx, base: base}
	for i, token := range tokens {
		for n := range greedyReaders / greedyStores {
			c.all.Go(func() { c.read(fmt.Sprint("store_", i), token, n) })
		}
	}
	for range deafExporters {
		c.all.Go(func() {
			c.stay("GET " + apiPath + "/customers.csv HTTP/1.1\r\nHost: bench\r\n" +
				"Authorization: Bearer " + adminToken + "\r\n\r\n")
		})
	}
	for range slowClients {
		c.all.Go(func() { c.stay("POST /webhooks/stripe HTTP/1.1\r\nHost: be") })
	}
	for range unsignedCount {
		c.all.Go(c.flood)
	}
	<-ctx.Done()
	c.all.Wait()
	fmt.Printf("%d readers (%d answers, %d refusals), %d exporters who read nothing, %d slow clients, %d "+
		"senders of unsigned bodies of 1 MiB (%d refused as unsigned, %d for memory)",
		greedyReaders, c.answered.Load(), c.refused.Load(), deafExporters, slowClients, unsignedCount, c.unsigned.Load(),
		c.overloaded.Load())
}

// send does a request and returns the status of the answer; 0: there was none.
func (c *crowd) send(method, path string, header http.Header, body []byte) int {
	r, err := http.NewRequestWithContext(c.ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	r.Header = header
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// read asks questions that count a whole list, one after the other.
func (c *crowd) read(store, token string, n int) {
	header := http.Header{"Authorization": {"Bearer " + token}}
	for i := 0; c.ctx.Err() == nil; i++ {
		path := fmt.Sprintf("/api/stores/%s/stats?spent_min=%d&q=e", store, n*1000+i)
		switch c.send(http.MethodGet, path, header, nil) {
		case 0:
		case http.StatusOK:
			c.answered.Add(1)
		default:
			c.refused.Add(1)
		}
	}
}

// stay sends the start of a request, or one whose answer it does not read. A sender
// who is cut off comes again.
func (c *crowd) stay(text string) {
	for c.ctx.Err() == nil {
		conn, err := (&net.Dialer{}).DialContext(c.ctx, "tcp", strings.TrimPrefix(c.base, "http://"))
		if err != nil {
			return
		}
		conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		stop := context.AfterFunc(c.ctx, func() { conn.Close() })
		_, err = io.WriteString(conn, text)
		if err == nil && strings.HasPrefix(text, "POST") {
			io.Copy(io.Discard, conn)
		} else {
			<-c.ctx.Done()
		}
		stop()
		conn.Close()
	}
}

var megabyte = bytes.Repeat([]byte("x"), unsignedSize)

// flood sends one unsigned body, whose headers are as they should be.
func (c *crowd) flood() {
	header := webhooks.SignStripe("whsec_of_a_stranger", []byte("something else"), time.Now())
	switch c.send(http.MethodPost, "/webhooks/stripe", header, megabyte) {
	case 0:
	case http.StatusServiceUnavailable:
		c.overloaded.Add(1)
	default:
		c.unsigned.Add(1)
	}
}
