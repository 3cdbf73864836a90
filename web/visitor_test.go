package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/store/customers"
	"rollcall/web/access"
	"rollcall/web/core"
	"rollcall/web/recipients"
)

// standing is what a visitor is to store_a.
type standing int

const (
	nobody   standing = iota
	somebody          // whom we know, but not of this store
	seller
	operator
)

// caller is a kind of visitor.
type caller struct {
	name string
	as   as
	is   standing
}

// callers are all kinds of visitors to a site with stores: everybody that comes
// to mind, honest or not.
func callers(t *testing.T, x *site) []caller {
	return append(append(anOperator(x), clerkUsers(t)...), programs(t, x)...)
}

// anOperator have, or had, or pretend to have, the admin token.
func anOperator(x *site) []caller {
	session := x.access.Admin.Sign(access.ForSession, now.Add(time.Hour))
	return []caller{
		{"nobody", stranger, nobody},
		{"wrong token", withBearer("wrong"), nobody},
		{"empty token", withBearer(""), nobody},
		{"token, cut", withBearer(token[:len(token)-1]), nobody},
		{"bearer", withBearer(token), operator},
		{"bearer, lower case", withHeader("Authorization", "bearer "+token), operator},
		{"other scheme", withHeader("Authorization", "Token "+token), nobody},
		{"bare token", withHeader("Authorization", token), nobody},
		{"token in the query", func(r *http.Request) { r.URL.RawQuery = url.Values{"token": {token}}.Encode() }, nobody},
		{"basic", withBasic(token), operator},
		{"basic, wrong", withBasic("wrong"), nobody},
		{"basic, empty", withBasic(""), nobody},
		{"cookie", withCookie(session), operator},
		{"cookie, expired", withCookie(x.access.Admin.Sign(access.ForSession, now)), nobody},
		{"cookie, tampered", withCookie("9" + session), nobody},
		{"cookie, cut", withCookie(session[:len(session)-1]), nobody},
		{"cookie, unsigned", withCookie(strings.Split(session, ".")[0] + "."), nobody},
		{"cookie, of a link", withCookie(x.access.Admin.Sign(access.ForLink, now.Add(time.Hour))), nobody},
		{"cookie, other key", withCookie(access.Admin{Token: "x"}.Sign(access.ForSession, now.Add(time.Hour))), nobody},
		{"cookie, empty key", withCookie(access.Admin{Token: ""}.Sign(access.ForSession, now.Add(time.Hour))), nobody},
		{"cookie, the token", withCookie(token), nobody},
		{"cookie and a wrong token", both(withCookie(session), withBearer("wrong")), operator},
	}
}

