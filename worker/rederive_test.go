package worker

import (
	"strconv"
	"testing"

	"rollcall/store"
)

// What an earlier version derived, workers derive again by themselves: as after
// the migration to a version that says what a customer did last.
func TestWorkersRederive(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.keep("evt_store", "store.upserted", `{"id":"s1","name":"S","owner_user_id":"user_o"}`)
	s.keep("evt_enrolled", "enrollment.upserted", `{"course_id":"c1","store_id":"s1","email":"ann@x.example"}`)
	s.run(New(s.config))
	s.until(`count(*) = 1 AND bool_and(last_activity = 'enrollment') FROM customers`)
	s.exec(`UPDATE customers SET last_activity = NULL`)
	s.exec(`UPDATE derivation SET rules = 0`)
	s.run(New(s.config))
	s.until(`bool_and(rules = ` + strconv.Itoa(store.Rules) + ` AND finished_at IS NOT NULL AND differences = 1)
		FROM derivation`)
	s.is(`bool_and(last_activity = 'enrollment') FROM customers`)
}
