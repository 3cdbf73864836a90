package store_test

import (
	"testing"

	"rollcall/store"
)

// Where deriving again stopped names a person no longer than they are kept: an
// erasure forgets the place, and its stage begins again.
func TestRederiveForgetsErased(t *testing.T) {
	var e teller
	s, url := openURL(t)
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"ann@x.example"`), e.enrolled("c1", `"email":"bob@x.example"`)},
		2)
	if _, err := execute(t, url, `
		UPDATE derivation
		SET rules = 0, target = $1, stage = 'enrollment', after_a = 'c1', after_b = 'email:ann@x.example',
			moved_at = now(), last_error = 'ann@x.example is odd'`, store.Rules); err != nil {
		t.Fatal(err)
	}
	erase(t, s, store.Erasing{Email: "ann@x.example"})
	unnamed(t, url, "ann@x.example")
	if finished, err := s.Rederive(t.Context(), 0, nil); err != nil || !finished {
		t.Errorf("%v %v", finished, err)
	}
	if d, err := s.Derivation(t.Context()); err != nil || d.Pending() || d.Facts != 2 {
		t.Errorf("%+v %v", d, err)
	}
	sound(t, s)
}

// A new database is derived by today's rules, so no worker derives it again beside what
// is brought in first.
func TestNewDatabaseIsUpToDate(t *testing.T) {
	s, _ := openURL(t)
	if d, err := s.Derivation(t.Context()); err != nil || d.Pending() {
		t.Errorf("%+v %v: a migration must raise the rules of an empty database", d, err)
	}
}
