package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"rollcall/cmd/rollcall/internal/doctor"
	"rollcall/internal/testing/prose"
	"rollcall/store/checks"
	"rollcall/store/finding"
	"rollcall/store/reasons"
)

// Whatever ails is named, with a command that mends it; mended, it is named no
// more.
func TestDoctorFindsAndMends(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	found := map[string]bool{}
	for _, a := range ailments {
		t.Run(strings.TrimSpace(a.kind+" "+a.subject+" "+a.args), func(t *testing.T) {
			if !a.alone {
				t.Parallel()
			}
			h.treat(t, a)
		})
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
	for _, kind := range checks.Kinds(checks.Doctor...) {
		if !found[kind.Name] && !elsewhereTested[kind.Name] {
			t.Errorf("no test causes %s", kind.Name)
		}
	}
}

// elsewhereTested are the kinds that cannot be caused on servers as they are here.
var elsewhereTested = map[string]bool{"database_old": true, "database_not_able": true, "session_held": true,
	"clock_off": true, "redis_old": true, "redis_mute": true, "locks_few": true, "watches_stale": true}

// treat causes an ailment, has it found, and mends it.
func (h *hospital) treat(t *testing.T, a ailment) {
	w := h.newWard(t, a.idle)
	if a.cause != nil {
		a.cause(w)
	}
	args := "--examples 3 " + a.args
	report, _ := w.examine("", args, a.env)
	f := finds(report, a.kind, a.subject)
	if f == nil {
		t.Fatalf("not found, among:\n%s", strings.Join(names(report), "\n"))
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("hushhush")) {
		t.Errorf("a secret is told: %s", text)
	}
	if f.Severity != a.severity || f.Means == "" || f.Count < 1 || f.Check == "" ||
		(len(f.Fix) == 0) != (f.Severity == finding.OK) {
		t.Errorf("found as %+v", *f)
	}
	if said := f.What + fmt.Sprint(f.Examples); !strings.Contains(said, a.says) {
		t.Errorf("it does not say %q: %s", a.says, said)
	}
	readsWell(t, report)
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
		return finds(report, a.kind, a.subject) == nil
	})
	if a.kind == "facts_unattached" {
		for _, f := range report.Findings {
			if f.Severity != finding.OK && f.Kind == a.kind {
				t.Errorf("still missing: %s: %s", f.Subject, f.What)
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
		if !slices.ContainsFunc(fix, func(is string) bool {
			return is == command || same != command &&
				strings.HasPrefix(is, same+" ")
		}) {
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
	t.Parallel()
	w := newHospital(t).newWard(t, false)
	w.say("store.upserted", `{"id":"s1","name":"One","owner_user_id":"user_o"}`)
	w.signsUp("user_1", "ava@x.example")
	w.sells()
	enrolled("user_1")(w)
	w.redis("CONFIG SET appendonly yes")
	for _, args := range []string{"", "--store s1"} {
		w.until("nothing is found", func() bool {
			r, status := w.examine("", args, nil)
			if len(names(r)) > 0 {
				t.Log(names(r))
			}
			return status == 0 && len(names(r)) == 0
		})
	}
	out, status := w.sh("rollcall doctor", nil)
	if status != 0 || !strings.HasPrefix(out, "0 problems, 0 warnings, 0 notes. ") {
		t.Errorf("status %d: %s", status, out)
	}
}

// readsWell checks the texts of a report: of counts of one and of more, and their ends.
func readsWell(t *testing.T, r doctor.Report) {
	t.Helper()
	for _, f := range r.Findings {
		texts := append([]string{f.What, f.Means}, f.Fix...)
		for _, e := range f.Examples {
			texts = append(texts, e.What)
		}
		for _, text := range texts {
			if wrong := prose.Faults(text); len(wrong) > 0 {
				t.Errorf("%s %s reads wrong: %q in %q", f.Kind, f.Subject, wrong, text)
			}
		}
	}
}