// clerkUsers are signed in with Clerk, or pretend to be.
func clerkUsers(t *testing.T) []caller {
	owner := func(more claims) string { return sign(t, clerkKey, nil, sessionOf("user_owner").with(more)) }
	seconds := func(n int) int64 { return now.Unix() + int64(n) }
	forged := strings.Split(owner(nil), ".")
	return []caller{
		{"owner, bearer", withBearer(owner(nil)), seller},
		{"owner, cookie", withClerk(owner(nil)), seller},
		{"member", withBearer(sign(t, clerkKey, nil, sessionOf("user_member"))), seller},
		{"member, cookie", withClerk(sign(t, clerkKey, nil, sessionOf("user_member"))), seller},
		{"former member", withBearer(sign(t, clerkKey, nil, sessionOf("user_former"))), somebody},
		{"another store's owner", withBearer(sign(t, clerkKey, nil, sessionOf("user_other"))), somebody},
		{"another store's owner, cookie", withClerk(sign(t, clerkKey, nil, sessionOf("user_other"))), somebody},
		{"buyer", withClerk(sign(t, clerkKey, nil, sessionOf("user_buyer"))), somebody},
		{"owner, and a wrong token", both(withClerk(owner(nil)), withBearer("wrong")), seller},
		{"other, and the owner's cookie",
			both(withClerk(owner(nil)), withBearer(sign(t, clerkKey, nil, sessionOf("user_other")))), somebody},
		{"ends in a second", withBearer(owner(claims{"exp": seconds(1)})), seller},
		{"their clock is behind", withBearer(owner(claims{"exp": seconds(-4)})), seller},
		{"their clock is ahead", withBearer(owner(claims{"nbf": seconds(4), "iat": seconds(4)})), seller},
		{"ended", withBearer(owner(claims{"exp": seconds(-6)})), nobody},
		{"ended, cookie", withClerk(owner(claims{"exp": seconds(-6)})), nobody},
		{"never ends", withBearer(owner(claims{"exp": nil})), nobody},
		{"not yet", withBearer(owner(claims{"nbf": seconds(6)})), nobody},
		{"issued in the future", withBearer(owner(claims{"iat": seconds(6)})), nobody},
		{"of nobody", withBearer(owner(claims{"sub": ""})), nobody},
		{"pending", withBearer(owner(claims{"sts": "pending"})), nobody},
		{"active", withBearer(owner(claims{"sts": "active"})), seller},
		{"other issuer", withBearer(owner(claims{"iss": "https://clerk.evil.example"})), nobody},
		{"issuer, longer", withBearer(owner(claims{"iss": issuer + ".evil.example"})), nobody},
		{"no issuer", withBearer(owner(claims{"iss": nil})), nobody},
		{"other party", withBearer(owner(claims{"azp": "https://evil.example"})), nobody},
		{"other party, cookie", withClerk(owner(claims{"azp": "https://evil.example"})), nobody},
		{"party, longer", withBearer(owner(claims{"azp": party + ".evil.example"})), nobody},
		{"no party", withBearer(owner(claims{"azp": nil})), nobody},
		{"no party, cookie", withClerk(owner(claims{"azp": nil})), seller},
		{"no party, cookie of another store's owner",
			withClerk(sign(t, clerkKey, nil, sessionOf("user_other").with(claims{"azp": nil}))), somebody},
		{"no party, cookie, other key", withClerk(sign(t, otherKey, nil,
			sessionOf("user_owner").with(claims{"azp": nil}))),
			nobody},
		{"suffixed cookie", withSession("_abc123", owner(nil)), seller},
		{"suffixed cookie, ended", withSession("_abc123", owner(claims{"exp": seconds(-6)})), nobody},
		{"suffixed cookie, other party", withSession("_abc123", owner(claims{"azp": "https://evil.example"})), nobody},
		{"suffixed cookie, other key", withSession("_abc123", sign(t, otherKey, nil, sessionOf("user_owner"))), nobody},
		{"suffixed cookie, pending", withSession("_abc123", owner(claims{"sts": "pending"})), nobody},
		{"suffixed cookie, alg none", withSession("_abc123", sign(t, nil, claims{"alg": "none"}, sessionOf("user_owner"))),
			nobody},
		{"suffixed cookie, beside another instance's", both(withClerk(sign(t, otherKey, nil, sessionOf("user_owner"))),
			withSession("_abc123", owner(nil))), seller},
		{"two cookies of one name, one ended", both(withClerk(owner(claims{"exp": seconds(-6)})), withClerk(owner(nil))),
			seller},
		{"cookies of other names", both(withSession("s", owner(nil)), withSession("-abc", owner(nil))), nobody},
		{"other key", withBearer(sign(t, otherKey, nil, sessionOf("user_owner"))), nobody},
		{"other key, cookie", withClerk(sign(t, otherKey, nil, sessionOf("user_owner"))), nobody},
		{"other key id", withBearer(sign(t, otherKey, claims{"kid": "ins_other"}, sessionOf("user_owner"))), nobody},
		{"alg none", withBearer(sign(t, nil, claims{"alg": "none"}, sessionOf("user_owner"))), nobody},
		{"alg none, cookie", withClerk(sign(t, nil, claims{"alg": "none"}, sessionOf("user_owner"))), nobody},
		{"alg None, signed", withBearer(sign(t, clerkKey, claims{"alg": "None"}, sessionOf("user_owner"))), nobody},
		{"public key as HMAC's", withBearer(sign(t, []byte(clerkPEM), claims{"alg": "HS256"}, sessionOf("user_owner"))),
			nobody},
		{"alg of another hash", withBearer(sign(t, clerkKey, claims{"alg": "RS512"}, sessionOf("user_owner"))), nobody},
		{"key in the header", withBearer(sign(t, otherKey, claims{"jwk": jwkOf(otherKey, "x")}, sessionOf("user_owner"))),
			nobody},
		{"made out to a program", withBearer(sign(t, clerkKey, claims{"typ": "at+jwt"}, sessionOf("user_owner"))), nobody},
		{"claims changed", withBearer(forged[0] + "." + base64JSON(sessionOf("user_x")) + "." + forged[2]), nobody},
		{"signature cut", withBearer(owner(nil)[:len(owner(nil))-2]), nobody},
		{"no signature", withBearer(forged[0] + "." + forged[1] + "."), nobody},
		{"no claims", withBearer(sign(t, clerkKey, nil, claims{})), nobody},
		{"two dots", withBearer(".."), nobody},
		{"two dots, cookie", withClerk("a.b.c"), nobody},
		{"session in the admin's cookie", withCookie(owner(nil)), nobody},
	}
}

