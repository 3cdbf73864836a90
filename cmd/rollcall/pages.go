package main

import (
	"fmt"
	"io"

	"rollcall/store/pg"
)

// listFlags are the flags of a command that lists rows.
type listFlags struct {
	Limit int  `name:"limit" default:"50" placeholder:"N" help:"List at most N (${default})."`
	All   bool `name:"all" help:"List all."`
	JSON  bool `name:"json" xor:"as" help:"Print JSON, as the API does."`
}

func (l listFlags) check() error {
	if l.Limit < 1 {
		return usageError("--limit must be 1 or more")
	}
	return nil
}

// pages reads pages of a list until there are enough rows; more tells whether there are others.
func pages[T any](l listFlags, read func(cursor string, limit int) ([]T, string, error)) (
	all []T, more bool, err error) {
	for cursor := ""; ; {
		limit := pg.MaxLimit
		if !l.All {
			limit = min(limit, l.Limit-len(all))
		}
		page, next, err := read(cursor, limit)
		if all = append(all, page...); err != nil || next == "" || !l.All && len(all) >= l.Limit {
			return all, next != "", err
		}
		cursor = next
	}
}

// andMore says that a list goes on, and how to see the rest: beside JSON, on stderr.
func (e *env) andMore(json bool, how string) {
	w := e.out
	if json {
		w = e.err
	}
	fmt.Fprintln(w, "… and more: "+how)
}

// listing is how a command prints the rows that it lists.
type listing[T any] struct {
	none string // is said if there are none
	more string // how to see the others, if there are more
	head []string
	row  func(T) []string
}

// moreByFlags is how to see more rows of most lists.
const moreByFlags = "--all lists them, --limit changes their number"

// print prints rows; more tells whether there are others.
func (l listing[T]) print(e *env, asJSON bool, all []T, more bool) (err error) {
	switch {
	case asJSON:
		err = printList(e.out, all)
	case len(all) == 0:
		_, err = fmt.Fprintln(e.out, l.none)
	default:
		t := table{head: l.head}
		for _, one := range all {
			t.add(l.row(one)...)
		}
		t.print(e.out)
	}
	if more {
		e.andMore(asJSON, l.more)
	}
	return err
}

// printList prints a list for programs, as the API does.
func printList[T any](w io.Writer, all []T) error {
	return printJSON(w, map[string][]T{"data": append([]T{}, all...)})
}
