package web

import (
	"cmp"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"rollcall/web/core"
)

// hostileValues are such that no parameter means, or just so.
var hostileValues = []string{
	"\x00", "a\x00b", "\xff", "\xed\xa0\x80", "\xc0\xaf", "\u202e", "\ufeff", "'", `"`, `\`, "%", "_", "$1", "{}", "[]",
	"null", "-", "--", "..", "../x",
	"0", "-0", "+1", "-1", "1e30", "1" + strings.Repeat("0", 30), "-1" + strings.Repeat("0", 30), "9223372036854775807",
	"9223372036854775808", "-9223372036854775808",
	"2147483648", "zik0zk", "0x10", "1_0", "NaN", "Inf", "-inf", "1e400", "1e-400", "999999999999.999", "0.0000000001",
	"１２",
	"9999999-01-01", "-1-01-01", "0000-01-01", "0001-01-01", "9999-12-31", "2026-02-30", "10000-01-01T00:00:00Z",
	"0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00.9999999999Z", "99999w", "99999d",
	"99999h", "0w", "infinity", "now", "epoch",
	strings.Repeat("a", 300), strings.Repeat("é", 4100), strings.Repeat("%", 4100), strings.Repeat("a ", 100),
	strings.Repeat("9", 400),
}

var sweepAll = flag.Bool("sweep.all", false, "ask pages with every hostile value too, as the API is")

// values are those that a route is asked with: pages read with what the API reads with.
func values(path string) []string {
	if *sweepAll || strings.HasPrefix(path, "/api/") {
		return hostileValues
	}
	return few
}

// few are those of them that have found something out elsewhere.
var few = []string{"\x00", "\xff", "\xed\xa0\x80", "-1", "1" + strings.Repeat("0", 30), "9223372036854775807", "zik0zk",
	"NaN", "9999999-01-01",
	"0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "99999w", strings.Repeat("é", 4100)}

// cursors are such as a list writes, tampered with.
func cursors(sorts ...string) (all []string) {
	for _, sort := range sorts {
		for _, id := range []string{"9223372036854775807", "-1", "1e30", "0", "null"} {
			all = append(all, fmt.Sprintf(`{"sort":%q,"id":%s}`, sort, id))
		}
		for _, key := range append(few, `["a","b"]`, `["payment","acct_1","pi_1"]`, "payment",
			"2026-01-01T00:00:00Z 1 note note:1") {
			all = append(
				all, fmt.Sprintf(`{"sort":%q,"key":%s,"id":1}`, sort, strings.ReplaceAll(fmt.Sprintf("%q", key), `\x`, `\u00`)))
		}
		all = append(all, fmt.Sprintf(`{"sort":%q,"key":"\ud800","id":1}`, sort))
	}
	return append(all, "null", "[]", strings.Repeat("[", 2000), "\x00", "\xff")
}

// moreParams are parameters of pages beside those that the lists name themselves.
var moreParams = []string{"from", "segment", "currency", "by",
	"after", "before", "through", "count", "do", "opened", "looked", "attached", "failed",
	"day", "question", "go_on", "next", "link", "source", "reason", "span"}

// sweep asks for everything there is with hostile values.
type sweep struct {
	*site
	t      *testing.T
	client *http.Transport // keeps a connection for each asker
	group  errgroup.Group
	asked  atomic.Int32
}

// askers are how many requests are under way at once.
const askers = 8

// TestNothingHostileIsOurFault: whatever a request says, in its path, its query or
// its body, the answer is never that something went wrong here.
func TestNothingHostileIsOurFault(t *testing.T) {
	t.Parallel()
	x := open(t, func(c *core.Config) { c.Jobs = &asked{} })
	x.hear(t, studio()...)
	x.take(t, enrolledIn("evt_lost", `"user_id":"user_lost"`))
	x.begin(t, `{"kind": "clerk"}`)
	x.exec(t, `INSERT INTO tags (id, store_id, name, folded, created_by) VALUES ($1, 'studio', 'T', 't', 'admin')`, aTag)
	x.segmented(t, "studio")
	x.creators.Live.End() // a stream that is let in ends at once
	s := &sweep{site: x, t: t, client: &http.Transport{MaxIdleConnsPerHost: askers}}
	defer s.client.CloseIdleConnections()
	s.group.SetLimit(askers)
	for _, route := range x.routes() {
		s.paths(route)
		if ready := strings.ReplaceAll(s.path(route), aSegment, "at_risk"); ready != s.path(route) {
			s.ask(cmp.Or(route.method, "GET"), ready, "application/json", "{}")
		}
		switch {
		case route.method == "GET", route.method == "":
			s.queries(route)
		case strings.HasSuffix(route.path, "/attach"): // reads a query as the list does, and then works for seconds
			s.query(route, []string{"cursor", "limit"}, []string{"\x00", "-1", "zz"})
		default:
			s.bodies(route)
			s.forms(route)
		}
	}
	s.group.Wait()
	t.Logf("%d requests", s.asked.Load())
}

// path is that of a route, with parts that exist.
func (s *sweep) path(r route) string {
	id := "1"
	if r.who == core.Sellers {
		id = s.id(s.t, core.CustomerID, 1)
	}
	return strings.NewReplacer("{store}", "studio", "{id}", id, "{note}", s.id(s.t, core.NoteID, 1),
		"{tag}", aTag, "{segment}", aSegment, "{bulk}", aBulk, "{campaign}", aCampaign, "{table}", "months.csv",
		"{recipe}", "not_started", "{mail}", s.id(s.t, core.MailID, 1),
		"{token}", s.id(s.t, core.TokenID, 1), "{reason}",
		"user_unknown", "{$}", "", "{file}", "style.css").Replace(r.path)
}

// ask sends a request as an operator, who gets furthest.
func (s *sweep) ask(method, path, kind, body string) {
	s.asked.Add(1)
	s.group.Go(func() error {
		r, err := http.NewRequestWithContext(s.t.Context(), method, s.url, strings.NewReader(body))
		if err != nil {
			s.t.Error(err)
			return nil
		}
		r.URL.Opaque = strings.TrimPrefix(s.url, "http:") + path // as it stands, whatever stands there
		asAdmin(r)
		r.Header.Set("Content-Type", kind)
		res, err := s.client.RoundTrip(r)
		if err != nil {
			s.t.Errorf("%s %.300s %.300q: %v", method, path, body, err)
			return nil
		}
		io.Copy(io.Discard, res.Body) // or the connection is not used again
		res.Body.Close()
		if res.StatusCode >= 500 {
			s.t.Errorf("%s %.300s %.300q: %d", method, path, body, res.StatusCode)
		}
		return nil
	})
}

// paths puts hostile values in place of each part of a path.
func (s *sweep) paths(r route) {
	for _, part := range []string{"{store}", "{id}", "{note}", "{tag}", "{token}", "{segment}", "{bulk}", "{reason}",
		"{campaign}", "{recipe}", "{mail}", "{file}"} {
		if !strings.Contains(r.path, part) {
			continue
		}
		for _, value := range values(r.path) {
			method := r.method
			if method == "" {
				method = "GET"
			}
			s.ask(method, strings.Replace(s.path(route{path: strings.Replace(r.path, part, "@@", 1), who: r.who}), "@@",
				url.PathEscape(value), 1), "application/json", `{"body":"x"}`)
		}
	}
}

// params are the names that a route takes, as it lists them itself when it is asked
// for another.
func (s *sweep) params(r route) (names []string) {
	for _, m := range allowed.FindAllStringSubmatch(s.get(s.t, s.path(r)+"?zz=x", asAdmin).text, -1) {
		names = append(names, strings.Split(strings.Trim(m[1], ", "), ", ")...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *sweep) queries(r route) {
	for _, none := range []string{"/assets/", core.MonitoringPath, "/metrics", "/healthz", "/readyz",
		"/api/openapi.json"} {
		if strings.HasPrefix(r.path, none) {
			return // reads no query of ours
		}
	}
	path := s.path(r)
	for _, query := range []string{"%", "%zz", "a;b", "=", "%ff=%ff", "%00=%00", strings.Repeat("a=1&", 2000)} {
		s.ask("GET", path+"?"+query, "", "")
	}
	names, those := s.params(r), values(r.path)
	if slices.Contains(names, "not_course") && r.path != "/api/stores/{store}/customers" && !*sweepAll {
		those = few // the filters are those of the list
	}
	s.query(r, names, those)
	if !strings.HasPrefix(r.path, "/api/") {
		s.query(r, append(moreParams, "cursor"), few)
	}
	s.cursors(r)
}

// query sends each value for each name.
func (s *sweep) query(r route, names, values []string) {
	for _, name := range names {
		extra := ""
		if name == "completed" || strings.HasPrefix(name, "progress_") {
			extra = "&course=mixing"
		}
		for _, value := range values {
			s.ask(r.method, s.path(r)+"?"+name+"="+url.QueryEscape(value)+extra, "", "")
		}
	}
}

// cursors tampers with a list's, as a stranger would, and as if they had our seal.
func (s *sweep) cursors(r route) {
	list := map[string]struct {
		name, scope string
		sorts       []string
	}{
		"/api/stores/{store}/customers": {"cursor", "customers of studio",
			[]string{"-last_activity", "first_seen", "spent", "name", "-email"}},
		core.LivePath: {"after", "newcomers of studio", []string{"email"}},
		"/api/stores/{store}/customers/{id}/timeline": {"cursor", "timeline of 1 in studio", []string{"-at"}},
		"/store/{store}/customers/{id}":               {"before", "timeline of 1 in studio", []string{"-at"}},
		"/api/admin/events":                           {"cursor", "", []string{"-id"}},
		"/admin/events":                               {"cursor", "", []string{"-id"}},
		"/api/admin/unattached/{reason}":              {"cursor", "", []string{"fact"}},
		"/admin/unattached/{reason}":                  {"cursor", "", []string{"fact"}},
		"/api/admin/stores":                           {"cursor", "", []string{"id", "-customers", "name"}},
		"/admin/stores":                               {"cursor", "", []string{"id"}},
	}[r.path]
	for _, sort := range list.sorts {
		for _, plain := range cursors(sort) {
			text := base64.RawURLEncoding.EncodeToString([]byte(plain))
			query := "?" + list.name + "=" + url.QueryEscape(text)
			if list.scope != "" {
				query = "?" + list.name + "=" + url.QueryEscape(s.IDs().Cursor(list.scope, text))
			}
			if len(list.sorts) > 1 {
				query += "&sort=" + sort
			}
			s.ask("GET", s.path(r)+query, "", "")
		}
	}
}

// said are names in bodies, by the end of a route's path, with what else belongs
// there for a value to be looked at.
var said = map[string]map[string]string{
	"/backfills": {"kind": "", "store": `"kind":"courses"`, "since": `"kind":"stripe"`, "only": `"kind":"stripe"`,
		"accounts": `"kind":"stripe"`,
		"file":     `"kind":"convex"`, "as_of": `"kind":"convex","file":"a.zip"`, "chunk_size": `"kind":"courses"`,
		"dry_run": `"kind":"courses"`},
	"/retry": reopenNames, "/replay": reopenNames, "/reopen": reopenNames,
	"/consents": {"consents": ""},
	"/notes":    {"body": ""}, "/{note}": {"body": ""},
	"/tags": {"name": ""}, "/{tag}": {"name": ""}, "/merge": {"into": ""},
	"/segments":  {"name": `"kind":"static"`, "kind": `"name":"x"`, "rule": `"kind":"dynamic","name":"x"`},
	"/{segment}": {"name": "", "rule": "", "version": "", "pinned": ""}, "/preview": {"rule": ""},
	"/campaigns": {"recipe": "", "numbers": `"recipe":"stuck"`, "name": stepped, "steps": `"name":"x","trigger":` + asking,
		"trigger": `"name":"x"`, "goal": stepped, "audience": stepped, "not_after": stepped},
	"/{campaign}": {"name": "", "steps": "", "trigger": "", "within": "", "goal": "", "audience": "", "version": ""},
	"/switch":     {"to": "", "past": `"to":"on"`, "days": `"to":"on","past":"days"`, "count": `"to":"on","past":"all"`},
	"/bulk": {"action": aimed + `,"filter":"","expected":1`, "tag": adding + `,"filter":"","expected":1`,
		"tag_name": adding + `,"filter":"","dry_run":true`, "segment": adding + `,"filter":"","expected":1`,
		"filter": adding + "," + aimed + `,"dry_run":true`, "rule": adding + "," + aimed + `,"dry_run":true`,
		"customers": adding + "," + aimed, "expected": adding + "," + aimed + `,"filter":""`},
	"/selection": {"id": `"do":"copy"`, "query": `"do":"export","all":"1"`, "expected": `"do":"tag","tag":"T","all":"1"`,
		"tag": `"do":"tag","all":"1"`, "untag": `"do":"untag","all":"1"`, "do": `"all":"1"`},
	"/signin":   {"token": "", "next": ""},
	"/{recipe}": {"n.days": `"do":"draft"`, "course": `"do":"draft"`, "product": `"do":"draft"`, "do": ""},
	"/new":      draftNames, "/edit": draftNames, "/test": {"mail": `"to":"x"`, "to": `"mail":"a a"`,
		"step": `"to":"x"`, "variant": `"to":"x","step":"a"`},
	"/mail": {"from_name": `"tracking":"off"`, "reply_to": `"tracking":"off"`, "postal_address": `"tracking":"off"`,
		"home_url": `"tracking":"off"`, "quiet_from": `"tracking":"off","quiet_to":"9"`, "cap_day": `"tracking":"off"`,
		"tracking": ""},
	"/settings": {"time_zone": "", "currencies": ""}, "/tokens": {"name": `"days":"30"`, "days": `"name":"x"`},
}

// Parts of a campaign.
const (
	asking  = `{"question":"not_started"}`
	stepped = `"name":"x","trigger":` + asking + `,"steps":[{"do":"note","note":"N"}]`
)

// drafted is what a form of a campaign has besides the value that is looked at.
const drafted = `"do":"save","question":"not_started","s.1.do":"mail","s.1.mail.subject":"S","s.1.mail.body":"B"`

var draftNames = map[string]string{"name": drafted, "n.days": drafted + `,"name":"x"`,
	"course":   drafted + `,"name":"x"`,
	"audience": drafted + `,"name":"x"`, "goal": drafted + `,"name":"x"`, "holdout": drafted + `,"name":"x"`,
	"reentry_days": drafted + `,"name":"x","reentry":"after"`, "s.1.wait": drafted + `,"name":"x"`,
	"s.1.if": drafted + `,"name":"x"`, "s.1.b.subject": drafted + `,"name":"x"`, "version": drafted + `,"name":"x"`,
	"do": `"question":"stuck"`, "question": `"do":"save"`}

// Parts of a bulk action.
const (
	adding = `"action":"add"`
	aimed  = `"tag":"` + aTag + `"`
)

var reopenNames = map[string]string{"source": `"do":"replay"`, "status": "", "type": "", "id": "", "ids": "",
	"error": "", "since": "", "until": "", "after": `"do":"retry"`,
	"through": `"do":"retry"`, "limit": "", "cursor": ""}

// bodies sends JSON to a route: hostile values for each name, and what is none.
func (s *sweep) bodies(r route) {
	path := s.path(r)
	for _, body := range []string{"", "\xff", "null", "[]", "{", `{"\ud800":1}`, `{"\u0000":1}`, strings.Repeat("[", 5000),
		`"` + strings.Repeat("a", 70_000) + `"`} {
		s.ask(r.method, path, "application/json", body)
	}
	for name, rest := range said[r.path[strings.LastIndex(r.path, "/"):]] {
		var all []string
		for _, v := range values(r.path) {
			all = append(all, strings.ReplaceAll(fmt.Sprintf("%q", v), `\x`, `\u00`))
		}
		all = append(all, `"\ud800"`, `"\udfff\ud800"`, `["\ud800"]`, `["\u0000"]`, "1e400", "-1",
			"1"+strings.Repeat("0", 30), "null", "true", "{}", "[[]]",
			"\"\xff\"", "9223372036854775807", "1.5")
		for _, value := range all {
			s.ask(r.method, path, "application/json", fmt.Sprintf("{%q:%s%s}", name, value, strings.TrimSuffix(","+rest, ",")))
		}
	}
}

// forms sends the same to a page, as a form.
func (s *sweep) forms(r route) {
	if strings.HasPrefix(r.path, "/api/") {
		return
	}
	for name, rest := range said[r.path[strings.LastIndex(r.path, "/"):]] {
		rest = strings.NewReplacer(`":"`, "=", `","`, "&", `"`, "").Replace(rest)
		for _, value := range values(r.path) {
			s.ask(r.method, s.path(r), "application/x-www-form-urlencoded", name+"="+url.QueryEscape(value)+"&"+rest)
		}
	}
	for _, body := range []string{"%", "a;b", "%00", strings.Repeat("a", core.MaxForm+1)} {
		s.ask(r.method, s.path(r), "application/x-www-form-urlencoded", body)
		s.ask(r.method, s.path(r), "multipart/form-data; boundary=x", body)
	}
}
