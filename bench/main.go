// Command bench measures Rollcall on servers of its own, durable as in
// production (fsync on), everything on this one machine: receiver, worker, load,
// Postgres and Redis share its cores. Figures are for comparing within one run.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	out := flag.String("json", "bench.json", "`file` to write the figures to")
	facts := flag.String("facts", "100000,1000000,2000000", "`numbers` of facts of the backfill's measurements")
	rows := flag.Int("rows", 4_500_000, "rows of the Convex export that is decoded (2 GB)")
	customers := flag.Int("customers", 1_000_000, "customers of the long list, in tens")
	only := flag.String("only", "", "measure only this: webhooks, backfill, lists or isolation")
	events := flag.Int("events", 20000, "events of the throughput measurements")
	profile := flag.String("cpuprofile", "", "`file` to write a CPU profile of the throughput measurements to")
	crowded := flag.String("crowd", "", "only be the crowd at this `URL`: what the measurement of isolation starts")
	flag.Parse()
	if *crowded != "" {
		beCrowd(ctx, *crowded, flag.Args())
		return
	}
	debug.SetGCPercent(300) // as cmd/rollcall does
	err := run(ctx, options{*events, *rows, *customers, *facts, *only, *out, *profile})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// Figure is one line of the table.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Note  string  `json:"note,omitempty"`
}

// Report is what is printed and written.
type Report struct {
	Date    string   `json:"date"`
	Cores   int      `json:"cores"`
	Go      string   `json:"go"`
	Figures []Figure `json:"figures"`
	Lists   []Answer `json:"lists,omitempty"`
}

func (r *Report) add(name string, value float64, unit, note string) {
	r.Figures = append(r.Figures, Figure{name, value, unit, note})
}

// options of a run.
type options struct {
	events, rows, customers int
	facts, only             string
	out, profile            string
}

func run(ctx context.Context, o options) error {
	sys, err := newSystem(ctx)
	if err != nil {
		return err
	}
	defer sys.close()
	report := &Report{Date: time.Now().UTC().Format(time.DateOnly), Cores: runtime.NumCPU(), Go: runtime.Version()}
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
	}
	if err := sys.measure(ctx, report, o); err != nil {
		return err
	}
	pprof.StopCPUProfile()
	print(os.Stdout, report)
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.out, append(text, '\n'), 0o644)
}

// measure does all parts, or the one that is asked for.
func (s *system) measure(ctx context.Context, r *Report, o options) error {
	known := false
	for _, part := range []struct {
		name string
		do   func() error
	}{
		{"webhooks", func() error { return s.webhooks(ctx, r, o.events) }},
		{"backfill", func() error { return s.backfills(ctx, r, o.facts, o.rows) }},
		{"lists", func() error { return s.lists(ctx, r, o.customers) }},
		{"isolation", func() error { return s.isolation(ctx, r, min(o.customers, 200_000), min(o.events, 1000)) }},
	} {
		if o.only != "" && o.only != part.name {
			continue
		}
		known = true
		if err := part.do(); err != nil {
			return err
		}
	}
	if !known {
		return fmt.Errorf("-only: nothing is called %q", o.only)
	}
	return nil
}

// webhooks measures what happens now.
func (s *system) webhooks(ctx context.Context, r *Report, events int) error {
	for _, measure := range []func(context.Context, *Report, int) error{s.accept, s.apply} {
		if err := measure(ctx, r, events); err != nil {
			return err
		}
	}
	if err := s.latency(ctx, r); err != nil {
		return err
	}
	return s.memory(ctx, r, events)
}

// backfills measures what happened long ago.
func (s *system) backfills(ctx context.Context, r *Report, sizes string, rows int) error {
	for size := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil {
			return fmt.Errorf("-facts: %w", err)
		}
		if err := s.backfill(ctx, r, n); err != nil {
			return err
		}
	}
	if err := s.besideBackfill(ctx, r, 200_000); err != nil {
		return err
	}
	return convexDecode(ctx, r, rows)
}

func print(w io.Writer, r *Report) {
	fmt.Fprintf(w, "%s, %d cores, %s, all on one machine\n", r.Date, r.Cores, r.Go)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	for _, f := range r.Figures {
		value := fmt.Sprintf("%.0f", f.Value)
		if f.Value < 100 {
			value = fmt.Sprintf("%.1f", f.Value)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t  %s\n", f.Name, value, f.Unit, f.Note)
	}
	t.Flush()
	printLists(w, r.Lists)
}
