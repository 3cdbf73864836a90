package main

import "testing"

// While no worker runs, receivers note how many events wait.
func TestReceiversSampleWhatWaits(t *testing.T) {
	t.Parallel()
	w := newHospital(t).newWard(t, true)
	w.until("a look at what waits", func() (seen bool) {
		err := w.conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM inbox_samples)`).Scan(&seen)
		return err == nil && seen
	})
}
