package watch

import (
	"testing"
	"time"

	"rollcall/store"
	"rollcall/store/status"
)

// Deliveries of a secret that was wrong long ago explain no bad signatures of today.
func TestUnsigned(t *testing.T) {
	count := func(outcome string, n int64) store.Delivered {
		return store.Delivered{Source: "stripe", Hour: noon, Outcome: outcome, Count: n, First: noon, Last: noon}
	}
	for name, c := range map[string]struct {
		refused time.Time // last, by a secret that never matched
		want    int64
	}{
		"now":      {noon, 1},
		"long ago": {ago(5 * week), 5},
	} {
		unsigned, signed := Unsigned("stripe", status.Traffic{At: noon,
			Deliveries: []store.Delivered{count(store.BadSignature, 5), count(store.Accepted, 2)},
			Secrets: []status.SecretUse{{Source: "stripe", Refused: 4, FirstRefused: &c.refused,
				LastRefused: &c.refused}}})
		if unsigned != c.want || signed != 2 {
			t.Errorf("%s: %d and %d signed, want %d and 2", name, unsigned, signed, c.want)
		}
	}
}
