package checks

import (
	"strings"
	"testing"

	"rollcall/store"
)

// TestBackfillWithoutKey: a run that failed for lack of a key needs it before it is
// resumed.
func TestBackfillWithoutKey(t *testing.T) {
	for reason, want := range map[string]string{
		"CLERK_SECRET_KEY is not set: give the secret key": "export CLERK_SECRET_KEY=<KEY>",
		"the key is refused": "rollcall backfill show 7",
	} {
		f := troubled(store.Backfill{ID: 7, Kind: "clerk", Status: "failed", Reason: &reason}, false)
		if !strings.HasPrefix(f.Fix[0], want) || f.Fix[1] != "rollcall backfill resume 7" {
			t.Errorf("%s: %q", reason, f.Fix)
		}
	}
}
