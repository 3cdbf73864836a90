// Package doctor finds why people are missing from lists, and explains why a
// person is on a list or not. Each finding comes with the commands that fix it.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/checks"
	"rollcall/store/finding"
	"rollcall/store/pg"
	"rollcall/store/status"
	"rollcall/watch"
)

// Options are the flags of the command.
type Options struct {
	Store    string  // only this store; "" is all
	User     *string // explain this Clerk user
	Email    *string // explain who has this address
	Examples int     // of each finding, at most
	JSON     bool
	Verbose  bool // also list what passed
	Ink      show.Ink
}

// Host is what the command line provides.
type Host struct {
	Out           io.Writer
	Progress      func(text string)           // shows what is being done; "" clears it
	At            func(command string) string // adds to a command where the servers are
	Settings      Settings                    // of serve and work, as far as this command sees them
	Database      func() (url string, err error)
	Open          func() (*store.Store, error) // with the schema of this version
	OpenUnchecked func() (*store.Store, error) // though Postgres is away, or its schema another
	Redis         func() (asynq.RedisConnOpt, error)
	// Explain says why a call to Postgres failed, and which commands fix it; known
	// is false of other errors.
	Explain      func(error) (why string, fix []string, known bool)
	RedisTrouble func(asynq.RedisConnOpt, error) string // why Redis did not answer
}

// Usage is a mistake in the options.
type Usage string

func (u Usage) Error() string { return string(u) }

// Run examines everything, or explains one person, and prints a report. It returns well
// if there is no warning or problem, and no one is missing.
func Run(ctx context.Context, h Host, o Options) (well bool, err error) {
	d := &doctor{Host: h, Options: o, now: time.Now}
	defer d.close()
	if o.User != nil || o.Email != nil {
		return d.person(ctx)
	}
	report := d.examine(ctx)
	return !report.Weighty(), o.print(h.Out, report)
}

// doctor runs checks. What an earlier check found away is nil.
type doctor struct {
	Host
	Options
	now      func() time.Time
	current  bool // the schema is
	store    *store.Store
	checkup  *checks.Checkup
	queue    asynq.RedisConnOpt
	workers  int  // that are at work
	asked    bool // whether Redis answered that
	seen     *status.Traffic
	watches  []status.Watch
	findings []finding.Finding
}

func (d *doctor) close() {
	if d.store != nil {
		d.store.Close()
	}
}

// checkTimeout bounds one check. Its statements have a bound of their own.
const checkTimeout = 2 * time.Minute

// examine runs the checks, each independent of the others' failures.
func (d *doctor) examine(ctx context.Context) Report {
	defer d.Progress("")
	report := Report{Store: d.Store, CheckedAt: d.now().UTC()}
	for _, c := range checks.Doctor {
		if c.Needs == checks.Schema && (d.store == nil || !d.current) || c.Needs == checks.Queue && d.queue == nil {
			continue // reported already
		}
		d.Progress("looking at the " + c.Name + " …")
		before := len(d.findings)
		limited, cancel := context.WithTimeout(ctx, checkTimeout)
		err := d.run(limited, c)
		cancel()
		switch {
		case err != nil && c.Needs == checks.Schema && pg.Unavailable(err):
			d.lost(err)
		case err != nil:
			why, fix := d.failure(c, err)
			d.find(finding.Finding{Kind: "check_failed", Subject: c.Name, Fix: fix,
				What: fmt.Sprintf("the %s could not be checked completely: %s", c.Name, why)})
		}
		for i := range d.findings[before:] {
			d.findings[before+i].Check = c.Name
		}
	}
	report.Findings = append([]finding.Finding{}, d.findings...)
	slices.SortStableFunc(report.Findings, func(a, b finding.Finding) int { return weight(b) - weight(a) })
	return report
}

// weight orders findings. A wrong signing secret comes first: much of what else is found follows from it.
func weight(f finding.Finding) int {
	if f.Kind == watch.Signatures && f.Severity == finding.Problem {
		return f.Severity.Rank() + 1
	}
	return f.Severity.Rank()
}

// lost reports that Postgres went away; checks that need it are skipped.
func (d *doctor) lost(err error) {
	d.close()
	d.store = nil
	d.find(d.away(err))
}

// failure explains why a check failed, and where to look.
func (d *doctor) failure(c checks.Check, err error) (why string, fix []string) {
	why, fix, known := d.Explain(err)
	switch {
	case known:
		return why, fix
	case c.Needs == checks.Queue:
		return err.Error(), []string{show.RedisCLI + " PING"}
	case errors.Is(err, context.DeadlineExceeded):
		return "it took too long", []string{show.Busy}
	}
	return err.Error(), []string{show.IsReady}
}

// find adds a finding, escaped for terminals. Its count is 1 and its severity that of its
// kind, if not set.
func (d *doctor) find(f finding.Finding) finding.Finding {
	if f.Kind != "" {
		kind := checks.KindOf(f.Kind)
		f.Count, f.Severity, f.Means = max(f.Count, 1), cmp.Or(f.Severity, kind.Severity), kind.Means
	}
	f.Subject, f.What = show.Visible(f.Subject), show.Visible(f.What)
	f.Examples, f.Fix = append([]finding.Example{}, f.Examples...), d.complete(f.Fix)
	for i, example := range f.Examples {
		f.Examples[i] = finding.Example{What: show.Visible(example.String())}
	}
	d.findings = append(d.findings, f)
	return f
}

// complete adds the servers' addresses to Rollcall's commands.
func (d *doctor) complete(commands []string) []string {
	out := []string{}
	for _, command := range commands {
		command = show.Visible(command)
		if strings.HasPrefix(command, "rollcall ") {
			run, comment, commented := strings.Cut(command, "   # ")
			if command = d.At(run); commented {
				command += "   # " + comment
			}
		}
		out = append(out, command)
	}
	return out
}

// some are as many examples as the doctor is to show.
func (d *doctor) some(texts []string) []finding.Example {
	return finding.Texts(texts[:min(len(texts), d.Options.Examples)])
}

// fine reports that a check passed.
func (d *doctor) fine(format string, args ...any) {
	d.find(finding.Finding{Severity: finding.OK, What: fmt.Sprintf(format, args...)})
}
