package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"text/tabwriter"
	"time"

	"rollcall/jobs"
	"rollcall/web"
	"rollcall/web/core"
)

// What the lists are to keep, in milliseconds, and how many times as long as the
// bare limit a page may take.
const (
	aimP50   = 50
	aimP99   = 200
	aimRatio = 2
)

// A question is asked so often, or so long, but not less often than atLeast.
const (
	often   = 200
	atLeast = 30
	howLong = 3 * time.Second
)

// adminToken opens the site of the measurements.
const adminToken = "bench-0123456789abcdef0123456789abcdef"

// Timing is how long the answers to a question took, in milliseconds.
type Timing struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	N   int     `json:"n"`
}

func newTiming(each []time.Duration) *Timing {
	return &Timing{percentile(each, 0.50), percentile(each, 0.99), len(each)}
}

func (t *Timing) missed() bool { return t != nil && (t.P50 >= aimP50 || t.P99 >= aimP99) }

// Answer is a line of the table of lists: a question, and how long the API and
// the page took to answer it; nil where it cannot be asked.
type Answer struct {
	Name string  `json:"name"`
	API  *Timing `json:"api,omitempty"`
	Page *Timing `json:"page,omitempty"`
}

// lists measures the Customers page and its API on a long list.
func (s *system) lists(ctx context.Context, r *Report, customers int) error {
	began := time.Now()
	if err := s.loadMarket(ctx, customers); err != nil {
		return err
	}
	size, err := s.marketSize(ctx)
	if err != nil {
		return err
	}
	r.add("(h) customers of one store", float64(customers), "",
		fmt.Sprintf("%s; loaded and proved in %.0f s", size, time.Since(began).Seconds()))
	a, err := s.openSite()
	if err != nil {
		return err
	}
	all, err := s.questions(ctx, a)
	if err == nil {
		err = a.askAll(ctx, r, all)
	}
	if err == nil {
		err = s.besideBarePage(ctx, r)
	}
	if err == nil {
		err = a.weigh(ctx, r)
	}
	if err == nil {
		err = s.export(ctx, r, a, customers)
	}
	return errors.Join(err, a.close())
}

// asker asks a site of ours over one kept connection, one question after the other.
type asker struct {
	base   string
	site   *web.Server
	server *http.Server
	client *http.Client
}

// openSite serves the site as `rollcall serve` does.
func (s *system) openSite() (*asker, error) {
	redis, err := jobs.ParseRedis(s.servers.RedisURL)
	if err != nil {
		return nil, err
	}
	site, err := web.New(core.Config{Store: s.store, Redis: redis, Jobs: s.jobs, AdminToken: adminToken, Log: logged()})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, site.Close())
	}
	a := &asker{"http://" + l.Addr().String(), site, &http.Server{Handler: site, ReadTimeout: 10 * time.Second},
		&http.Client{}}
	go a.server.Serve(l)
	return a, nil
}

func (a *asker) close() error { return errors.Join(a.server.Close(), a.site.Close()) }

// get returns the body as it was sent: not unpacked, if encoding is gzip.
func (a *asker) get(ctx context.Context, path, encoding string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	req.Header.Set("Accept-Encoding", encoding) // as it is set here, net/http leaves the answer alone
	res, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.200s", path, res.Status, body)
	}
	return body, err
}

// askAll asks every question of the API and of the page.
func (a *asker) askAll(ctx context.Context, r *Report, all []question) error {
	for _, q := range all {
		answer := Answer{Name: q.name}
		for _, of := range []struct {
			paths    []string
			encoding string
			timing   **Timing
		}{{q.api, "identity", &answer.API}, {q.pages, "gzip", &answer.Page}} {
			if len(of.paths) == 0 {
				continue
			}
			each, err := a.time(ctx, of.paths, of.encoding, q.nobody)
			if err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
			*of.timing = newTiming(each)
		}
		r.Lists = append(r.Lists, answer)
	}
	return nil
}

// noData begins the API's answer where nobody is found.
var noData = []byte(`{"data":[]`)

// time asks for one path after the other, round and round. The first few times
// do not count: they fill what an idle server has forgotten. Who finds nobody
// where somebody should be found measures nothing.
func (a *asker) time(
	ctx context.Context, paths []string, encoding string, nobody bool,
) (each []time.Duration, err error) {
	const forgotten = 3
	start := time.Now()
	for i := range often + forgotten {
		began := time.Now()
		if len(each) >= atLeast && began.Sub(start) > howLong {
			break
		}
		path := paths[i%len(paths)]
		body, err := a.get(ctx, path, encoding)
		if err != nil {
			return nil, err
		}
		if i >= forgotten {
			each = append(each, time.Since(began))
		}
		if bytes.HasPrefix(body, noData) && !nobody {
			return nil, fmt.Errorf("GET %s finds nobody", path)
		}
	}
	return each, nil
}

// printLists prints what was asked and how long it took.
func printLists(w io.Writer, answers []Answer) {
	if len(answers) == 0 {
		return
	}
	fmt.Fprintf(w, "\nms a request; aim: p50 < %d, p99 < %d\n", aimP50, aimP99)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tAPI p50\tp99\tpage p50\tp99\t")
	for _, a := range answers {
		fmt.Fprintf(t, "%s\t%s\t%s\t  %s\n", a.Name, a.API, a.Page, missed(a))
	}
	t.Flush()
}

// String is two cells of the table.
func (t *Timing) String() string {
	if t == nil {
		return "–\t–"
	}
	return fmt.Sprintf("%.1f\t%.1f", t.P50, t.P99)
}

func missed(a Answer) string {
	switch {
	case a.API.missed() && a.Page.missed():
		return "both miss"
	case a.API.missed():
		return "API misses"
	case a.Page.missed():
		return "page misses"
	}
	return ""
}
