package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"rollcall/store"
	"rollcall/store/pg"
)

type backfillListCmd struct {
	Limit int  `name:"limit" default:"20" placeholder:"N" help:"Most runs listed (${default}), 100 at most."`
	JSON  bool `name:"json" help:"Print JSON, as the API does."`
}

func (c backfillListCmd) Run(e *env) error {
	if c.Limit < 1 || c.Limit > pg.MaxLimit {
		return usageError(fmt.Sprintf("--limit must be from 1 to %d", pg.MaxLimit))
	}
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	runs, err := s.Backfills(e, 0, c.Limit+1)
	if err != nil {
		return err
	}
	more := len(runs) > c.Limit
	runs = runs[:min(len(runs), c.Limit)]
	if c.JSON {
		return printJSON(e.out, struct {
			Data []store.Backfill `json:"data"`
		}{append([]store.Backfill{}, runs...)})
	}
	if len(runs) == 0 {
		fmt.Fprintln(e.out, "No backfill has been started yet. `rollcall backfill start --help` lists the kinds.")
		return nil
	}
	printRuns(e.out, runs, time.Now())
	if more {
		fmt.Fprintln(e.out, "… and more: raise --limit, or page through GET /api/admin/backfills")
	}
	return nil
}

func printRuns(w io.Writer, runs []store.Backfill, now time.Time) {
	t := table{head: []string{"ID", "KIND", "SCOPE", "STATUS", "SEEN", "CREATED", "UPDATED", "UNCHANGED", "ERRORS", "STARTED", "TOOK"}}
	for _, b := range runs {
		seen := number(b.Seen)
		if b.Expected != nil {
			seen += "/" + number(*b.Expected)
		}
		kind := b.Kind
		if b.DryRun {
			kind += " (dry run)"
		}
		t.add(fmt.Sprint(b.ID), kind, orDash(clip(scopeText(b), 40)), b.Status, seen, number(b.Created), number(b.Updated), number(b.Unchanged),
			number(b.Errors), b.CreatedAt.Format(time.DateTime), orDash(took(b, now)))
	}
	t.print(w)
}

// scopeText is the scope as a person says it: a file by its name, and the
// platform's own account, which has no id here, by a word.
func scopeText(b store.Backfill) string {
	if b.Options.File != "" {
		return filepath.Base(b.Options.File)
	}
	if strings.HasPrefix(b.Scope, ",") {
		return "platform" + b.Scope
	}
	return b.Scope
}

// took is how long a run was, or has been, at work; "" if it has not begun.
func took(b store.Backfill, now time.Time) string {
	if b.StartedAt == nil {
		return ""
	}
	if b.EndedAt != nil {
		now = *b.EndedAt
	}
	d := now.Sub(*b.StartedAt)
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

type backfillShowCmd struct {
	ID     int64 `arg:"" name:"id" help:"The run's id: the first column of list."`
	Errors int   `name:"errors" default:"20" placeholder:"N" help:"Most errors and notes shown (${default})."`
	JSON   bool  `name:"json" help:"Print JSON, as the API does."`
}

func (c backfillShowCmd) Run(e *env) error {
	if c.Errors < 0 {
		return usageError("--errors must be 0 or more")
	}
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	b, err := s.FullBackfill(e, c.ID, c.Errors+1)
	if err != nil {
		return e.aboutBackfill(err, c.ID)
	}
	more := len(b.Findings) > c.Errors
	b.Findings = b.Findings[:min(len(b.Findings), c.Errors)]
	if c.JSON {
		return printJSON(e.out, b)
	}
	showRun(e.out, b.Backfill, time.Now())
	showStreams(e.out, b.Streams)
	showPassed(e.out, b.Passed)
	if len(b.Findings) > 0 {
		fmt.Fprintln(e.out)
		printFindings(e.out, b.Findings)
	}
	if more {
		fmt.Fprintln(e.out, "… and more: raise --errors")
	}
	return nil
}

// showRun prints a run for people; lines without a value are left out.
func showRun(w io.Writer, b store.Backfill, now time.Time) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-12s %s\n", name, value)
		}
	}
	at := func(name string, t *time.Time) {
		if t != nil {
			line(name, t.Format(time.RFC3339))
		}
	}
	line("backfill", fmt.Sprint(b.ID))
	line("kind", b.Kind)
	line("scope", cmp.Or(b.Options.File, scopeText(b)))
	line("only", strings.Join(b.Options.Only, ", "))
	line("status", b.Status)
	if b.DryRun {
		line("dry run", "nothing is changed")
	}
	line("why", deref(b.Reason))
	line("seen", soFar(b))
	line("created", number(b.Created))
	line("updated", number(b.Updated))
	line("unchanged", number(b.Unchanged))
	line("errors", number(b.Errors))
	line("customers", number(b.Customers)+" new")
	line("chunks of", fmt.Sprint(b.ChunkSize))
	at("since", b.Options.Since)
	at("as of", b.Options.AsOf)
	line("asked for", b.CreatedAt.Format(time.RFC3339)+" by "+b.StartedBy)
	at("started", b.StartedAt)
	at("ended", b.EndedAt)
	line("took", took(b, now))
}

func showStreams(w io.Writer, streams []store.BackfillStream) {
	if len(streams) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := table{head: []string{"STREAM", "SEEN", "CHUNKS DONE", "WAITS FOR"}}
	for _, v := range streams {
		name := v.Stream
		if name == "" {
			name = "(the plan)"
		}
		t.add(name, number(v.Seen), fmt.Sprintf("%d/%d", v.Chunks-v.Open, v.Chunks), clip(deref(v.Waiting), 100))
	}
	t.print(w)
}

func showPassed(w io.Writer, passed []store.Passed) {
	if len(passed) == 0 {
		return
	}
	fmt.Fprintln(w, "\nPASSED OVER")
	for _, line := range passedLines(passed) {
		fmt.Fprintln(w, line)
	}
}

func printFindings(w io.Writer, findings []store.BackfillError) {
	if len(findings) == 0 {
		return
	}
	t := table{head: []string{"", "WHERE", "WHAT", "WHY"}, indent: "  "}
	for _, f := range findings {
		kind := "error"
		if f.Note {
			kind = "note"
		}
		t.add(kind, clip(f.Place, 50), clip(f.What, 60), clip(f.Why, 200))
	}
	t.print(w)
}
