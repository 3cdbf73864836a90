package main

import (
	"fmt"
	"strings"

	"rollcall/store"
)

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
		form = "%s (dry run) complete: %s %s read, %s would be created, %s would be updated, %s are as they should be, %s errors%.0s"
	}
	return fmt.Sprintf(form, kind.Title, number(b.Seen), kind.Objects, number(b.Created), number(b.Updated), number(b.Unchanged), number(b.Errors), number(b.Customers))
}

// passedOver is the part of a closing line about skipped rows, if any.
func passedOver(passed []store.Passed) string {
	if len(passed) == 0 {
		return ""
	}
	return "; passed over: " + strings.Join(passedLines(passed), "; ")
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
