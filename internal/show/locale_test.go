package show

import (
	"strings"
	"testing"
	"time"

	"rollcall/store"
)

// A browser gets the known locale that it likes best, and US English if there is none.
// What no browser sends is none.
func TestLocaleFor(t *testing.T) {
	for accept, want := range map[string]string{
		"":                                  "en-US",
		"*":                                 "en-US",
		"en":                                "en-US",
		"en-GB,en;q=0.9":                    "en-GB",
		"de-DE,de;q=0.9,en;q=0.8":           "de",
		"de-AT":                             "de-AT",
		"fr-BE":                             "fr",
		"pt":                                "pt-BR",
		"zh-TW":                             "zh-Hant",
		"nn":                                "nb",
		"en;q=0.1, sv;q=0.8":                "sv",
		"ar, fa;q=0.9":                      "en-US", // other digits, from right to left
		"ar, de;q=0.3":                      "de",
		"xx-YY, tlh":                        "en-US",
		";;q=,,=":                           "en-US",
		"de;q=x":                            "en-US",
		"\x00\xff":                          "en-US",
		"<script>alert(1)</script>":         "en-US",
		"it," + strings.Repeat("fr,", 1600): "it",
		strings.Repeat("x", 5000):           "en-US",
		strings.Repeat("de-", 1700):         "en-US",
		strings.Repeat("-", 5000):           "en-US",
		strings.Repeat(",", 5000) + "de":    "en-US",
	} {
		if got := LocaleFor(accept).String(); got != want {
			t.Errorf("%.40q: %s, want %s", accept, got, want)
		}
	}
}

