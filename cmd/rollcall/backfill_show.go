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
	return listing[store.Backfill]{
		none: "No backfill has been started yet. `rollcall backfill start --help` lists the kinds.",
		more: "raise --limit, or page through GET /api/admin/backfills",
		head: []string{"ID", "KIND", "SCOPE", "STATUS", "SEEN", "CREATED", "UPDATED", "UNCHANGED",
			"ERRORS", "ASKED FOR (UTC)", "TOOK"},
		row: runRow,
	}.print(e, c.JSON, runs, more)
}

// runRow is a run in the list.
func runRow(b store.Backfill) []string {
	seen := number(b.Seen)
	if b.Expected != nil {
		seen += "/" + number(*b.Expected)
	}
	kind := b.Kind
	if b.DryRun {
		kind += " (dry run)"
	}
	return []string{fmt.Sprint(b.ID), kind, orDash(clip(scopeText(b), 40)), b.Status, seen, number(b.Created),
		number(b.Updated), number(b.Unchanged), number(b.Errors), dateTime(&b.CreatedAt), orDash(took(b, time.Now()))}
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

// showRun prints a run for people.
func showRun(w io.Writer, b store.Backfill, now time.Time) {
	line := lines{w}.add
	at := func(name string, t *time.Time) { lines{w}.addTime(name, t, time.RFC3339) }
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

// The lines of a run, before and after. Those of the kinds that attach facts are
// read by programs too: they stay as they are, with bare numbers.

func kindOf(b store.Backfill) store.BackfillKind { return store.BackfillKindOf(b.Kind) }

// opening is the line with a run's expected number of objects, if known.
func opening(b store.Backfill) string {
	n := number(*b.Expected)
	if kindOf(b).Facts {
		n = fmt.Sprint(*b.Expected)
	}
	return fmt.Sprintf("Found %s %s", n, kindOf(b).Found)
}

// closing is the line with the result of a run that has ended.
func closing(b store.Backfill) string {
	switch {
	case b.Status == "failed":
		return fmt.Sprintf("%s failed after %s: %s", title(b), soFar(b), deref(b.Reason))
	case b.Status == "cancelled":
		return fmt.Sprintf("%s was cancelled after %s; imported data stays", title(b), soFar(b))
	case kindOf(b).Facts:
		return counted(b)
	}
	return countedFully(b)
}

// counted is the fixed line: unchanged objects count as updated.
func counted(b store.Backfill) string {
	form := "%s complete: %d created, %d updated, %d errors"
	if b.DryRun {
		form = "%s (dry run) complete: %d would be created, %d would be updated, %d errors"
	}
	return fmt.Sprintf(form, kindOf(b).Title, b.Created, b.Updated+b.Unchanged, b.Errors)
}

// countedFully is the line of the kinds that read from outside.
func countedFully(b store.Backfill) string {
	kind := kindOf(b)
	form := "%s complete: %s %s read, %s created, %s updated, %s unchanged, %s errors; %s new customers"
	if b.DryRun {
		// Each page is rolled back before the next, so new customers cannot be counted.
		form = "%s (dry run) complete: %s %s read, %s would be created, %s would be updated, %s are as they should be, %s " +
			"errors%.0s"
	}
	return fmt.Sprintf(form, kind.Title, number(b.Seen), kind.Objects, number(b.Created), number(b.Updated),
		number(b.Unchanged), number(b.Errors), number(b.Customers))
}

// passedOver is the part of a closing line about skipped rows, if any.
func passedOver(passed []store.Passed) string {
	if len(passed) == 0 {
		return ""
	}
	return "; skipped: " + strings.Join(passedLines(passed), "; ")
}

// passedLines are as "1 purchase not completed (pending)".
func passedLines(passed []store.Passed) (lines []string) {
	for _, p := range passed {
		objects := p.Stream
		if p.Objects == 1 {
			objects = strings.TrimSuffix(objects, "s")
		}
		lines = append(lines, number(p.Objects)+" "+objects+" "+p.Reason)
	}
	return lines
}

// soFar is how far a run is: "60 of 125 course purchases".
func soFar(b store.Backfill) string {
	if b.Expected != nil {
		return fmt.Sprintf("%s of %s %s", number(b.Seen), number(*b.Expected), kindOf(b).Objects)
	}
	return fmt.Sprintf("%s %s", number(b.Seen), kindOf(b).Objects)
}

// progressText is how far a run is, on a line of its own.
func progressText(b store.Backfill) string {
	parts := []string{fmt.Sprintf("%s: %s", b.Status, soFar(b))}
	for _, c := range []struct {
		n    int64
		what string
	}{{b.Created, "created"}, {b.Updated, "updated"}, {b.Unchanged, "unchanged"}, {b.Errors, "errors"}} {
		if c.n > 0 {
			parts = append(parts, number(c.n)+" "+c.what)
		}
	}
	return strings.Join(parts, ", ")
}
