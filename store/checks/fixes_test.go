package checks

import "testing"

// What strangers wrote does nothing to a shell, and what is empty is left out.
func TestSend(t *testing.T) {
	command := send("store.upserted", object{"id", "a'; rm -rf / #\x1b"}, object{"name", ""},
		ids("items", nil), object{"owner_user_id", "<CLERK USER>"})
	want := `rollcall events send store.upserted '{"id":"a\u0027; rm -rf / #\u001b","owner_user_id":"<CLERK USER>"}'`
	if command != want {
		t.Errorf("got  %s\nwant %s", command, want)
	}
}
