// Command bench measures Rollcall on servers of its own, durable as in
// production (fsync on), everything on this one machine: receiver, worker, load,
// Postgres and Redis share its cores. Figures are for comparing within one run.
// docs/benchmarks.md and docs/scale.md have the questions that it answers.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"syscall"
	"time"
)

// options of a run.
type options struct {
	events, rows, customers   int
	facts, only, out, profile string
	keep, ask                 string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var o options
	flag.StringVar(&o.out, "json", "bench.json", "`file` to write the figures to")
	flag.StringVar(&o.facts, "facts", "100000,1000000,2000000", "`numbers` of facts of the backfill's measurements")
	flag.IntVar(&o.rows, "rows", 4_500_000, "rows of the Convex export that is decoded (2 GB)")
	flag.IntVar(&o.customers, "customers", 1_000_000,
		"customers of the long list, in tens; of fewer than 50,000, some questions find no one")
	flag.StringVar(&o.only, "only", "", "measure only this: webhooks, backfill, lists, isolation, upgrade or mail")
	flag.IntVar(&o.events, "events", 20000, "events of the throughput measurements")
	flag.StringVar(&o.profile, "cpuprofile", "", "`file` to write a CPU profile to")
	flag.StringVar(&o.ask, "ask", "", "ask only the questions of lists whose names match this regular `expression`")
	flag.StringVar(&o.keep, "keep", "",
		"`folder` of servers that stay: lists of the same length are not loaded again there; an absolute path")
	crowded := flag.String("crowd", "", "only be the crowd at this `URL`: what the measurement of isolation starts")
	mailing := flag.Bool("mailer", false, "only send mails, by these URLs of Postgres and Redis: for -only mail")
	flag.Parse()
	if *mailing {
		beMailer(ctx, flag.Arg(0), flag.Arg(1))
		return
	}
	if *crowded != "" {
		beCrowd(ctx, *crowded, flag.Args())
		return
	}
	debug.SetGCPercent(300) // as cmd/rollcall does
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// failure is an error that ends the run.
type failure struct{ error }

// check ends the run if there is an error: what was measured before it is worth
// nothing. run stops the servers and returns the error. For run's goroutine only.
func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

// try is check of what comes with a value.
func try[T any](value T, err error) T {
	check(err)
	return value
}

// run measures all parts, or the one that is asked for.
func run(ctx context.Context, o options) (err error) {
	defer func() {
		switch failed := recover().(type) {
		case nil:
		case failure:
			err = failed.error
		default:
			panic(failed)
		}
	}()
	parts := []struct {
		name    string
		measure func(*system, context.Context, options)
	}{
		{"webhooks", (*system).webhooks},
		{"backfill", (*system).backfills},
		{"lists", (*system).lists},
		{"isolation", (*system).isolation},
		{"upgrade", (*system).upgrade},
		{"mail", (*system).mail},
	}
	if o.profile != "" {
		file := try(os.Create(o.profile))
		defer file.Close()
		check(pprof.StartCPUProfile(file))
		defer pprof.StopCPUProfile()
	}
	s := &system{report: newReport()}
	defer s.close()
	s.open(ctx, o.keep)
	fmt.Printf("%s, %d cores, %s, all on one machine\n", s.Date, s.Cores, s.Go)
	known := false
	for _, part := range parts {
		if o.only == "" || o.only == part.name {
			known = true
			part.measure(s, ctx, o)
		}
	}
	if !known {
		return fmt.Errorf("-only: nothing is called %q", o.only)
	}
	return os.WriteFile(o.out, append(try(json.MarshalIndent(s.report, "", "  ")), '\n'), 0o644)
}

// figure is a number that was measured.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Note  string  `json:"note,omitempty"`
}

// report is all that was measured.
type report struct {
	Date    string   `json:"date"`
	Cores   int      `json:"cores"`
	Go      string   `json:"go"`
	Figures []figure `json:"figures"`
}

func newReport() report {
	return report{Date: time.Now().UTC().Format(time.DateOnly), Cores: runtime.NumCPU(), Go: runtime.Version()}
}

// add prints a figure and keeps it.
func (r *report) add(name string, value float64, unit, note string) {
	r.Figures = append(r.Figures, figure{name, value, unit, note})
	digits := 0
	if value < 100 {
		digits = 1
	}
	fmt.Printf("%-42s %9.*f %-4s %s\n", name, digits, value, unit, note)
}

// addTimes adds the median of durations and a high percentile.
func (r *report) addTimes(name string, each []time.Duration, high int, note string) {
	r.add(name+", p50", percentile(each, 50), "ms", note)
	r.add(fmt.Sprintf("    p%d", high), percentile(each, high), "ms", "")
}
