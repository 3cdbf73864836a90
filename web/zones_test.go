package web

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Times are those of the store's own time zone, else of what the platform reports, else of the reader's browser, else
// UTC: everywhere on a page the same.
func TestPagesHaveOneZone(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.hear(t, studio()...)
	inBrowser := func(zone string) as {
		return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "zone", Value: zone}) }
	}
	path := x.customerPath(t, "Rita Okafor")
	var list struct {
		Data []struct {
			At time.Time `json:"last_activity_at"`
		}
	}
	unmarshal(t, x.get(t, "/api/stores/studio/customers?q=Rita+Okafor", asAdmin), &list)
	at := list.Data[0].At
	for _, c := range []struct{ sql, cookie, want string }{
		{`SELECT 1`, "", "UTC"},
		{`SELECT 1`, "../../etc/passwd", "UTC"},
		{`SELECT 1`, "Australia/Sydney", "Australia/Sydney"},
		{`UPDATE stores SET time_zone = 'Asia/Tokyo'`, "Australia/Sydney", "Asia/Tokyo"},
		{`INSERT INTO store_settings (store_id, time_zone, currencies) VALUES ('studio', 'America/New_York', '{}')`,
			"Australia/Sydney", "America/New_York"},
	} {
		x.exec(t, c.sql)
		zone, err := time.LoadLocation(c.want)
		if err != nil {
			t.Fatal(err)
		}
		want := at.In(zone).Format(">15:04")
		if c.want == "UTC" {
			want += " UTC"
		}
		if page := x.get(t, path, asAdmin, inBrowser(c.cookie)).text; !strings.Contains(page, want+"</time>") {
			t.Errorf("%s, cookie %q: no %s in the page", c.want, c.cookie, want)
		}
	}
	settings := x.get(t, "/store/studio/settings", asAdmin).text
	if !strings.Contains(settings, "As your platform reports it: Asia/Tokyo") {
		t.Error("settings do not say what counts if no zone is set")
	}
}
