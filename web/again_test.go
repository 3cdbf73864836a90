package web

import (
	"strings"
	"testing"
)

// A button that removes something may be pressed twice.
func TestRemovedTwice(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.hear(t, studio()...)
	x.exec(t, `INSERT INTO customer_notes (store_id, email, body, author)
		VALUES ('studio', 'ann.lee@mail.example', 'Hello', 'admin')`)
	x.exec(t, `INSERT INTO tags (id, store_id, name, folded, created_by)
		VALUES ('tag_vip', 'studio', 'VIP', 'vip', 'admin')`)
	x.exec(t, `INSERT INTO segments (id, store_id, name, folded, kind, rule, created_by)
		VALUES ('seg_best', 'studio', 'Best', 'best', 'dynamic', '{"spent":{"min":"100"}}', 'admin')`)
	ann := x.customerPath(t, "Ann Lee")
	x.send(t, "POST", ann+"/mail/stop", "", asAdmin)
	note := strings.Split(x.get(t, ann, asAdmin).text, ann+"/notes/")[1]
	for _, path := range []string{ann + "/notes/" + note[:strings.IndexAny(note, `"/`)] + "/delete", ann + "/mail/lift",
		ann + "/tags/tag_vip/remove", "/store/studio/tags/tag_vip/delete", "/store/studio/segments/seg_best/delete"} {
		first, second := x.send(t, "POST", path, "", asAdmin), x.send(t, "POST", path, "", asAdmin)
		if first.StatusCode != 303 || second.StatusCode != 303 ||
			first.Header.Get("Location") != second.Header.Get("Location") {
			t.Errorf("%s: %d, then %d %.300s", path, first.StatusCode, second.StatusCode, second.text)
		}
	}
}

// What was done with a tag that is deleted cannot be taken back, and no button says so.
func TestUndoOfDeletedTag(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.hear(t, studio()...)
	done := x.send(t, "POST", listPath+"/selection", "all=1&expected=6&do=tag&tag=VIP", asAdmin).Header.Get("Location")
	x.work(t)
	if page := x.get(t, done, asAdmin); !strings.Contains(page.text, done+"/undo") {
		t.Errorf("%s: no Undo: %s", done, page.text)
	}
	x.exec(t, `DELETE FROM tags`)
	if page := x.get(t, done, asAdmin); page.StatusCode != 200 || strings.Contains(page.text, done+"/undo") {
		t.Errorf("%s: Undo of a deleted tag: %d %s", done, page.StatusCode, page.text)
	}
}

// The address that a failed form leaves in a browser leads to the form's page; programs are told the methods.
func TestAddressesOfForms(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	for path, page := range map[string]string{
		listPath + "/selection?type=lead":            listPath + "?type=lead",
		listPath + "/cus_1/notes":                    listPath + "/cus_1",
		listPath + "/cus_1/notes/note_1/delete":      listPath + "/cus_1",
		"/store/a%2Fb/tags/tag_1/merge":              "/store/a%2Fb/tags",
		"/store/studio/settings/tokens/tok_1/revoke": "/store/studio/settings",
		"/store/studio/bulk/blk_1/undo":              "/store/studio/bulk/blk_1",
		"/admin/events/1/retry":                      "/admin/events/1",
	} {
		if got := x.get(t, path); got.StatusCode != 303 || got.Header.Get("Location") != page {
			t.Errorf("%s: %d to %q, want %q", path, got.StatusCode, got.Header.Get("Location"), page)
		}
	}
	for _, path := range []string{"/api/stores/studio/consents", "/api/stores/studio/customers/1/tags/2", "/signout"} {
		if got := x.get(t, path); got.StatusCode != 405 || got.Header.Get("Allow") == "" {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
	}
	if got := x.get(t, "/nothing").text; strings.Count(got, "Page not found") != 2 { // the title and the heading
		t.Errorf("not found: %s", got)
	}
}
