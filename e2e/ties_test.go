package e2e

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"rollcall/facts"
	"rollcall/jobs"
	"rollcall/web"
	"rollcall/web/core"
	"rollcall/webhooks"
)

// tie is what is said of who may see a store at one timestamp, but for what
// says another one itself, and who may see it in the end.
type tie struct {
	name string
	said []string // fields of store.upserted
	may  map[string]bool
}

var ties = []tie{
	{"a member added and removed", []string{`"member_user_ids":["user_a","user_b"]`, `"member_user_ids":["user_b"]`},
		map[string]bool{"user_a": false, "user_b": true}},
	{"a member replaced", []string{`"member_user_ids":["user_a"]`, `"member_user_ids":["user_b"]`},
		map[string]bool{"user_a": false, "user_b": false}},
	{"all members withdrawn", []string{`"member_user_ids":["user_a"]`, `"member_user_ids":null`, `"name":"Aurora"`},
		map[string]bool{"user_a": false}},
	{"three lists", []string{`"member_user_ids":["user_c","user_a"]`, `"member_user_ids":["user_b","user_c"]`,
		`"member_user_ids":["user_a","user_b","user_c"]`},
		map[string]bool{"user_a": false, "user_b": false, "user_c": true}},
	{"an owner set and withdrawn", []string{`"owner_user_id":"user_a"`, `"owner_user_id":null`},
		map[string]bool{"user_a": false}},
	{"an owner replaced", []string{`"owner_user_id":"user_a","member_user_ids":["user_c"]`, `"owner_user_id":"user_b"`},
		map[string]bool{"user_a": false, "user_b": false, "user_c": true}},
	{"the same owner again", []string{`"owner_user_id":"user_a"`, `"owner_user_id":"user_a"`},
		map[string]bool{"user_a": true}},
	{"a later word ends the tie", []string{`"owner_user_id":"user_a","member_user_ids":["user_b"]`,
		`"owner_user_id":null,"member_user_ids":[]`, later + `"owner_user_id":"user_a","member_user_ids":["user_b"]`},
		map[string]bool{"user_a": true, "user_b": true}},
	{"an earlier word changes nothing", []string{`"owner_user_id":"user_a"`, `"owner_user_id":"user_b"`,
		earlier + `"owner_user_id":"user_a","member_user_ids":["user_b"]`},
		map[string]bool{"user_a": false, "user_b": true}},
}

// What another timestamp is written as.
const (
	later   = "2026-01-12T10:00:01Z "
	tied    = "2026-01-12T10:00:00Z "
	earlier = "2026-01-12T09:59:59Z "
)

// Of who may see a store, what is said at one timestamp ends the same in every
// order and with any message ids: the version that opens less wins.
func TestRevocationTies(t *testing.T) {
	t.Parallel()
	s := newSharedSystem(t)
	doors := newDoors(t, s)
	type telling struct {
		tie
		store string
		order []int // of what is said, as it arrives
		ids   []int // the places of the message ids of what is said, as they sort
		once  bool  // all of it is applied at once
	}
	var all []telling
	for _, c := range ties {
		for _, order := range permutations(len(c.said)) {
			for _, ids := range permutations(len(c.said)) {
				for _, once := range []bool{false, true} {
					all = append(all, telling{c, fmt.Sprintf("store_%d", len(all)), order, ids, once})
				}
			}
		}
	}
	for round := range 3 {
		var g errgroup.Group
		g.SetLimit(8)
		for _, c := range all {
			var now []int
			if c.once && round == 0 {
				now = c.order
			} else if !c.once && round < len(c.order) {
				now = c.order[round : round+1]
			}
			g.Go(func() (err error) {
				for _, said := range now {
					err = errors.Join(err, s.tellStore(fmt.Sprintf("msg_%d_%s", c.ids[said], c.store), c.store, c.said[said]))
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		s.applyAll()
	}
	for _, c := range all {
		for user, want := range c.may {
			if got := doors.open(t, user, c.store); got != want {
				t.Errorf("%s, in order %v with ids %v, at once %v: %s may see the list: %v", c.name, c.order, c.ids, c.once, user,
					got)
			}
		}
	}
}

// permutations are all orders of 0 to n-1.
func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, p := range permutations(n - 1) {
		for i := range n {
			all = append(all, append(append(append([]int{}, p[:i]...), n-1), p[i:]...))
		}
	}
	return all
}

// tellStore sends what the platform says of a store.
func (s *system) tellStore(id, store, fields string) error {
	at := tied
	if fields[0] == '2' {
		at, fields = fields[:len(at)], fields[len(at):]
	}
	body := fmt.Appendf(nil, `{"type":"store.upserted","timestamp":%q,"data":{"id":%q,%s}}`, at[:len(at)-1], store, fields)
	header, err := webhooks.SignPlatform(secret, id, body, time.Now())
	if err == nil {
		_, err = s.send(webhooks.Platform, header, body)
	}
	return err
}

// applyAll applies all that waits in the inbox.
func (s *system) applyAll() {
	s.t.Helper()
	var ids []int64
	err := s.pool.QueryRow(context.Background(), `SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM webhook_events
		WHERE status = 'pending'`).Scan(&ids)
	if err == nil {
		_, err = s.store.Apply(context.Background(), ids, 0, facts.Read)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// doors is a site that takes the sessions of one key of Clerk's.
type doors struct {
	url string
	key *rsa.PrivateKey
}

func newDoors(t *testing.T, s *system) doors {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	redis, err := jobs.ParseRedis(s.servers.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	site, err := web.New(core.Config{Store: s.store, Redis: redis, Jobs: s.jobs, Clerk: core.Clerk{Key: &key.PublicKey},
		Log: blind.log})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(site)
	t.Cleanup(func() { server.Close(); site.Close() })
	return doors{server.URL, key}
}

// open tells whether a user gets to see the customers of a store.
func (d doors) open(t *testing.T, user, store string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/api/stores/"+store+"/customers", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.session(t, user))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusForbidden {
		t.Fatalf("%s at %s: %s", user, store, res.Status)
	}
	return res.StatusCode == http.StatusOK
}

// session is a session token as Clerk signs them.
func (d doors) session(t *testing.T, user string) string {
	t.Helper()
	at := time.Now().Unix()
	part := func(v map[string]any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := part(map[string]any{"alg": "RS256", "kid": "ins_1", "typ": "JWT"}) + "." +
		part(map[string]any{"iss": "https://clerk.market.example", "sub": user, "sid": "sess_1", "v": 2, "sts": "active",
			"fva": []int{0, -1}, "iat": at, "nbf": at - 10, "exp": at + 60})
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, d.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}
