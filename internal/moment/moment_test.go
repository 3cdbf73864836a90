package moment

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"2026-01-12":                     "2026-01-12T00:00:00Z",
		"2026-01-12T10:00:00+02:00":      "2026-01-12T08:00:00Z",
		"2026-01-12T10:00:00.123456789Z": "2026-01-12T10:00:00.123456789Z",
		"0000-01-01":                     "",
		"9999-12-31T23:59:59-01:00":      "",
		"12h":                            "",
		"":                               "",
	} {
		got, ok := Parse(text)
		if ok != (want != "") || ok && got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%q is %v, %v; want %q", text, got, ok, want)
		}
	}
}

func TestParseAge(t *testing.T) {
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]struct{ interval, before string }{
		"12h":    {"0 days 12 hours", "2026-03-31T00:00:00Z"},
		"31d":    {"31 days 0 hours", "2026-02-28T12:00:00Z"},
		"6w":     {"42 days 0 hours", "2026-02-17T12:00:00Z"},
		"100000": {}, "100000h": {}, "-1d": {}, "1m": {}, "1.5d": {}, "": {},
	} {
		age, ok := ParseAge(text)
		if ok != (want.interval != "") {
			t.Errorf("%q is an age: %v", text, ok)
		}
		if ok && (age.Interval() != want.interval || age.Before(now).Format(time.RFC3339) != want.before) {
			t.Errorf("%q is %s, since %v", text, age.Interval(), age.Before(now))
		}
	}
}
