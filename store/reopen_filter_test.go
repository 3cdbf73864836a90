package store

import (
	"testing"
	"time"
)

// Whatever a list of events can be asked for, a retry, replay or dismissal of "all that
// match" is of no others: each parameter but the status is carried over.
func TestReopenMeansTheList(t *testing.T) {
	values := map[string]string{"id": "evt_1", "source": "stripe", "type": "invoice.paid", "error": "deadlock",
		"q":         "pi_1",
		"store":     "s1",
		"dismissed": "yes", "since": "2026-01-02T00:00:00Z", "until": "2026-01-03T00:00:00Z"}
	for i, p := range new(EventFilter).Params() {
		if p.Name == "status" { // chooses the statuses, see Reopen
			continue
		}
		var f EventFilter
		*f.Params()[i].Value = values[p.Name]
		asked := f.Reopen(time.Now(), "failed", "ignored", "processed").asked()
		if got := *asked.Params()[i].Value; got != values[p.Name] || got == "" {
			t.Errorf("%s: %q, not %q", p.Name, got, values[p.Name])
		}
	}
}
