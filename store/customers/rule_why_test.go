package customers

import (
	"math/rand/v2"
	"testing"
	"time"

	"rollcall/internal/testing/storetest"
)

// Why a customer is in a segment is decided part by part, as the list decides.
func TestWhyAgreesWithTheList(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	d := draw{rand.New(rand.NewPCG(7, 7)), time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}
	w := d.fill(t, s, 12)
	all := everybody(t, s, d.now)
	for range 60 {
		r := d.rule(t)
		c := all[d.IntN(len(all))]
		why, of, err := New(s).At(d.now).Why(t.Context(), "s", c.ID, r)
		if err != nil || of.ID != c.ID {
			t.Fatalf("%s: %v", r, err)
		}
		w.agrees(t, c, r, why)
	}
}

// agrees checks each part of a Why.
func (w witness) agrees(t *testing.T, c Customer, r Rule, why Why) {
	t.Helper()
	if why.Met != w.meets(c, r) || why.Group != r.Group || why.Text == "" {
		t.Errorf("%s of %s: %+v, want %t", r, c.Email, why, w.meets(c, r))
	}
	if r.Group == "" {
		return
	}
	if len(why.Parts) != len(r.Rules) {
		t.Fatalf("%s has %d parts: %+v", r, len(why.Parts), why)
	}
	for i, one := range r.Rules {
		w.agrees(t, c, one, why.Parts[i])
	}
}
