package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"rollcall/store"
	"rollcall/store/reasons"
	"rollcall/watch"
)

// Whatever ails is named, with a command that mends it; mended, it is named no
// more.
func TestDoctorFindsAndMends(t *testing.T) {
	h := newHospital(t)
	found := map[string]bool{}
	for _, a := range ailments {
		t.Run(strings.TrimSpace(a.kind+" "+a.subject+" "+a.args), func(t *testing.T) { h.treat(t, a) })
		found[a.kind] = true
		if a.kind == "facts_unattached" && !a.stays {
			found[a.subject] = true
		}
	}
	for _, r := range reasons.All {
		if !r.Right && !found[r.Code] {
			t.Errorf("no test causes the reason %s", r.Code)
		}
	}
	for _, k := range kindsOfFindings {
		if !found[k.kind] && !elsewhereTested[k.kind] {
			t.Errorf("no test causes %s", k.kind)
		}
	}
}

// elsewhereTested are the kinds that cannot be caused on servers as they are here.
var elsewhereTested = map[string]bool{"database_old": true, "database_not_able": true, "session_held": true, "clock_off": true, "redis_old": true, "redis_mute": true, "watches_stale": true}

// treat causes an ailment, has it found, and mends it.
func (h *hospital) treat(t *testing.T, a ailment) {
	w := h.newWard(t, a.idle)
	if a.cause != nil {
		a.cause(w)
	}
	args := "--examples 3 " + a.args
	report, _ := w.examine("", args, a.env)
	f := report.finds(a.kind, a.subject)
	if f == nil {
		t.Fatalf("not found, among:\n%s", strings.Join(report.names(), "\n"))
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("hushhush")) {
		t.Errorf("a secret is told: %s", text)
	}
	if f.Severity != a.severity || f.Means == "" || f.Count < 1 || f.Check == "" || (len(f.Fix) == 0) != (f.Severity == fine) {
		t.Errorf("found as %+v", *f)
	}
	if said := f.What + strings.Join(f.Examples, " "); !strings.Contains(said, a.says) {
		t.Errorf("it does not say %q: %s", a.says, said)
	}
	if a.stays {
		return
	}
	a.followsRegistry(t, f.Fix)
	script := a.prescription(f.Fix)
	if placeholder.MatchString(script) {
		t.Fatalf("nothing is said for what stands open in %s", script)
	}
	env := maps.Clone(a.env)
	if a.leave != "" || a.cure != nil && script == "" {
		env = nil // people set it right
	}
	if a.cure != nil {
		if _, status := w.sh(script, a.env); status != 0 {
			t.Errorf("%s: status %d", script, status)
		}
		a.cure(w)
		script = ""
	}
	w.until(a.kind+" is gone", func() bool {
		report, _ = w.examine(script, args, env)
		if !strings.Contains(script, "export") {
			script = ""
		}
		return report.finds(a.kind, a.subject) == nil
	})
	if a.kind == "facts_unattached" {
		for _, name := range report.names() {
			if strings.Contains(name, a.kind) {
				t.Errorf("still on no list: %s", name)
			}
		}
		var listed bool
		if err := w.conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM customers)`).Scan(&listed); err != nil || !listed {
			t.Errorf("nobody is on a list: %v", err)
		}
	}
}

// followsRegistry looks whether what is run for a reason is its fix in the
// registry, but for what is filled in and for commands narrowed down to a store.
func (a ailment) followsRegistry(t *testing.T, fix []string) {
	t.Helper()
	reason, known := reasons.Find(a.subject)
	if a.kind != "facts_unattached" || a.args != "" {
		return
	}
	if !known || len(reason.Fix) == 0 {
		t.Errorf("the registry has no fix for %s", a.subject)
	}
	for _, command := range reason.Fix {
		same, _, _ := strings.Cut(command, " '{")
		if !slices.ContainsFunc(fix, func(is string) bool { return is == command || same != command && strings.HasPrefix(is, same+" ") }) {
			t.Errorf("%s: %q is not what the registry says: %s", a.subject, fix, command)
		}
	}
}

// prescription is the script of a finding's commands: filled in, and without
// those that are for people.
func (a ailment) prescription(fix []string) string {
	var lines []string
	for _, line := range fix {
		if a.leave != "" && strings.Contains(line, a.leave) {
			continue
		}
		for open, value := range a.fill {
			line = strings.ReplaceAll(line, open, value)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// A house in order has nothing to find but what nobody can mend from here.
func TestDoctorFindsNothing(t *testing.T) {
	w := newHospital(t).newWard(t, false)
	w.say("store.upserted", `{"id":"s1","name":"One","owner_user_id":"user_o"}`)
	w.signsUp("user_1", "ava@x.example")
	w.sells()
	enrolled("user_1")(w)
	w.redis("CONFIG SET appendonly yes")
	for _, args := range []string{"", "--store s1"} {
		w.until("nothing is found", func() bool {
			r, status := w.examine("", args, nil)
			if len(r.names()) > 0 {
				t.Log(r.names())
			}
			return status == 0 && len(r.names()) == 0
		})
	}
	out, status := w.sh("rollcall doctor", nil)
	if status != 0 || !strings.HasPrefix(out, "0 problems, 0 warnings and 0 notes. Well:\n") {
		t.Errorf("status %d: %s", status, out)
	}
}

// Servers as they are not here.
func TestDoctorJudges(t *testing.T) {
	at := time.Date(2026, 3, 18, 12, 0, 0, 0, time.UTC)
	recently, long := at.Add(-time.Minute), at.Add(-time.Hour)
	for _, c := range []struct {
		name  string
		judge func(*doctor)
		want  string // kind and severity; empty: all is well
	}{
		{"old Postgres", func(d *doctor) { d.judgeDatabase(store.Database{Version: 140009}) }, "database_old warning"},
		{"a standby", func(d *doctor) { d.judgeDatabase(store.Database{Version: 170001, ReadOnly: true, Standby: true}) }, "database_read_only problem"},
		{"clocks agree", func(d *doctor) { d.judgeClock(at, at.Add(3*time.Second)) }, ""},
		{"a clock is ahead", func(d *doctor) { d.judgeClock(at, at.Add(-time.Minute)) }, "clock_off warning"},
		{"a clock is behind", func(d *doctor) { d.judgeClock(at, at.Add(3*time.Minute)) }, "clock_off problem"},
		{"a worker's clock is ahead", func(d *doctor) { d.clockAgrees("h:1", "worker h:1", 24*time.Hour) }, "clock_off problem"},
		{"a session is silent", func(d *doctor) {
			d.judgeSessions([]store.HeldSession{{PID: 7, Application: "psql", Since: long, Tables: 1}})
		}, "session_held problem"},
		{"no session is", func(d *doctor) { d.judgeSessions(nil) }, ""},
		{"Postgres can", func(d *doctor) { d.judgeAble(nil) }, ""},
		{"a full disk", func(d *doctor) { d.judgeAble(&pgconn.PgError{Code: "53100", Message: "could not extend file"}) }, "database_not_able problem"},
		{"a role that may not write", func(d *doctor) { d.judgeAble(&pgconn.PgError{Code: "42501"}) }, "database_not_able problem"},
		{"Redis 7", func(d *doctor) { d.judgeRedisVersion("# Server\r\nredis_version:7.0.15\r\n") }, ""},
		{"Redis 6.2", func(d *doctor) { d.judgeRedisVersion("redis_version:6.2.14\r\n") }, "redis_old warning"},
		{"Redis 5", func(d *doctor) { d.judgeRedisVersion("redis_version:5.0.3\r\n") }, "redis_old problem"},
		{"something that is no Redis", func(d *doctor) { d.judgeRedisVersion("dragonfly") }, ""},
		{"nobody looks", func(d *doctor) { d.asked, d.workers, d.watches = true, 2, []store.Watch{{CheckedAt: long}} }, "watches_stale warning"},
		{"somebody looks", func(d *doctor) {
			d.asked, d.workers, d.watches = true, 2, []store.Watch{{CheckedAt: long}, {CheckedAt: recently}}
		}, ""},
		{"nobody is there to look", func(d *doctor) { d.asked, d.watches = true, nil }, ""},
	} {
		d := &doctor{env: &env{}, now: func() time.Time { return at }}
		c.judge(d)
		d.staleWatches()
		got := ""
		for _, f := range d.findings {
			if f.Severity != fine {
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

// Every finding, and every reason for which a fact is on no list, is in the book.
func TestDoctorDocs(t *testing.T) {
	book, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kindsOfFindings {
		if !bytes.Contains(book, []byte("- `"+k.kind+"`")) {
			t.Errorf("docs/doctor.md does not explain %s", k.kind)
		}
	}
	for _, line := range reasonTables() {
		if !bytes.Contains(book, []byte("\n"+line+"\n")) {
			t.Errorf("docs/doctor.md has not, as package reasons has it:\n%s", line)
		}
	}
	for _, kind := range watch.Kinds {
		meaningOf(kind) // panics
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
		lines = append(lines, fmt.Sprintf("| `%s` | %s | %s | %s | `%s` |", r.Code, weight, r.Means, r.Do, strings.Join(r.Fix, "`<br>`")))
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
		if got := harmless(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
		if !json.Valid([]byte(`"` + strings.ReplaceAll(harmless(text), `"`, "") + `"`)) {
			t.Errorf("%q is no JSON", harmless(text))
		}
	}
	command := send("store.upserted", object{"id", "a'; rm -rf / #\x1b"}, object{"name", ""}, ids("items", nil), object{"owner_user_id", "<CLERK USER>"})
	if want := `rollcall events send store.upserted '{"id":"a\u0027; rm -rf / #\u001b","owner_user_id":"<CLERK USER>"}'`; command != want {
		t.Errorf("got  %s\nwant %s", command, want)
	}
}
