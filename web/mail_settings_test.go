package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A slow start is the owner's to set. Whether a purchase is enough for marketing is only the operators': an owner
// neither sees it nor changes it by a form of their own.
func TestMailSettingsOfOperators(t *testing.T) {
	x, owner, _ := settled(t)
	save := func(who as, form url.Values, status int) string {
		t.Helper()
		got := x.send(t, "POST", settingsOfA+"/mail", form.Encode(), who)
		if got.StatusCode != status {
			t.Errorf("%v: %d %s", form, got.StatusCode, got.text)
		}
		return got.text
	}
	wants := func(sql string) {
		t.Helper()
		x.wantCount(t, `SELECT count(*) FROM mail_settings WHERE store_id = 'store_a' AND `+sql, 1)
	}
	save(asAdmin, url.Values{"soft_opt_in": {"yes"}, "warm_up_from": {"2026-03-01"}}, http.StatusSeeOther)
	wants(`soft_opt_in AND warm_up_from = '2026-03-01'`)
	shown := x.get(t, settingsOfA, owner).text
	if !strings.Contains(shown, `value="2026-03-01"`) || strings.Contains(shown, "soft_opt_in") {
		t.Error("the owner's page")
	}
	save(owner, url.Values{"warm_up_from": {"2026-03-02"}}, http.StatusSeeOther)
	wants(`soft_opt_in AND warm_up_from = '2026-03-02'`)
	if text := save(owner, url.Values{"warm_up_from": {"soon"}}, http.StatusBadRequest); !strings.Contains(text,
		"must be a day, as 2026-01-31") {
		t.Error("a wrong day is not explained")
	}
	save(asAdmin, url.Values{}, http.StatusSeeOther)
	wants(`NOT soft_opt_in AND warm_up_from IS NULL`)
	save(owner, url.Values{"soft_opt_in": {"yes"}}, http.StatusSeeOther)
	wants(`NOT soft_opt_in`)
}