// programs have a store's token, or had one.
func programs(t *testing.T, x *site) []caller {
	a, b := x.token(t, "store_a"), x.token(t, "store_b")
	revoked, expired := x.token(t, "store_a"), x.token(t, "store_a")
	if _, err := customers.New(x.Cfg.Store).RevokeToken(t.Context(), revoked.ID); err != nil {
		t.Fatal(err)
	}
	x.exec(t, `UPDATE store_tokens SET created_at = '2025-01-01', expires_at = $2 WHERE id = $1`, expired.ID, now)
	lasts := x.token(t, "store_a")
	x.exec(t, `UPDATE store_tokens SET created_at = '2025-01-01', expires_at = $2 WHERE id = $1`,
		lasts.ID, now.Add(time.Second))
	return []caller{
		{"store token", withBearer(a.Secret), seller},
		{"store token, basic", withBasic(a.Secret), seller},
		{"store token, ends in a second", withBearer(lasts.Secret), seller},
		{"other store's token", withBearer(b.Secret), somebody},
		{"other store's token, and the owner's cookie",
			both(withBearer(b.Secret), withClerk(sign(t, clerkKey, nil, sessionOf("user_owner")))), seller},
		{"store token, expired", withBearer(expired.Secret), nobody},
		{"store token, revoked", withBearer(revoked.Secret), nobody},
		{"store token, cut", withBearer(a.Secret[:len(a.Secret)-1]), nobody},
		{"store token, upper case", withBearer(strings.ToUpper(a.Secret)), nobody},
		{"store token, made up", withBearer(customers.TokenPrefix + strings.Repeat("a", 40)), nobody},
		{"store token, as cookie", withCookie(a.Secret), nobody},
		{"store token, as Clerk's cookie", withClerk(a.Secret), nobody},
	}
}

