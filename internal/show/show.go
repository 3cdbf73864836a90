// Package show writes values for people, at a terminal and on pages.
package show

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Number groups thousands: 1,234.
func Number[T int | int64](n T) string { return English.Number(int64(n)) }

// Count is "1 event", "2 events". Programs read its number, so it is bare.
func Count[T int | int64](n T, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprint(n) + " " + what
}

// Plural is Count with the number's thousands grouped.
func Plural[T int | int64](n T, what string) string { return English.Plural(int64(n), what) }

// Types are how the types of customers are shown.
var Types = map[string]string{"lead": "Lead", "paying": "Customer", "subscription": "Subscriber"}

// Ago is roughly how long something is past, up to days.
func Ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return Count(int(d.Minutes()), "minute") + " ago"
	case d < 48*time.Hour:
		return Count(int(d.Hours()), "hour") + " ago"
	}
	return Count(int(d.Hours()/24), "day") + " ago"
}

// Lasted writes a duration in its two largest units.
func Lasted(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return Plural(int(d.Hours()/24), "day")
}

// Clip shortens a text to n characters, on one line.
func Clip(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// Visible shows a text from outside so that it does nothing to a terminal: on one
// line, and with escapes for what steers, hides or reverses text.
func Visible(s string) string {
	return escaped(strings.NewReplacer("\n", " ", "\t", " ", "\r", " ").Replace(s), func(r rune) bool {
		return r == unicode.ReplacementChar || !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r)
	})
}

// VisibleLines is Visible for a page: it keeps lines and tabs, and what is only not assigned yet.
func VisibleLines(s string) string {
	return escaped(s, func(r rune) bool {
		return unicode.In(r, unicode.Cf, unicode.Co, unicode.Cc, unicode.Zl, unicode.Zp) && r != '\n' && r != '\t'
	})
}

// escaped replaces some characters by their escapes in JSON.
func escaped(s string, is func(rune) bool) string {
	if !strings.ContainsFunc(s, is) {
		return s
	}
	var out strings.Builder
	for _, r := range s {
		if !is(r) {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.String()
}

// JSON prints v for programs.
func JSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(v)
}
