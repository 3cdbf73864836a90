package doctor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"rollcall/internal/show"
	"rollcall/store/checks"
	"rollcall/store/finding"
	"rollcall/store/pg"
	"rollcall/store/reasons"
	"rollcall/store/status"
	"rollcall/watch"
)

// Servers as they are not here.
func TestDoctorJudges(t *testing.T) {
	at := time.Date(2026, 3, 18, 12, 0, 0, 0, time.UTC)
	recently, long := at.Add(-time.Minute), at.Add(-time.Hour)
	for _, c := range []struct {
		name  string
		judge func(*doctor)
		want  string // kind and severity; empty: all is well
	}{
		{"old Postgres", judges(checks.Database{Version: 140009, Locks: 256}), "database_old warning"},
		{"a standby", judges(checks.Database{Version: 170001, ReadOnly: true, Standby: true, Locks: 256}),
			"database_read_only problem"},
		{"Postgres as it comes", judges(checks.Database{Version: 170001, Locks: 64}), "locks_few note"},
		{"clocks agree", func(d *doctor) { d.judgeClock(at, at.Add(3*time.Second)) }, ""},
		{"a clock is ahead", func(d *doctor) { d.judgeClock(at, at.Add(-time.Minute)) }, "clock_off warning"},
		{"a clock is behind", func(d *doctor) { d.judgeClock(at, at.Add(3*time.Minute)) }, "clock_off problem"},
		{"a worker's clock is ahead", func(d *doctor) { d.clockAgrees("h:1", "worker h:1", 24*time.Hour) },
			"clock_off problem"},
		{"a session is silent", func(d *doctor) {
			d.judgeSessions([]pg.HeldSession{{PID: 7, Application: "psql", Since: long, Tables: 1}})
		}, "session_held problem"},
		{"no session is", func(d *doctor) { d.judgeSessions(nil) }, ""},
		{"Postgres can", func(d *doctor) { d.judgeAble(nil) }, ""},
		{"a full disk", func(d *doctor) { d.judgeAble(&pgconn.PgError{Code: "53100", Message: "could not extend file"}) },
			"database_not_able problem"},
		{"a role that may not write", func(d *doctor) { d.judgeAble(&pgconn.PgError{Code: "42501"}) },
			"database_not_able problem"},
		{"Redis 7", func(d *doctor) { d.judgeRedisVersion("# Server\r\nredis_version:7.0.15\r\n") }, ""},
		{"Redis 6.2", func(d *doctor) { d.judgeRedisVersion("redis_version:6.2.14\r\n") }, "redis_old warning"},
		{"Redis 5", func(d *doctor) { d.judgeRedisVersion("redis_version:5.0.3\r\n") }, "redis_old problem"},
		{"something that is no Redis", func(d *doctor) { d.judgeRedisVersion("dragonfly") }, ""},
		{"nobody looks", func(d *doctor) { d.asked, d.workers, d.watches = true, 2, []status.Watch{{CheckedAt: long}} },
			"watches_stale warning"},
		{"somebody looks", func(d *doctor) {
			d.asked, d.workers, d.watches = true, 2, []status.Watch{{CheckedAt: long}, {CheckedAt: recently}}
		}, ""},
		{"nobody is there to look", func(d *doctor) { d.asked, d.watches = true, nil }, ""},
	} {
		d := &doctor{Host: Host{At: strings.Clone}, now: func() time.Time { return at }}
		c.judge(d)
		d.staleWatches()
		got := ""
		for _, f := range d.findings {
			if f.Severity != finding.OK {
				got += f.Kind + " " + string(f.Severity)
				if len(f.Fix) == 0 || f.What == "" {
					t.Errorf("%s: %+v", c.name, f)
				}
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func judges(db checks.Database) func(*doctor) { return func(d *doctor) { d.judgeDatabase(db) } }

// Every finding, and every reason for which a fact is on no list, is in the book.
func TestDoctorDocs(t *testing.T) {
	book, err := os.ReadFile("../../../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := checks.Kinds(checks.Doctor...)
	for _, kind := range kinds {
		severity := string(kind.Severity)
		if kind.Name == "facts_unattached" {
			severity = "with the severity of the reason"
		}
		if entry := "- `" + kind.Name + "` (" + severity; !bytes.Contains(book, []byte(entry)) {
			t.Errorf("docs/doctor.md does not explain %s", entry)
		}
	}
	for _, line := range reasonTables() {
		if !bytes.Contains(book, []byte("\n"+line+"\n")) {
			t.Errorf("docs/doctor.md has not, as package reasons has it:\n%s", line)
		}
	}
	for _, kind := range watch.Kinds {
		kinds.Find(kind) // which panics if no check finds it
	}
}

// The checks that need more than the database are those that the doctor runs itself.
func TestChecksAreBound(t *testing.T) {
	for _, c := range checks.Doctor {
		if _, bound := own[c.Name]; !bound && c.Run == nil {
			t.Errorf("nothing runs the check %s", c.Name)
		}
	}
	for name := range own {
		unbound := func(c checks.Check) bool { return c.Name == name && c.Run == nil }
		if !slices.ContainsFunc(checks.Doctor, unbound) {
			t.Errorf("%s is no check, or runs itself", name)
		}
	}
}

// reasonTables are the lines of docs/doctor.md about reasons.
func reasonTables() (lines []string) {
	for _, r := range reasons.All {
		if r.Right {
			lines = append(lines, fmt.Sprintf("| `%s` | %s |", r.Code, r.Means))
			continue
		}
		weight := r.Weight
		if r.Stranger != "" {
			weight += fmt.Sprintf(", or %s if nothing of the platform's is named", r.Stranger)
		}
		lines = append(lines, fmt.Sprintf("| `%s` | %s | %s | %s | `%s` |", r.Code, weight, r.Means, r.Do,
			strings.Join(r.Fix, "`<br>`")))
	}
	return lines
}

// What strangers wrote is shown so that it does nothing.
func TestHarmless(t *testing.T) {
	for text, want := range map[string]string{
		"Zoë 森 🎉":             "Zoë 森 🎉",
		"a\x1b[31mred\x07":    `a\u001b[31mred\u0007`,
		"a\nb\tc":             "a b c",
		"user\u202etxt.exe":   `user\u202etxt.exe`,
		"z\u200bw\u00ad":      `z\u200bw\u00ad`,
		"\u009b31m\U000e0041": `\u009b31m\udb40\udc41`,
		"\xff":                `\ufffd`,
	} {
		if got := show.Visible(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
		if !json.Valid([]byte(`"` + strings.ReplaceAll(show.Visible(text), `"`, "") + `"`)) {
			t.Errorf("%q is no JSON", show.Visible(text))
		}
	}
}