func (x *site) token(t testing.TB, id string) customers.MadeToken {
	t.Helper()
	made, err := customers.New(x.Cfg.Store).CreateToken(t.Context(), customers.NewToken{Store: id})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func both(one, other as) as { return func(r *http.Request) { one(r); other(r) } }

// sellersOf fills a site and says whose the stores are; user_former was a member.
func (x *site) sellersOf(t testing.TB) {
	t.Helper()
	x.fill(t)
	x.exec(t, `UPDATE stores SET owner_user_id = 'user_owner', member_user_ids = '{user_former,user_member}'
		WHERE id = 'store_a'`)
	x.exec(t, `INSERT INTO stores (id, owner_user_id, version) VALUES ('store_b', 'user_other', 'v')`)
	former := withBearer(sign(t, clerkKey, nil, sessionOf("user_former")))
	if got := x.get(t, "/api/stores/store_a/customers", former); got.StatusCode != 200 {
		t.Errorf("a member: %d", got.StatusCode)
	}
	x.exec(t, `UPDATE stores SET member_user_ids = '{user_member}' WHERE id = 'store_a'`)
}

// clerkSite is a site that takes Clerk's sessions, behind a proxy.
func clerkSite(c *core.Config) {
	c.Clerk = core.Clerk{Key: &clerkKey.PublicKey, Issuer: issuer, Parties: []string{"https://other.example", party}}
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

var addresses atomic.Uint32

// fromAnywhere is a client that nobody has seen yet, so that the failures of one
// do not count as another's.
func fromAnywhere(r *http.Request) {
	n := addresses.Add(1)
	r.Header.Set("X-Forwarded-For", netip.AddrFrom4([4]byte{203, byte(n >> 16), byte(n >> 8), byte(n)}).String())
}

// TestEveryRouteEveryVisitor asks for all that there is in the name of everybody.
func TestEveryRouteEveryVisitor(t *testing.T) {
	x := open(t, clerkSite)
	x.sellersOf(t)
	x.begin(t, `{"kind": "clerk"}`)
	x.segmented(t, "store_a")
	all := callers(t, x)
	for _, route := range x.routes() {
		method := route.method
		if method == "" {
			method = "GET"
		}
		path, missing := x.pathOf(t, route.path, "store_a"), x.pathOf(t, route.path, "none")
		for _, c := range all {
			if ready := strings.Replace(path, aSegment, "at_risk", 1); ready != path { // every store has it
				got := x.send(t, method, ready, "", c.as, fromAnywhere)
				want := answers(route, c.is) + map[bool]string{true: " 409"}[c.is > somebody]
				if !strings.Contains(want, fmt.Sprint(got.StatusCode)) {
					t.Errorf("%s %s as %s: %d, want %s", method, ready, c.name, got.StatusCode, want)
				}
			}
			got := x.send(t, method, path, "", c.as, fromAnywhere)
			if want := answers(route, c.is); !strings.Contains(want, fmt.Sprint(got.StatusCode)) {
				t.Errorf("%s %s as %s: %d, want %s: %.300s", method, route.path, c.name, got.StatusCode, want, got.text)
			}
			if route.who != core.Sellers || c.is > somebody {
				continue
			}
			if none := x.send(t, method, missing, "", c.as, fromAnywhere); none.StatusCode != got.StatusCode ||
				strings.ReplaceAll(none.text, "none", "store_a") != got.text {
				t.Errorf("%s %s as %s: a store that is differs from one that is not: %s, %s", method, route.path, c.name,
					got.text, none.text)
			}
		}
	}
}

// forAnyone are the only routes that ask no one who they are.
var forAnyone = []string{"GET /{$}", "GET /admin/{$}", "GET /signin", "POST /signin", "POST /signout", "GET /healthz",
	"GET /readyz", "GET /assets/{file}", "GET /api/openapi.json", "GET " + recipients.LeavePath,
	"POST " + recipients.LeavePath, "GET " + recipients.ClickPath}

// A route is open to who its address says: one that is added is asked for by the test above as if its
// audience were right.
func TestAudiences(t *testing.T) {
	t.Parallel()
	for _, r := range open(t, nil).routes() {
		name, want := r.method+" "+r.path, core.Admins
		switch {
		case slices.Contains(forAnyone, name):
			want = core.Anyone
		case r.path == "/stores":
			want = core.Known
		case strings.HasPrefix(r.path, "/store/{store}"), strings.HasPrefix(r.path, "/api/stores/{store}"):
			want = core.Sellers
		}
		if r.who != want {
			t.Errorf("%s is open to %d, want %d", name, r.who, want)
		}
	}
}

// answers are the statuses that a visitor may get.
func answers(r route, is standing) string {
	switch {
	case r.who == core.Sellers && is == somebody:
		return "404"
	case r.who == core.Known && is == nobody:
		return "401"
	case r.who == core.Known && is == operator, r.path == "/store/{store}" && is > somebody:
		return "303" // to the list of all, and to the customers
	case r.who == core.Admins && is != operator && r.method == "GET" && strings.HasPrefix(r.path, "/admin"):
		return "303 401" // to the sign-in, unless they sent what should have opened it
	case r.who == core.Sellers && is == nobody, r.who == core.Admins && is != operator:
		return "401"
	case strings.HasPrefix(r.path, "/store/{store}/settings"): // see TestSettingsAccess
		return map[string]string{"GET": "200", "POST": "303 400 404"}[r.method] +
			map[bool]string{true: " 403"}[is == seller]
	case r.path == "/signin" && r.method == "POST":
		return "401" // the form has no token
	case r.path == "/signout", strings.HasSuffix(r.path, "/{$}"):
		return "303"
	case r.path == "/admin/reopen", r.path == "/admin/events/{id}/dismiss", r.path == "/admin/event-states",
		r.path == "/admin/backfills" && r.method == "POST":
		return "400" // let in, and told that nothing was said
	case r.method == "POST" && strings.HasPrefix(r.path, "/admin/"):
		return "303" // let in, and led back to the page
	case strings.HasSuffix(r.path, "/customers/columns"):
		return "303" // let in, and led back to the list
	case strings.HasPrefix(r.path, "/store/{store}/bulk/{bulk}") && r.method == "POST":
		return "303 409" // let in, and led to the action, or told that it has ended
	case r.path == recipients.ClickPath:
		return "404" // the token is of no link
	case strings.HasSuffix(r.path, "/live"), strings.HasSuffix(r.path, "/notes") && strings.HasPrefix(r.path, "/store/"):
		return "400" // let in, and told that nothing was said
	case r.method == "POST" && strings.HasSuffix(r.path, "/value"):
		return "303" // let in, and led back to the page
	case strings.HasSuffix(r.path, "/why"):
		return "400" // let in, and told that no customer was named
	case strings.Contains(r.path, "{mail}"):
		return "404" // let in, and told that there is no such mail
	case strings.HasPrefix(r.path, "/store/{store}/mail/campaigns/{campaign}"):
		return "200 303 400 404 409" // let in; it is gone after the first who deletes it
	case strings.HasPrefix(r.path, "/store/{store}/mail/recipes/"), strings.HasSuffix(r.path, "/mail/pause"),
		strings.HasSuffix(r.path, "/mail/resume"), strings.HasSuffix(r.path, "/mail/stop"),
		strings.HasSuffix(r.path, "/mail/lift"):
		return "303" // let in, and led to what it did
	case strings.HasPrefix(r.path, "/store/{store}/segments/{segment}"):
		return "200 303 400 404" // let in; it is gone after the first who deletes it
	case strings.HasSuffix(r.path, "/delete"), strings.HasSuffix(r.path, "/remove"):
		return "303" // let in, and led back: it is gone
	case r.method == "POST" && strings.HasPrefix(r.path, "/store/"):
		return "400 404" // let in, and told that there is no such note
	case strings.HasSuffix(r.path, "/stops/manual"):
		return "204 404" // let in; what is lifted is not there to be lifted again
	case r.method == "POST", r.method == "PATCH":
		return "200 202 415 409" // let in, and told what is wrong: no body, or done before
	case strings.Contains(r.path, "{segment}") && r.method != "GET",
		strings.Contains(r.path, "{campaign}") && r.method == "DELETE":
		return "204 404" // gone after the first time
	case r.method == "DELETE", r.method == "PUT":
		return "404" // let in, and told that there is no such note or tag
	}
	return "200"
}

// The ids of a tag, a static segment and a bulk action in a route's path.
const (
	aTag      = "tag_aaaaaaaaaa"
	aSegment  = "seg_aaaaaaaaaa"
	aBulk     = "bulk_aaaaaaaaaa"
	aCampaign = "camp_aaaaaaaaaa"
)

// segmented has a store have the segment, and the action, which has ended.
func (x *site) segmented(t testing.TB, store string) {
	t.Helper()
	x.exec(t, `INSERT INTO segments (id, store_id, name, folded, kind, created_by)
		VALUES ($1, $2, 'S', 's', 'static', 'admin')`, aSegment, store)
	x.exec(t, `INSERT INTO bulk_actions (id, store_id, action, target, customers, status, ended_at, started_by)
		VALUES ($1, $2, 'add', $3, 0, 'done', now(), 'admin')`, aBulk, store, aSegment)
	x.exec(t, `INSERT INTO campaigns (id, store_id, name, kind, class, trigger, steps, reentry, not_after, within,
			created_by)
		VALUES ($1, $2, 'C', 'flow', 'service', '{"question": "not_started", "numbers": {"days": 7}, "courses": []}',
			'[{"key": "a", "wait": "0h", "do": "note", "note": "N"}]', 'each', '3 days', '0', 'admin')`, aCampaign, store)
}

// pathOf fills in a route's path.
func (x *site) pathOf(t *testing.T, pattern, store string) string {
	t.Helper()
	id := "1"
	if strings.Contains(pattern, "{store}") {
		id = x.id(t, core.CustomerID, 1)
	}
	path := strings.NewReplacer("{store}", store, "{id}", id, "{note}", x.id(t, core.NoteID, 1),
		"{tag}", aTag, "{segment}", aSegment, "{bulk}", aBulk, "{campaign}", aCampaign, "{table}", "months.csv",
		"{recipe}", "not_started", "{mail}", x.id(t, core.MailID, 99_999),
		"{token}", x.id(t, core.TokenID, 99_999), "{reason}",
		"user_unknown", "{$}", "", "{file}", "style.css").Replace(pattern)
	if strings.Contains(path, "{") {
		t.Fatalf("%s: say here what stands for its parts", pattern)
	}
	return path
}

func TestStrangersLearnNothing(t *testing.T) {
	x := open(t, nil)
	x.fill(t)
	want := x.get(t, "/api/stores/store_a/customers/1")
	for _, path := range []string{"/api/stores/store_a/customers", "/api/stores/none/customers",
		"/api/stores/store_a/customers/99", "/api/stores/none/stats", "/api/stores/store_a/customers?limit=x"} {
		if got := x.get(t, path); got.StatusCode != 401 || got.text != want.text {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.text)
		}
	}
}

// Whoever is known elsewhere learns no more of a store than that it is not
// theirs, if it exists at all.
func TestOthersLearnNothing(t *testing.T) {
	x := open(t, clerkSite)
	x.sellersOf(t)
	other := withBearer(sign(t, clerkKey, nil, sessionOf("user_other")))
	program := withBearer(x.token(t, "store_b").Secret)
	want := x.get(t, "/api/stores/none/customers", other)
	for _, path := range []string{"/api/stores/store_a/customers", "/api/stores/none/customers",
		"/api/stores/store_a/customers/1", "/api/stores/none/stats", "/api/stores/store_a/customers?limit=x",
		"/api/stores/a%00/stats"} {
		for _, who := range []as{other, program} {
			got := x.get(t, path, who)
			if got.StatusCode != 404 || got.code(t) != "not_found" || got.text != want.text ||
				len(got.Header) != len(want.Header) {
				t.Errorf("%s: %d %s %v", path, got.StatusCode, got.text, got.Header)
			}
		}
	}
	if got := x.get(t, "/api/stores/store_b/customers/"+x.id(t, core.CustomerID, 2), other); got.StatusCode != 200 {
		t.Errorf("their own: %d %s", got.StatusCode, got.text)
	}
	if got := x.get(t, "/api/stores/store_b/customers/"+x.id(t, core.CustomerID, 1), program); got.StatusCode != 404 {
		t.Errorf("another's customer in a store of one's own: %d %s", got.StatusCode, got.text)
	}
}

// Without ADMIN_TOKEN only what operators alone may do says so.
func TestNoAdminToken(t *testing.T) {
	x := open(t, func(c *core.Config) { clerkSite(c); c.AdminToken = "" })
	x.sellersOf(t)
	pretenders := []as{stranger, withBearer(""), withBasic(""),
		withCookie(access.Admin{Token: ""}.Sign(access.ForSession, now.Add(time.Hour)))}
	for _, path := range []string{"/api/admin/events", "/monitoring/", "/signin?link=" + access.Admin{
		Token: ""}.Sign(access.ForLink, now.Add(time.Hour))} {
		for _, who := range pretenders {
			if got := x.get(t, path, who); got.StatusCode != 503 || !strings.Contains(got.text, "ADMIN_TOKEN") {
				t.Errorf("%s: %d %s", path, got.StatusCode, got.text)
			}
		}
	}
	if got := x.get(t, "/signin"); got.StatusCode != 200 || !strings.Contains(got.text, "Sign in to the marketplace") ||
		strings.Contains(got.text, "<form") {
		t.Errorf("creators: %d %s", got.StatusCode, got.text)
	}
	if got := x.send(t, "POST", "/signin", "token="); got.StatusCode != 503 || got.Header.Get("Set-Cookie") != "" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	list := "/api/stores/store_a/customers"
	for _, who := range pretenders {
		if got := x.get(t, list, who); got.StatusCode != 401 {
			t.Errorf("%d %s", got.StatusCode, got.text)
		}
	}
	for _, who := range []as{withBearer(x.token(t, "store_a").Secret),
		withClerk(sign(t, clerkKey, nil, sessionOf("user_owner")))} {
		if got := x.get(t, list, who); got.StatusCode != 200 {
			t.Errorf("%d %s", got.StatusCode, got.text)
		}
	}
}