// Every known locale writes Latin digits, and nothing that turns the direction of text.
func TestKnownLocales(t *testing.T) {
	locales, _ := known()
	for _, l := range locales {
		text := l.Money(store.Money{Amount: 123456789, Currency: "usd"}) + l.Percent(45) + l.Number(67)
		for _, digits := range []string{"1", "9", "45", "67"} {
			if !strings.Contains(text, digits) || strings.ContainsAny(text, "\u200e\u200f\u061c") {
				t.Errorf("%s: %q", l, text)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ locale, number, percent string }{
		{"en-US", "1,234,567", "45%"},
		{"de", "1.234.567", "45\u00a0%"},
		{"fr", "1\u202f234\u202f567", "45\u202f%"},
		{"hi", "12,34,567", "45%"},
		{"tr", "1.234.567", "%45"},
	} {
		l := newLocale(c.locale)
		if got := l.Number(1_234_567); got != c.number && got != strings.ReplaceAll(c.number, "\u202f", "\u00a0") {
			t.Errorf("%s: %q, want %q", c.locale, got, c.number)
		}
		if got := l.Percent(45.99); got != c.percent && got != strings.ReplaceAll(c.percent, "\u202f", "\u00a0") {
			t.Errorf("%s: %q, want %q", c.locale, got, c.percent)
		}
	}
}

// What people read as a number can be typed as one, with groups or without. A number with one point
// keeps it, as addresses of pages have it so.
func TestTypedNumbers(t *testing.T) {
	for _, c := range []struct{ locale, typed, plain, read string }{
		{"en-US", "1,000.50", "1000.50", "1,000.50"},
		{"en-US", "1000", "1000", "1,000"},
		{"en-US", "1,5", "1,5", "1,5"},
		{"de", "1,5", "1.5", "1,5"},
		{"de", "1.000,50", "1000.50", "1.000,50"},
		{"de", "1.234.567", "1234567", "1.234.567"},
		{"de", "1.234", "1.234", "1,234"},
		{"de", "1.5", "1.5", "1,5"},
		{"de", "1.23,5", "1.23.5", "1,23.5"},
		{"de", "abc", "abc", "abc"},
		{"fr", "1 000,5", "1000.5", "1\u00a0000,5"},
		{"de-CH", "1'000.5", "1000.5", "1’000.5"},
		{"hi", "12,34,567", "1234567", "12,34,567"},
	} {
		l := newLocale(c.locale)
		plain := l.Plain(c.typed)
		if read := strings.ReplaceAll(l.Grouped(plain), "\u202f", "\u00a0"); plain != c.plain || read != c.read {
			t.Errorf("%s: %q is %q and reads %q, want %q, %q", c.locale, c.typed, plain, read, c.plain, c.read)
		}
		if again := l.Plain(plain); again != plain {
			t.Errorf("%s: %q read again is %q", c.locale, plain, again)
		}
	}
}

// Amounts stand in the store's order, then the largest first, whatever their codes.
func TestOrdered(t *testing.T) {
	all := []store.Money{{Amount: 100, Currency: "chf"}, {Amount: 38_00, Currency: "EUR"},
		{Amount: 5_800, Currency: "jpy"}, {Amount: 299_00, Currency: "usd"}}
	for order, want := range map[string]string{"": "usd jpy EUR chf", "chf eur": "chf EUR usd jpy",
		"nok jpy": "jpy usd EUR chf"} {
		var got []string
		for _, m := range Ordered(all, strings.Fields(order)) {
			got = append(got, m.Currency)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", order, got, want)
		}
	}
}

// Moments are written by the clocks of their zone: through the hours that summer time
// leaves out and repeats, and where zones differ by parts of an hour.
func TestZones(t *testing.T) {
	for _, c := range []struct{ at, zone, want string }{
		{"2026-03-29T00:59:59Z", "Europe/Berlin", "29 Mar 2026, 01:59 CET"},
		{"2026-03-29T01:00:00Z", "Europe/Berlin", "29 Mar 2026, 03:00 CEST"},
		{"2026-10-25T00:30:00Z", "Europe/Berlin", "25 Oct 2026, 02:30 CEST"},
		{"2026-10-25T01:30:00Z", "Europe/Berlin", "25 Oct 2026, 02:30 CET"},
		{"2026-11-28T18:45:00Z", "Asia/Kolkata", "29 Nov 2026, 00:15 IST"},
		{"2026-11-28T18:15:00Z", "Asia/Kathmandu", "29 Nov 2026, 00:00 +0545"},
		{"2026-11-28T13:14:59Z", "Pacific/Chatham", "29 Nov 2026, 02:59 +1345"},
		{"2026-04-04T15:15:00Z", "Australia/Lord_Howe", "5 Apr 2026, 01:45 +1030"},
		{"2026-11-29T09:00:00Z", "Pacific/Pago_Pago", "28 Nov 2026, 22:00 SST"},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := Moment(at.In(Zone(c.zone))); got != c.want {
			t.Errorf("%s in %s: %q, want %q", c.at, c.zone, got, c.want)
		}
	}
	for _, none := range []string{"", "Local", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe/Berlin\x00",
		strings.Repeat("a", 5000)} {
		if Zone(none) != nil {
			t.Errorf("%.40q is a zone", none)
		}
	}
}

func TestSince(t *testing.T) {
	now := time.Date(2026, 1, 12, 10, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "just now, just now", 59 * time.Second: "just now, just now", time.Minute: "1 minute ago, 1 min",
		2*time.Hour + time.Minute: "2 hours ago, 2 h", 47 * time.Hour: "1 day ago, 1 d", 13 * day: "13 days ago, 13 d",
		20 * day: "2 weeks ago, 2 w", 59 * day: "8 weeks ago, 8 w", 60 * day: "2 months ago, 2 mo",
		729 * day: "24 months ago, 24 mo", 800 * day: "2 years ago, 2 y", -time.Second: "just now, just now",
		-48 * time.Hour: "on 14 Jan 2026, on 14 Jan 2026",
	} {
		at := now.Add(-d)
		if got := Since(now, at) + ", " + strings.ReplaceAll(SinceShort(now, at), nbsp, " "); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	sydney := Zone("Australia/Sydney")
	for at, want := range map[string]string{"2025-12-31T13:00:00Z": "1 Jan", "2025-12-31T12:59:59Z": "31 Dec 2025"} {
		moment, _ := time.Parse(time.RFC3339, at)
		if got := DayShort(now, moment.In(sydney)); got != want {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
	}
}
