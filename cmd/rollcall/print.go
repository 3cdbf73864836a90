package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	terminal "golang.org/x/term"
	"golang.org/x/text/width"

	"rollcall/internal/show"
)

// lines prints values with their names; empty ones are left out.
type lines struct{ w io.Writer }

func (l lines) add(name, value string) {
	if value != "" {
		fmt.Fprintf(l.w, "%-12s %s\n", name, value)
	}
}

func (l lines) addTime(name string, t *time.Time, layout string) {
	if t != nil {
		l.add(name, t.Format(layout))
	}
}

// table prints columns that line up, wide characters too.
type table struct {
	head   []string
	rows   [][]string
	indent string
	paint  func(column int, cell string) string // nil: no colours
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(w io.Writer) {
	widths := make([]int, len(t.head))
	all := append([][]string{t.head}, t.rows...)
	for _, row := range all {
		for i, cell := range row {
			if len(row) == len(widths) { // a shorter row is a remark across the table
				widths[i] = max(widths[i], columns(cell))
			}
		}
	}
	for _, row := range all {
		var line strings.Builder
		for i, cell := range row {
			if t.paint != nil {
				line.WriteString(t.paint(i, cell))
			} else {
				line.WriteString(cell)
			}
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", max(0, widths[i]-columns(cell))+2))
			}
		}
		fmt.Fprintln(w, t.indent+strings.TrimRight(line.String(), " "))
	}
}

// wrap breaks a text into lines of a width.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case columns(line)+1+columns(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}

// columns is how many columns of a terminal a text takes.
func columns(s string) (n int) {
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case width.LookupRune(r).Kind() == width.EastAsianWide, width.LookupRune(r).Kind() == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// ink colours results, where they are shown on a terminal.
func (e *env) ink() show.Ink {
	f, ok := e.out.(*os.File)
	shown := ok && terminal.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return show.Ink(e.Color == "always" || e.Color == "auto" && shown)
}

// statusColour colours the status of an event.
func statusColour(ink show.Ink, status string) string {
	switch strings.TrimSpace(status) {
	case "processed":
		return ink.Green(status)
	case "failed":
		return ink.Red(status)
	case "pending":
		return ink.Yellow(status)
	case "ignored":
		return ink.Grey(status)
	}
	return status
}

// progress is a line that overwrites itself, on a terminal; elsewhere nothing.
type progress struct{ w io.Writer }

// progress writes to stderr, so that what is printed stays clean.
func (e *env) progress() progress {
	if f, ok := e.err.(*os.File); ok {
		if terminal.IsTerminal(int(f.Fd())) {
			return progress{e.err}
		}
	}
	return progress{io.Discard}
}

func (p progress) show(format string, args ...any) {
	fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
}

func (p progress) clear() { fmt.Fprint(p.w, "\r\x1b[K") }

// What nearly every command prints with, by short names.
var (
	ago       = show.Ago
	clip      = show.Clip
	count     = show.Count[int]
	harmless  = show.Visible
	money     = show.Money
	monies    = show.Monies
	number    = show.Number[int64]
	printJSON = show.JSON
	quote     = show.Quote
)
