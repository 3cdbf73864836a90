// Package show writes values for people at a terminal.
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

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"rollcall/store"
	"rollcall/web/core"
)

var english = message.NewPrinter(language.AmericanEnglish)

// Number groups thousands: 1,234.
func Number(n int64) string { return english.Sprintf("%d", n) }

// Count is "1 event", "2 events".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Money writes minor units with their currency: $299.00, ¥5,800.
func Money(amount int64, currency string) string {
	return core.FormatMoney(store.Money{Amount: amount, Currency: currency}, language.AmericanEnglish)
}

// Types are how the types of customers are shown.
var Types = map[string]string{"lead": "Lead", "paying": "Customer", "subscription": "Subscriber"}

// Ago is roughly how long something is past.
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
	var out strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			out.WriteByte(' ')
		case r == unicode.ReplacementChar || !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r):
			for _, unit := range utf16.Encode([]rune{r}) { // as in JSON
				fmt.Fprintf(&out, `\u%04x`, unit)
			}
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// Quote quotes a text for a shell, if it needs quotes.
func Quote(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:=@%", r)
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// JSON prints v for programs.
func JSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(v)
}

// PSQL is a statement as a command.
func PSQL(statement string) string { return `psql "$DATABASE_URL" -c ` + Quote(statement) }

// IsReady is the command that checks whether Postgres answers; it needs no login.
const IsReady = `pg_isready -d "$DATABASE_URL"`

// Busy is the command that shows what Postgres is busy with.
var Busy = PSQL("SELECT pid, now() - query_start AS since, wait_event, left(query, 60) FROM pg_stat_activity " +
	"WHERE state <> 'idle' ORDER BY 2 DESC")

// RedisCLI speaks to the server of REDIS_URL. It takes a password without a user
// for that of a user without a name, so one is written in.
const RedisCLI = `redis-cli --no-auth-warning -u "$(echo "$REDIS_URL" | sed 's,://:,://default:,')"`
